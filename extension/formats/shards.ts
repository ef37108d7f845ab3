import { readFileSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { parseStrictJson } from "./strictJson.ts";

/** Far above any index: one of a million tensors. */
const MAX_BYTES = 2 ** 27;
const MAX_DEPTH = 8;

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
  if (statSync(index).size > MAX_BYTES) fail("too large for an index of shards");
  let json: unknown;
  try {
    json = parseStrictJson(readFileSync(index, "utf8"), MAX_DEPTH);
  } catch (error) {
    fail(`no index of shards: ${error instanceof Error ? error.message : String(error)}`);
  }
  const map: unknown = json instanceof Map ? json.get("weight_map") : undefined;
  if (!(map instanceof Map) || map.size === 0) return fail('expected files by tensor in "weight_map"');
  const shards = new Map<string, string[]>();
  for (const [tensor, shard] of map as ReadonlyMap<string, unknown>) {
    if (typeof shard !== "string" || !/^\w[\w.-]*$/.test(shard) || isShardIndex(shard))
      return fail(`expected the name of a file beside it for ${JSON.stringify(tensor)}`);
    const path = join(dirname(index), shard);
    const names = shards.get(path);
    if (names === undefined) shards.set(path, [tensor]);
    else names.push(tensor);
  }
  return shards;
}
