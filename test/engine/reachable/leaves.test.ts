// Leaves that no optimizer updates, such as collocation points: their gradients, and whatever else a program can still
// reach, are there after any number of steps.
import { beforeEach, describe, expect, it } from "vitest";
import { nn, optim, torch, type Tensor } from "../../../extension/nn/index.ts";
import { changePolicy } from "../../../extension/tensor/recording/runtime.ts";
import { onEachEngine } from "../../engines.ts";

const STEPS = [1, 3, 18];

interface Setting {
  readonly steps: number;
  /** Reads everything as soon as it is there. */
  readonly look: (...tensors: (Tensor | null | undefined)[]) => void;
}

type Program = (setting: Setting) => (Tensor | null)[];

const network = () => new nn.Sequential(new nn.Linear(2, 5), new nn.Tanh(), new nn.Linear(5, 1));
const points = (): Tensor => torch.rand(4, 2).requiresGrad_();

const PROGRAMS: Record<string, Program> = {
  "one leaf outside the loop": ({ steps, look }) => {
    const [model, x] = [network(), points()];
    const optimizer = new optim.Adam(model.parameters(), { lr: 0.01 });
    for (let i = 0; i < steps; i++) {
      optimizer.zeroGrad();
      model(x).square().mean().backward();
      look(x.grad);
      optimizer.step();
    }
    return [x.grad];
  },
  "several leaves, some zeroed in between": ({ steps, look }) => {
    const [model, leaves] = [network(), [points(), points(), points()]];
    const optimizer = new optim.SGD(model.parameters(), { lr: 0.1 });
    for (let i = 0; i < steps; i++) {
      optimizer.zeroGrad();
      leaves[1]!.grad?.zero_();
      if (i % 5 === 0) leaves[2]!.grad = null;
      leaves
        .map((x) => model(x).square().mean())
        .reduce((a, b) => a.add(b))
        .backward();
      look(...leaves.map((x) => x.grad));
      optimizer.step();
    }
    return leaves.map((x) => x.grad);
  },
  "parameters moved by a first gradient and put back, as sharpness-aware minimization does": ({
    steps,
    look,
  }) => {
    const [model, x] = [network(), points()];
    const optimizer = new optim.SGD(model.parameters(), { lr: 0.1 });
    const [parameters, first] = [[...model.parameters()], [] as (Tensor | null)[]];
    for (let i = 0; i < steps; i++) {
      model(x).square().mean().backward();
      look(...parameters.map((p) => p.grad));
      first.splice(0, first.length, ...parameters.map((p) => p.grad));
      const before = torch.noGrad(() =>
        parameters.map((p) => {
          const copy = p.data.clone();
          p.add_(p.grad!.mul(0.1));
          return copy;
        }),
      );
      optimizer.zeroGrad();
      model(x).square().mean().backward();
      torch.noGrad(() => parameters.forEach((p, k) => (p.data = before[k]!)));
      optimizer.step();
      optimizer.zeroGrad();
    }
    return [x.grad, ...first, ...parameters];
  },
  "leaves made inside the loop": ({ steps, look }) => {
    const [model, kept] = [network(), [] as Tensor[]];
    const optimizer = new optim.SGD(model.parameters(), { lr: 0.1 });
    for (let i = 0; i < steps; i++) {
      const x = points();
      kept.push(x);
      optimizer.zeroGrad();
      model(x).square().mean().backward();
      look(x.grad);
      optimizer.step();
    }
    return kept.map((x) => x.grad);
  },
  "slopes and curvatures of a physics-informed network": ({ steps, look }) => {
    const [model, x] = [network(), points()];
    const optimizer = new optim.Adam(model.parameters(), { lr: 0.01 });
    const kept = new Map<string, Tensor>();
    const fields: { slope?: Tensor; all: Tensor[] } = { all: [] };
    for (let i = 0; i < steps; i++) {
      const u = model(x);
      const [slope] = torch.autograd.grad(u, x, { gradOutputs: torch.onesLike(u), createGraph: true });
      const along = slope!.narrow(1, 0, 1);
      const [curve] = torch.autograd.grad(along.sum(), x, { createGraph: true });
      kept.set(`curve ${i}`, curve!);
      fields.slope = slope!;
      fields.all.push(slope!);
      optimizer.zeroGrad();
      curve!.narrow(1, 1, 1).sub(along).square().mean().add(u.square().mean()).backward();
      look(slope, curve, x.grad);
      optimizer.step();
    }
    return [...kept.values(), ...fields.all, fields.slope!, x.grad];
  },
  "slopes of another network than the one that is updated": ({ steps, look }) => {
    const [model, critic, x] = [network(), network(), points()];
    const optimizer = new optim.SGD(model.parameters(), { lr: 0.1 });
    const kept: Tensor[] = [];
    for (let i = 0; i < steps; i++) {
      optimizer.zeroGrad();
      const y = model(x);
      const score = critic(torch.cat([y, y], 1)).sum();
      kept.push(torch.autograd.grad(score, x, { retainGraph: true })[0]!);
      score.backward();
      look(kept.at(-1), x.grad, ...critic.parameters().map((p) => p.grad));
      optimizer.step();
    }
    return [...kept, x.grad, ...critic.parameters().map((p) => p.grad)];
  },
  "retained gradients accumulate": ({ steps, look }) => {
    const [model, x] = [network(), points()];
    const optimizer = new optim.SGD(model.parameters(), { lr: 0.1 });
    const kept: Tensor[] = [];
    for (let i = 0; i < steps; i++) {
      const h = model.get(0)(x);
      h.retainGrad();
      kept.push(h);
      optimizer.zeroGrad();
      h.tanh().sum().backward({ retainGraph: true });
      h.square().sum().backward();
      look(h.grad);
      optimizer.step();
    }
    return kept.map((h) => h.grad);
  },
  "gradients of gradients": ({ steps, look }) => {
    const [model, x] = [network(), points()];
    const optimizer = new optim.SGD(model.parameters(), { lr: 0.01 });
    for (let i = 0; i < steps; i++) {
      optimizer.zeroGrad();
      model(x).square().sum().backward({ createGraph: true });
      x.grad!.square().sum().backward();
      look(x.grad);
      optimizer.step();
      x.grad = x.grad!.detach();
    }
    return [x.grad];
  },
  "gradients of weights, held by reference": ({ steps, look }) => {
    const [model, x] = [network(), points()];
    const optimizer = new optim.SGD(model.parameters(), { lr: 0.1 });
    const kept: Tensor[] = [];
    for (let i = 0; i < steps; i++) {
      optimizer.zeroGrad();
      model(x).square().mean().backward();
      const gradients = model.parameters().map((p) => p.grad!);
      kept.push(...gradients);
      look(...gradients);
      optimizer.step();
    }
    return kept;
  },
  "gradients of two losses, taken before the step": ({ steps, look }) => {
    const [model, x] = [network(), points()];
    const optimizer = new optim.SGD(model.parameters(), { lr: 0.1 });
    const kept: Tensor[] = [];
    for (let i = 0; i < steps; i++) {
      const y = model(x);
      const each = [y.square().mean(), y.exp().mean()].map((loss) => {
        optimizer.zeroGrad();
        loss.backward({ retainGraph: true });
        return model.parameters().map((p) => p.grad!);
      });
      kept.push(...each.flat());
      look(...each.flat());
      model.parameters().forEach((p, k) => (p.grad = each[0]![k]!.add(each[1]![k]!)));
      optimizer.step();
    }
    return kept;
  },
  "two optimizers step after one backward": ({ steps, look }) => {
    const [first, second, x] = [network(), network(), points()];
    const optimizers = [first, second].map((m) => new optim.SGD(m.parameters(), { lr: 0.1 }));
    const parameters = [...first.parameters(), ...second.parameters()];
    for (let i = 0; i < steps; i++) {
      const y = first(x);
      for (const one of optimizers) one.zeroGrad();
      second(torch.cat([y, y], 1))
        .square()
        .mean()
        .backward();
      look(...parameters.map((p) => p.grad));
      // The gradients of the first go through the weights of the second.
      optimizers[1]!.step();
      optimizers[0]!.step();
    }
    return [...parameters, ...parameters.map((p) => p.grad), x.grad];
  },
  "an optimizer that steps now and then": ({ steps, look }) => {
    const [first, second, x] = [network(), network(), points()];
    const often = new optim.SGD(second.parameters(), { lr: 0.1 });
    const rarely = new optim.SGD(first.parameters(), { lr: 0.1 });
    for (let i = 0; i < steps; i++) {
      const y = first(x);
      often.zeroGrad();
      second(torch.cat([y, y], 1))
        .square()
        .mean()
        .backward();
      look(...first.parameters().map((p) => p.grad));
      often.step();
      if (i % 4 !== 3) continue;
      rarely.step();
      rarely.zeroGrad();
    }
    return [...first.parameters(), ...first.parameters().map((p) => p.grad)];
  },
  "norms of gradients, taken after the step": ({ steps, look }) => {
    const [model, x] = [network(), points()];
    const optimizer = new optim.SGD(model.parameters(), { lr: 0.1 });
    const kept: Tensor[] = [];
    for (let i = 0; i < steps; i++) {
      optimizer.zeroGrad();
      model(x).square().mean().backward();
      optimizer.step();
      kept.push(...model.parameters().map((p) => p.grad!.norm()));
      look(...kept.slice(-4));
    }
    return kept;
  },
  "more values than one reading computes": ({ steps, look }) => {
    const [model, x] = [network(), points()];
    const optimizer = new optim.SGD(model.parameters(), { lr: 0.1 });
    const kept: Tensor[] = [];
    for (let i = 0; i < steps; i++) {
      for (let k = 0; k < 40; k++) kept.push(model(x.detach().mul(k)).sum());
      const loss = model(x).square().mean();
      loss.item();
      look(...kept.slice(-40));
      optimizer.zeroGrad();
      loss.backward();
      optimizer.step();
    }
    return kept;
  },
  "clipped with the weights": ({ steps, look }) => {
    const [model, x] = [network(), points()];
    const optimizer = new optim.SGD(model.parameters(), { lr: 0.1 });
    for (let i = 0; i < steps; i++) {
      optimizer.zeroGrad();
      model(x).square().mean().backward();
      nn.utils.clipGradNorm_([x, ...model.parameters()], 0.01);
      look(x.grad);
      optimizer.step();
    }
    return [x.grad];
  },
};

function values(name: string, steps: number, now: boolean): number[] {
  torch.manualSeed(0);
  const look = (...tensors: (Tensor | null | undefined)[]): void => {
    if (now) for (const x of tensors) x?.tolist();
  };
  return PROGRAMS[name]!({ steps, look }).flatMap((x) => (x === null ? [12345] : [...x.toTypedArray()]));
}

onEachEngine(() => {
  const plain = { keepGradients: true, deferSteps: false, compileAtOnce: false };
  beforeEach(() => {
    changePolicy(plain);
    return () => changePolicy(plain);
  });

  describe.each([
    ["", {}],
    [", compiled at once", { compileAtOnce: true }],
    [", many steps in one call", { deferSteps: true }],
  ])("read at the end%s", (_, how) => {
    it.each(Object.keys(PROGRAMS))("%s", (name) => {
      for (const steps of STEPS) {
        const expected = values(name, steps, true);
        changePolicy(how);
        const got = values(name, steps, false);
        changePolicy(plain);
        expect(got).toHaveLength(expected.length);
        got.forEach((x, i) => expect(x).toBeCloseTo(expected[i]!, 4));
      }
    });
  });

  it("gradients of leaves are there where the trainer keeps none of the weights'", () => {
    const { "one leaf outside the loop": name } = Object.fromEntries(
      Object.keys(PROGRAMS).map((n) => [n, n]),
    );
    const expected = values(name!, 20, true);
    changePolicy({ keepGradients: false, deferSteps: true, compileAtOnce: true });
    values(name!, 20, false).forEach((x, i) => expect(x).toBeCloseTo(expected[i]!, 4));
  });
});
