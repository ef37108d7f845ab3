import { expand } from "brace-expansion";
import type { DecodedFile, Pending, RawSample, Shard } from "../../nn/data/access.ts";
import { TensorError } from "../../tensor/core/errors.ts";
import { freeThread, naming, reading } from "./threads.ts";

/** Most names that braces stand for. */
const MAX_SHARDS = 100_000;
/** Characters of all names. Above it, the library leaves names out without a word. */
const MAX_CHARACTERS = 2 ** 28;

let streams = 0;

/** The names that braces in a name stand for, as in a shell. @throws TensorError for too many */
export function expandBraces(pattern: string): string[] {
  // In braces' own rules, a backslash takes away the meaning of what follows.
  const name = process.platform === "win32" ? pattern.replaceAll("\\", "/") : pattern;
  const names = expand(name, { max: MAX_SHARDS + 1, maxLength: MAX_CHARACTERS });
  if (names.length > MAX_SHARDS)
    throw new TensorError("value", `${pattern}: more than ${MAX_SHARDS.toLocaleString("en-US")} files`);
  return names;
}

/** Opens a tar file, which a thread reads: two chunks of it at most are in memory. */
export function openShard(file: string): Shard {
  const thread = freeThread();
  const stream = streams++;
  const ask = () => reading("samples", { stream, file }, { subject: file, thread });
  let pending: ReturnType<typeof ask> | undefined = ask();
  let samples: readonly RawSample[] = [];
  let at = 0;
  let failure: string | undefined;
  return {
    path: file,
    get ready() {
      return at < samples.length || pending === undefined || pending.ready;
    },
    next() {
      while (at === samples.length) {
        if (failure !== undefined) throw new TensorError("file", naming(file, failure));
        if (pending === undefined) return undefined;
        const asked = pending;
        // After an error, the file is at its end.
        pending = undefined;
        const chunk = asked.take();
        failure = chunk.failure;
        if (!chunk.done) pending = ask();
        [samples, at] = [chunk.samples, 0];
      }
      return samples[at++];
    },
    close() {
      pending?.drop();
      if (pending !== undefined) reading("closed", { stream }, { thread }).drop();
      pending = undefined;
      [samples, at] = [[], 0];
    },
  };
}

/** Has a thread decode a sample, whose bytes it takes over. */
export function decode(
  shard: string,
  sample: RawSample,
  wanted: readonly string[] | undefined,
  channels: number,
): Pending<DecodedFile[]> {
  return reading(
    "decoded",
    { shard, sample, wanted, channels },
    { transfer: [sample.bytes.buffer as ArrayBuffer] },
  );
}
