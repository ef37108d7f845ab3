// docs/examples.md quotes the programs of test/programs: what it quotes is there.
import fs from "node:fs";
import { expect, test } from "vitest";

const read = (path: string): string =>
  fs.readFileSync(new URL(`../../../docs/${path}`, import.meta.url), "utf8");

/** Code without what a formatter adds or takes away. */
const plain = (code: string): string => code.replaceAll(/\s+/g, "").replaceAll(/,(?=[)\]}])/g, "");

const page = read("examples.md");
const sections = page
  .split(/^## /m)
  .slice(1, -1)
  .map((text) => ({ title: text.slice(0, text.indexOf("\n")), text }));

test("there are ten programs", () => {
  expect(sections).toHaveLength(10);
});

test("the page links every program", () => {
  const folder = new URL("../../programs/", import.meta.url);
  const programs = fs.readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  for (const { name } of programs)
    for (const ending of ["py", "nn.ts"])
      expect(page).toContain(`(../test/programs/${name}/${name}.${ending})`);
});

test.each(sections)("$title", ({ text }) => {
  for (const [language, label] of [
    ["py", "Python"],
    ["ts", "TypeScript"],
  ]) {
    const file = new RegExp(`\\[${label}\\]\\(([^)]*)\\)`).exec(text)![1]!;
    const program = plain(read(file));
    const quoted = new RegExp("```" + language + "\n([^`]*)```").exec(text)![1]!;
    for (const part of quoted.split("…")) expect(program.includes(plain(part)), part).toBe(true);
  }
});
