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
const folder = useFolder("all");
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
