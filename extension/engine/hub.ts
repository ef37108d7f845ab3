// Models of the Hugging Face Hub: fetched into the cache.
import { createHash } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import { downloadFile, HubApiError, listFiles, modelInfo, type ListFileEntry } from "@huggingface/hub";
import { writeAtomic } from "../files/writeAtomic.ts";
import { describeFileError } from "../files/fileError.ts";
import { folderOf, WEIGHTS, type Hub } from "./hubCache.ts";

/** A model that can't be had, in words for users. */
export class HubError extends Error {}

const OTHERS = [
  "vocab.txt",
  "vocab.json",
  "merges.txt",
  "tokenizer.json",
  "tokenizer_config.json",
  "special_tokens_map.json",
];

/** Told how many bytes of a file are there. */
export type Progress = (file: string, bytes: number, total: number) => void;

/**
 * Fetches a model's configuration, vocabulary and weights into the cache; what is there already, whole or in part, is
 * not fetched again. Answers their folder.
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
  const request = {
    hubUrl: hub.endpoint,
    ...(hub.token === undefined ? {} : { accessToken: hub.token }),
    fetch: (input: Parameters<typeof fetch>[0], init?: RequestInit) =>
      fetch(input, { ...init, ...(signal === undefined ? {} : { signal }) }),
  };
  try {
    const { sha } = await modelInfo({ ...request, name, revision, additionalFields: ["sha"] });
    const files = new Map<string, ListFileEntry>();
    for await (const file of listFiles({ ...request, repo: name, revision: sha }))
      if (file.type === "file") files.set(file.path, file);
    const folder = folderOf(hub, name);
    const snapshot = path.join(folder, "snapshots", sha);
    for (const file of wantedFiles(files, name)) {
      const blob = await fetchBlob(folder, file, progress, (start) =>
        contentOf(
          () => downloadFile({ ...request, repo: name, path: file.path, revision: sha, xet: false }),
          file,
          start,
        ),
      );
      link(blob, path.join(snapshot, file.path));
    }
    if (sha !== revision) {
      fs.mkdirSync(path.dirname(path.join(folder, "refs", revision)), { recursive: true });
      writeAtomic(path.join(folder, "refs", revision), [Buffer.from(sha)]);
    }
    return snapshot;
  } catch (error) {
    throw error instanceof HubError ? error : new HubError(explain(error, name, hub), { cause: error });
  }
}

/** Weights come last, and an index after what it names, so that a folder with weights is whole. */
function wantedFiles(files: ReadonlyMap<string, ListFileEntry>, name: string): ListFileEntry[] {
  const config = files.get("config.json");
  if (config === undefined) throw new HubError(`${name} does not appear to have a file named config.json.`);
  const others = OTHERS.flatMap((file) => files.get(file) ?? []);
  for (const weights of WEIGHTS) {
    const [stem, ending] = weights.split(".") as [string, string];
    const single = files.get(weights);
    if (single !== undefined) return [config, ...others, single];
    const index = files.get(`${weights}.index.json`);
    const shard = new RegExp(`^${stem}-\\d+-of-\\d+\\.${ending}$`);
    if (index !== undefined)
      return [config, ...others, ...[...files.values()].filter((file) => shard.test(file.path)), index];
  }
  throw new HubError(
    `${name} has no file named model.safetensors, or pytorch_model.bin: only weights of PyTorch can be read.`,
  );
}

async function contentOf(
  download: () => Promise<Blob | null>,
  file: ListFileEntry,
  start: number,
): Promise<ReadableStream<Uint8Array>> {
  const blob = await download();
  if (blob === null) throw new HubError(`${file.path} is gone from the hub.`);
  return blob.slice(start).stream();
}

/** The file's content, named by its hash; a part that an interruption left is gone on with. */
async function fetchBlob(
  folder: string,
  file: ListFileEntry,
  progress: Progress | undefined,
  open: (start: number) => Promise<ReadableStream<Uint8Array>>,
): Promise<string> {
  const etag = file.lfs?.oid ?? file.oid;
  if (etag === undefined || !/^[0-9a-f]{40,64}$/.test(etag))
    throw new HubError(`The hub has no hash of ${file.path}.`);
  const blob = path.join(folder, "blobs", etag);
  if (fs.existsSync(blob)) return blob;
  fs.mkdirSync(path.dirname(blob), { recursive: true });
  const part = `${blob}.incomplete`;
  let have = fs.existsSync(part) ? fs.statSync(part).size : 0;
  if (have > file.size) {
    fs.rmSync(part);
    have = 0;
  }
  const output = fs.openSync(part, "a");
  try {
    if (have < file.size) {
      for await (const bytes of await open(have)) {
        // A disk that is nearly full takes a part.
        for (let at = 0; at < bytes.length;) at += fs.writeSync(output, bytes, at);
        have += bytes.length;
        progress?.(file.path, have, file.size);
      }
    }
    fs.fsyncSync(output);
  } finally {
    fs.closeSync(output);
  }
  if (have !== file.size || (file.lfs !== undefined && (await sha256(part)) !== etag)) {
    // What is short may be gone on with; what is wrong may not.
    if (have >= file.size) fs.rmSync(part);
    throw new HubError(`${file.path} arrived damaged (${have} of ${file.size} bytes). Try again.`);
  }
  fs.renameSync(part, blob);
  return blob;
}

async function sha256(file: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const bytes of fs.createReadStream(file)) hash.update(bytes as Buffer);
  return hash.digest("hex");
}

/** A relative link into the blobs, as Python's library makes it; a copy where the system forbids links. */
function link(blob: string, file: string): void {
  if (fs.existsSync(file)) return;
  fs.rmSync(file, { force: true });
  fs.mkdirSync(path.dirname(file), { recursive: true });
  try {
    fs.symlinkSync(path.relative(path.dirname(file), blob), file);
  } catch {
    fs.copyFileSync(blob, `${file}.incomplete`);
    fs.renameSync(`${file}.incomplete`, file);
  }
}

function explain(error: unknown, name: string, { endpoint, token, cache }: Hub): string {
  if (error instanceof HubApiError) {
    const { statusCode } = error;
    // The library adds the address, whose query has such words too.
    const message = error.message.split(/\.? URL: /)[0]!;
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
  if (code !== undefined) return `${name} can't be written to ${cache}: ${describeFileError(error)}.`;
  const reason = cause?.code ?? (error instanceof Error ? error.message : String(error));
  return `We couldn't connect to ${endpoint} to fetch ${name}, and it is not in the cache ${cache} (${reason}). What has arrived is kept for the next time.`;
}
