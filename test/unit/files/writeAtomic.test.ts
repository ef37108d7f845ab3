import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { writeAtomic } from "../../../extension/files/writeAtomic.ts";
import { useFolder } from "../../folders.ts";

const folder = useFolder();

test("writes the chunks and leaves nothing else", () => {
  const path = join(folder, "model");
  writeAtomic(path, [Uint8Array.of(1, 2), new Uint8Array(0), Uint8Array.of(3)]);
  expect([...readFileSync(path)]).toEqual([1, 2, 3]);
  writeAtomic(path, [Uint8Array.of(9)]);
  expect([...readFileSync(path)]).toEqual([9]);
  expect(readdirSync(folder)).toEqual(["model"]);
});

test("the old content stays until the last byte, and after a failure", () => {
  const path = join(folder, "model");
  writeFileSync(path, "old");
  function* broken(): Iterable<Uint8Array> {
    yield Uint8Array.of(1);
    expect(readFileSync(path, "utf8")).toBe("old");
    expect(readdirSync(folder)).toHaveLength(2);
    throw new Error("no more data");
  }
  expect(() => writeAtomic(path, broken())).toThrow("no more data");
  expect(readFileSync(path, "utf8")).toBe("old");
  expect(readdirSync(folder)).toEqual(["model"]);
});

test("a missing folder is the system's error", () => {
  const path = join(folder, "nowhere", "model");
  expect(() => writeAtomic(path, [])).toThrow(/ENOENT/);
  expect(existsSync(join(folder, "nowhere"))).toBe(false);
});
