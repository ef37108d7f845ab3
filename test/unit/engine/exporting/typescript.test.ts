// What is exported as TypeScript, compiled strictly and called: the same numbers as here.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import "../../../../extension/engine/library.ts";
import { encodeTypeScript } from "../../../../extension/engine/exporting/typescript.ts";
import { loadExecutor } from "../../../../extension/executors/index.ts";
import { nn, torch, type Tensor } from "../../../../extension/nn/index.ts";
import type { Module } from "../../../../extension/nn/module.ts";
import { onnxGraph } from "../../../../extension/nn/onnx/graph.ts";
import { tensorsIn } from "../../../../extension/nn/onnx/recording.ts";
import { valuesOf } from "../../../../extension/tensor/runtime.ts";
import {
  ACTIVATIONS,
  FUNCTIONS,
  Lambda,
  LANGUAGE,
  LAYERS,
  NETWORKS,
  type Case,
} from "../../nn/exportCases.ts";

const folder = mkdtempSync(join(tmpdir(), "layerwise-typescript-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** Those with more weights than a source file should have. */
const LARGE = ["transformer"];
const CASES = [...NETWORKS, LANGUAGE, ...LAYERS, ...ACTIVATIONS, FUNCTIONS];
const SMALL = CASES.filter(([name]) => !LARGE.includes(name));
/** One sample, unless that is too little for its statistics; and several. */
const batches = (name: string): readonly number[] => (name.includes("without running") ? [2] : [1, 2]);
/** Models made once: what is compiled is called in the test of its name. */
const models = new Map<string, Module>();
const file = (name: string, batch: number): string => `${name.replaceAll(/\W+/g, "_")}_${batch}`;

const encoded = (model: Module, inputs: Case[2], batch: number): string =>
  encodeTypeScript(onnxGraph(model, inputs(batch)), "a test");

beforeAll(async () => {
  await loadExecutor("cpu");
  torch.manualSeed(0);
  for (const [name, make, inputs] of SMALL) {
    const model = make();
    models.set(name, model);
    for (const batch of batches(name))
      writeFileSync(join(folder, `${file(name, batch)}.ts`), encoded(model, inputs, batch));
  }
  const options = { target: "es2022", module: "es2022", lib: ["es2022"], types: [], outDir: "out" };
  const checks = {
    strict: true,
    noUncheckedIndexedAccess: true,
    noUnusedLocals: true,
    noUnusedParameters: true,
  };
  writeFileSync(
    join(folder, "tsconfig.json"),
    JSON.stringify({
      compilerOptions: { ...options, ...checks, noImplicitReturns: true },
      include: ["*.ts"],
    }),
  );
  const tsc = join("node_modules", "typescript", "bin", "tsc");
  execFileSync(process.execPath, [tsc, "-p", folder], { encoding: "utf8" });
}, 60_000);

type Exported = (...args: ArrayLike<number>[]) => Float32Array | Record<string, Float32Array>;

test.each(SMALL)("%s", async (name, _, inputs) => {
  const model = models.get(name)!;
  model.eval();
  for (const batch of batches(name)) {
    const path = join(folder, "out", `${file(name, batch)}.js`);
    writeFileSync(path.replace(/js$/, "mjs"), readFileSync(path));
    const module = (await import(pathToFileURL(path.replace(/js$/, "mjs")).href)) as Record<string, Exported>;
    const [run, ...rest] = Object.values(module);
    expect(rest).toEqual([]);
    const args = inputs(batch);
    const output = torch.noGrad(() => (model as unknown as (...args: Tensor[]) => unknown)(...args));
    const wanted = tensorsIn(output).map(({ tensor }) => valuesOf(tensor.value));
    const result = run!(...args.map((x) => valuesOf(x.value)));
    const results = result instanceof Float32Array ? [result] : Object.values(result);
    expect(results.map(({ length }) => length)).toEqual(wanted.map(({ length }) => length));
    wanted.forEach((values, i) => {
      const apart = Array.from(results[i]!, (x, k) => Math.abs(x - values[k]!) / (1 + Math.abs(values[k]!)));
      // NaN is no number below.
      expect(apart.every((x) => x < 2e-5)).toBe(true);
    });
  }
});

test("a small network reads as a person would write it", () => {
  torch.manualSeed(0);
  const model = new nn.Sequential(new nn.Linear(3, 2), new nn.ReLU(), new nn.Linear(2, 1));
  expect(encoded(model, (n) => [torch.rand(n, 3)], 1)).toMatchInlineSnapshot();
});

describe("what can't be exported", () => {
  const refusal = (model: Module, inputs: Case[2]): string => {
    try {
      return encoded(model, inputs, 1);
    } catch (error) {
      const { message, module } = error as Error & { module?: string };
      return `${module === undefined ? "" : `${module}: `}${message}`;
    }
  };

  test.each(LARGE)("%s is too large", (name) => {
    const [, make, inputs] = NETWORKS.find((one) => one[0] === name)!;
    expect(refusal(make(), inputs)).toBe(
      "the model has more than 100,000 numbers, too many for a file of TypeScript",
    );
  });

  test("is named, with its reason and module", () => {
    const model = new nn.Sequential(new Lambda((x) => x.scatter(1, torch.zeros(1, 1).long(), x)) as never);
    expect(refusal(model, (n) => [torch.rand(n, 3)])).toMatchInlineSnapshot();
  });
});

test("wrong arguments are errors", async () => {
  const { simpleNN } = (await import(pathToFileURL(join(folder, "out", "simplenn_1.mjs")).href)) as {
    simpleNN: (input: readonly number[]) => Float32Array;
  };
  expect(() => simpleNN([1, 2])).toThrow("simpleNN() takes 10 numbers as input, but got 2");
});
