// Exports as TypeScript, compiled strictly and called: the same numbers as here.
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { pathToFileURL } from "node:url";
import { beforeAll, describe, expect, test } from "vitest";
import "../../../../extension/engine/host/library.ts";
import { encodeTypeScript } from "../../../../extension/engine/exporting/typescript.ts";
import { nn, torch, type Tensor } from "../../../../extension/nn/index.ts";
import type { Module } from "../../../../extension/nn/module/module.ts";
import { onnxGraph } from "../../../../extension/nn/onnx/graph.ts";
import { tensorsIn } from "../../../../extension/nn/onnx/recording.ts";
import { valuesOf } from "../../../../extension/tensor/planning/barrier.ts";
import {
  ACTIVATIONS,
  FUNCTIONS,
  Lambda,
  LANGUAGE,
  LAYERS,
  NETWORKS,
  type Case,
} from "../../nn/exportCases.ts";
import { useEngine } from "../../../engines.ts";
import { useFolder } from "../../../folders.ts";

const folder = useFolder("all");

/** Those with more weights than a source file should have. */
const LARGE = ["transformer"];
const CASES = [...NETWORKS, LANGUAGE, ...LAYERS, ...ACTIVATIONS, FUNCTIONS];
const SMALL = CASES.filter(([name]) => !LARGE.includes(name));
/** One sample, unless that is too little for its statistics; and several. */
const batches = (name: string): readonly number[] => (name.includes("without running") ? [2] : [1, 2]);
/** Models made once: the test of each name calls the compiled function. */
const models = new Map<string, Module>();
const file = (name: string, batch: number): string => `${name.replaceAll(/\W+/g, "_")}_${batch}`;

const encoded = (model: Module, inputs: Case[2], batch: number): string =>
  encodeTypeScript(onnxGraph(model, inputs(batch)), "a test");

useEngine("cpu");
beforeAll(async () => {
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
  expect(encoded(model, (n) => [torch.rand(n, 3)], 1)).toMatchInlineSnapshot(`
    "// Written by Layerwise from a test. It needs no library.

    /**
     * What Sequential gives, as it computes in evaluation mode. Tensors are arrays of all their numbers:
     * those of the last dimension lie side by side.
     * @param input [1, 3]
     * @returns [1, 1]
     */
    export function sequential(input: ArrayLike<number>): Float32Array {
      if (input.length !== 3) throw new RangeError(\`sequential() takes 3 numbers as input, but got \${input.length}\`);
      const inputValues = Float32Array.from(input);
      // 0
      const layer0 = linear(inputValues, layer0Weight, 1, 3, 2);
      const layer0Add = map2(layer0, layer0Bias, (x, y) => x + y);
      // 1
      const layer1 = map(layer0Add, (x) => Math.max(x, 0));
      // 2
      const layer2 = linear(layer1, layer2Weight, 1, 2, 1);
      const layer2Add = map(layer2, (x) => x + (-0.21369691));
      return layer2Add;
    }

    /** A function of every element. */
    function map(x: Float32Array, f: (x: number) => number): Float32Array {
      return x.map((value) => f(value));
    }

    /** A function of the elements at the same place. */
    function map2(x: Float32Array, y: Float32Array, f: (x: number, y: number) => number): Float32Array {
      return x.map((value, i) => f(value, y[i]!));
    }

    /** The products of each row of x [rows, inner] with each row of the weights [columns, inner]. */
    function linear(x: Float32Array, weight: Float32Array, rows: number, inner: number, columns: number): Float32Array {
      const y = new Float32Array(rows * columns);
      for (let i = 0; i < rows; i++) {
        for (let j = 0; j < columns; j++) {
          let sum = 0;
          for (let k = 0; k < inner; k++) sum += x[i * inner + k]! * weight[j * inner + k]!;
          y[i * columns + j] = sum;
        }
      }
      return y;
    }

    /** [2, 3] */
    const layer0Weight = new Float32Array([
      -0.0043225177, 0.30971584, -0.47518533, -0.4248946, -0.22236897, 0.15482073,
    ]);

    /** [1, 2] */
    const layer0Bias = new Float32Array([
      -0.011439145, 0.45777494,
    ]);

    /** [1, 2] */
    const layer2Weight = new Float32Array([
      -0.06275152, 0.18710934,
    ]);
    "
  `);
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
    expect(refusal(model, (n) => [torch.rand(n, 3)])).toMatchInlineSnapshot(
      `"0: ScatterElements can't be exported to TypeScript: it has no counterpart"`,
    );
  });
});

test("wrong arguments are errors", async () => {
  const { simpleNN } = (await import(pathToFileURL(join(folder, "out", "simplenn_1.mjs")).href)) as {
    simpleNN: (input: readonly number[]) => Float32Array;
  };
  expect(() => simpleNN([1, 2])).toThrow("simpleNN() takes 10 numbers as input, but got 2");
});
