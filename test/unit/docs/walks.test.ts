// The walks of docs/architecture.md, file by file: each names files that exist, and as many as it says.
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, test } from "vitest";

const root = path.resolve(import.meta.dirname, "../../..");
const text = readFileSync(path.join(root, "docs/architecture.md"), "utf8");

const COUNTS: Record<string, number> = { six: 6, twelve: 12 };

/** Each sentence that ends with "passes N files:", and the list below it. */
const walks = [
  ...text.matchAll(/([^\n]*passes (\w+) files:)\n\n((?:\d+\. [^\n]*\n(?: {3}[^\n]*\n)*)+)/g),
].map(([, name, count, list]): [name: string, count: number, files: string[]] => [
  name!,
  COUNTS[count!]!,
  Array.from(list!.matchAll(/^\d+\. `([^`]+)`/gm), ([, file]) => file!),
]);

test("the architecture has a walk of backward(), of step() and of a click", () => {
  expect(walks.map(([, count]) => count)).toEqual([6, 6, 12]);
});

describe.each(walks)("%s", (_, count, files) => {
  test("names as many files as it says", () => {
    expect(files).toHaveLength(count);
  });

  test.each(files)("%s exists", (file) => {
    const name = file.replace("…", "");
    expect(["extension", "."].some((folder) => existsSync(path.join(root, folder, name)))).toBe(true);
  });
});
