// Errors that are found when values are computed: they name the call whose values are wrong, not the code that reads them.
import path from "node:path";
import { describe, expect, test } from "vitest";
import { hasNative } from "../../engines.ts";
import { useWorkspace } from "../workspace.ts";

const workspace = useWorkspace();

/** Programs by what is wrong in their last steps; the call's line ends with a mark. */
const TEXT = `import { torch, nn, optim, data, experiment, F, type Tensor } from "layerwise";
const n = 4096;
class Net extends nn.Module {
  e = new nn.Embedding(10, 4);
  l = new nn.Linear(4, 3);
  forward(x: Tensor): Tensor {
    return this.l(this.e(x));
  }
}
class Shifted extends Net {
  override forward(x: Tensor): Tensor {
    const shifted = x.add(1);
    return this.l(
      this.e(shifted)); // embedding
  }
}
class Gathering extends Net {
  override forward(x: Tensor): Tensor {
    const h = this.l(this.e(x));
    const at = x.sub(7).clamp({ min: 0 }).unsqueeze(1);
    return h.add(h.gather(1, at.sub(at))).add(
      h.gather(1, at.mul(2))); // gather
  }
}
class Factored extends Net {
  override forward(x: Tensor): Tensor {
    const h = this.l(this.e(x));
    return h.matmul(torch.linalg.cholesky(torch.eye(3).mul(9 - Number(x.max().item() === 9)).sub(8))); // cholesky
  }
}
class Computed extends Net {
  override forward(x: Tensor): Tensor {
    const h = this.l(this.e(x));
    return h.matmul(
      torch.linalg.cholesky(h.T.matmul(h).sub(torch.eye(3).mul(5)))); // computed
  }
}
class Dividing extends Net {
  override forward(x: Tensor): Tensor {
    const h = this.l(this.e(x));
    return h.add(x.floorDivide(x.sub(9)).float().unsqueeze(1)); // division
  }
}
const labels = () => torch.randint(0, 3, [n]);
/** The 3001st sample, in no step's first batches, has a 9. */
const inputs = () => {
  const all = Array.from({ length: n }, (_, i) => i % 9);
  all[3000] = 9;
  return torch.tensor(all);
};
const late = () => new data.TensorDataset(inputs(), labels());
const base = {
  seed: 0,
  shuffle: false,
  epochs: 1,
  batchSize: 32,
  data: late,
  loss: new nn.CrossEntropyLoss(),
  optimizer: (parameters: Tensor[]) => new optim.Adam(parameters, { lr: 0.001 }),
};
export const embedding = experiment({ ...base, model: () => new Shifted() });
export const gather = experiment({ ...base, model: () => new Gathering() });
export const cholesky = experiment({ ...base, model: () => new Factored() });
export const computed = experiment({ ...base, model: () => new Computed() });
export const division = experiment({ ...base, model: () => new Dividing() });
export const lossFunction = experiment({
  ...base,
  model: () => new Net(),
  loss: (output: Tensor, target: Tensor) => F.crossEntropy(output, target.mul(2)), // lossFunction
});
export const ownStep = experiment({
  ...base,
  model: () => new Net(),
  trainStep({ model, optimizer, batch: [x, y] }) {
    optimizer.zeroGrad();
    const output = model(x!);
    const loss = F.crossEntropy(output, y!.add(x!.eq(9).long().mul(5))); // ownStep
    loss.backward();
    optimizer.step();
    return { loss };
  },
});
export const watched = experiment({
  ...base,
  model: () => new Shifted(), // watched is embedding
  callbacks: { onBatchEnd: ({ metrics }) => void metrics["loss"] },
});
export const accumulating = experiment({ ...base, model: () => new Shifted(), accumulateGradBatches: 4 });
export const manySteps = experiment({
  ...base,
  epochs: 200,
  batchSize: 512,
  data: () => new data.TensorDataset(torch.randint(0, 9, [n]), torch.zeros([n], { dtype: torch.int64 })),
  model: () => new Net(),
  trainStep({ model, optimizer, batch: [x, y], step }) {
    optimizer.zeroGrad();
    const loss = F.crossEntropy(model(x!), y!.add(step > 1500 ? 7 : 0)); // manySteps
    loss.backward();
    optimizer.step();
    return { loss };
  },
});
export const labelsOfTheData = experiment({ // labelsOfTheData
  ...base,
  data: () => new data.TensorDataset(torch.randint(0, 9, [n]), inputs()),
  model: () => new Net(),
});
export const validation = experiment({
  ...base,
  model: () => new Shifted(),
  data: () => new data.TensorDataset(torch.randint(0, 9, [n]), labels()),
  validation: late(),
});
`;

const OUT_OF_RANGE = "index out of range in self";
const CASES: [name: string, message: string, mark?: string][] = [
  ["embedding", OUT_OF_RANGE],
  ["gather", "index 4 is out of bounds for dimension with size 3"],
  ["cholesky", "linalg.cholesky: The factorization could not be completed"],
  ["computed", "linalg.cholesky: The factorization could not be completed"],
  ["division", "ZeroDivisionError"],
  ["lossFunction", "Target 4 is out of bounds."],
  ["ownStep", "is out of bounds."],
  ["watched", OUT_OF_RANGE, "embedding"],
  ["accumulating", OUT_OF_RANGE, "embedding"],
  ["manySteps", "Target 7 is out of bounds."],
  ["labelsOfTheData", "is out of bounds."],
  ["validation", OUT_OF_RANGE, "embedding"],
];

describe.each(hasNative ? ["native", "kernels", "wasm"] : ["wasm"])("on %s", (device) => {
  const LOOP = `import { F, nn, optim, torch } from "layerwise";
const layer = new nn.Linear(4, 3);
const optimizer = new optim.SGD(layer.parameters(), { lr: 0.1 });
for (let i = 0; i < 40; i++) {
  optimizer.zeroGrad();
  const target = torch.tensor([0, 0]).add(i === 30 ? 5 : 0);
  F.crossEntropy(layer(torch.ones(2, 4)), target).backward(); // call
  optimizer.step(); // reading
}
`;
  const lineOf = (text: string, mark: string): number =>
    text.split("\n").findIndex((line) => line.endsWith(`// ${mark}`)) + 1;

  test("a program's own loop names the line that reads, and how to find the call", async () => {
    workspace.write("loop.nn.ts", LOOP);
    const env = { LAYERWISE_DEVICE: device };
    const { code, stderr } = await workspace.run(["run", "loop.nn.ts"], { env });
    expect(stderr).toContain(`loop.nn.ts:${lineOf(LOOP, "reading")}:`);
    expect(stderr).toContain("error: Target 5 is out of bounds.");
    expect(stderr).toContain("With torch.autograd.setDetectAnomaly(true), errors name the line of the call.");
    expect(code).toBe(1);
    workspace.write("loop.nn.ts", LOOP.replace("for (", "torch.autograd.setDetectAnomaly(true);\nfor ("));
    const found = await workspace.run(["run", "loop.nn.ts"], { env });
    expect(found.stderr).toContain(`loop.nn.ts:${lineOf(LOOP, "call") + 1}:`);
    expect(found.stderr).not.toContain("setDetectAnomaly(true), errors");
  });

  test("a NaN that a program's own loop looks for names the call", async () => {
    const text = LOOP.replace("for (", "torch.autograd.setDetectAnomaly(true);\nfor (")
      .replace("5 : 0", "0 : 0")
      .replace("torch.ones(2, 4)), target)", "torch.full([2, 4], i === 30 ? -1 : 1).sqrt()), target)");
    workspace.write("loop.nn.ts", text);
    const { stderr } = await workspace.run(["run", "loop.nn.ts"], { env: { LAYERWISE_DEVICE: device } });
    expect(stderr).toMatch(/returned nan values/);
    expect(stderr).toContain(`loop.nn.ts:${lineOf(text, "call")}:`);
  });

  test("a prediction and an evaluation name the call", async () => {
    const text = TEXT.replace("const shifted = x.add(1);", "const shifted = x.add(this.training ? 0 : 1);");
    workspace.write("wrong.nn.ts", text);
    const env = { LAYERWISE_DEVICE: device };
    expect(await workspace.run(["train", "wrong.nn.ts#embedding"], { env })).toMatchObject({ code: 0 });
    const weights = path.join(workspace.runs()[0]!, "checkpoints/final.safetensors");
    const place = `wrong.nn.ts:${lineOf(text, "embedding")}:`;
    for (const args of [
      ["evaluate", "wrong.nn.ts#embedding", "--checkpoint", weights],
      [
        "predict",
        "wrong.nn.ts#embedding",
        "--checkpoint",
        weights,
        "--input",
        workspace.write("rows.csv", "9\n"),
      ],
    ]) {
      const { code, stderr } = await workspace.run(args, { env });
      expect(stderr).toContain(place);
      expect(stderr).toContain(OUT_OF_RANGE);
      expect(code).toBe(1);
    }
  });

  test.each(CASES)("a training names the call: %s", async (name, message, mark) => {
    workspace.write("wrong.nn.ts", TEXT);
    const { code, stderr } = await workspace.run(["train", `wrong.nn.ts#${name}`], {
      env: { LAYERWISE_DEVICE: device },
    });
    const line = lineOf(TEXT, mark ?? name);
    expect(stderr).toMatch(new RegExp(`wrong\\.nn\\.ts:${line}:\\d+ error: .*`, "u"));
    expect(stderr).toContain(message);
    expect(code).toBe(1);
  });
});
