import { expect, test } from "vitest";
import { array, assert, constantFrom, property } from "fast-check";
import { maskSource } from "../../../extension/source/sourceMask.ts";
import { scanSource } from "../../../extension/source/sourceScan.ts";
import { processorClock } from "../../bounds.ts";

const names = (source: string): string[] => scanSource(source).models.map((model) => model.name);
const experiments = (source: string): string[] =>
  scanSource(source).experiments.map((found) => found.exportName);

const TUTORIAL = `import { torch, nn, optim, data, experiment, type Tensor } from "layerwise";

export class SimpleNN extends nn.Module {
  fc1 = new nn.Linear(10, 5);
  forward(x: Tensor): Tensor {
    return this.fc1(x);
  }
}

export default experiment({
  seed: 0,
  model: () => new SimpleNN(10, 5, 2),
  epochs: 100,
});
`;

test("finds the model and the experiment of the tutorial, at their lines", () => {
  expect(scanSource(TUTORIAL)).toEqual({
    models: [{ name: "SimpleNN", line: 2, column: 0 }],
    experiments: [{ exportName: "default", line: 9, column: 0, models: ["SimpleNN"] }],
  });
});

test("follows classes that extend models, in any order", () => {
  expect(
    names(`
    class Deep extends Middle {}
    class Middle extends Base<number> {}
    abstract class Base<T extends Array<Map<string, T>>> extends nn.Module {}
    class Other extends EventTarget {}
    class Plain {}
    class Seq extends nn.Sequential {}
    const Small = class extends nn.Module {};
    export const Named = class Inner extends nn.Module {};
    `),
  ).toEqual(["Deep", "Middle", "Seq", "Small", "Named"]);
});

test("knows layerwise by other names", () => {
  expect(names('import { nn as N } from "layerwise"; class A extends N.Module {}')).toEqual(["A"]);
  expect(names("import * as lw from 'layerwise';\nclass A extends lw.nn.Module {}")).toEqual(["A"]);
  expect(names("const { Module, Linear: L } = nn; class A extends Module {}")).toEqual(["A"]);
  expect(names("const { Module: M } = nn; class A extends M {}")).toEqual(["A"]);
  expect(experiments('import { experiment as exp } from "layerwise"; export const a = exp({});')).toEqual([
    "a",
  ]);
  expect(experiments('import * as lw from "layerwise"; export default lw.experiment({});')).toEqual([
    "default",
  ]);
});

test("takes a class with a forward whose base is imported from the user's files for a model", () => {
  const imported = 'import { Base, type Options } from "./base.nn.ts";\n';
  expect(names(`${imported}class A extends Base { forward(x: Tensor) { return x; } }`)).toEqual(["A"]);
  expect(names(`${imported}class A extends Base { toString() { return ""; } }`)).toEqual([]);
  expect(names('import { Base } from "other"; class A extends Base { forward() {} }')).toEqual([]);
});

test("finds experiments however they are exported", () => {
  expect(
    experiments(`
    export const first = experiment({});
    export const second: Experiment<Config> = experiment<Config>({});
    const third = experiment({});
    const fourth = experiment({});
    const fifth = experiment({});
    const hidden = experiment({});
    export { third, fourth as renamed };
    export default fifth;
    `),
  ).toEqual(["first", "second", "third", "renamed", "default"]);
  expect(experiments("export { a } from './other.ts'; const a = experiment({});")).toEqual([]);
  expect(experiments("export const a = experiments({}); export const b = myexperiment({});")).toEqual([]);
});

test("says which models an experiment constructs", () => {
  const source = `
    class A extends nn.Module {}
    class B extends nn.Module {}
    export const both = experiment({ model: () => new A(new B()), data: () => new Dataset() });
    export const none = experiment({ model: make });
  `;
  expect(scanSource(source).experiments.map((found) => found.models)).toEqual([["A", "B"], []]);
});

test("sees no code in comments, strings, templates and regular expressions", () => {
  expect(
    names(`
    // class A extends nn.Module {}
    /* class B extends nn.Module {} */
    const s = "class C extends nn.Module {}", t = 'class D extends nn.Module {}';
    const u = \`class E extends nn.Module {} \${ f("}") } class F extends nn.Module {}\`;
    const r = /class G extends nn.Module [/"'] {}/g, q = a / b / c;
    const v = \`\${ \`nested \${ 1 } class H extends nn.Module {}\` }\`;
    const w = 'it\\'s'; class Real extends nn.Module {}
    const unclosed = "class I
    class After extends nn.Module {}
    `),
  ).toEqual(["Real", "After"]);
  expect(names("const t = `${class X extends nn.Module {}}`;")).toEqual(["X"]);
});

test("masks without moving anything, whatever the text", () => {
  const piece = constantFrom(
    "`",
    "${",
    "}",
    '"',
    "'",
    "/",
    "*",
    "//",
    "/*",
    "*/",
    "\\",
    "\n",
    "a",
    "{",
    "(",
    "class A extends nn.Module {",
  );
  assert(
    property(array(piece, { maxLength: 40 }), (pieces) => {
      const source = pieces.join("");
      const masked = maskSource(source);
      expect(masked).toHaveLength(source.length);
      expect(masked.split("\n").map((line) => line.length)).toEqual(
        source.split("\n").map((line) => line.length),
      );
      scanSource(source);
    }),
  );
});

test("scans a long file at once", () => {
  const source = TUTORIAL.repeat(300);
  const taken = processorClock();
  expect(scanSource(source).models).toHaveLength(300);
  expect(taken()).toBeLessThan(1000);
});
