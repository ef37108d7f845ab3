// The texts that a run is made of: on the disk, or as another run has kept them.
import fs from "node:fs";
import { readRunFileSync } from "../../files/runFiles.ts";
import type { RunRequest } from "../../protocol/engine.ts";
import { SOURCE_FILE } from "../../protocol/run.ts";
import { EngineError } from "../../protocol/errors.ts";
import type { Bundle, LoadOptions } from "./userModule.ts";
import { isPackage, openVersion } from "./versions.ts";

/** Most bytes of a kept source. */
const SOURCE_LIMIT = 2 * 2 ** 20;

export type KeptVersion = Required<Pick<LoadOptions, "text" | "imports">>;

/** The version of its file that a request names; undefined for the one on the disk. */
export async function keptVersionOf({
  file,
  version,
}: Pick<RunRequest, "file" | "version">): Promise<KeptVersion | undefined> {
  if (version === undefined) return undefined;
  let text: string;
  try {
    text = readRunFileSync(version, SOURCE_FILE, SOURCE_LIMIT).toString("utf8");
  } catch {
    throw new EngineError({ code: "run-record", message: `${version} has not kept the text of ${file}.` });
  }
  return { text, imports: await openVersion(file, { kind: "run", directory: version }) };
}

/** Texts of a file and of what it imports, by absolute path; packages are left out. */
export async function sourcesOf(
  file: string,
  { imported }: Bundle,
  version: KeptVersion | undefined,
): Promise<Map<string, string>> {
  const sources = new Map([[file, version?.text ?? fs.readFileSync(file, "utf8")]]);
  for (const source of imported) {
    if (sources.has(source) || isPackage(source)) continue;
    const kept = version?.imports?.has(source) === true;
    sources.set(source, kept ? await version.imports!.text(source) : fs.readFileSync(source, "utf8"));
  }
  return sources;
}
