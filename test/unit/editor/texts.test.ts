import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import {
  formatAge,
  formatBytes,
  formatCount,
  formatDuration,
  formatMetric,
  formatMetrics,
} from "../../../extension/editor/format.ts";
import {
  checkFileName,
  describeTemplate,
  freeFileName,
  modelFileName,
  TEMPLATES,
} from "../../../extension/editor/templates.ts";

test("metrics have four digits, and validation comes first", () => {
  expect([0, 1, 0.97, 0.123456, 12345.678, 1e-5, 2e7, -0.5].map(formatMetric)).toEqual([
    "0",
    "1",
    "0.97",
    "0.1235",
    "12350",
    "1.00e-5",
    "2.00e+7",
    "-0.5",
  ]);
  expect([Number.NaN, Infinity, -Infinity].map(formatMetric)).toEqual(["NaN", "∞", "-∞"]);
  expect(formatMetrics({ loss: 0.5, accuracy: 0.9, val_loss: 0.6 })).toBe("val_loss 0.6, loss 0.5");
  expect(formatMetrics({})).toBe("");
});

test("sizes, ages and durations", () => {
  expect([7, 1500, 123_456, 5_000_000, 3e9].map(formatBytes)).toEqual([
    "7 B",
    "1.5 kB",
    "123 kB",
    "5.0 MB",
    "3.0 GB",
  ]);
  expect(formatCount(1234567)).toBe("1,234,567");
  const now = Date.parse("2026-01-31T12:00:00Z");
  const ages = [
    "2026-01-31T11:59:30Z",
    "2026-01-31T11:55:00Z",
    "2026-01-31T09:00:00Z",
    "2026-01-28T12:00:00Z",
    "never",
  ];
  expect(ages.map((iso) => formatAge(iso, now))).toEqual(["just now", "5 min ago", "3 h ago", "3 d ago", ""]);
  expect([0, 59.4, 61, 3723, Number.NaN, Infinity].map(formatDuration)).toEqual([
    "0 s",
    "59 s",
    "1:01",
    "1:02:03",
    "–",
    "–",
  ]);
});

test("each example is a template, in one group, and says in its first line what it is", () => {
  const folder = new URL("../../../media/examples/", import.meta.url);
  const names = Object.values(TEMPLATES).flat();
  expect(names.map(modelFileName).sort()).toEqual(readdirSync(folder).sort());
  for (const name of names) {
    const description = describeTemplate(readFileSync(new URL(modelFileName(name), folder), "utf8"));
    expect(description, name).toMatch(/^\w.{20,}/);
  }
});

test("a template is described by its first comment", () => {
  expect(describeTemplate("// Digits: a small CNN.\nimport x;")).toBe("Digits: a small CNN.");
  expect(describeTemplate("/**\n * An autoencoder.\n * More.\n */")).toBe("An autoencoder.");
  expect(describeTemplate("/* Short. */ code")).toBe("Short.");
  expect(describeTemplate("import x; // no")).toBe("");
});

test("names of new files", () => {
  expect(["a", "a.nn.ts", " a.ts ", "a.nn"].map(modelFileName)).toEqual([
    "a.nn.ts",
    "a.nn.ts",
    "a.nn.ts",
    "a.nn.ts",
  ]);
  expect(freeFileName("digits", ["digits.nn.ts", "digits2.nn.ts"])).toBe("digits3.nn.ts");
  expect(checkFileName("new", ["old.nn.ts"])).toBeUndefined();
  expect(checkFileName("old", ["old.nn.ts"])).toBe("taken");
  expect(checkFileName(" .nn.ts", [])).toBe("empty");
  expect(checkFileName("../x", [])).toBe("characters");
  for (const name of ["con", "Aux.nn.ts", "com2"]) expect(checkFileName(name, [])).toBe("device");
  expect([freeFileName("con", []), freeFileName("com", ["com.nn.ts"])]).toEqual([
    "con2.nn.ts",
    "com10.nn.ts",
  ]);
});
