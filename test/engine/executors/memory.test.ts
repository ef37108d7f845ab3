// Memory of programs that run in one job, as plain loops do: nothing that waits for the event loop may be needed to free it.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { loadExecutor } from "../../../extension/executors/index.ts";
import { TensorFlowExecutor } from "../../../extension/executors/tensorflow/executor.ts";
import type { NativeBinding } from "../../../extension/native/binding.ts";
import { loadNative } from "../../../extension/native/load.ts";
import { nativeStatus } from "../../../extension/native/status.ts";
import { F, nn, optim, torch, type Tensor } from "../../../extension/nn/index.ts";
import { setExecutor } from "../../../extension/tensor/planning/barrier.ts";
import { changePolicy } from "../../../extension/tensor/recording/runtime.ts";
import { collectGarbage } from "../garbage.ts";

const native = nativeStatus().state === "installed";
const MEGABYTE = 2 ** 20;
/** More elements than an array that is kept to compare the next input with. */
const [ROWS, COLUMNS] = [512, 256];

/**
 * Megabytes of arrays that are held after a step: the least of several, since the stack may still point to some, and up to
 * eight losses wait to be computed.
 */
function held(step: () => void): number {
  const found = Array.from({ length: 10 }, () => {
    step();
    collectGarbage();
    return process.memoryUsage().arrayBuffers / MEGABYTE;
  });
  return Math.min(...found);
}

/** Steps of programs, each with a loss to read. */
const PROGRAMS: Record<string, () => () => Tensor> = {
  "dropout masks": () => {
    const model = new nn.Sequential(new nn.Linear(COLUMNS, COLUMNS), new nn.Dropout(0.5));
    const optimizer = new optim.SGD(model.parameters(), { lr: 0.1 });
    const x = torch.randn(ROWS, COLUMNS);
    return () => {
      optimizer.zeroGrad();
      const loss = model(x).square().mean();
      loss.backward();
      optimizer.step();
      return loss;
    };
  },
  "new batches": () => {
    const model = new nn.Linear(COLUMNS, 1);
    const optimizer = new optim.Adam(model.parameters());
    return () => {
      optimizer.zeroGrad();
      const loss = model(torch.randn(ROWS, COLUMNS)).square().mean();
      loss.backward();
      optimizer.step();
      return loss;
    };
  },
  "parameters that each step makes anew": () => {
    let w = torch.randn(ROWS, COLUMNS).requiresGrad_();
    return () => {
      const loss = w.square().mean();
      loss.backward();
      w = torch.noGrad(() => w.sub(w.grad!.mul(0.1))).requiresGrad_();
      return loss;
    };
  },
  "a leaf that each step detaches": () => {
    let w = torch.randn(ROWS, COLUMNS).requiresGrad_();
    return () => {
      const loss = w.square().mean();
      loss.backward();
      w = w.sub(w.grad!.mul(0.1)).detach().requiresGrad_();
      return loss;
    };
  },
  "a part that each step detaches": () => {
    let state = torch.randn(ROWS, COLUMNS);
    const w = torch.ones(COLUMNS).requiresGrad_();
    return () => {
      const next = state.mul(w).tanh();
      state = torch.cat([next.index(0).detach().unsqueeze(0), next.narrow(0, 1, ROWS - 1).detach()]);
      return state.mean();
    };
  },
  "gradients of inputs, and losses that are never read": () => {
    const model = new nn.Linear(COLUMNS, 1).requiresGrad_(false);
    return () => {
      const x = torch.randn(ROWS, COLUMNS).requiresGrad_();
      model(x).square().mean().backward();
      return model(x.add(x.grad!.sign().mul(0.1))).mean();
    };
  },
  "parameters of torch.func": () => {
    let w = torch.randn(ROWS, COLUMNS);
    const step = torch.func.gradAndValue((x: Tensor) => x.square().mean());
    return () => {
      const [gradient, loss] = step(w);
      w = w.sub(gradient.mul(0.1));
      return loss;
    };
  },
  "a state that is computed with the next step": () => {
    let state = torch.randn(ROWS, COLUMNS);
    return () => {
      const before = state;
      state = state.mul(0.9).add(1);
      return before.mean();
    };
  },
  "writes in place": () => {
    const x = torch.randn(ROWS, COLUMNS);
    return () => {
      for (let i = 0; i < 8; i++) x.index(i).mul_(0.5).add_(1);
      return x.mean();
    };
  },
  "gradients that the program reads": () => {
    const model = new nn.Linear(COLUMNS, ROWS);
    const optimizer = new optim.SGD(model.parameters(), { lr: 0.1 });
    const x = torch.randn(8, COLUMNS);
    return () => {
      optimizer.zeroGrad();
      const loss = F.relu(model(x)).mean();
      loss.backward();
      const norm = model.weight.grad!.norm();
      optimizer.step();
      return loss.add(norm);
    };
  },
};

for (const device of ["native", "wasm"] as const)
  describe.skipIf(device === "native" && !native)(`a loop on ${device}`, () => {
    beforeAll(async () => void (await loadExecutor(device)));
    afterAll(() => setExecutor(undefined));

    for (const [name, program] of Object.entries(PROGRAMS))
      it(`holds no more after 24 steps than after 8: ${name}`, () => {
        torch.manualSeed(1);
        const next = program();
        const step = (): void => void next().item();
        for (let i = 0; i < 8; i++) step();
        const before = held(step);
        for (let i = 0; i < 12; i++) step();
        // Each step has arrays of at least half a megabyte: twelve that stay are six.
        expect(held(step) - before).toBeLessThan(3);
      });

    it("fetches none of the versions of a tensor that is written to part by part", () => {
      const images = torch.rand(64, 32, 32).mul(0.5);
      const versions = Array.from({ length: 64 }, (_, i) => {
        images.index(i, `${i % 8}:`, ":8").add_(1);
        return images.value;
      });
      expect(images.sum().item()).toBeGreaterThan(64 * 8);
      expect(images.index(0, 0, 0).item()).toBeGreaterThan(1);
      expect(versions.filter(({ data }) => data !== undefined).length).toBeLessThan(2);
    });

    it("keeps the version of a tensor that another tensor has", () => {
      const x = torch.tensor([1, 2, 3]).mul(2);
      const copy = x.clone();
      const alias = x.view(3);
      x.add_(1);
      const y = x.mul(3);
      x.mul_(10);
      expect([copy, alias, y, x].map((t) => t.tolist())).toEqual([
        [2, 4, 6],
        [30, 50, 70],
        [9, 15, 21],
        [30, 50, 70],
      ]);
    });
  });

describe.skipIf(!native)("a plan that runs op by op", () => {
  beforeAll(() => changePolicy({ smallPlans: false }));
  afterAll(() => {
    changePolicy({ smallPlans: true });
    setExecutor(undefined);
  });

  it("has only the tensors that are still read", () => {
    const binding = loadNative();
    let most = 0;
    const counting = Object.create(binding, {
      executeOp: {
        value: (...args: Parameters<NativeBinding["executeOp"]>) => {
          const made = binding.executeOp(...args);
          most = Math.max(most, binding.getNumOfTensors());
          return made;
        },
      },
    }) as NativeBinding;
    setExecutor(new TensorFlowExecutor(counting));
    const before = binding.getNumOfTensors();
    const x = torch.randn(ROWS, COLUMNS * 8);
    let h = x;
    for (let i = 0; i < 200; i++) h = F.gelu(h.mul(0.5));
    expect(h.mean().item()).toBeCloseTo(0, 4);
    expect(most).toBeGreaterThan(0);
    expect(most - before).toBeLessThan(16);
  });
});
