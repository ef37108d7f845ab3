import { expect, test } from "vitest";
import { py } from "../../../extension/nn/module/repr.ts";

/** Strings and what Python's repr gives for them. */
const CASES: readonly (readonly [text: string, repr: string])[] = [
  ["", "''"],
  ["it's", `"it's"`],
  ['say "hi"', `'say "hi"'`],
  [`both ' and "`, String.raw`'both \' and "'`],
  ["back\\slash", String.raw`'back\\slash'`],
  ["\n\r\t", String.raw`'\n\r\t'`],
  ["\u001b[2J", String.raw`'\x1b[2J'`],
  ["\u007f\u009b\u00a0", String.raw`'\x7f\x9b\xa0'`],
  ["é名 a", "'é名 a'"],
  ["\u202e\u200b\u2028", String.raw`'\u202e\u200b\u2028'`],
  ["👩\u200d💻", String.raw`'👩\u200d💻'`],
  ["\u{e0041}\ue000", String.raw`'\U000e0041\ue000'`],
];

test.each(CASES)("prints %j in a list as Python does", (text, repr) => {
  expect(py(text)).toBe(repr);
  expect(py([text, 1])).toBe(`(${repr}, 1)`);
});
