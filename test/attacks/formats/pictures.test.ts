/** Pictures and data sets that harm the process that reads them. */
import fs from "node:fs";
import { join } from "node:path";
import { crc32, deflateSync, gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import * as v from "valibot";
import { TensorView } from "../../../extension/protocol/evaluation.ts";
import { readPicture } from "../../../extension/supervisor/runs/evaluationFiles.ts";
import { useReaders } from "./readers.ts";

const { folder, write, refusal, accepted, read } = useReaders({ milliseconds: 4000, megabytes: 700 });
const posix = it.skipIf(process.platform === "win32");
describe("a picture", () => {
  function chunk(type: string, content: Uint8Array): Buffer {
    const bytes = Buffer.alloc(12 + content.length);
    bytes.writeUInt32BE(content.length);
    bytes.write(type, 4, "latin1");
    bytes.set(content, 8);
    bytes.writeUInt32BE(crc32(bytes.subarray(4, 8 + content.length)), 8 + content.length);
    return bytes;
  }

  function png(
    width: number,
    height: number,
    data: Uint8Array,
    { colour = 6, depth = 8, interlaced = 0 } = {},
  ): Buffer {
    const header = Buffer.alloc(13);
    header.writeUInt32BE(width);
    header.writeUInt32BE(height, 4);
    header.set([depth, colour, 0, 0, interlaced], 8);
    const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
    return Buffer.concat([
      signature,
      chunk("IHDR", header),
      chunk("IDAT", data),
      chunk("IEND", Buffer.alloc(0)),
    ]);
  }

  it.each([
    [30_000, 30_000],
    [2 ** 32 - 1, 2 ** 32 - 1],
    [2 ** 31, 1],
    [1, 2 ** 31],
    [65_536, 65_536],
  ])("has %d × %d pixels", async (width, height) => {
    for (const interlaced of [0, 1]) {
      const file = write("a.png", png(width, height, deflateSync(Buffer.alloc(1000)), { interlaced }));
      expect(await refusal("png", file)).toMatch(
        /a\.png: the image has [\d,]+ × [\d,]+ pixels; the limit is 67,108,864/,
      );
    }
  });

  it("has more pixels than its data can be", async () => {
    const file = write("a.png", png(8000, 8000, deflateSync(Buffer.alloc(1000))));
    expect(await refusal("png", file)).toMatch(/8,000 × 8,000 pixels can't be in \d+ bytes/);
  });

  it("is a JPEG file of few bytes with 4 billion pixels, or of a thousand scans", async () => {
    const whole = fs.readFileSync(new URL("../../fixtures/images/420.jpg", import.meta.url));
    const [frame, scan] = [0xc0, 0xda].map((marker) => whole.indexOf(Buffer.from([0xff, marker])));
    const bomb = Buffer.from(whole);
    bomb.writeUInt16BE(65_535, frame! + 5);
    bomb.writeUInt16BE(65_535, frame! + 7);
    expect(await refusal("png", write("a.jpg", bomb))).toMatch(
      /a\.jpg: the image has 65,535 × 65,535 pixels; the limit is 67,108,864/,
    );
    const scans = Array.from({ length: 1000 }, () => whole.subarray(scan, -2));
    const slow = Buffer.concat([whole.subarray(0, scan), ...scans, whole.subarray(-2)]);
    expect(await refusal("png", write("b.jpg", slow))).toMatch(/b\.jpg: the image has more than 100 scans/);
  });

  it("expands to a hundred times its pixels", async () => {
    const data = deflateSync(Buffer.alloc(200_000_000), { level: 1 });
    const file = write("a.png", png(1000, 1000, data, { interlaced: 1 }));
    expect(await refusal("png", file)).toMatch(/the PNG image is damaged or cut off/);
    const plain = write("b.png", png(1000, 1000, data));
    expect(["read", "refused"]).toContain((await read("png", plain)).kind);
  });

  it("has a palette of a million colours, or a million chunks", async () => {
    const [start, end] = [png(1, 1, Buffer.alloc(0)).subarray(0, 33), chunk("IEND", Buffer.alloc(0))];
    const palette = write("a.png", Buffer.concat([start, chunk("PLTE", Buffer.alloc(3_000_000)), end]));
    expect(await refusal("png", palette)).toMatch(/its palette has 3,000,000 bytes/);
    const empty = Array.from({ length: 300_000 }, () => chunk("IDAT", Buffer.alloc(0)));
    const many = write("b.png", Buffer.concat([start, ...empty, end]));
    expect(await refusal("png", many)).toMatch(/the PNG image is damaged or cut off/);
  });
});

describe("a picture of a run", () => {
  const start = (width: number, height: number): Buffer => {
    const bytes = Buffer.from([
      0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 13, 0x49, 0x48, 0x44, 0x52,
    ]);
    const size = Buffer.alloc(30);
    size.writeUInt32BE(width);
    size.writeUInt32BE(height, 4);
    return Buffer.concat([bytes, size]);
  };

  it("has more pixels than a page can decode, or is no picture", async () => {
    const run = join(folder, ".layerwise", "runs", "a");
    fs.mkdirSync(join(run, "pictures"), { recursive: true });
    const write = (content: Uint8Array): void =>
      fs.writeFileSync(join(run, "pictures", "epoch-00001-a.png"), content);
    write(start(30_000, 30_000));
    await expect(readPicture(run, "epoch-00001-a.png")).rejects.toThrow(
      /epoch-00001-a\.png has 900,000,000 pixels; the limit is 67,108,864/,
    );
    write(Buffer.from("<svg onload='alert(1)'/>"));
    await expect(readPicture(run, "epoch-00001-a.png")).rejects.toThrow(/is no PNG image/);
    write(start(100, 100));
    expect(await readPicture(run, "epoch-00001-a.png")).toMatch(/^iVBORw0KGgo/);
  });

  it("is in a report, and large", () => {
    const view = (png: string): object => ({ kind: "image", png, width: 8, height: 8 });
    const takes = (png: string): boolean => v.safeParse(TensorView, view(png)).success;
    expect(takes(start(30, 30).toString("base64"))).toBe(true);
    for (const png of [
      start(30_000, 30_000).toString("base64"),
      "",
      "%%%%",
      "AAAA",
      "x".repeat(100),
      '"/><script>',
    ])
      expect(takes(png)).toBe(false);
  });
});

describe("data", () => {
  it("is a compressed file that expands a thousand times", async () => {
    const file = write("a.csv.gz", gzipSync(Buffer.alloc(400_000_000, "1"), { level: 1 }));
    expect(await refusal("csv", file)).toMatch(/expand to more than [\d,]+, the limit/);
    await accepted("text", write("b.csv.gz", gzipSync(Buffer.alloc(50_000_000, "1"), { level: 1 })));
  });

  it("is a table with a quote that never ends", async () => {
    expect(await refusal("csv", write("a.csv", `"${"a,\n".repeat(300_000)}`))).toMatch(
      /a\.csv:1:1: the quote that begins this cell is never closed/,
    );
  });

  it("is a table of one row of a million cells, or of quotes alone", async () => {
    await accepted("csv", write("a.csv", "1,".repeat(500_000)));
    await accepted("csv", write("b.csv", '"",'.repeat(200_000)));
    await accepted("csv", write("c.csv", `1${" ".repeat(1_000_000)}\n`));
  });

  it("is an idx file of 255 dimensions, or of more values than there are", async () => {
    expect(await refusal("idx", write("a.idx", Buffer.alloc(2000, 255).fill(0, 0, 2).fill(8, 2, 3)))).toMatch(
      /no idx file/,
    );
    expect(await refusal("idx", write("b.idx", Buffer.from([0, 0, 8, 1, 255, 255, 255, 255])))).toMatch(
      /expected 4294967303 bytes/,
    );
  });

  posix("is a folder of pictures whose links lead in circles", async () => {
    const root = join(folder, "cat");
    fs.mkdirSync(root);
    for (let i = 0; i < 8; i++) fs.symlinkSync(".", join(root, `l${i}`));
    expect(await refusal("images", join(folder, "x"))).toMatch(/Found no valid file for the classes cat/);
    // Without a circle: each folder has two links to the next.
    fs.rmSync(root, { recursive: true });
    for (let i = 0; i <= 30; i++) fs.mkdirSync(join(folder, "cat", `d${i}`), { recursive: true });
    for (let i = 0; i < 30; i++)
      for (const name of ["a", "b"]) fs.symlinkSync(`../d${i + 1}`, join(root, `d${i}`, name));
    expect(await refusal("images", join(folder, "x"))).toMatch(/Found no valid file/);
  });
});
