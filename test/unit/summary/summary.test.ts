import fs from "node:fs";
import { describe, expect, test, vi } from "vitest";
import { nn, summary, torch, type SummaryOptions, type Tensor } from "layerwise";
import { CallRecorder } from "../../../extension/nn/summary/recorder.ts";
import { ModelStatistics } from "../../../extension/nn/summary/statistics.ts";
import { MODELS } from "./models.ts";
import { processorClock } from "../../bounds.ts";

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
  test("frozen parameters of a container's own, and of a layer's, are in brackets", () => {
    class Frozen extends nn.Module {
      scale = new nn.Parameter(torch.ones(7), false);
      head = new nn.Linear(7, 3);
      forward(x: Tensor): Tensor {
        return this.head(x.mul(this.scale));
      }
    }
    const model = new Frozen();
    model.head.bias!.requiresGrad_(false);
    const rows = (torchinfo: boolean): string[] =>
      summary(model, { inputSize: [2, 7], verbose: 0, torchinfo })
        .toString()
        .split("\n")
        .filter((line) => /Frozen|Linear/.test(line))
        .map((line) => line.replaceAll(/ +/g, " "));
    expect(rows(false)).toEqual(["Frozen [2, 3] (7)", "├─Linear: 1-1 [2, 3] 24"]);
    expect(rows(true)).toEqual(["Frozen [2, 3] 7", "├─Linear: 1-1 [2, 3] 24"]);
  });

  test("a parameter that a step freezes for a while is trainable", async () => {
    const model = new nn.Sequential(new nn.Linear(3, 2), new nn.Linear(2, 2));
    const recorder = new CallRecorder(model);
    await recorder.record(() => {
      const [first, second] = [model.getSubmodule("0") as nn.Linear, model.getSubmodule("1")];
      first.requiresGrad_(false);
      model(torch.zeros(1, 3));
      first.requiresGrad_();
      second.requiresGrad_(false);
      first(torch.zeros(1, 3));
    });
    expect(new ModelStatistics(recorder).trainableParams).toBe(14);
    model.requiresGrad_(false);
    expect(summary(model, { inputSize: [1, 3], verbose: 0 }).trainableParams).toBe(0);
  });

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

  /** Multiply-adds of each call by its class, and of all. */
  const counted = (name: string, inputSize: number[] | number[][], options: SummaryOptions = {}) => {
    const { summaryList, totalMultAdds } = summary(MODELS[name]!(), { inputSize, verbose: 0, ...options });
    const rows = summaryList.map((row) => [row.className, row.ownMultAdds] as const);
    return { rows: rows.filter(([, own]) => own > 0), total: totalMultAdds };
  };

  test("recurrent layers count all steps, layers and directions; embeddings nothing", () => {
    const steps = 4 * 7;
    const direction = (into: number) => 4 * 16 * (into + 16 + 2);
    const lstm = steps * 2 * (direction(8) + direction(32));
    const fc = steps * (32 * 3 + 3);
    expect(counted("sequence", [4, 7], { dtypes: ["int64"] })).toEqual({
      rows: [
        ["LSTM", lstm],
        ["Linear", fc],
      ],
      total: lstm + fc,
    });
  });

  test("norms count each element's weight and bias; a convolution without bias no bias", () => {
    const pixels = 2 * 4 * 6 * 6;
    expect(counted("normed", [2, 3, 6, 6]).rows).toEqual([
      ["Conv2d", pixels * 3 * 3 * 3],
      ["BatchNorm2d", 2 * pixels],
      ["LayerNorm", 2 * pixels],
      ["GRU", 48 * 3 * 5 * (6 + 5 + 2)],
      ["ConvTranspose2d", pixels * 2 * 2 * 2 + 2 * 2 * 12 * 12],
    ]);
  });

  test("attention counts its projections and both products", () => {
    const project = (tokens: number) => tokens * (8 * 8 + 8);
    const attend = (queries: number, keys: number) =>
      2 * (2 * project(queries) + 2 * project(keys) + 2 * queries * keys * 8);
    const self = attend(5, 5);
    const cross = attend(5, 3);
    const feedForward = [2 * 5 * (8 * 16 + 16), 2 * 5 * (16 * 8 + 8)];
    const norm = 2 * 2 * 5 * 8;
    const { rows, total } = counted("attention", [
      [2, 5, 8],
      [2, 3, 8],
    ]);
    expect(rows.filter(([name]) => name === "MultiheadAttention")).toEqual([
      ["MultiheadAttention", cross],
      ["MultiheadAttention", self],
      ["MultiheadAttention", cross],
    ]);
    expect(total).toBe(2 * cross + self + feedForward[0]! + feedForward[1]! + 3 * norm);
  });

  test("BERT-base, soon and without weights", () => {
    const steps = 128;
    const before = process.memoryUsage().arrayBuffers;
    const taken = processorClock();
    const model = new nn.BertModel();
    const result = summary(model, { inputSize: [1, steps], dtypes: ["int64"], verbose: 0 });
    const seconds = taken() / 1000;
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(2e6);
    expect(result.totalParams).toBe(109_482_240);
    const [h, inner] = [768, 3072];
    const layer = steps * (4 * h * (h + 1) + inner * (h + 1) + h * (inner + 1) + 2 * steps * h + 4 * h);
    expect(result.totalMultAdds).toBe(12 * layer + 2 * steps * h + h * (h + 1));
    // About 0.1 s; the bound is for machines that do other things too.
    expect(seconds).toBeLessThan(2);
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
