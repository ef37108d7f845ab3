import { expect, test } from "vitest";
import { breaches } from "../../../scripts/rules.mjs";

const rules = { size: () => new Map([["a.ts", "500 lines, at most 400"]]) };

test("names the rule, the file and what is wrong", () => {
  expect(breaches(rules, {})).toEqual(["size: a.ts: 500 lines, at most 400"]);
});

test("accepts a listed exception, and reports one that is no longer needed", () => {
  expect(breaches(rules, { size: { "one table": ["a.ts"] } })).toEqual([]);
  expect(breaches(rules, { size: { "one table": ["a.ts", "b.ts"] } })).toEqual([
    "size: b.ts follows the rule now: remove it from the exceptions in scripts/rules.mjs",
  ]);
});
