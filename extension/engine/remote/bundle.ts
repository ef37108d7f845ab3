// A program is sent to another machine as one bundle: nothing has to be installed or bundled there, and syntax errors are
// found here.
import path from "node:path";
import * as v from "valibot";
import { checkedJson } from "../../files/json.ts";
import { readRegularSync } from "../../files/regular.ts";
import type { RunRequest } from "../../protocol/engine.ts";
import { library } from "../host/library.ts";
import { keptVersionOf, type KeptVersion } from "../host/runSources.ts";
import { bundleUserModule, hashOfCode, type Bundle } from "../host/userModule.ts";

/** Most bytes of a bundle with its source map. */
const LIMIT = 256 * 2 ** 20;

const SentBundle = v.object({
  code: v.string(),
  map: v.string(),
  commonJs: v.boolean(),
  /** {@link hashOfCode} */
  hash: v.string(),
});

/** The program of a request, and the kept version that it is made of instead of the file on the disk. */
export interface Program {
  readonly bundle: Bundle;
  readonly version: KeptVersion | undefined;
}

/** Reads the program of a request. @throws SyntaxErrors when it can't be bundled */
export async function programOf(request: RunRequest): Promise<Program> {
  const version = await keptVersionOf(request);
  return { bundle: await bundleOf(request, version), version };
}

/** Bundles a program here, or takes what the machine has bundled that has sent it. */
async function bundleOf({ file, bundle }: RunRequest, version?: KeptVersion): Promise<Bundle> {
  if (bundle === undefined) return bundleUserModule(file, { library, ...version });
  const sent = checkedJson(bundle, readRegularSync(bundle, { limit: LIMIT }), SentBundle);
  return { file, imported: [], ...sent };
}

/**
 * A file as a bundle for another machine, where it will have the path `place`.
 * @param hash of the bundle for another one, whose places differ
 */
export async function bundleFor(
  file: string,
  place: string,
  hash?: string,
): Promise<{ bundle: Bundle; text: string }> {
  const made = await bundleUserModule(file, { library, place });
  const bundle = { ...made, hash: hash ?? hashOfCode(made) };
  const { code, map, commonJs } = bundle;
  const sent: v.InferOutput<typeof SentBundle> = { code, map, commonJs, hash: bundle.hash };
  return { bundle, text: JSON.stringify(sent) };
}

/** The files of a bundle that belong to the workspace: the program and its own imports, without packages. */
export const ownSources = ({ file, imported }: Bundle, root: string): string[] => [
  file,
  ...imported.filter((one) => {
    const way = path.relative(root, one);
    return !way.startsWith("..") && !path.isAbsolute(way) && !way.split(path.sep).includes("node_modules");
  }),
];
