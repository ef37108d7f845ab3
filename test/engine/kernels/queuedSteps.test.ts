// Steps that another thread computes while the next ones are recorded.
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { F, nn, optim, torch, type Tensor } from "../../../extension/nn/index.ts";
import { pendingSteps } from "../../../extension/tensor/planning/barrier.ts";
import { changePolicy, withPolicy } from "../../../extension/tensor/recording/runtime.ts";
import { hasNative, useEngine } from "../../engines.ts";

interface Session {
  model: nn.Sequential;
  /** One step on a batch of labels. */
  step: (labels?: readonly number[]) => Tensor;
}

function session(): Session {
  torch.manualSeed(3);
  const model = new nn.Sequential(new nn.Linear(8, 16), new nn.ReLU(), new nn.Linear(16, 4));
  const optimizer = new optim.Adam(model.parameters(), { lr: 0.01 });
  const x = torch.randn(12, 8);
  return {
    model,
    step(labels = Array.from({ length: 12 }, (_, i) => i % 4)) {
      optimizer.zeroGrad();
      const loss = F.crossEntropy(model(x), torch.tensor([...labels]));
      loss.backward();
      optimizer.step();
      return loss;
    },
  };
}

describe.runIf(hasNative).each(["native", "kernels"] as const)("queued steps on %s", (device) => {
  const executor = useEngine(device);
  beforeEach(() => changePolicy({ keepGradients: false, deferSteps: true }));
  afterEach(() => changePolicy({ keepGradients: true, deferSteps: false }));

  it("give the same numbers as steps that are computed at once", () => {
    const run = (): number[] => {
      const { model, step } = session();
      const losses = Array.from({ length: 300 }, () => step());
      return [...losses.map((loss) => loss.item()), ...model.parameters()[0]!.toTypedArray()];
    };
    expect(run()).toEqual(withPolicy({ deferSteps: false }, run));
  });

  it("wait until they are read, and leave no tensors behind", () => {
    const { step } = session();
    const run = (): void => {
      const losses = Array.from({ length: 100 }, () => step());
      losses.at(-1)!.item();
      expect(pendingSteps()).toBe(0);
      // So little work wakes no thread.
      losses.push(step(), step());
      expect(pendingSteps()).toBe(2);
      losses.at(-2)!.item();
      expect(pendingSteps()).toBe(1);
      losses.at(-1)!.item();
      expect(pendingSteps()).toBe(0);
    };
    run();
    const before = executor().counters();
    run();
    const after = executor().counters();
    expect(after["tensors"]).toBe(before["tensors"]);
    expect(after["small"]! - before["small"]!).toBeGreaterThanOrEqual(100);
  });

  it("a label out of range is refused at its own step, and the steps before it count", () => {
    const { model, step } = session();
    for (let i = 0; i < 50; i++) step();
    const reference = session();
    for (let i = 0; i < 50; i++) withPolicy({ deferSteps: false }, () => reference.step());
    const wrong = Array.from({ length: 12 }, (_, i) => (i === 7 ? 4 : 0));
    expect(() => step(wrong).item()).toThrow("Target 4 is out of bounds.");
    const weight = (of: nn.Sequential): unknown => [...of.parameters()][0]!.tolist();
    expect(weight(model)).toEqual(weight(reference.model));
  });

  it("labels that are ignored are no reason to wait", () => {
    const { step } = session();
    const labels = Array.from({ length: 12 }, (_, i) => (i % 3 === 0 ? -100 : 1));
    step(labels).item();
    step(labels);
    expect(pendingSteps()).toBe(1);
    expect(step(labels).item()).toBeGreaterThan(0);
  });

  it("indices that are computed run at once", () => {
    const table = new nn.Embedding(5, 64);
    const optimizer = new optim.SGD(table.parameters(), { lr: 0.1 });
    const step = (at: Tensor): Tensor => {
      optimizer.zeroGrad();
      const loss = table(at).square().sum();
      loss.backward();
      optimizer.step();
      return loss;
    };
    const chosen = torch.tensor([0, 3, 4]);
    step(chosen.mul(2).remainder(5));
    expect(pendingSteps()).toBe(0);
    expect(() => step(chosen.mul(2)).item()).toThrow(/out of range/);
  });

  it("a weight that is read or replaced has waited for its steps", () => {
    const [one, other] = [session(), session()];
    for (let i = 0; i < 30; i++) one.step();
    for (let i = 0; i < 30; i++) withPolicy({ deferSteps: false }, () => other.step());
    const [a, b] = [[...one.model.parameters()], [...other.model.parameters()]];
    torch.noGrad(() => [a, b].forEach(([weight]) => weight!.mul_(0.5)));
    a.forEach((p, i) => expect(p.tolist()).toEqual(b[i]!.tolist()));
  });
});
