// A loss that is read between its forward, which has written to parameters or buffers, and its backward().
import { expect, test } from "vitest";
import { copy, F, nn, optim, torch, type Tensor } from "../../../extension/nn/index.ts";
import { onEachEngine } from "../../engines.ts";

/** Masks its weight in place at every call. */
class Masked extends nn.Conv2d {
  override forward(x: Tensor): Tensor {
    this.weight.data.mul_(torch.ones(3, 3).tril());
    return super.forward(x);
  }
}

/** Compares with a queue of keys and then puts a new key there, as MoCo does. */
class Queue extends nn.Module {
  declare queue: Tensor;
  key = new nn.Linear(4, 4);
  query = new nn.Linear(4, 4);

  constructor() {
    super();
    this.registerBuffer("queue", torch.randn(4, 6));
  }

  forward(x: Tensor): Tensor {
    const similar = this.query(x).tanh().matmul(this.queue.clone().detach()).exp();
    this.queue.indexPut_([":", 0], this.key(x).detach().mean(0));
    return similar;
  }
}

const models: Record<string, () => [nn.Module & { forward(x: Tensor): Tensor }, Tensor]> = {
  "masked weights": () => [
    new nn.Sequential(
      new Masked(1, 4, 3, { bias: false }),
      new nn.BatchNorm2d(4),
      new Masked(4, 4, 3),
      new nn.GroupNorm(2, 4),
    ),
    torch.randn(5, 1, 8, 8),
  ],
  "a queue": () => [new Queue(), torch.randn(5, 4)],
};

function train(make: (typeof models)[string], read: boolean): { losses: number[]; state: number[][] } {
  torch.manualSeed(0);
  const [model, x] = make();
  const optimizer = new optim.SGD(model.parameters(), { lr: 0.1 });
  const losses: number[] = [];
  for (let i = 0; i < 5; i++) {
    const loss = F.softplus(model.forward(x)).square().mean();
    if (read) loss.item();
    optimizer.zeroGrad();
    loss.backward();
    optimizer.step();
    losses.push(loss.item());
  }
  return { losses, state: [...model.stateDict().values()].map((v) => v.flatten().tolist() as number[]) };
}

onEachEngine(() => {
  test.each(Object.keys(models))("reading the loss early changes nothing: %s", (name) => {
    const [plain, early] = [train(models[name]!, false), train(models[name]!, true)];
    early.losses.forEach((loss, i) => expect(loss).toBeCloseTo(plain.losses[i]!, 5));
    early.state.forEach((values, s) =>
      values.forEach((v, i) => expect(v).toBeCloseTo(plain.state[s]![i]!, 4)),
    );
  });

  // The write is pending when the forward is recorded, and another model's step computes it before the backward.
  test("a forward right after weights were restored stays differentiable", () => {
    const weights = (restores: boolean): number[] => {
      torch.manualSeed(0);
      const generator = new nn.Sequential(new nn.Linear(3, 4), new nn.Tanh(), new nn.Linear(4, 2));
      const critic = new nn.Linear(2, 1);
      const steps = new optim.SGD(generator.parameters(), { lr: 0.1 });
      const criticSteps = new optim.SGD(critic.parameters(), { lr: 0.1 });
      for (let i = 0; i < 3; i++) {
        const saved = copy.deepcopy(generator.stateDict());
        if (restores) generator.loadStateDict(saved);
        const made = generator(torch.randn(5, 3));
        criticSteps.zeroGrad();
        F.softplus(critic(made.detach())).mean().backward();
        criticSteps.step();
        steps.zeroGrad();
        F.softplus(critic(made).neg()).mean().backward();
        steps.step();
      }
      return generator.parameters().flatMap((p) => p.flatten().tolist() as number[]);
    };
    const [plain, restored] = [weights(false), weights(true)];
    restored.forEach((w, i) => expect(w).toBeCloseTo(plain[i]!, 5));
  });
});
