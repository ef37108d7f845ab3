// Properties that cases made with PyTorch can't show; test/fixtures/modules/losses.py has those cases.
import { expect, test } from "vitest";
import { F, nn, optim, torch } from "../../../extension/nn/index.ts";
import { useEngine } from "../../engines.ts";

useEngine("cpu");

type Loose = new (...args: readonly unknown[]) => nn.Module;
const Loss = nn.LinearCrossEntropyLoss as unknown as Loose;

test("takes only the two sizes by position", () => {
  expect(() => new Loss(5, 3, [2])).toThrow(
    "LinearCrossEntropyLoss() takes 2 positional arguments but 3 were given",
  );
  expect(() => new Loss(5)).toThrow(
    "LinearCrossEntropyLoss() missing 1 required positional argument: 'numClasses'",
  );
});

test("refuses a computation in chunks, which is missing", () => {
  const message = "argument 'options' isn't supported";
  expect(() => new Loss(5, 3, { options: {} })).toThrow(`LinearCrossEntropyLoss(): ${message}`);
  const call = F.linearCrossEntropy as (...args: readonly unknown[]) => unknown;
  const args = [torch.zeros(2, 5), torch.zeros(3, 5), torch.tensor([0, 1])];
  expect(() => call(...args, { options: {} })).toThrow(`linearCrossEntropy(): ${message}`);
  expect(() => call(...args, { options: null })).not.toThrow();
});

test("is a Linear and cross entropy, and learns", () => {
  torch.manualSeed(0);
  const loss = new nn.LinearCrossEntropyLoss(5, 3, { bias: true });
  torch.manualSeed(0);
  const linear = new nn.Linear(5, 3);
  const [x, y] = [torch.randn(8, 5), torch.randint(0, 3, [8])];
  const first = loss(x, y).item();
  expect(first).toBe(F.crossEntropy(linear(x), y).item());
  const optimizer = new optim.SGD(loss.parameters(), { lr: 0.5 });
  for (let i = 0; i < 20; i++) {
    optimizer.zeroGrad();
    loss(x, y).backward();
    optimizer.step();
  }
  expect(loss(x, y).item()).toBeLessThan(first);
});
