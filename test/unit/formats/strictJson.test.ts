import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { JsonError, type JsonValue, parseStrictJson } from "../../../extension/formats/strictJson.ts";

/** The value as `JSON.parse` gives it. */
const plain = (value: JsonValue): unknown => {
  if (value instanceof Map) return Object.fromEntries([...value].map(([key, item]) => [key, plain(item)]));
  if (Array.isArray(value)) return value.map(plain);
  return typeof value === "bigint" ? Number(value) : value;
};

const defect = (text: string, depth = 8): unknown => {
  try {
    parseStrictJson(text, { depth });
  } catch (error) {
    if (error instanceof JsonError) return error.defect;
    throw error;
  }
  return "parsed";
};

test("agrees with JSON.parse on everything that JSON.stringify writes", () => {
  fc.assert(
    fc.property(fc.json({ maxDepth: 5, depthSize: "small" }), fc.constantFrom(0, 1), (text, indent) => {
      const spaced = JSON.stringify(JSON.parse(text), null, indent);
      expect(plain(parseStrictJson(spaced, { depth: 8 }))).toEqual(JSON.parse(spaced));
    }),
    { numRuns: 200 },
  );
});

test("refuses what JSON.parse refuses, and ends in an ordinary error whatever the text", () => {
  const nearJson = fc
    .tuple(fc.json({ maxDepth: 3 }), fc.nat(), fc.string({ maxLength: 3 }))
    .map(
      ([text, at, noise]) =>
        text.slice(0, at % (text.length + 1)) + noise + text.slice((at + 1) % (text.length + 1)),
    );
  fc.assert(
    fc.property(nearJson, (text) => {
      let parsed = true;
      try {
        JSON.parse(text);
      } catch {
        parsed = false;
      }
      if (!parsed)
        expect(defect(text)).toMatchObject({ kind: expect.stringMatching(/syntax|duplicate|depth/) });
    }),
    { numRuns: 300 },
  );
});

test("whole numbers keep apart from others and are exact", () => {
  expect(parseStrictJson("[1, 1.0, 1e3, -0, 18446744073709551615, -7]", { depth: 1 })).toEqual([
    1n,
    1,
    1000,
    -0,
    18446744073709551615n,
    -7n,
  ]);
  expect(parseStrictJson("9".repeat(100_000), { depth: 0 })).toBe(Infinity);
});

test("keys have no meaning", () => {
  const value = parseStrictJson('{"__proto__": {"a": 1}, "constructor": 2}', { depth: 2 }) as Map<
    string,
    JsonValue
  >;
  expect([...value.keys()]).toEqual(["__proto__", "constructor"]);
  expect(({} as Record<string, unknown>)["a"]).toBeUndefined();
});

describe("refused", () => {
  test.each([
    ['{"a": 1, "b": 2, "a": 3}', { kind: "duplicate", at: 17, key: "a" }],
    ['{"a": 1, "\\u0061": 3}', { kind: "duplicate", at: 9, key: "a" }],
    ["[[[]]]", { kind: "depth", at: 2, limit: 2 }],
    ['{"a": 1} x', { kind: "syntax", at: 9, expected: "the end of the text" }],
    ['{"a": 1,}', { kind: "syntax", at: 8, expected: "a string" }],
    ['{"a" 1}', { kind: "syntax", at: 5, expected: "':'" }],
    ['{"a": 1 "b": 2}', { kind: "syntax", at: 8, expected: "',' or '}'" }],
    ["[1 2]", { kind: "syntax", at: 3, expected: "',' or ']'" }],
    ["[01]", { kind: "syntax", at: 2, expected: "',' or ']'" }],
    ["[NaN]", { kind: "syntax", at: 1, expected: "a value" }],
    ["", { kind: "syntax", at: 0, expected: "a value" }],
    ['"ab', { kind: "syntax", at: 3, expected: "the end of a string" }],
    ['"ab\\', { kind: "syntax", at: 5, expected: "the end of a string" }],
    ['"a\nb"', { kind: "syntax", at: 2, expected: "the end of a string" }],
    ['"\\x"', { kind: "syntax", at: 0, expected: "a string with valid escapes" }],
    ['"\\ud800"', { kind: "syntax", at: 0, expected: "a string with valid escapes" }],
  ])("%s", (text, expected) => {
    expect(defect(text, 2)).toEqual(expected);
  });
});
