// Where a NaN comes from, when steps are compiled and many of them are one call.
import { afterAll, beforeAll, expect, test } from "vitest";
import { loadExecutor } from "../../../extension/executors/index.ts";
import { data, experiment, nn, optim, torch, type Tensor } from "../../../extension/nn/index.ts";
import { nativeStatus } from "../../../extension/native/status.ts";
import { AnomalyError } from "../../../extension/tensor/recording/anomaly.ts";
import { setExecutor } from "../../../extension/tensor/planning/barrier.ts";
import { train } from "../../unit/engine/training.ts";
import { useFolder } from "../../folders.ts";

const native = nativeStatus().state === "installed";
const folder = useFolder();
beforeAll(async () => {
  if (native) await loadExecutor("native");
});
afterAll(() => {
  setExecutor(undefined);
});

/** Takes a root of a value that falls below 0 after some hundred steps. */
class Falling extends nn.Module {
  body = new nn.Sequential(new nn.Conv2d(1, 4, 3), new nn.ReLU(), new nn.Flatten());
  head = new nn.Linear(64, 1);
  level = new nn.Parameter(torch.ones(1));
  forward(x: Tensor): Tensor {
    return this.head(this.body(x)).mul(0).add(this.level.sqrt());
  }
}

test.skipIf(!native)(
  "the step whose loss is NaN is done again op by op, from the last saved state",
  async () => {
    const falling = experiment({
      seed: 0,
      model: () => new Falling(),
      data: () => new data.TensorDataset(torch.randn(64, 1, 6, 6), torch.zeros(64, 1)),
      loss: (output: Tensor) => output.pow(2).mean(),
      // level falls by lr at each step, to a little above 0, and then below.
      optimizer: (parameters) => new optim.SGD(parameters, { lr: 0.0039 }),
      batchSize: 8,
      epochs: 100,
    });
    const error = await train(falling, 0, { folder }).then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    expect(error).toBeInstanceOf(AnomalyError);
    const { message, sites } = error as AnomalyError;
    expect(message).toMatch(
      /^The loss is NaN in step 258 \(epoch 33\)\. Function 'sqrt' returned nan values, given values of \[1\] from -0\.\d+ to -0\.\d+\.$/,
    );
    expect(sites[0]?.stack).toContain("health.test.ts:26");
  },
);

const [ROWS, BAD] = [40, 29];

/** Rows of three numbers, one of which is 0. */
function withZero(): data.TensorDataset {
  const x = torch.rand(ROWS, 3).add(0.5);
  const values = Float32Array.from(x.toTypedArray() as Float32Array);
  values[3 * BAD + 1] = 0;
  return new data.TensorDataset(torch.tensor(values).view(ROWS, 3), torch.zeros(ROWS, 1));
}

/** Takes a logarithm of its input, or divides by it. */
class Logarithms extends nn.Module {
  head = new nn.Linear(3, 1);
  forward(x: Tensor): Tensor {
    return this.head(x.log());
  }
}

test.skipIf(!native).each([
  ["in a shuffled batch", { data: withZero }, `sample ${BAD} of the training set`],
  // Without the validation's samples it has another number, but not for the user.
  [
    "in a part of the set",
    { data: withZero, validation: 0.25, seed: 1 },
    `sample ${BAD} of the training set`,
  ],
  [
    "in a set whose samples are code",
    {
      data: () => {
        const all = withZero();
        return Object.assign(new Computed(), { all });
      },
      shuffle: false,
    },
    `sample ${BAD % 8} of its batch`,
  ],
])("the sample is named that a NaN comes from: %s", async (_, options, name) => {
  const logarithms = experiment({
    seed: 0,
    model: () => new Logarithms(),
    loss: new nn.MSELoss(),
    optimizer: (parameters) => new optim.SGD(parameters, { lr: 1e-3 }),
    batchSize: 8,
    epochs: 2,
    ...options,
  });
  const error = await train(logarithms, 0, { folder }).then(
    () => undefined,
    (thrown: unknown) => thrown as Error,
  );
  expect(error?.message).toContain("Function 'log' returned inf values");
  expect(error?.message).toContain(`They come from ${name} (counted from 0).`);
});

/** A set that is no tensor: its samples may be others each time. */
class Computed extends data.Dataset<[Tensor, Tensor]> {
  length = ROWS;
  all!: data.TensorDataset;
  get(index: number): [Tensor, Tensor] {
    return this.all.get(index) as unknown as [Tensor, Tensor];
  }
}

/** Has a weight with as many rows as a batch, of which one becomes NaN. */
class Weighted extends nn.Module {
  scale = new nn.Parameter(torch.tensor([1, 1, 1, -1, 1, 1, 1, 1]).float());
  head = new nn.Linear(3, 8);
  forward(x: Tensor): Tensor {
    return this.head(x).mul(this.scale.sqrt()).mean({ dim: 1, keepdim: true });
  }
}

test.skipIf(!native)("no sample is named where the NaN is a weight's", async () => {
  const weighted = experiment({
    seed: 0,
    model: () => new Weighted(),
    data: withZero,
    loss: new nn.MSELoss(),
    optimizer: (parameters) => new optim.SGD(parameters, { lr: 1e-3 }),
    batchSize: 8,
    epochs: 1,
  });
  const error = await train(weighted, 0, { folder }).then(
    () => undefined,
    (thrown: unknown) => thrown as Error,
  );
  expect(error?.message).toContain("Function 'sqrt' returned nan values");
  expect(error?.message).not.toContain("They come from");
});
