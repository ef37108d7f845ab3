// The cache of models that Hugging Face's own libraries use:
// https://huggingface.co/docs/huggingface_hub/guides/manage-cache
import fs from "node:fs";
import { homedir } from "node:os";
import path from "node:path";
import { readRegularSync } from "../../files/regular.ts";

/** The least speed of a server: bytes in each window of so many milliseconds. */
export interface Pace {
  readonly milliseconds: number;
  readonly bytes: number;
}

/** The hub and the cache of models, by the environment variables of Hugging Face's libraries. */
export interface Hub {
  endpoint: string;
  cache: string;
  token: string | undefined;
  offline: boolean;
  /** The least speed of the server; by default 60 KB a minute. */
  pace?: Pace;
}

export function hubOf(env: Readonly<Record<string, string | undefined>>): Hub {
  const set = (name: string): string | undefined => (env[name] === "" ? undefined : env[name]);
  const yes = (name: string): boolean => /^(1|on|yes|true)$/i.test(env[name] ?? "");
  const home =
    set("HF_HOME") ?? path.join(set("XDG_CACHE_HOME") ?? path.join(homedir(), ".cache"), "huggingface");
  return {
    endpoint: (set("HF_ENDPOINT") ?? "https://huggingface.co").replace(/\/+$/, ""),
    cache: set("HF_HUB_CACHE") ?? set("HUGGINGFACE_HUB_CACHE") ?? path.join(home, "hub"),
    token: set("HF_TOKEN") ?? savedToken(set("HF_TOKEN_PATH") ?? path.join(home, "token")),
    offline: yes("HF_HUB_OFFLINE") || yes("TRANSFORMERS_OFFLINE"),
  };
}

const MAX_TOKEN = 4096;

/** The token that `hf auth login` has saved, if any. */
function savedToken(file: string): string | undefined {
  try {
    return readRegularSync(file, { limit: MAX_TOKEN, follow: true }).toString().trim() || undefined;
  } catch {
    return undefined;
  }
}

/** Whether a text can be the name of a model on the hub: "bert-base-uncased", "google/bert_uncased_L-2_H-128_A-2". */
export const isModelName = (name: string): boolean =>
  /^[\w-][\w.-]*(\/[\w-][\w.-]*)?$/.test(name) && !name.includes("..") && name.length <= 96;

/** A model's own folder in the cache. */
export const folderOf = ({ cache }: Hub, name: string): string =>
  path.join(cache, `models--${name.replaceAll("/", "--")}`);

/** Files of weights that can be read, the better one first. */
export const WEIGHTS = ["model.safetensors", "pytorch_model.bin"];

/** Whether something is the name of a commit, and so of a folder. */
export const isCommit = (name: unknown): name is string =>
  typeof name === "string" && /^[0-9a-f]{40}$/.test(name);

/** The commit that a branch was at when it was fetched. */
function savedCommit(ref: string): string | undefined {
  try {
    const commit = readRegularSync(ref, { limit: MAX_TOKEN }).toString().trim();
    return isCommit(commit) ? commit : undefined;
  } catch {
    return undefined;
  }
}

/** The folder of a model in the cache; undefined if its weights aren't there. Uses no network. */
export function cachedModel(hub: Hub, name: string, revision = "main"): string | undefined {
  const folder = folderOf(hub, name);
  const commit = isCommit(revision) ? revision : savedCommit(path.join(folder, "refs", revision));
  if (commit === undefined) return undefined;
  const snapshot = path.join(folder, "snapshots", commit);
  const has = (file: string): boolean => fs.existsSync(path.join(snapshot, file));
  // The shards that an index names come before it.
  const whole = has("config.json") && WEIGHTS.some((file) => has(file) || has(`${file}.index.json`));
  return whole ? snapshot : undefined;
}
