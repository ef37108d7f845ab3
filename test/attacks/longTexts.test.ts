// Texts of a stranger's files in VS Code's own process: escaping and scanning them takes time in proportion to their length.
import { describe, expect, it } from "vitest";
import { csvCell } from "../../extension/protocol/text/csv.ts";
import { codeComment, codeKey } from "../../extension/protocol/text/code.ts";
import { labelText } from "../../extension/protocol/text/label.ts";
import { markdownBlock, markdownCode, markdownText } from "../../extension/protocol/text/markdown.ts";
import { texText, xmlText } from "../../extension/protocol/text/markup.ts";
import { withoutSecrets } from "../../extension/protocol/text/secrets.ts";
import { jsonText, plainLine, plainText } from "../../extension/protocol/text/plain.ts";
import { variableTypes } from "../../extension/editor/language/variableTypes.ts";
import { calleeName, callSpan } from "../../extension/source/textSpans.ts";
import { definitionOf, scanSource } from "../../extension/source/sourceScan.ts";
import { processorClock } from "../bounds.ts";

/** Quadratic code takes seconds at the last length, and cubic code minutes: they fail at an earlier one. */
const LENGTHS = Array.from({ length: 8 }, (_, i) => 500 * 2 ** i);
const MILLISECONDS = 400;

function expectLinear(read: (text: string) => unknown, make: (length: number) => string): void {
  for (const length of LENGTHS) {
    const text = make(length);
    const taken = processorClock();
    read(text);
    expect(taken(), `${JSON.stringify(text.slice(0, 60))}…, ${length} characters`).toBeLessThan(MILLISECONDS);
  }
}

const repeated = (unit: string, length: number): string => unit.repeat(Math.ceil(length / unit.length));

describe("a text of a record", () => {
  const WRITERS = {
    labelText,
    markdownText,
    markdownCode,
    markdownBlock,
    plainLine,
    plainText,
    jsonText,
    xmlText,
    texText,
    withoutSecrets,
    csvCell,
    codeComment,
    codeKey,
  };
  const UNITS = [" ", "\t", "\n", " \n", "\u00a0", "`", "` ", "_", "1.", "\u0301", "\u200d", "\ud800", "👩‍💻"];

  it.each(Object.entries(WRITERS))("is a number or an address without end: %s", (_, write) => {
    for (const [start, unit] of [
      ["+", "0"],
      ["-.", "0"],
      ["1e", "0"],
      ["", "://"],
      ["x://", "?"],
      ["://", "@"],
    ] as const)
      expectLinear(write, (length) => `${start}${repeated(unit, length)} x`);
  });

  it.each(Object.entries(WRITERS))("is of one character without end: %s", (_, write) => {
    for (const unit of UNITS) expectLinear(write, (length) => `a${repeated(unit, length)}b`);
  });
});

describe("a .nn.ts file", () => {
  const STARTS = [
    "",
    "import ",
    "import a",
    "const {",
    "export {",
    "export { a",
    "class A extends ",
    "const a",
  ];
  const UNITS = [
    " ",
    "a",
    "a.",
    "a,",
    "a as b,",
    "// \n",
    "import ",
    "import * as a ",
    "const {",
    "const a:",
    "const a = ",
    "export {",
    "export default ",
    "export default experiment(",
    "experiment<",
    "new A ",
    "sweep ",
    "{ sweep ",
    "class A ",
    "class A<",
    "class A extends B ",
    "class A extends B {",
    "class A extends nn.B { forward(",
  ];

  it.each(STARTS)("repeats itself without end after %j", (start) => {
    for (const unit of UNITS) expectLinear(scanSource, (length) => start + repeated(unit, length));
  });

  const many = (length: number, one: (i: number) => string): string =>
    Array.from({ length: length / 20 }, (_, i) => one(i)).join("\n");

  it.each<[what: string, make: (length: number) => string]>([
    [
      "classes of each other, the base last",
      (n) => `${many(n, (i) => `class A${i} extends A${i + 1} {}`)}
class A${n / 20} extends nn.Module {}`,
    ],
    [
      "names for the library",
      (n) => `import { ${many(n, (i) => `nn as a${i}, experiment as e${i},`)} x } from "layerwise";
${many(n, (i) => `class B extends a${i}.Module {}\nexport const f${i} = e${i}({});`)}`,
    ],
    [
      "exports of one experiment",
      (n) => `const a = experiment({});\nexport { ${many(n, (i) => `a as b${i},`)} };`,
    ],
    [
      "experiments in experiments, with all its models",
      (n) => `${many(n, (i) => `class A${i} extends nn.Module {}`)}
${many(n, (i) => `export const e${i} = experiment(new A${i}`)}`,
    ],
  ])("has thousands of %s", (_, make) => {
    expectLinear(scanSource, make);
    expectLinear((text) => definitionOf(text, "default"), make);
  });

  it.each(["", "forward(x) {"])("repeats itself without end after %j, around a variable", (start) => {
    const units = ["a", "a(", "a() {", "a():", "class a ", "class a {", "x:", "x = ", "x ", " "];
    for (const unit of units)
      expectLinear(
        (text) => variableTypes(text, text.length - 1, [], []),
        (length) => `${start}${repeated(unit, length)} x`,
      );
  });

  it.each(["!", "! ", "[!"])("assigns %j without end to a variable", (unit) => {
    expectLinear(
      (text) => variableTypes(text, text.length - 1, [], []),
      (length) => `class A { forward(x) {\nx = ${repeated(unit, length)}a;\nx`,
    );
  });

  it("calls what has a name without end", () => {
    expectLinear(
      (text) => calleeName(text, callSpan(text, 0)),
      (length) => `nn.${repeated("a", length)}.b(1)`,
    );
  });

  it("is longer than any that people write", () => {
    const text = `export default experiment({});\n${"a".repeat(2e6)}`;
    expect(scanSource(text)).toEqual({ models: [], experiments: [] });
    expect(definitionOf(text, "default")).toBeUndefined();
  });
});
