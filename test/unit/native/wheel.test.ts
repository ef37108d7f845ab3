import { createHash } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import { assert, asyncProperty, double } from "fast-check";
import { expect, test } from "vitest";
import { extractWheel } from "../../../extension/native/install/wheel.ts";
import { makeWheel, temporaryFolder, type WheelOptions } from "./fakes.ts";

const FILES = { "pkg/a.txt": "aaa", "pkg/b.txt": "bb".repeat(100_000), "pkg/c.txt": "", "other/d.txt": "d" };

async function extract(options: WheelOptions, damage?: (wheel: string) => void) {
  const folder = temporaryFolder();
  const wheel = path.join(folder, "x.whl");
  const directory = path.join(folder, "out");
  makeWheel(wheel, FILES, options);
  damage?.(wheel);
  const fractions: number[] = [];
  const hashes = await extractWheel(wheel, {
    admit: () => undefined,
    place: (name) => (name.startsWith("pkg/") ? name.slice("pkg/".length) : undefined),
    directory,
    onProgress: (fraction) => fractions.push(fraction),
  });
  return { directory, hashes, fractions };
}

test.each([{ compress: true }, { compress: false }])("unpacks the chosen files (%o)", async (options) => {
  const { directory, hashes, fractions } = await extract(options);
  expect(fs.readdirSync(directory).sort()).toEqual(["a.txt", "b.txt", "c.txt"]);
  expect(fs.readFileSync(path.join(directory, "b.txt"), "utf8")).toBe(FILES["pkg/b.txt"]);
  const sha256 = createHash("sha256").update("aaa").digest("hex");
  expect(hashes).toMatchObject({ "a.txt": sha256 });
  expect(Object.keys(hashes)).toHaveLength(3);
  expect(fractions.at(-1)).toBe(1);
});

test.each<[string, WheelOptions, RegExp]>([
  ["a wrong hash", { misrecorded: ["pkg/a.txt"] }, /pkg\/a\.txt differs from its hash in RECORD/],
  ["a file that RECORD lacks", { unrecorded: ["pkg/b.txt"] }, /pkg\/b\.txt is not in RECORD/],
])("refuses %s", async (_, options, message) => {
  await expect(extract(options)).rejects.toMatchObject({
    name: "NativeError",
    code: "corrupt-download",
    message: expect.stringMatching(message),
  });
});

test("does not mind files it does not unpack", async () => {
  const { hashes } = await extract({ misrecorded: ["other/d.txt"] });
  expect(Object.keys(hashes)).toHaveLength(3);
});

test("any cut makes the wheel corrupt, never half unpacked in silence", async () => {
  await assert(
    asyncProperty(double({ min: 0, max: 0.999, noNaN: true }), async (share) => {
      const cut = extract({}, (wheel) => {
        fs.truncateSync(wheel, Math.floor(fs.statSync(wheel).size * share));
      });
      await expect(cut).rejects.toMatchObject({ code: "corrupt-download" });
    }),
    { numRuns: 20, seed: 1 },
  );
});

test("a flipped byte of the contents is found", async () => {
  const flip = extract({ compress: false }, (wheel) => {
    const bytes = fs.readFileSync(wheel);
    bytes.write("X", bytes.indexOf("bbbb") + 50_000);
    fs.writeFileSync(wheel, bytes);
  });
  await expect(flip).rejects.toMatchObject({ code: "corrupt-download" });
});
