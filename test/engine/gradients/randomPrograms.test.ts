// Random programs, whose values are read at once or not before the end: when a value is computed, and how long it is kept, changes no number.
import { expect, test } from "vitest";
import { F, nn, optim, torch, type Tensor } from "../../../extension/nn/index.ts";
import { runtime } from "../../../extension/tensor/recording/runtime.ts";
import { onEachEngine } from "../../engines.ts";
import { drawing, programSeeds } from "./drawing.ts";

const STEPS = 14;
class Net extends nn.Module {
  embedding = new nn.Embedding(7, 6);
  cell = new nn.Linear(12, 6);
  gate = new nn.Linear(12, 6);
  norm: nn.BatchNorm1d | nn.LayerNorm | nn.Dropout;
  out = new nn.Linear(6, 4);

  constructor(kind: number) {
    super();
    this.norm = [new nn.BatchNorm1d(6), new nn.LayerNorm(6), new nn.Dropout(0.2)][kind]!;
  }

  /** A tree of another form each time. */
  encode(words: readonly number[], at: number, draw: () => number): Tensor {
    const x = this.embedding(torch.tensor(words.map((word) => (word + at) % 7)));
    const children = at > 3 ? 0 : Math.floor(draw() * 3);
    let sum: Tensor = torch.zeros(words.length, 6);
    for (let i = 0; i < children; i++) sum = sum.add(this.encode(words, at + 1 + i, draw));
    const both = torch.cat([x, sum], 1);
    let h = torch.sigmoid(this.gate(both)).mul(torch.tanh(this.cell(both)));
    if (draw() < 0.3) h = h.relu();
    if (draw() < 0.2) h = h.clone().mul_(1.5);
    return h;
  }

  forward(words: readonly number[], draw: () => number): Tensor {
    return this.out(this.norm(this.encode(words, 0, draw)));
  }
}

const sum = (x: Tensor): number => x.float().sum().item();

/**
 * Runs the program of a seed and returns all that it reads.
 * @param reads whether it reads its values, gradients and parameters at once, too
 */
function numbersOf(seed: number, reads: boolean): number[] {
  runtime.reset();
  torch.manualSeed(seed);
  const draw = drawing(seed);
  const pick = (n: number): number => Math.floor(draw() * n);
  const often = (share: number): boolean => draw() < share;
  const models = [new Net(pick(3)), new Net(pick(3))];
  const optimizers = models.map((model) =>
    pick(2) === 0
      ? new optim.SGD(model.parameters(), { lr: 0.05, momentum: pick(2) * 0.9 })
      : new optim.Adam(model.parameters(), { lr: 0.01 }),
  );
  const [passesOnce, readsLoss, readsGradients, clips, carries, alternates] = Array.from({ length: 6 }, draw);
  const numbers: number[] = [];
  let carried: Tensor = torch.zeros(4);
  let held: Tensor[] = [];
  const read = (...list: (Tensor | null)[]): void => {
    for (const x of list) if (x !== null) numbers.push(sum(x));
  };
  const readAtOnce = (...list: (Tensor | null)[]): void => {
    if (reads) for (const x of list) if (x !== null) sum(x);
  };
  const gradients = (model: Net): (Tensor | null)[] => model.parameters().map((one) => one.grad);

  function pass(model: Net): void {
    const words = Array.from({ length: 2 + pick(3) }, () => pick(7));
    let y = model(words, draw);
    if (carries! < 0.4) y = y.add(carried);
    readAtOnce(y);
    const loss = F.crossEntropy(y, torch.tensor(words.map((word) => word % 4)));
    if (often(readsLoss!)) read(loss);
    if (often(0.1)) read(y);
    if (often(0.15)) {
      loss.backward(undefined, { retainGraph: true });
      if (often(0.5)) read(model.out.weight.grad);
      loss.mul(0.5).backward();
    } else if (often(0.1)) {
      read(...torch.autograd.grad(loss, model.parameters(), { retainGraph: true, allowUnused: true }));
      loss.backward();
    } else if (often(0.9)) loss.backward();
    if (often(readsGradients! * 0.3)) read(model.gate.weight.grad);
    readAtOnce(loss, ...gradients(model));
    if (often(0.3)) carried = y.detach().mean(0);
    if (often(0.1)) held.push(y, loss);
    if (often(0.1))
      held.push(
        ...gradients(model)
          .slice(0, 1)
          .flatMap((one) => one?.clone() ?? []),
      );
    if (often(0.05)) read(torch.noGrad(() => model(words, draw)));
  }

  for (let step = 0; step < STEPS; step++) {
    const which = alternates! < 0.5 ? 0 : pick(2);
    const [model, optimizer] = [models[which]!, optimizers[which]!];
    if (often(0.8)) optimizer.zeroGrad({ setToNone: often(0.8) });
    for (let left = passesOnce! < 0.3 ? 1 : 1 + pick(4); left > 0; left--) pass(model);
    if (often(0.1)) held.push(...gradients(model).flatMap((one) => one ?? []));
    if (often(clips! * 0.5)) read(nn.utils.clipGradNorm_(model.parameters(), 0.5));
    if (often(0.1)) torch.noGrad(() => model.out.weight.mul_(0.99));
    readAtOnce(...held, carried, ...model.parameters(), ...gradients(model));
    if (often(0.85)) optimizer.step();
    if (often(0.2)) {
      read(...held);
      held = [];
    }
    if (often(0.15)) read(model.cell.weight);
  }
  read(...held);
  for (const model of models) read(...model.parameters(), ...gradients(model), ...model.buffers());
  return numbers;
}

onEachEngine(() => {
  test("numbers are the same whenever they are read", () => {
    for (const seed of programSeeds(60)) {
      const [expected, numbers] = [numbersOf(seed, true), numbersOf(seed, false)];
      const far = numbers.findIndex((x, i) => !(Math.abs(x - expected[i]!) <= 2e-3 * (Math.abs(x) + 0.05)));
      expect([seed, numbers.length, far]).toEqual([seed, expected.length, -1]);
    }
  });
});
