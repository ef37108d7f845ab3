// Random training loops that hold values and read them at random times. What they read is what the same loop reads that
// asks for every value as soon as there is one, as PyTorch computes it.
import * as fc from "fast-check";
import { expect, it } from "vitest";
import { nn, optim, torch, type Tensor } from "../../../extension/nn/index.ts";
import { onEachEngine } from "../../engines.ts";

/** A model that leaves values in fields, as a list, a map and an object. */
class Net extends nn.Module {
  inner = new nn.Linear(2, 4);
  outer = new nn.Linear(4, 1);
  last: Tensor | undefined;
  seen: Tensor[] = [];
  named = new Map<string, Tensor>();
  notes: { slope?: Tensor } = {};

  forward(x: Tensor): Tensor {
    const h = this.inner(x).tanh();
    this.last = h;
    this.seen = [h.square(), h.exp()];
    this.named.set("h", h.sum());
    if (x.requiresGrad && torch.isGradEnabled()) {
      this.notes.slope = torch.autograd.grad(h.sum(), x, { createGraph: true })[0]!;
    }
    return this.outer(h);
  }
}

class Program {
  readonly first = new Net();
  readonly second = new nn.Linear(1, 1);
  readonly optimizers = [
    new optim.SGD(this.first.parameters(), { lr: 0.05, momentum: 0.5 }),
    new optim.Adam(this.second.parameters(), { lr: 0.05 }),
  ] as const;
  readonly leaves = [torch.rand(3, 2).requiresGrad_(), torch.rand(3, 2).requiresGrad_()];
  /** In containers of several kinds. */
  readonly list: Tensor[] = [];
  readonly map = new Map<number, { value: Tensor }>();
  readonly readings: number[][] = [];
  private losses: Tensor[] = [];
  private retained: Tensor[] = [];
  private out: Tensor | undefined;

  hold(...tensors: (Tensor | null | undefined)[]): void {
    for (const x of tensors) {
      if (x == null) continue;
      if (this.list.length % 2 === 0) this.list.push(x);
      else this.map.set(this.map.size, { value: x });
    }
  }

  held(): Tensor[] {
    return [...this.list, ...Array.from(this.map.values(), ({ value }) => value)];
  }

  read(x: Tensor | null | undefined): void {
    if (x != null) this.readings.push(x.flatten().tolist() as number[]);
  }

  forward(leaf: number): Tensor {
    this.out = this.first(this.leaves[leaf]!.mul(1 + leaf));
    const y = this.second(this.out);
    this.losses.push(y.square().mean());
    return y;
  }

  loss(): Tensor | undefined {
    if (this.losses.length === 0) return undefined;
    return this.losses.reduce((a, b) => a.add(b));
  }

  readonly actions = {
    "forward of a leaf": () => this.forward(0),
    "forward of another leaf": () => this.forward(1),
    "a new leaf": () => void (this.leaves[1] = this.leaves[0]!.detach().mul(0.5).requiresGrad_()),
    "hold the output": () => this.hold(this.forward(0), this.out),
    "hold fields": () => {
      const { last, seen, named, notes } = this.first;
      this.hold(last, ...seen, named.get("h"), notes.slope);
    },
    "hold slopes": () => {
      const x = this.leaves[0]!;
      const y = this.forward(0);
      const [slope] = torch.autograd.grad(y.sum(), x, { createGraph: true });
      const [curve] = torch.autograd.grad(slope!.square().sum(), x, { createGraph: true });
      this.losses.push(curve!.square().mean());
      this.hold(slope, curve);
    },
    "hold slopes in noGrad": () => {
      const y = this.forward(1);
      this.hold(torch.autograd.grad(y.sum(), this.leaves[1]!, { retainGraph: true })[0]);
    },
    "retain a gradient": () => {
      const h = this.first.inner(this.leaves[0]!);
      h.retainGrad();
      this.retained.push(h);
      this.losses.push(h.sigmoid().mean());
    },
    backward: () => this.loss()?.backward({ retainGraph: true }),
    "backward twice": () => {
      this.loss()?.backward({ retainGraph: true });
      this.loss()?.backward({ retainGraph: true });
    },
    "backward with a graph": () => this.loss()?.backward({ createGraph: true }),
    "hold gradients of leaves": () => this.hold(...this.leaves.map((x) => x.grad)),
    "hold gradients of weights": () => this.hold(this.first.inner.weight.grad, this.second.weight.grad),
    "hold retained gradients": () => this.hold(...this.retained.map((h) => h.grad)),
    "hold norms of gradients": () =>
      this.hold(this.leaves[0]!.grad?.norm(), this.first.outer.weight.grad?.norm()),
    "hold copies of gradients": () =>
      this.hold(this.leaves[0]!.grad?.clone(), this.second.weight.grad?.detach().clone()),
    "hold weights": () => this.hold(this.first.inner.weight.norm(), this.second.weight.mul(2)),
    "hold an evaluation": () => this.hold(torch.noGrad(() => this.first(torch.ones(3, 2)))),
    "hold many": () => {
      for (let i = 0; i < 40; i++) this.hold(this.second(torch.full([1], i + 0.5)));
    },
    "scale gradients": () => torch.noGrad(() => void this.leaves[0]!.grad?.mul_(0.5)),
    "clip gradients": () =>
      nn.utils.clipGradNorm_([...this.leaves, ...this.first.parameters(), ...this.second.parameters()], 0.1),
    "zero the first's": () => this.optimizers[0].zeroGrad(),
    "zero the second's in place": () => this.optimizers[1].zeroGrad({ setToNone: false }),
    "zero a leaf": () => void (this.leaves[0]!.grad = null),
    "zero a leaf in place": () => torch.noGrad(() => void this.leaves[0]!.grad?.zero_()),
    "read the loss": () => this.read(this.loss()),
    "read a gradient": () => this.read(this.first.outer.weight.grad),
    "read the newest": () => this.read(this.held().at(-1)),
    "step the first": () => this.step(0),
    "step the second": () => this.step(1),
    "step both": () => {
      this.step(0);
      this.step(1);
    },
  };

  private step(which: 0 | 1): void {
    this.optimizers[which].step();
    // PyTorch refuses to differentiate through weights that were written to.
    this.losses = [];
  }
}

type Action = keyof Program["actions"];
const ACTIONS = Object.keys(new Program().actions) as Action[];

function run(body: readonly Action[], steps: number, eagerly: boolean): number[][] {
  torch.manualSeed(0);
  const program = new Program();
  for (let i = 0; i < steps; i++)
    for (const action of body) {
      program.actions[action]();
      if (!eagerly) continue;
      for (const x of program.held()) x.tolist();
      for (const x of [...program.leaves, ...program.first.parameters(), ...program.second.parameters()])
        x.grad?.tolist();
    }
  for (const x of [...program.held(), ...program.leaves.map((x) => x.grad)]) program.read(x);
  for (const x of [...program.first.parameters(), ...program.second.parameters()]) {
    program.read(x.grad);
    program.read(x);
  }
  return program.readings;
}

const RUNS = Number(process.env["LAYERWISE_REACHABLE_RUNS"] ?? 30);
const SEED = Number(process.env["LAYERWISE_REACHABLE_SEED"] ?? 15);

onEachEngine(() => {
  it("reads what a program that asks at once reads", () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom(...ACTIONS), { minLength: 2, maxLength: 9 }),
        fc.constantFrom(1, 2, 4, 7, 18),
        (body, steps) => {
          const expected = run(body, steps, true);
          const got = run(body, steps, false);
          expect(got.length).toBe(expected.length);
          got.forEach((values, k) =>
            values.forEach((x, i) => {
              const y = expected[k]![i]!;
              expect(Math.abs(x - y), `reading ${k}: ${x} for ${y}`).toBeLessThan(1e-4 + 1e-3 * Math.abs(y));
            }),
          );
        },
      ),
      { numRuns: RUNS, seed: SEED },
    );
  }, 1_200_000);
});
