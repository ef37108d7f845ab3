import { execFileSync } from "node:child_process";
import path from "node:path";
import * as v from "valibot";
import { distFolder } from "../../files/shipped.ts";
import { TensorError } from "../../tensor/core/errors.ts";
import { cachedModel, hubOf, isModelName } from "./hubCache.ts";

const Answer = v.union([v.object({ folder: v.string() }), v.object({ error: v.string() })]);

/** The folder of a model in the cache, without network; undefined when it isn't there, or the name can't be one. */
export function cachedFolder(name: string): string | undefined {
  return isModelName(name) ? cachedModel(hubOf(process.env), name) : undefined;
}

/**
 * The folder of a model of the hub, fetched when it isn't in the cache.
 * @throws TensorError saying why it can't be had
 */
export function pretrainedFolder(name: string): string | undefined {
  const cached = cachedFolder(name);
  if (cached !== undefined || !isModelName(name)) return cached;
  const program = path.join(distFolder() ?? "dist", "hubDownload.js");
  const output = execFileSync(process.execPath, [program, name], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"],
  });
  const answer = v.parse(Answer, JSON.parse(output));
  if ("error" in answer) throw new TensorError("file", answer.error);
  return answer.folder;
}
