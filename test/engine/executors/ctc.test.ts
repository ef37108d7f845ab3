// The binding's kernel of connectionist temporal classification against sums over all paths.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { loadExecutor } from "../../../extension/executors/index.ts";
import { TensorFlowExecutor } from "../../../extension/executors/tensorflow/executor.ts";
import { loadNative } from "../../../extension/native/load.ts";
import { nativeStatus } from "../../../extension/native/status.ts";
import { F, torch, type Tensor } from "../../../extension/nn/index.ts";
import { setExecutor } from "../../../extension/tensor/planning/barrier.ts";

const available = nativeStatus().state === "installed";

interface Case {
  readonly steps: number;
  readonly classes: number;
  readonly blank: number;
  readonly targets: readonly (readonly number[])[];
  readonly times: readonly number[];
}

/** What a path says: without repetitions, then without blanks. */
const said = (path: readonly number[], blank: number): string =>
  path.filter((c, t) => c !== path[t - 1] && c !== blank).join();

/** All sequences of `length` classes. */
function* paths(length: number, classes: number): Generator<number[]> {
  const path = Array.from({ length }, () => 0);
  for (;;) {
    yield [...path];
    let t = length - 1;
    while (t >= 0 && ++path[t]! === classes) path[t--] = 0;
    if (t < 0) return;
  }
}

/** Loss and gradient of a row, by enumeration. */
function enumerated(logs: number[][], target: readonly number[], blank: number): [number, number[][]] {
  const classes = logs[0]?.length ?? 0;
  const wanted = target.join();
  let whole = 0;
  const through = logs.map((row) => row.map(() => 0));
  for (const path of paths(logs.length, classes)) {
    if (said(path, blank) !== wanted) continue;
    const p = Math.exp(path.reduce((total, c, t) => total + logs[t]![c]!, 0));
    whole += p;
    path.forEach((c, t) => (through[t]![c]! += p));
  }
  return [-Math.log(whole), logs.map((row, t) => row.map((x, c) => Math.exp(x) - through[t]![c]! / whole))];
}

const CASES: readonly Case[] = [
  { steps: 1, classes: 2, blank: 0, targets: [[1]], times: [1] },
  { steps: 3, classes: 3, blank: 0, targets: [[1, 1], [2], []], times: [3, 2, 3] },
  { steps: 5, classes: 4, blank: 2, targets: [[0, 3, 1], [1, 1, 0], [3, 3, 3], [0]], times: [5, 5, 5, 1] },
  { steps: 6, classes: 3, blank: 1, targets: [[0, 2, 0], [2], [2, 2]], times: [4, 6, 5] },
];

describe.skipIf(!available)("ctcLoss by the binding's kernel", () => {
  let executor: TensorFlowExecutor;
  beforeAll(() => {
    executor = new TensorFlowExecutor(loadNative(), 2);
    setExecutor(executor);
  });
  afterAll(() => setExecutor(undefined));

  const padded = (targets: Case["targets"], filling: number): Tensor => {
    const width = Math.max(...targets.map((t) => t.length));
    return torch.tensor(
      targets.map((t) => [...t, ...Array.from({ length: width - t.length }, () => filling)]),
      { dtype: "int64" },
    );
  };

  test.each(CASES)("is the sum over all paths: %j", ({ steps, classes, blank, targets, times }) => {
    torch.manualSeed(steps);
    const x = torch.randn(steps, targets.length, classes).logSoftmax(2).requiresGrad_();
    const lengths = targets.map((t) => t.length);
    const before = { ...executor.counters };
    const losses = F.ctcLoss(x, padded(targets, 0), times, lengths, { blank, reduction: "none" });
    losses.sum().backward();
    const [found, grad] = [losses.tolist() as number[], x.grad!.tolist() as number[][][]];
    expect(executor.counters.compiledRuns).toBe(before.compiledRuns);
    expect(executor.counters.small).toBeGreaterThan(before.small);
    const logs = x.detach().tolist() as number[][][];
    targets.forEach((target, row) => {
      const own = logs.slice(0, times[row]).map((rows) => rows[row]!);
      const [loss, gradient] = enumerated(own, target, blank);
      expect(found[row]).toBeCloseTo(loss, 4);
      grad.forEach((rows, t) => {
        const expected = gradient[t] ?? rows[row]!.map(() => 0);
        expected.forEach((value, c) => {
          if (loss === Infinity && t < times[row]!) expect(rows[row]![c]).toBeNaN();
          else expect(rows[row]![c]).toBeCloseTo(value, 5);
        });
      });
    });
  });

  test("a row without a path, which costs nothing with zeroInfinity", () => {
    const x = torch.randn(2, 2, 3).logSoftmax(2).requiresGrad_();
    const loss = (zeroInfinity: boolean): Tensor =>
      F.ctcLoss(
        x,
        torch.tensor([
          [1, 1],
          [1, 2],
        ]),
        [2, 2],
        [2, 2],
        {
          reduction: "none",
          zeroInfinity,
        },
      );
    expect((loss(false).tolist() as number[])[0]).toBe(Infinity);
    const kept = loss(true);
    kept.sum().backward();
    expect((kept.tolist() as number[])[0]).toBe(0);
    const grad = x.grad!.tolist() as number[][][];
    expect(grad.flatMap((rows) => rows[0])).toEqual([0, 0, 0, 0, 0, 0]);
    expect(grad[0]![1]!.some((g) => g !== 0)).toBe(true);
  });

  test("probabilities far below a float's range leave losses and gradients exact", async () => {
    // A label that is unlikely at all times, by a factor of e⁴⁰⁰ in sum, and a row that is nearly certain.
    const steps = 40;
    const x = torch.zeros(steps, 2, 3);
    x.select(2, 1).sub_(10);
    const logs = x.logSoftmax(2).requiresGrad_();
    const targets = torch.ones(2, 18, { dtype: "int64" });
    const run = (): [number[], number[]] => {
      logs.grad = null;
      const loss = F.ctcLoss(logs, targets, [steps, steps], [18, 1], { reduction: "none" });
      loss.sum().backward();
      return [loss.tolist() as number[], logs.grad!.flatten().tolist() as number[]];
    };
    const [losses, grad] = run();
    await loadExecutor("cpu");
    const [expected, gradient] = run();
    setExecutor(executor);
    losses.forEach((loss, i) => expect(loss / expected[i]!).toBeCloseTo(1, 5));
    grad.forEach((g, i) => expect(g).toBeCloseTo(gradient[i]!, 5));
  });

  test("NaN stays NaN, and impossible classes are no obstacle", () => {
    const x = torch.randn(4, 2, 3).logSoftmax(2);
    const one = F.ctcLoss(x.mul(NaN), torch.tensor([[1], [2]]), [4, 4], [1, 1]);
    expect(one.item()).toBeNaN();
    const some = x.clone();
    some.select(2, 2).fill_(-Infinity);
    const losses = F.ctcLoss(some, torch.tensor([[1], [2]]), [4, 4], [1, 1], { reduction: "none" });
    const [first, second] = losses.tolist() as number[];
    expect(Number.isFinite(first)).toBe(true);
    expect(second).toBe(Infinity);
  });

  test("labels beyond the classes are named, at hand or computed; what pads them may be anything", () => {
    const x = torch.randn(4, 2, 3).logSoftmax(2);
    const loss = (targets: Tensor): number => F.ctcLoss(x, targets, [4, 4], [2, 1]).item();
    expect(() =>
      loss(
        torch.tensor([
          [1, 3],
          [1, 0],
        ]),
      ),
    ).toThrow("Target 3 is out of bounds.");
    expect(() =>
      loss(
        torch.tensor([
          [1, -1],
          [1, 0],
        ]),
      ),
    ).toThrow("Target -1 is out of bounds.");
    const computed = torch
      .tensor([
        [1, 2],
        [1, 0],
      ])
      .mul(torch.randint(2, 3, [1]));
    expect(() => loss(computed)).toThrow("out of bounds");
    expect(
      loss(
        torch.tensor([
          [1, 2],
          [1, -1],
        ]),
      ),
    ).toBe(
      loss(
        torch.tensor([
          [1, 2],
          [1, 99],
        ]),
      ),
    );
    // As in PyTorch, labels may be of any type.
    expect(
      loss(
        torch
          .tensor([
            [1, 2],
            [1, 0],
          ])
          .float(),
      ),
    ).toBe(
      loss(
        torch.tensor([
          [1, 2],
          [1, 0],
        ]),
      ),
    );
  });
});
