// Models of the Hugging Face Hub: fetched into the cache.
import { createHash, randomBytes } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import { HubApiError, listFiles, modelInfo } from "@huggingface/hub";
import * as v from "valibot";
import { makeFolderSync } from "../../files/folders.ts";
import { openAppendSync } from "../../files/append.ts";
import { describeFileError, FileError } from "../../files/fileError.ts";
import { insideSync } from "../../files/inside.ts";
import { writeAtomic } from "../../files/writeAtomic.ts";
import { folderOf, isCommit, WEIGHTS, type Hub } from "./hubCache.ts";
import { HubError, HubRequests } from "./hubRequests.ts";

export { HubError } from "./hubRequests.ts";

const OTHERS = [
  "vocab.txt",
  "vocab.json",
  "merges.txt",
  "tokenizer.json",
  "tokenizer_config.json",
  "special_tokens_map.json",
];

/** A model's repository has some hundred files. */
const MAX_FILES = 100_000;
const MAX_SHARDS = 10_000;
/** Most bytes of a file, by what it is. */
const MAX_WEIGHTS = 2 ** 40;
const MAX_VOCABULARY = 2 ** 28;
const MAX_CONFIG = 2 ** 24;
const MAX_INDEX = 2 ** 27;

const limitOf = (file: string): number => {
  if (file.endsWith(".index.json")) return MAX_INDEX;
  if (/^(vocab|merges|tokenizer)\.(txt|json)$/.test(file)) return MAX_VOCABULARY;
  return file.endsWith(".json") ? MAX_CONFIG : MAX_WEIGHTS;
};

/** A file of the hub, as far as it is used. */
const HubFile = v.object({
  path: v.string(),
  size: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
  /** Git's hash of the content, or of the pointer that stands for it. */
  oid: v.pipe(v.string(), v.regex(/^[0-9a-f]{40}$/)),
  /** Of a large file, the hash of its content. */
  lfs: v.optional(v.object({ oid: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/)) })),
});
type HubFile = v.InferOutput<typeof HubFile>;

/** Called with the number of a file's bytes that are there. */
export type Progress = (file: string, bytes: number, total: number) => void;

/**
 * Fetches a model's configuration, vocabulary and weights into the cache, except for files or parts that are there
 * already. Returns their folder.
 * @throws {@link HubError}
 */
export async function downloadModel(
  hub: Hub,
  name: string,
  {
    revision = "main",
    progress,
    signal,
  }: { revision?: string; progress?: Progress; signal?: AbortSignal } = {},
): Promise<string> {
  if (hub.offline)
    throw new HubError(
      `${name} is not in the cache ${hub.cache}, and HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE forbids to fetch it.`,
    );
  if (/^\w+:\/\/[^/]*@/.test(hub.endpoint))
    throw new HubError(`HF_ENDPOINT has a user or a password, which is not supported. Set HF_TOKEN instead.`);
  const requests = new HubRequests(hub, signal);
  const request = {
    hubUrl: hub.endpoint,
    ...(hub.token === undefined ? {} : { accessToken: hub.token }),
    fetch: requests.describe,
  };
  try {
    const { sha } = await modelInfo({ ...request, name, revision, additionalFields: ["sha"] });
    if (!isCommit(sha))
      throw new HubError(`${hub.endpoint} names no commit of ${name}: expected 40 hexadecimal digits.`);
    const files = new Map<string, unknown>();
    let listed = 0;
    for await (const file of listFiles({ ...request, repo: name, revision: sha })) {
      if (++listed > MAX_FILES)
        throw new HubError(`${name} has more than ${MAX_FILES.toLocaleString("en-US")} files, the limit.`);
      if (file.type === "file") files.set(file.path, file);
    }
    const wanted = wantedFiles(files, name).map((file) => checkedFile(file, name));
    const folder = path.basename(folderOf(hub, name));
    const inFolder = (...names: string[]): string => insideSync(hub.cache, folder, ...names);
    makeFolderSync(hub.cache);
    makeFolderSync(inFolder("blobs"));
    makeFolderSync(inFolder("snapshots", sha));
    checkSpace(
      hub.cache,
      wanted.filter((file) => !isThere(inFolder("blobs", hashOf(file)), file)),
      name,
    );
    for (const file of wanted) {
      const blob = inFolder("blobs", hashOf(file));
      await fetchBlob(blob, file, progress, (start) =>
        contentOf(requests, `${name}/resolve/${sha}/${file.path}`, file, start),
      );
      link(blob, path.join(inFolder("snapshots", sha), file.path));
    }
    if (sha !== revision) {
      const ref = inFolder("refs", revision);
      makeFolderSync(path.dirname(ref));
      writeAtomic(ref, [Buffer.from(sha)]);
    }
    return inFolder("snapshots", sha);
  } catch (error) {
    throw error instanceof HubError ? error : new HubError(explain(error, name, hub), { cause: error });
  }
}

/** Weights come last, and an index after the files it names, so that a folder with weights is whole. */
function wantedFiles(files: ReadonlyMap<string, unknown>, name: string): unknown[] {
  const config = files.get("config.json");
  if (config === undefined) throw new HubError(`${name} does not appear to have a file named config.json.`);
  const others = OTHERS.flatMap((file) => files.get(file) ?? []);
  for (const weights of WEIGHTS) {
    const [stem, ending] = weights.split(".") as [string, string];
    const single = files.get(weights);
    if (single !== undefined) return [config, ...others, single];
    const index = files.get(`${weights}.index.json`);
    const shard = new RegExp(`^${stem}-\\d+-of-\\d+\\.${ending}$`);
    if (index !== undefined) return [config, ...others, ...shardsAmong(files, shard, name), index];
  }
  throw new HubError(
    `${name} has no file named model.safetensors, or pytorch_model.bin: only weights of PyTorch can be read.`,
  );
}

function shardsAmong(files: ReadonlyMap<string, unknown>, shard: RegExp, name: string): unknown[] {
  const shards = [...files].flatMap(([file, entry]) => (shard.test(file) ? [entry] : []));
  if (shards.length > MAX_SHARDS)
    throw new HubError(
      `${name} has ${count(shards.length)} files of weights; the limit is ${count(MAX_SHARDS)}.`,
    );
  return shards;
}

const count = (value: number): string => value.toLocaleString("en-US");

/** @throws HubError for a file without a valid size and hash, or one that is too large for its kind */
function checkedFile(entry: unknown, name: string): HubFile {
  const { success, output: file } = v.safeParse(HubFile, entry);
  if (!success) {
    const { path: shown } = entry as { path: string };
    throw new HubError(`The hub has no valid size and hash of ${shown} of ${name}.`);
  }
  const limit = limitOf(file.path);
  if (file.size > limit)
    throw new HubError(
      `${file.path} of ${name} has ${count(file.size)} bytes; the limit for such a file is ${count(limit)}.`,
    );
  return file;
}

/** The name of a file's content in the cache. */
const hashOf = ({ oid, lfs }: HubFile): string => lfs?.oid ?? oid;

/** @throws HubError for a model that is larger than the disk */
function checkSpace(cache: string, files: readonly HubFile[], name: string): void {
  const needed = files.reduce((sum, { size }) => sum + size, 0);
  const { bavail, bsize } = fs.statfsSync(cache);
  if (needed > bavail * bsize)
    throw new HubError(
      `${name} has ${count(needed)} bytes, and the disk of ${cache} has ${count(bavail * bsize)} left.`,
    );
}

/** A file's content, from `start` on or, where the server sends all of it, from the beginning. */
async function contentOf(
  requests: HubRequests,
  address: string,
  { path: shown, size }: HubFile,
  start: number,
): Promise<{ start: number; body: AsyncIterable<Uint8Array> }> {
  const { status, headers, body } = await requests.file(address, start, size, shown);
  if (status !== 206) return { start: 0, body };
  if (!(headers.get("content-range") ?? "").startsWith(`bytes ${start}-`))
    throw new HubError(`The hub sends another part of ${shown} than was asked for.`);
  return { start, body };
}

const isThere = (blob: string, { size }: HubFile): boolean =>
  fs.lstatSync(blob, { throwIfNoEntry: false })?.size === size;

/** Milliseconds without a byte after which a download counts as killed. */
const SILENCE = 10_000;

/** The file that a download writes. */
interface Part {
  readonly path: string;
  /** Lock of the part that can be continued; a download without it begins a file of its own. */
  readonly lock: string | undefined;
}

/** The part that an interruption left, or a new one; no two downloads write the same part. */
function takePart(blob: string): Part {
  const path = `${blob}.incomplete`;
  const lock = `${blob}.lock`;
  const age = (file: string): number => {
    const stats = fs.lstatSync(file, { throwIfNoEntry: false });
    return stats === undefined ? Number.POSITIVE_INFINITY : Date.now() - stats.mtimeMs;
  };
  if (Math.min(age(lock), age(path)) > SILENCE) fs.rmSync(lock, { force: true });
  try {
    fs.closeSync(fs.openSync(lock, "wx"));
    return { path, lock };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    return { path: `${blob}.${randomBytes(8).toString("hex")}.incomplete`, lock: undefined };
  }
}

/** Fetches a file's content into the cache; a part that an interruption left is continued. */
async function fetchBlob(
  blob: string,
  file: HubFile,
  progress: Progress | undefined,
  open: (start: number) => Promise<{ start: number; body: AsyncIterable<Uint8Array> }>,
): Promise<void> {
  if (isThere(blob, file)) return;
  const { path: part, lock } = takePart(blob);
  try {
    await fill(part, file, progress, open);
    fs.renameSync(part, blob);
  } catch (error) {
    // Another download took the part over, and was quicker.
    if (!isThere(blob, file)) throw error;
  } finally {
    fs.rmSync(lock ?? part, { force: true });
  }
}

/** Completes a part. @throws HubError if it is not the file that the hub has declared */
async function fill(
  part: string,
  file: HubFile,
  progress: Progress | undefined,
  open: (start: number) => Promise<{ start: number; body: AsyncIterable<Uint8Array> }>,
): Promise<void> {
  const output = openAppendSync(part);
  let have = fs.fstatSync(output).size;
  const restart = (): void => {
    fs.ftruncateSync(output);
    have = 0;
  };
  try {
    if (have > file.size) restart();
    if (have < file.size) {
      const { start, body } = await open(have);
      if (start !== have) restart();
      for await (const bytes of body) {
        // A nearly full disk accepts only a part of the bytes.
        for (let at = 0; at < bytes.length;) at += fs.writeSync(output, bytes, at);
        have += bytes.length;
        progress?.(file.path, have, file.size);
        if (have > file.size) break;
      }
    }
    fs.fsyncSync(output);
  } finally {
    fs.closeSync(output);
  }
  if (have === file.size && (await hashed(part, file)) === hashOf(file)) return;
  // A part that is too short can be continued; a wrong one can't.
  if (have >= file.size) fs.rmSync(part, { force: true });
  throw new HubError(`${file.path} arrived damaged (${have} of ${file.size} bytes). Try again.`);
}

/** The hash by which the hub names a file's content: of a small one, Git's. */
async function hashed(part: string, { size, lfs }: HubFile): Promise<string> {
  const hash = lfs === undefined ? createHash("sha1").update(`blob ${size}\0`) : createHash("sha256");
  for await (const bytes of fs.createReadStream(part)) hash.update(bytes as Buffer);
  return hash.digest("hex");
}

/** A relative link into the blobs, as Python's library makes it; a copy where the system forbids links. */
function link(blob: string, file: string): void {
  if (fs.existsSync(file)) return;
  fs.rmSync(file, { force: true });
  try {
    fs.symlinkSync(path.relative(path.dirname(file), blob), file);
  } catch {
    // Another download of the same model was quicker.
    if (fs.existsSync(file)) return;
    fs.rmSync(`${file}.incomplete`, { force: true });
    fs.copyFileSync(blob, `${file}.incomplete`, fs.constants.COPYFILE_EXCL);
    fs.renameSync(`${file}.incomplete`, file);
  }
}

/** A server's text, shortened and without control characters, which terminals would obey. */
const said = (text: string): string => text.replaceAll(/\p{C}+/gu, " ").slice(0, 300);

function explain(error: unknown, name: string, { endpoint, token, cache }: Hub): string {
  if (error instanceof HubApiError) {
    const { statusCode } = error;
    // The library adds the address, whose query has such words too.
    const message = said(error.message.split(/\.? URL: /)[0]!);
    const login = token === undefined ? " Log in with `hf auth login`, or set HF_TOKEN." : "";
    if (statusCode === 403 || /gated|restricted/i.test(message))
      return `You are trying to access the gated model ${name}: ask for access at ${endpoint}/${name}.${login}`;
    if (statusCode === 401 || statusCode === 404)
      return `${name} is not a local folder and is not a valid model identifier listed on ${endpoint}. If it is a private model, the token must have access to it.${login}`;
    return `${endpoint} answered ${statusCode} for ${name}: ${message}`;
  }
  const { code, cause, name: type } = error as NodeJS.ErrnoException & { cause?: { code?: string } };
  if (type === "AbortError")
    return `Fetching ${name} was cancelled; what has arrived is kept for the next time.`;
  if (error instanceof FileError) return `${name} can't be written to ${cache}: ${error.message}.`;
  if (error instanceof SyntaxError || (error instanceof TypeError && cause === undefined))
    return `${endpoint} gives an answer for ${name} that can't be read: ${said(error.message)}`;
  if (code !== undefined) return `${name} can't be written to ${cache}: ${describeFileError(error)}.`;
  const reason = cause?.code ?? (error instanceof Error ? error.message : String(error));
  return `We couldn't connect to ${endpoint} to fetch ${name}, and it is not in the cache ${cache} (${reason}). What has arrived is kept for the next time.`;
}
