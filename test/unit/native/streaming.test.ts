import { createHash } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { StreamingUnpack } from "../../../extension/native/install/streaming.ts";
import { extractWheel } from "../../../extension/native/install/wheel.ts";
import { PATIENT } from "../../patience.ts";
import { makeWheel, temporaryFolder, type WheelOptions } from "./fakes.ts";

const FILES = { "pkg/a.txt": "aaa", "pkg/b.txt": "bb".repeat(100_000), "pkg/c.txt": "", "other/d.txt": "d" };
const place = (name: string): string | undefined =>
  name.startsWith("pkg/") ? name.slice("pkg/".length) : undefined;

/** A wheel, its bytes, and what follows it as it arrives at `part`. */
function arriving(options: WheelOptions = {}) {
  const folder = temporaryFolder();
  const wheel = path.join(folder, "x.whl");
  makeWheel(wheel, FILES, options);
  const part = path.join(folder, "x.whl.part");
  fs.writeFileSync(part, "");
  const directory = path.join(folder, "x.unpacking");
  const stream = new StreamingUnpack({ place, directory });
  const out = path.join(folder, "out");
  return { bytes: fs.readFileSync(wheel), part, directory, stream, out };
}

/** Everything after the last byte: the stream's end, the wheel's check, and the removal of what is left. */
async function complete({ part, stream, out }: ReturnType<typeof arriving>) {
  const streamed = await stream.finish();
  const names = [...streamed.keys()];
  try {
    const hashes = await extractWheel(part, { admit: () => undefined, place, directory: out, streamed });
    return { names, hashes };
  } finally {
    await stream.close();
  }
}

function expectAll(out: string, hashes: Record<string, string>): void {
  expect(fs.readdirSync(out).sort()).toEqual(["a.txt", "b.txt", "c.txt"]);
  for (const [name, text] of Object.entries(FILES)) {
    const target = place(name);
    if (target === undefined) continue;
    expect(fs.readFileSync(path.join(out, target), "utf8")).toBe(text);
    expect(hashes[target]).toBe(createHash("sha256").update(text).digest("hex"));
  }
}

test("unpacks a wheel that arrives in any pieces", async () => {
  const cuts = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 6 });
  await fc.assert(
    fc.asyncProperty(cuts, fc.boolean(), async (shares, compress) => {
      const wheel = arriving({ compress });
      wheel.stream.follow(wheel.part);
      const ends = shares.map((share) => Math.floor(share * wheel.bytes.length)).sort((a, b) => a - b);
      let at = 0;
      for (const end of [...ends, wheel.bytes.length]) {
        fs.appendFileSync(wheel.part, wheel.bytes.subarray(at, end));
        at = end;
        await sleep(1);
      }
      const { names, hashes } = await complete(wheel);
      expect(names).toEqual(["pkg/a.txt", "pkg/b.txt", "pkg/c.txt"]);
      expectAll(wheel.out, hashes);
      expect(fs.existsSync(wheel.directory)).toBe(false);
    }),
    { numRuns: 30, seed: 1 },
  );
});

test("has unpacked what has arrived before the rest is there", async () => {
  const wheel = arriving({ compress: false });
  wheel.stream.follow(wheel.part);
  fs.appendFileSync(wheel.part, wheel.bytes.subarray(0, wheel.bytes.indexOf("other/d.txt")));
  await expect.poll(() => fs.existsSync(path.join(wheel.directory, "c.txt")), PATIENT).toBe(true);
  expect(fs.statSync(path.join(wheel.directory, "b.txt")).size).toBe(200_000);
  await wheel.stream.close();
  expect(fs.existsSync(wheel.directory)).toBe(false);
});

test.each<[string, (bytes: Buffer) => void]>([
  ["other bytes in a file", (bytes) => void bytes.write("X", bytes.indexOf("bbbb") + 50_000)],
  ["a header that isn't one", (bytes) => void bytes.write("XX", bytes.indexOf("pkg/b.txt") - 30)],
  ["sizes that stand behind the file", (bytes) => void bytes.writeUInt16LE(8, 6)],
  ["a size that is too small", (bytes) => void bytes.writeUInt32LE(1, bytes.indexOf("pkg/b.txt") - 8)],
  ["more than any wheel has", (bytes) => void bytes.writeUInt32LE(3e9, bytes.indexOf("pkg/b.txt") - 8)],
  ["a file that never ends", (bytes) => void bytes.writeUInt32LE(1e9, bytes.indexOf("pkg/b.txt") - 12)],
])("leaves %s to the unpacking of the whole wheel", async (_, damage) => {
  const wheel = arriving({ compress: false });
  const damaged = Buffer.from(wheel.bytes);
  damage(damaged);
  fs.writeFileSync(wheel.part, damaged);
  wheel.stream.follow(wheel.part);
  await wheel.stream.finish();
  // As after a download that began again: what was read is no longer what is there.
  fs.writeFileSync(wheel.part, wheel.bytes);
  const { hashes } = await complete(wheel);
  expectAll(wheel.out, hashes);
});

test("of a wheel whose hash isn't allowed, nothing is taken", async () => {
  const wheel = arriving();
  fs.writeFileSync(wheel.part, wheel.bytes);
  wheel.stream.follow(wheel.part);
  const streamed = await wheel.stream.finish();
  expect(streamed.size).toBe(3);
  const admit = (): void => {
    throw new Error("another wheel");
  };
  const { part, out } = wheel;
  await expect(extractWheel(part, { admit, place, directory: out, streamed })).rejects.toThrow(
    "another wheel",
  );
  expect(fs.existsSync(out)).toBe(false);
  await wheel.stream.close();
  expect(fs.existsSync(wheel.directory)).toBe(false);
});

test("of a wheel that is damaged, nothing is taken", async () => {
  const wheel = arriving({ compress: false });
  wheel.bytes.write("X", wheel.bytes.indexOf("bbbb") + 50_000);
  fs.writeFileSync(wheel.part, wheel.bytes);
  wheel.stream.follow(wheel.part);
  await expect(complete(wheel)).rejects.toMatchObject({ code: "corrupt-download" });
  expect(fs.existsSync(wheel.directory)).toBe(false);
});

test("writes nothing outside its folder", async () => {
  const folder = temporaryFolder();
  const wheel = path.join(folder, "x.whl");
  makeWheel(wheel, { "../../outside.txt": "evil" });
  const stream = new StreamingUnpack({ place: (name) => name, directory: path.join(folder, "in", "deep") });
  stream.follow(wheel);
  expect([...(await stream.finish()).keys()]).toEqual([]);
  await stream.close();
  expect(fs.existsSync(path.join(folder, "outside.txt"))).toBe(false);
});

test("a full disk, or a wheel that is gone, is for the later unpacking to report", async () => {
  const { stream, directory, part } = arriving();
  fs.rmSync(part);
  stream.follow(part);
  expect((await stream.finish()).size).toBe(0);
  expect(fs.existsSync(directory)).toBe(false);
});
