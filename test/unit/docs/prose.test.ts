import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";

const root = new URL("../../../", import.meta.url);

/** Phrases that stand for a term of the field, or for a verb with a subject: "resume", "is read", "again", "unknown". */
const PHRASES =
  /\b(?:goes on|gone on with|go on with|going on|nobody|what is told|what it comes to|looked at|is asked for|comes again|made up for|there really were|anew|besides|whoever)\b/gi;

const pages = [
  "README.md",
  "CONTRIBUTING.md",
  "SECURITY.md",
  "CHANGELOG.md",
  "package.nls.json",
  ...readdirSync(new URL("docs/", root)).map((name) => `docs/${name}`),
  ...readdirSync(new URL("media/walkthrough/", root)).map((name) => `media/walkthrough/${name}`),
].filter((name) => /\.(?:md|json)$/.test(name));

test.each(pages)("%s uses the field's terms", (name) => {
  const text = readFileSync(new URL(name, root), "utf8");
  const found = [...text.matchAll(PHRASES)].map(
    ({ 0: phrase, index }) => `line ${text.slice(0, index).split("\n").length}: ${phrase}`,
  );
  expect(found).toEqual([]);
});
