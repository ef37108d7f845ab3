// Choices of the executor where TensorFlow has a GPU, tested on kernels for the CPU.
import { afterAll, describe, expect, test } from "vitest";
import { TensorFlowExecutor } from "../../../extension/executors/tensorflow/executor.ts";
import { withoutGpuKernel } from "../../../extension/executors/tensorflow/gpu.ts";
import { loadNative } from "../../../extension/native/load.ts";
import { nativeStatus } from "../../../extension/native/status.ts";
import { nn, optim, torch, type Tensor } from "../../../extension/nn/index.ts";
import { setExecutor } from "../../../extension/tensor/planning/barrier.ts";
import { withPolicy } from "../../../extension/tensor/recording/runtime.ts";

const STEPS = 12;

class Net extends nn.Module {
  first = new nn.Linear(512, 512);
  head = new nn.Linear(512, 3);

  forward(x: Tensor): Tensor {
    return this.head(torch.tanh(this.first(x)));
  }
}

/** Losses of a training whose weights would be sharded on two cores. */
function trained(gpu: boolean): { losses: number[]; executor: TensorFlowExecutor } {
  const executor = new TensorFlowExecutor(loadNative(), 2, gpu);
  setExecutor(executor);
  torch.manualSeed(3);
  const model = new Net();
  const [x, y] = [torch.randn(64, 512), torch.randint(0, 3, [64])];
  const optimizer = new optim.Adam(model.parameters(), { lr: 1e-3 });
  const losses = Array.from({ length: STEPS }, () => {
    optimizer.zeroGrad();
    const loss = new nn.CrossEntropyLoss()(model.forward(x), y);
    loss.backward();
    optimizer.step();
    return loss.item();
  });
  return { losses, executor };
}

describe.skipIf(nativeStatus().state !== "installed")("on a GPU", () => {
  afterAll(() => setExecutor(undefined));

  test("nothing is divided for cores, or computed by kernels of the binding", () => {
    const chosen = ({ executor }: ReturnType<typeof trained>, about: string): string[] =>
      executor.choices().flatMap((choice) => (choice.about === about ? [choice.chosen] : []));
    // As in a training, which keeps no gradients for later reads.
    const policy = { keepGradients: false };
    const cpu = withPolicy({ ...policy, smallPlans: false }, () => trained(false));
    expect(chosen(cpu, "weights")).toEqual(["1 in shards"]);
    const gpu = withPolicy(policy, () => trained(true));
    expect(gpu.executor.counters.small).toBe(0);
    expect(gpu.executor.counters.compiledRuns).toBeGreaterThan(0);
    expect(chosen(gpu, "weights")).toEqual([]);
    expect(chosen(gpu, "batch")).toEqual(["whole"]);
    expect(chosen(gpu, "device")).toEqual(["GPU"]);
    gpu.losses.forEach((loss, i) => expect(loss).toBeCloseTo(cpu.losses[i]!, 5));
  });
});

test("ops that have kernels for CPUs alone are named once", () => {
  expect(withoutGpuKernel(["MatMul", "CTCLoss", "CTCLoss", "Relu"])).toEqual(["CTCLoss"]);
});
