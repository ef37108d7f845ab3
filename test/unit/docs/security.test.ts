import { existsSync, readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const root = (path: string): string => fileURLToPath(new URL(`../../../${path}`, import.meta.url));
const text = readFileSync(root("SECURITY.md"), "utf8");
const named = new Set([...text.matchAll(/`(test\/[^`]+)`/g)].map(([, file]) => file!));

test("every test that SECURITY.md names is there", () => {
  expect(named.size).toBeGreaterThan(5);
  for (const file of named) expect(existsSync(root(file)), file).toBe(true);
});

test("every file of attacks is named in SECURITY.md, with what it holds", () => {
  const attacks = readdirSync(root("test/attacks"), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".test.ts"))
    .map((name) => `test/attacks/${name.replaceAll("\\", "/")}`);
  expect(attacks.filter((file) => !named.has(file))).toEqual([]);
});

test("every promise in SECURITY.md names a test", () => {
  const [, table = ""] = text.split("## Promises and their tests");
  const rows = table
    .split("\n## ")[0]!
    .split("\n")
    .filter((line) => line.startsWith("| ") && !/^\| (?:promise |-)/.test(line));
  expect(rows.length).toBeGreaterThan(8);
  for (const row of rows) expect(row).toMatch(/\| .+ \| .*`test\/.+\.test\.ts`.*\|$/);
});

test("the README and CONTRIBUTING.md lead to SECURITY.md", () => {
  for (const page of ["README.md", "CONTRIBUTING.md"])
    expect(readFileSync(root(page), "utf8")).toContain("(SECURITY.md");
});
