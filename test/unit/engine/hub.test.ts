// Models of the Hugging Face Hub, from a small server that answers as the hub does.
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { downloadModel } from "../../../extension/engine/files/hub.ts";
import { cachedModel, hubOf, isModelName, type Hub } from "../../../extension/engine/files/hubCache.ts";
import { loadExecutor } from "../../../extension/executors/index.ts";
import { nn } from "../../../extension/nn/index.ts";
import { COMMIT, hash, HubServer, NAME } from "../../hubServer.ts";
import { useFolder } from "../../folders.ts";
import { useTensorFiles } from "../../tensorFiles.ts";

const source = fileURLToPath(new URL("../../fixtures/golden/files/data/bert_tiny", import.meta.url));

let server: HubServer;
const folder = useFolder();
let hub: Hub;
useTensorFiles();

beforeEach(async () => {
  server = new HubServer(source);
  await server.listen();
  hub = hubOf({ HF_ENDPOINT: `${server.endpoint}/`, HF_HOME: folder });
});
afterEach(() => {
  server.close();
  vi.unstubAllEnvs();
});

const inModel = (...parts: string[]): string => path.join(folder, "hub", "models--someone--tiny", ...parts);

test("a model is fetched into the layout of Hugging Face's cache, then read from there", async () => {
  expect(cachedModel(hub, NAME)).toBeUndefined();
  const seen: string[] = [];
  const snapshot = await downloadModel(hub, NAME, { progress: (file) => seen.push(file) });
  expect(snapshot).toBe(inModel("snapshots", COMMIT));
  expect(fs.readFileSync(inModel("refs", "main"), "utf8")).toBe(COMMIT);
  expect(fs.readlinkSync(path.join(snapshot, "model.safetensors"))).toBe(
    path.join("..", "..", "blobs", hash("sha256", server.weights)),
  );
  for (const [name, bytes] of server.content)
    expect(fs.readFileSync(path.join(snapshot, name)).equals(bytes)).toBe(true);
  expect(new Set(seen)).toEqual(new Set(server.content.keys()));
  expect(seen.at(-1)).toBe("model.safetensors");
  server.close();
  expect(cachedModel(hub, NAME)).toBe(snapshot);
  expect(cachedModel(hub, NAME, COMMIT)).toBe(snapshot);

  await loadExecutor("cpu");
  vi.stubEnv("HF_HOME", folder);
  const [ours, theirs] = [NAME, source].map((name) => nn.BertModel.fromPretrained(name));
  expect(ours!.pooler!.dense.weight.tolist()).toEqual(theirs!.pooler!.dense.weight.tolist());
  expect(nn.BertTokenizer.fromPretrained(NAME)("a b").inputIds.shape).toEqual(
    nn.BertTokenizer.fromPretrained(source)("a b").inputIds.shape,
  );
});

test("an interrupted download is resumed, and complete files are not fetched again", async () => {
  server.breakAfter = 1000;
  await expect(downloadModel(hub, NAME)).rejects.toThrow("What has arrived is kept for the next time.");
  expect(cachedModel(hub, NAME)).toBeUndefined();
  const part = inModel("blobs", `${hash("sha256", server.weights)}.incomplete`);
  expect(fs.statSync(part).size).toBe(1000);
  server.breakAfter = undefined;
  server.asked.length = 0;
  await downloadModel(hub, NAME);
  const files = server.asked.filter(({ url }) => url.includes("/resolve/"));
  expect(files.every(({ url }) => url.endsWith("model.safetensors"))).toBe(true);
  expect(files.at(-1)!.range).toBe(`bytes=1000-${server.weights.length - 1}`);
  expect(fs.readFileSync(inModel("snapshots", COMMIT, "model.safetensors")).equals(server.weights)).toBe(
    true,
  );
  expect(fs.existsSync(part)).toBe(false);
});

test("weights that don't have their hash are thrown away", async () => {
  fs.mkdirSync(inModel("blobs"), { recursive: true });
  const part = inModel("blobs", `${hash("sha256", server.weights)}.incomplete`);
  fs.writeFileSync(part, Buffer.alloc(500));
  await expect(downloadModel(hub, NAME)).rejects.toThrow("model.safetensors arrived damaged");
  expect(fs.existsSync(part)).toBe(false);
});

test("a cancelled download keeps what has arrived", async () => {
  const controller = new AbortController();
  const progress = (): void => controller.abort();
  await expect(downloadModel(hub, NAME, { progress, signal: controller.signal })).rejects.toThrow(
    "Fetching someone/tiny was cancelled",
  );
});

test("refusals are told in the words of users", async () => {
  const message = async (status: number, error: string, change: Partial<Hub> = {}): Promise<string> => {
    server.refuse = { status, error };
    const failure: unknown = await downloadModel({ ...hub, ...change }, NAME).catch((one: unknown) => one);
    return (failure as Error).message.replaceAll(hub.endpoint, "HUB").replaceAll(hub.cache, "CACHE");
  };
  expect(await message(404, "Repository not found")).toMatchInlineSnapshot(
    `"someone/tiny is not a local folder and is not a valid model identifier listed on HUB. If it is a private model, the token must have access to it. Log in with \`hf auth login\`, or set HF_TOKEN."`,
  );
  expect(await message(401, "Invalid username or password.", { token: "hf_secret" })).toMatchInlineSnapshot(
    `"someone/tiny is not a local folder and is not a valid model identifier listed on HUB. If it is a private model, the token must have access to it."`,
  );
  expect(server.asked.at(-1)!.authorization).toBe("Bearer hf_secret");
  expect(await message(401, "Access to model someone/tiny is restricted.")).toMatchInlineSnapshot(
    `"You are trying to access the gated model someone/tiny: ask for access at HUB/someone/tiny. Log in with \`hf auth login\`, or set HF_TOKEN."`,
  );
  expect(await message(403, "not on the authorized list")).toMatchInlineSnapshot(
    `"You are trying to access the gated model someone/tiny: ask for access at HUB/someone/tiny. Log in with \`hf auth login\`, or set HF_TOKEN."`,
  );
  expect(await message(500, "oops", { offline: true })).toMatchInlineSnapshot(
    `"someone/tiny is not in the cache CACHE, and HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE forbids to fetch it."`,
  );
  expect(await message(500, "oops", { endpoint: "http://127.0.0.1:1" })).toMatch(
    /^We couldn't connect to http:\/\/127\.0\.0\.1:1 /,
  );
});

test("the environment says where", () => {
  expect(hubOf({ HF_HUB_CACHE: "/c", HF_TOKEN: "t", TRANSFORMERS_OFFLINE: "1" })).toMatchObject({
    endpoint: "https://huggingface.co",
    cache: "/c",
    token: "t",
    offline: true,
  });
  fs.writeFileSync(path.join(folder, "token"), "saved\n");
  expect(hubOf({ HF_HOME: folder })).toMatchObject({
    cache: path.join(folder, "hub"),
    token: "saved",
    offline: false,
  });
});

test.each([
  ["bert-base-uncased", true],
  ["google/bert_uncased_L-2_H-128_A-2", true],
  ["../bert", false],
  ["./bert", false],
  ["a/b/c", false],
  ["a..b", false],
  ["/models/bert", false],
])("%s can be a model's name: %s", (name, expected) => {
  expect(isModelName(name)).toBe(expected);
});
