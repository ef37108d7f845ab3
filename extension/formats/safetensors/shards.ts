import { realpathSync } from "node:fs";
import { dirname, join } from "node:path";
import { readRegularSync } from "../../files/regular.ts";
import { MAX_TENSORS } from "./safetensorsHeader.ts";
import { JsonError, parseStrictJson } from "../strictJson.ts";

/** Far above any index: one of a million tensors. */
const MAX_BYTES = 2 ** 27;
/** Twice the tensors of the largest file. */
const MAX_NAMES = 2 * MAX_TENSORS;
/** Ten times the shards of the largest models. */
const MAX_SHARDS = 10_000;
const LIMITS = { depth: 8, items: MAX_NAMES, members: () => MAX_NAMES };

/** Whether a name is that of an index of shards, such as `model.safetensors.index.json`. */
export function isShardIndex(path: string): boolean {
  return /\.index\.json$/i.test(path);
}

/**
 * The files over which a model is spread, and the names of the tensors of each, by Hugging Face's index.
 * @throws Error naming the index when it is damaged, or names a file outside of its folder; the file system's error
 */
export function shardsOf(index: string): Map<string, string[]> {
  const fail = (problem: string): never => {
    throw new Error(`${index}: ${problem}`);
  };
  let json: unknown;
  try {
    json = parseStrictJson(readRegularSync(index, { limit: MAX_BYTES, follow: true }).toString(), LIMITS);
  } catch (error) {
    if (!(error instanceof JsonError)) throw error;
    fail(`no index of shards: ${error.message}`);
  }
  const map: unknown = json instanceof Map ? json.get("weight_map") : undefined;
  if (!(map instanceof Map) || map.size === 0) return fail('expected files by tensor in "weight_map"');
  const shards = new Map<string, string[]>();
  for (const [tensor, shard] of map as ReadonlyMap<string, unknown>) {
    if (typeof shard !== "string" || !/^\w[\w.-]*$/.test(shard) || isShardIndex(shard))
      return fail(`expected the name of a file beside it for ${JSON.stringify(tensor.slice(0, 100))}`);
    const path = join(dirname(index), shard);
    const names = shards.get(path);
    if (names === undefined) shards.set(path, [tensor]);
    else names.push(tensor);
  }
  if (shards.size > MAX_SHARDS)
    fail(
      `"weight_map" names ${shards.size.toLocaleString("en-US")} files; the limit is ${MAX_SHARDS.toLocaleString("en-US")}`,
    );
  refuseRepeated(shards.keys(), fail);
  return shards;
}

/** Many names of one large file, by links, would have it read as often. */
function refuseRepeated(paths: Iterable<string>, fail: (problem: string) => never): void {
  const names = new Map<string, string>();
  for (const path of paths) {
    // A file that is missing has its own message, when it is opened.
    const real = realPath(path);
    const other = real === undefined ? undefined : names.get(real);
    if (other !== undefined) fail(`${other} and ${path} are the same file`);
    if (real !== undefined) names.set(real, path);
  }
}

function realPath(path: string): string | undefined {
  try {
    return realpathSync.native(path);
  } catch {
    return undefined;
  }
}
