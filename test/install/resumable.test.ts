// Downloads of real pip from an index on this machine, whose connections break.
import { createHash, randomBytes } from "node:crypto";
import fs from "node:fs";
import http from "node:http";
import type { AddressInfo } from "node:net";
import os from "node:os";
import path from "node:path";
import { spawnSync } from "node:child_process";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { thisHost } from "../../extension/native/cache.ts";
import { downloadWheel, type DownloadOptions } from "../../extension/native/install/download.ts";

const hasPip = spawnSync("python3", ["-m", "pip", "--version"]).status === 0;
if (!hasPip) process.stdout.write("Downloads are not tested: there is no Python with pip.\n");

const NAME = "tensorflow_cpu-2.21.0-py3-none-any.whl";
const SIZE = 3_000_000;

/** An index with one wheel. So many times, it sends half of the requested bytes and then breaks the connection or stays silent. */
class Index {
  bytes = randomBytes(SIZE);
  halves = 0;
  /** HTTP status that the index sends instead of the wheel. */
  refusal: number | undefined;
  afterwards: "break" | "wait" = "break";
  /** The Range header of each request of the wheel; "" for all of it. */
  readonly ranges: string[] = [];
  readonly server = http.createServer((request, response) => {
    if (request.url === "/simple/tensorflow-cpu/") {
      response.setHeader("Content-Type", "text/html");
      response.end(`<a href="/files/${NAME}">${NAME}</a>`);
      return;
    }
    const { range = "" } = request.headers;
    this.ranges.push(range);
    if (this.refusal !== undefined) {
      response.writeHead(this.refusal).end();
      return;
    }
    const tag = `"${createHash("md5").update(this.bytes).digest("hex")}"`;
    const from = request.headers["if-range"] === tag ? Number(/bytes=(\d+)-/.exec(range)?.[1] ?? 0) : 0;
    if (from === SIZE) {
      response.writeHead(416, { "Content-Range": `bytes */${SIZE}` }).end();
      return;
    }
    const rest = this.bytes.subarray(from);
    const range206 = { "Content-Range": `bytes ${from}-${SIZE - 1}/${SIZE}` };
    response.writeHead(from > 0 ? 206 : 200, {
      "Content-Length": rest.length,
      ETag: tag,
      ...(from > 0 && range206),
    });
    const whole = this.halves-- <= 0;
    response.write(whole ? rest : rest.subarray(0, rest.length / 2), () => {
      if (whole) response.end();
      else if (this.afterwards === "break") response.destroy();
    });
  });

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}/simple`;
  }
}

describe.skipIf(!hasPip)("a download that was interrupted", () => {
  let index: Index;
  let folder: string;
  beforeEach(async () => {
    index = new Index();
    folder = fs.mkdtempSync(path.join(os.tmpdir(), "layerwise-download-"));
    await new Promise<void>((resolve) => index.server.listen(0, "127.0.0.1", resolve));
  });
  afterEach(() => {
    index.server.closeAllConnections();
    index.server.close();
    fs.rmSync(folder, { recursive: true, force: true });
  });

  const target = (): string => path.join(folder, "the.whl");
  const download = (options: Partial<DownloadOptions> = {}): Promise<void> =>
    downloadWheel({
      downloader: { kind: "pip", command: "python3", args: ["-m", "pip"] },
      requirement: "tensorflow-cpu==2.21.0",
      options: [],
      target: target(),
      host: {
        ...thisHost(),
        env: {
          ...process.env,
          PIP_INDEX_URL: index.url,
          PIP_CONFIG_FILE: os.devNull,
          PIP_FIND_LINKS: "",
          NO_PROXY: "127.0.0.1",
        },
      },
      ...options,
    });

  /** Stops a download in the middle, as a user does. Returns the number of bytes that arrived. */
  async function interrupt(): Promise<number> {
    index.halves = 1;
    index.afterwards = "wait";
    const abort = new AbortController();
    const half = (bytes: number): void => {
      if (bytes >= SIZE / 3) abort.abort(new Error("enough"));
    };
    await expect(download({ signal: abort.signal, onProgress: half })).rejects.toThrow("enough");
    return fs.statSync(path.join(`${target()}.partial`, `${NAME}.part`)).size;
  }

  test("continues in the next call where it stopped", async () => {
    const arrived = await interrupt();
    expect(arrived).toBeGreaterThanOrEqual(SIZE / 3);
    expect(fs.existsSync(target())).toBe(false);
    await download();
    expect(index.ranges).toEqual(["", `bytes=${arrived}-`]);
    expect(fs.readFileSync(target()).equals(index.bytes)).toBe(true);
    expect(fs.readdirSync(folder)).toEqual(["the.whl"]);
  });

  test("starts again if the index has another file by then", async () => {
    await interrupt();
    index.bytes = randomBytes(SIZE);
    await download();
    expect(fs.readFileSync(target()).equals(index.bytes)).toBe(true);
  });

  test("is complete if only its name was missing", async () => {
    await interrupt();
    fs.writeFileSync(path.join(`${target()}.partial`, `${NAME}.part`), index.bytes);
    await download();
    expect(index.ranges.at(-1)).toBe(`bytes=${SIZE}-`);
    expect(fs.readFileSync(target()).equals(index.bytes)).toBe(true);
  });

  test("is kept, and the network to blame, if the index refuses to send more", async () => {
    const arrived = await interrupt();
    index.refusal = 403;
    await expect(download()).rejects.toMatchObject({ code: "no-network" });
    index.refusal = undefined;
    await download();
    expect(index.ranges.at(-1)).toBe(`bytes=${arrived}-`);
  });

  test("continues by itself after a broken connection", async () => {
    index.halves = 2;
    await download();
    expect(index.ranges).toHaveLength(3);
    expect(index.ranges[2]).toMatch(/^bytes=\d+-$/);
    expect(fs.readFileSync(target()).equals(index.bytes)).toBe(true);
  });

  test("keeps nothing of a file that is larger than any wheel", async () => {
    index.halves = 1;
    index.afterwards = "wait";
    await expect(download({ most: 1e6 })).rejects.toThrow("sent more than 0.001 GB");
    expect(fs.readdirSync(folder)).toEqual([]);
  });
});
