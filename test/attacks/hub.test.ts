// A dishonest hub: a server on this machine with arbitrary answers.
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { downloadModel } from "../../extension/engine/files/hub.ts";
import { cachedModel, hubOf, type Hub } from "../../extension/engine/files/hubCache.ts";
import { useFolder } from "../folders.ts";
import { patience } from "../patience.ts";
import { bytes, entry, json, type Entry, type Handler } from "./hubAnswers.ts";

const NAME = "someone/tiny";
const COMMIT = "0123456789abcdef0123456789abcdef01234567";
const posix = it.skipIf(process.platform === "win32");

const CONFIG = Buffer.from(JSON.stringify({ model_type: "bert", note: "x".repeat(100) }));
const WEIGHTS = Buffer.alloc(5000, 7);

const folder = useFolder();
let hub: Hub;
let servers: http.Server[];
/** Answer of each path; by default an honest hub's. */
let answers: { info: Handler; tree: Handler; file: (path: string) => Handler };
let asked: { url: string; authorization: string | undefined }[];

const CONTENT: Readonly<Record<string, Buffer>> = { "config.json": CONFIG, "model.safetensors": WEIGHTS };
const LIST = Object.entries(CONTENT).map(([path, content]) => entry(path, content));

async function listen(handler: Handler): Promise<string> {
  const server = http.createServer(handler);
  servers.push(server);
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

beforeEach(async () => {
  servers = [];
  asked = [];
  answers = {
    info: json({ id: NAME, _id: "1", sha: COMMIT }),
    tree: json(LIST),
    file: (path) => bytes(CONTENT[path] ?? Buffer.alloc(0)),
  };
  const endpoint = await listen((request, response) => {
    const { pathname } = new URL(request.url!, "http://hub");
    asked.push({ url: request.url!, authorization: request.headers.authorization });
    const [, file] = /\/resolve\/[^/]+\/(.*)$/.exec(pathname) ?? [];
    if (file !== undefined) answers.file(file)(request, response);
    else if (pathname.includes("/tree/")) answers.tree(request, response);
    else answers.info(request, response);
  });
  hub = { ...hubOf({ HF_ENDPOINT: endpoint, HF_HOME: folder }), pace: { milliseconds: 3000, bytes: 1000 } };
});
afterEach(() => {
  for (const server of servers) {
    server.closeAllConnections();
    server.close();
  }
});

const inCache = (...parts: string[]): string => join(folder, "hub", "models--someone--tiny", ...parts);
const everything = (): string[] => fs.readdirSync(folder, { recursive: true }).map(String);
const sizeOf = (): number =>
  everything().reduce((sum, name) => sum + fs.lstatSync(join(folder, name)).size, 0);

/** The message of a download that fails, in little time. */
async function refused(): Promise<string> {
  const start = performance.now();
  const error: unknown = await downloadModel(hub, NAME).catch((one: unknown) => one);
  expect(error).toBeInstanceOf(Error);
  expect(performance.now() - start).toBeLessThan(patience(5000));
  expect((error as Error).message.length).toBeLessThan(1000);
  expect(cachedModel(hub, NAME)).toBeUndefined();
  return (error as Error).message;
}

it("does nothing wrong, and its model is taken", async () => {
  expect(await downloadModel(hub, NAME)).toBe(inCache("snapshots", COMMIT));
  expect(cachedModel(hub, NAME)).toBe(inCache("snapshots", COMMIT));
});

describe("the hub names a commit", () => {
  it.each([
    "main",
    "../../../../escaped",
    "..",
    "",
    "0123",
    `${COMMIT}0`,
    COMMIT.toUpperCase(),
    `${COMMIT}/..`,
    7,
    null,
    [COMMIT],
    "\u001b[31m".repeat(8),
  ])("%j", async (sha) => {
    answers.info = json({ id: NAME, _id: "1", sha });
    expect(await refused()).toMatch(/names no commit of someone\/tiny: expected 40 hexadecimal digits/);
    expect(everything()).toEqual([]);
  });
});

describe("the hub sends", () => {
  /** Bytes for as long as they are taken. */
  const endless = (headers: http.OutgoingHttpHeaders = {}): Handler => {
    return (_, response) => {
      response.writeHead(200, headers);
      const chunk = Buffer.alloc(2 ** 16, "x");
      const more = (): void => {
        while (!response.destroyed && response.write(chunk));
      };
      response.on("drain", more);
      more();
    };
  };

  it.each(["config.json", "model.safetensors"])("an endless %s", async (name) => {
    const honest = answers.file;
    answers.file = (path) => (path === name ? endless() : honest(path));
    expect(await refused()).toMatch(new RegExp(`bytes for ${name}; the limit is`));
    expect(sizeOf()).toBeLessThan(2 ** 18);
  });

  it("1,500 MB for a configuration of 161 bytes, as it says", async () => {
    answers.file = () => endless({ "content-length": 1_500_000_000 });
    expect(await refused()).toMatch(/sends 1,500,000,000 bytes for config\.json; the limit is \d+/);
  });

  it("a configuration that expands a thousand times", async () => {
    const packed = gzipSync(Buffer.alloc(50_000_000));
    answers.file = () => (_, response) =>
      void response.writeHead(200, { "content-encoding": "gzip" }).end(packed);
    expect(await refused()).toMatch(/bytes for config\.json; the limit is/);
  });

  it("an endless description of the model, list of files, or error", async () => {
    const { info, tree } = answers;
    answers.info = endless({ "content-type": "application/json" });
    expect(await refused()).toMatch(/the limit is 67,108,864/);
    answers.info = info;
    answers.tree = endless();
    expect(await refused()).toMatch(/the limit is \d+/);
    answers.tree = tree;
    answers.file = () => (_, response) => {
      response.writeHead(404, { "content-type": "application/json" });
      response.write(`{"error": "${"x".repeat(500_000)}`);
    };
    expect(await refused()).toMatch(/the limit is|too slowly/);
  });

  it("less than it has declared", async () => {
    answers.file = (path) => bytes((CONTENT[path] ?? CONFIG).subarray(0, 50));
    expect(await refused()).toMatch(/config\.json arrived damaged \(50 of \d+ bytes\)/);
    answers.file = () => (_, response) => {
      response.writeHead(200, { "content-length": CONFIG.length });
      response.write(CONFIG.subarray(0, 50), () => response.destroy());
    };
    expect(await refused()).toMatch(/What has arrived is kept/);
  });

  it("another content than it has declared, of a small file or a large one", async () => {
    const honest = answers.file;
    for (const name of Object.keys(CONTENT)) {
      answers.file = (path) => (path === name ? bytes(Buffer.alloc(CONTENT[name]!.length, 1)) : honest(path));
      expect(await refused()).toMatch(new RegExp(`${name} arrived damaged`));
      expect(everything().filter((one) => one.endsWith(".incomplete"))).toEqual([]);
    }
  });

  it("another part of a file than was asked for", async () => {
    const [{ lfs }] = [LIST[1] as { lfs: { oid: string } }];
    fs.mkdirSync(inCache("blobs"), { recursive: true });
    fs.writeFileSync(inCache("blobs", `${lfs.oid}.incomplete`), WEIGHTS.subarray(0, 1000));
    const honest = answers.file;
    answers.file = (path) =>
      path === "config.json"
        ? honest(path)
        : (_, response) =>
            void response.writeHead(206, { "content-range": "bytes 0-4999/5000" }).end(WEIGHTS);
    expect(await refused()).toMatch(/sends another part of model\.safetensors/);
    // One that ignores the range begins again.
    answers.file = honest;
    expect(await downloadModel(hub, NAME)).toBe(inCache("snapshots", COMMIT));
  });

  it("a byte every now and then, in its headers or in a file", async () => {
    hub.pace = { milliseconds: 400, bytes: 1000 };
    answers.file = () => (_, response) => {
      response.writeHead(200, { "content-length": CONFIG.length });
      const timer = setInterval(() => response.write("x"), 50);
      response.on("close", () => clearInterval(timer));
    };
    expect(await refused()).toMatch(/sends config\.json too slowly: \d+ bytes in 0\.4 s/);
    answers.info = () => undefined;
    expect(await refused()).toMatch(/too slowly: 0 bytes/);
  });

  it("answers that are no JSON, or of another structure", async () => {
    const { info } = answers;
    for (const value of [7, null, [], "x", { sha: { toString: 1 } }]) {
      answers.info = json(value);
      expect(await refused()).toMatch(/names no commit|can't be read/);
    }
    answers.info = (_, response) => void response.end("<html>");
    expect(await refused()).toMatch(/can't be read/);
    answers.info = info;
    for (const value of [7, null, {}, [7], [null], [{ type: "file" }]]) {
      answers.tree = json(value);
      expect(await refused()).toMatch(/can't be read|config\.json/);
    }
  });

  it("an error that orders a terminal about", async () => {
    answers.info = (_, response) =>
      void response
        .writeHead(500, { "content-type": "application/json" })
        .end(JSON.stringify({ error: `\u001b]0;owned\u0007\r\n${"x".repeat(10_000)}` }));
    // oxlint-disable-next-line no-control-regex
    expect(await refused()).not.toMatch(/[\u0000-\u001f]/);
  });
});

describe("the hub lists", () => {
  it("pages without end", async () => {
    answers.tree = (request, response) =>
      json([], {
        link: `<http://${request.headers.host}/api/models/${NAME}/tree/${COMMIT}?page=2>; rel="next"`,
      })(request, response);
    expect(await refused()).toMatch(/never ends its list of files/);
    expect(asked.length).toBeLessThan(250);
  });

  it("pages elsewhere, to be told the token", async () => {
    const others: (string | undefined)[] = [];
    const other = await listen((request, response) => {
      others.push(request.headers.authorization);
      json(LIST)(request, response);
    });
    answers.tree = json([], { link: `<${other}/next>; rel="next"` });
    hub.token = "hf_secret";
    await downloadModel(hub, NAME);
    expect(others).toEqual([undefined]);
    expect(asked.map(({ authorization }) => authorization)).toContain("Bearer hf_secret");
  });

  it("leads to a file elsewhere, to be told the token", async () => {
    const others: (string | undefined)[] = [];
    const other = await listen((request, response) => {
      others.push(request.headers.authorization);
      bytes(CONTENT[request.url!.slice(1)]!)(request, response);
    });
    answers.file = (path) => (_, response) =>
      void response.writeHead(302, { location: `${other}/${path}` }).end();
    hub.token = "hf_secret";
    await downloadModel(hub, NAME);
    expect(others).toEqual([undefined, undefined]);
  });

  it("is named with a password, or leads to a signed address: no message has them", async () => {
    const redirect: Handler = (_, response) =>
      void response.writeHead(302, { location: "ftp://cdn.example/a?X-Amz-Signature=hunter2" }).end();
    answers.file = () => redirect;
    expect(await refused()).not.toMatch(/hunter2/);
    hub.endpoint = hub.endpoint.replace("//", "//someone:hunter2@");
    expect(await refused()).toMatch(/^HF_ENDPOINT has a user or a password, [^@]*$/);
  });

  it("leads in circles, to a local file, or to another protocol", async () => {
    for (const location of ["", "file:///etc/passwd", "ftp://127.0.0.1/x", "data:text/plain,x"]) {
      answers.file = () => (request, response) =>
        void response.writeHead(302, { location: location === "" ? request.url! : location }).end();
      expect(await refused()).toMatch(/couldn't connect|can't be read|not encrypted/);
    }
  });

  it.each<[what: string, change: Partial<Entry>]>([
    ["a negative size", { size: -1 }],
    ["half a byte", { size: 0.5 }],
    ["a size that is a text", { size: "161" }],
    ["a size beyond all numbers", { size: 1e300 }],
    ["no size", { size: null }],
    ["a hash that is a path", { oid: "../../../../escaped" }],
    ["a hash of 41 digits", { oid: "0".repeat(41) }],
    ["no hash", { oid: null }],
    ["a large file's hash that is a path", { lfs: { oid: "../".repeat(20) } }],
    ["a large file's hash that is short", { lfs: { oid: COMMIT } }],
  ])("%s", async (_, change) => {
    answers.tree = json([{ ...LIST[0], ...change }, LIST[1]]);
    expect(await refused()).toMatch(/no valid size and hash of config\.json/);
    expect(everything().filter((name) => name.includes("escaped"))).toEqual([]);
  });

  it("a configuration of a terabyte, or weights larger than the disk", async () => {
    answers.tree = json([{ ...LIST[0], size: 2 ** 39 }, LIST[1]]);
    expect(await refused()).toMatch(/config\.json of .* has 549,755,813,888 bytes; the limit .* 16,777,216/);
    answers.tree = json([LIST[0], { ...LIST[1], size: 2 ** 40 }]);
    expect(await refused()).toMatch(/and the disk of .* has [\d,]+ left/);
  });

  it("a million files, and shards with paths", async () => {
    const many = Array.from({ length: 150_000 }, (_, i) => ({ type: "file", path: `${i}` }));
    answers.tree = json(many);
    expect(await refused()).toMatch(/more than 100,000 files/);
    const names = [
      "../model-00001-of-00002.safetensors",
      "model-1-of-2.safetensors/../../x",
      "a/model-1-of-2.safetensors",
    ];
    const index = Buffer.from("{}");
    answers.tree = json([
      LIST[0],
      ...names.map((name) => entry(name, WEIGHTS)),
      entry("model.safetensors.index.json", index),
    ]);
    answers.file = (path) => bytes(path === "config.json" ? CONFIG : index);
    await downloadModel(hub, NAME);
    expect(asked.some(({ url }) => url.includes("model-"))).toBe(false);
  });
});

describe("the cache", () => {
  it("is filled with one model by four downloads at once, from a server that is slow", async () => {
    answers.file = (path) => (_, response) => {
      const content = CONTENT[path]!;
      response.writeHead(200, { "content-length": content.length });
      const half = Math.floor(content.length / 2);
      response.write(content.subarray(0, half));
      setTimeout(() => response.end(content.subarray(half)), 100);
    };
    const folders = await Promise.all([1, 2, 3, 4].map(() => downloadModel(hub, NAME)));
    expect(new Set(folders)).toEqual(new Set([inCache("snapshots", COMMIT)]));
    for (const [name, content] of Object.entries(CONTENT))
      expect(fs.readFileSync(inCache("snapshots", COMMIT, name))).toEqual(content);
  });

  it.each(["../../../../etc/main", "a/../../x", "a\nb", "", "/", "..", "x\0y"])(
    "receives the request for revision %j",
    async (revision) => {
      fs.mkdirSync(inCache("refs"), { recursive: true });
      fs.mkdirSync(join(folder, "hub", "x"), { recursive: true });
      const outside = everything();
      expect(cachedModel(hub, NAME, revision)).toBeUndefined();
      await downloadModel(hub, NAME, { revision }).catch(() => undefined);
      const added = everything().filter((name) => !outside.includes(name));
      expect(added.filter((name) => !name.startsWith(join("hub", "models--someone--tiny")))).toEqual([]);
    },
  );

  posix.each([
    ["its folder of the model", "models--someone--tiny"],
    ["blobs", "models--someone--tiny/blobs"],
    ["snapshots", "models--someone--tiny/snapshots"],
    ["the commit", `models--someone--tiny/snapshots/${COMMIT}`],
    ["refs", "models--someone--tiny/refs"],
    ["main", "models--someone--tiny/refs/main"],
  ])("has a link in place of %s, and nothing is written through it", async (_, where) => {
    const outside = join(folder, "outside");
    const target = where.endsWith("main") ? join(outside, "thesis.txt") : outside;
    fs.mkdirSync(outside);
    fs.writeFileSync(join(outside, "thesis.txt"), "precious");
    const path = join(folder, "hub", where);
    fs.mkdirSync(join(path, ".."), { recursive: true });
    fs.symlinkSync(target, path);
    expect(await refused()).toMatch(/can't be written to .*symbolic link/);
    expect(fs.readdirSync(outside)).toEqual(["thesis.txt"]);
    expect(fs.readFileSync(join(outside, "thesis.txt"), "utf8")).toBe("precious");
  });

  posix("has links or pipes in place of the files that are to come", async () => {
    const victim = join(folder, "thesis.txt");
    fs.writeFileSync(victim, "precious");
    fs.mkdirSync(inCache("blobs"), { recursive: true });
    const oid = String(LIST[0]!.oid);
    for (const name of [oid, `${oid}.incomplete`]) {
      fs.symlinkSync(victim, inCache("blobs", name));
      expect(await refused()).toMatch(/can't be written to .*(symbolic link|regular file)/);
      fs.rmSync(inCache("blobs", name));
    }
    execFileSync("mkfifo", [inCache("blobs", `${oid}.incomplete`)]);
    expect(await refused()).toMatch(/can't be written to .*regular file/);
    expect(fs.readFileSync(victim, "utf8")).toBe("precious");
  });

  it.each(["../../../outside", "/", "", "0123", "x".repeat(100_000)])("says that main is at %j", (commit) => {
    fs.mkdirSync(inCache("refs"), { recursive: true });
    fs.writeFileSync(inCache("refs", "main"), commit);
    fs.mkdirSync(join(folder, "outside"));
    for (const name of Object.keys(CONTENT)) fs.writeFileSync(join(folder, "outside", name), "{}");
    expect(cachedModel(hub, NAME)).toBeUndefined();
  });

  posix("has a pipe in place of the token", () => {
    execFileSync("mkfifo", [join(folder, "token")]);
    expect(hubOf({ HF_HOME: folder }).token).toBeUndefined();
  });
});
