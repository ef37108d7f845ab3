import fs from "node:fs";
import { describe, expect, test, vi } from "vitest";
import { nn, summary, torch, type SummaryOptions, type Tensor } from "layerwise";
import { MODELS } from "./models.ts";

interface Case {
  model: string;
  options: SummaryOptions;
  lines: string[];
}

const cases = JSON.parse(
  fs.readFileSync(new URL("../../fixtures/summary/tables.json", import.meta.url), "utf8"),
) as Case[];

/** The table, without printing it: `verbose: 2` is told when it is made. */
function tableOf({ model, options }: Case, torchinfo: boolean): string[] {
  const log = vi.spyOn(console, "log").mockImplementation(() => {});
  try {
    return summary(MODELS[model]!(), { ...options, torchinfo })
      .toString()
      .split("\n");
  } finally {
    log.mockRestore();
  }
}

/** Models whose multiply-adds and sizes torchinfo counts as we do. */
const EQUAL = new Set(["mlp", "cnn", "wide", "recursive", "twoInputs", "parameterless"]);

describe("torchinfo's tables, line by line", () => {
  test.each(cases.map((one) => [one.model, JSON.stringify(one.options), one] as const))(
    "%s %s",
    (model, _, one) => {
      expect(tableOf(one, true)).toEqual(one.lines);
      if (EQUAL.has(model)) expect(tableOf(one, false)).toEqual(one.lines);
    },
  );
});

const quiet = (model: InstanceType<typeof nn.Module>, inputSize: number[], options: SummaryOptions = {}) =>
  summary(model, { inputSize, verbose: 0, ...options });

describe("where torchinfo is wrong", () => {
  test("a layer of a sequence counts at all steps", () => {
    const decoder = () => new nn.Linear(20, 1) satisfies object;
    expect(quiet(decoder(), [1, 100, 20]).totalMultAdds).toBe(100 * 21);
    expect(quiet(decoder(), [1, 100, 20], { torchinfo: true }).totalMultAdds).toBe(21);
  });

  test("products of activations count, in the module that makes them", () => {
    class Attention extends nn.Module {
      query = new nn.Linear(8, 8, { bias: false });

      forward(x: Tensor): Tensor {
        const scores = torch.softmax(torch.matmul(this.query(x), x.transpose(1, 2)), -1);
        return torch.matmul(scores, x);
      }
    }
    const [batch, steps, width] = [2, 5, 8];
    const products = 2 * batch * steps * steps * width;
    const result = quiet(new Attention(), [batch, steps, width], { colNames: ["mult_adds"] });
    expect(result.totalMultAdds).toBe(products + batch * steps * width * width);
    expect(String(result)).toContain(
      `Attention                                ${products.toLocaleString("en")}`,
    );
  });

  test("a parameter that two modules share counts once", () => {
    const result = quiet(MODELS["tied"]!(), [2, 4]);
    expect([result.totalParams, result.totalParamBytes]).toEqual([16, 64]);
    expect(quiet(MODELS["tied"]!(), [2, 4], { torchinfo: true }).totalParams).toBe(32);
  });

  test("parameters of modules that have children have their bytes", () => {
    const { totalParams, totalParamBytes } = quiet(MODELS["nested"]!(), [2, 8]);
    expect(totalParamBytes).toBe(4 * totalParams);
  });
});

test("prints unless told not to, and what is printed is what is returned", () => {
  const log = vi.spyOn(console, "log").mockImplementation(() => {});
  const model = MODELS["mlp"]!();
  quiet(model, [1, 10]);
  expect(log).not.toHaveBeenCalled();
  const result = summary(model, [1, 10], { colWidth: 10 });
  expect(log.mock.calls).toEqual([[String(result)]]);
  log.mockRestore();
});

test("nothing is computed, allocated or changed; torch's random numbers go on as after torchinfo", () => {
  class Net extends nn.Module {
    big = new nn.Linear(100_000, 100_000);
    out = new nn.Linear(100_000, 1);

    forward(x: Tensor): Tensor {
      return this.out(this.big(x));
    }
  }
  const before = process.memoryUsage().arrayBuffers;
  const model = new Net().train();
  model.out.eval();
  const result = quiet(model, [2, 100_000]);
  expect(result.totalParams).toBe(100_000 * 100_000 + 200_001);
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1e7);
  expect([model.training, model.out.training]).toEqual([true, false]);
  // No hook stays behind.
  model.big.forward = () => torch.zeros(1, 100_000);
  expect(model(torch.zeros(1, 100_000)).shape).toEqual([1, 1]);

  const drawn = (): unknown => torch.rand(3).tolist();
  torch.manualSeed(0);
  torch.rand(2, 10);
  const expected = drawn();
  const mlp = MODELS["mlp"]!();
  torch.manualSeed(0);
  quiet(mlp, [2, 10]);
  expect(drawn()).toEqual(expected);
});

test.each<[SummaryOptions, string]>([
  [{ inputSize: [1, 10], colWidth: 0 }, "Column width must be greater than 0: colWidth=0"],
  [{ inputSize: [1, 10], verbose: 3 as 2 }, "Verbose must be either 0 (quiet), 1 (default), or 2 (verbose)."],
  [{ inputSize: [1, 10], inputData: [] }, "Only one of (inputData, inputSize) should be specified."],
  [
    { colNames: ["output_size"] },
    "You must pass inputData or inputSize in order to use columns: output_size",
  ],
  [{ inputSize: [] }, "Input_data is invalid, or negative size found in input_data."],
  [{ inputSize: [0, 10] }, "Input_data is invalid, or negative size found in input_data."],
  [{ inputSize: [1, 10], colNames: ["params" as "num_params"] }, 'got "params"'],
  [{ inputSize: [1, 9] }, "mat1 and mat2 shapes cannot be multiplied (1x9 and 10x5)"],
  [{ inputSize: [1, 10], mode: "training" as "train" }, "Specified model mode not recognized: training"],
])("%j is refused", (options, message) => {
  expect(() => summary(MODELS["mlp"]!(), { verbose: 0, ...options })).toThrow(message);
});
