// Reads of a forward before its `backward()`: from the second step on, the forward isn't computed twice, and no number
// changes, whatever the program does between the two.
import { expect, it } from "vitest";
import { distributions, F, nn, optim, torch, type Tensor } from "../../../extension/nn/index.ts";
import { computeNow } from "../../../extension/tensor/planning/barrier.ts";
import type { Plan } from "../../../extension/tensor/planning/executor.ts";
import type { Value } from "../../../extension/tensor/recording/graph.ts";
import { runtime, withPolicy } from "../../../extension/tensor/recording/runtime.ts";
import { onEachEngine } from "../../engines.ts";

/** A program that reads before backward() if `read` does anything. Returns its results. */
type Program = (steps: number, read: (x: Tensor) => void) => number[];

const weights = (model: nn.Module): number[] => model.parameters().flatMap((p) => [...p.toTypedArray()]);

const mlp = (...between: nn.Module[]): nn.Sequential =>
  new nn.Sequential(new nn.Linear(6, 8), ...between, new nn.Tanh(), new nn.Linear(8, 3));

/** Trains a model with a batch whose values may differ at each step. */
function training(
  model: nn.Module & { forward(x: Tensor): Tensor },
  steps: number,
  read: (x: Tensor) => void,
): number[] {
  const optimizer = new optim.Adam(model.parameters(), { lr: 0.01 });
  const y = torch.randint(0, 3, [10]);
  const losses: number[] = [];
  for (let step = 0; step < steps; step++) {
    const loss = F.crossEntropy(model.forward(torch.randn(10, 6)), y);
    read(loss);
    optimizer.zeroGrad();
    loss.backward();
    optimizer.step();
    losses.push(loss.item());
  }
  return [...losses, ...weights(model)];
}

class Masked extends nn.Linear {
  mask = torch.ones(8, 6).tril();

  override forward(x: Tensor): Tensor {
    this.weight.data.mul_(this.mask);
    return super.forward(x);
  }
}

class Reading extends nn.Module {
  body = mlp();
  read: (x: Tensor) => void = () => {};

  forward(x: Tensor): Tensor {
    const [first, middle, last] = [...this.body] as [nn.Linear, nn.Tanh, nn.Linear];
    const hidden = first.forward(x);
    this.read(hidden.abs().max());
    return last.forward(middle.forward(hidden));
  }
}

const PROGRAMS: Record<string, Program> = {
  "a loss": (steps, read) => training(mlp(), steps, read),
  "a loss of a model with batch norm, whose statistics are written": (steps, read) =>
    training(mlp(new nn.BatchNorm1d(8)), steps, read),
  "a loss of a model with dropout": (steps, read) => training(mlp(new nn.Dropout(0.5)), steps, read),
  "a loss of weights that are masked in place": (steps, read) =>
    training(new nn.Sequential(new Masked(6, 8), new nn.Tanh(), new nn.Linear(8, 3)), steps, read),
  "a value inside of a forward": (steps, read) => {
    const model = new Reading();
    model.read = read;
    return training(model, steps, () => {});
  },
  "the discriminator's loss, before the generator goes through the same images": (steps, read) => {
    const [g, d] = [new nn.Linear(4, 6), mlp()];
    const optimizers = [g, d].map((model) => new optim.SGD(model.parameters(), { lr: 0.05 })) as [
      optim.SGD,
      optim.SGD,
    ];
    const seen: number[] = [];
    for (let step = 0; step < steps; step++) {
      const images = g.forward(torch.randn(5, 4));
      optimizers[1].zeroGrad();
      const lossD = d
        .forward(images.detach())
        .square()
        .mean()
        .add(d.forward(torch.randn(5, 6)).sub(1).square().mean());
      read(lossD);
      lossD.backward();
      optimizers[1].step();
      optimizers[0].zeroGrad();
      const lossG = d.forward(images).sub(1).square().mean();
      read(lossG);
      lossG.backward();
      optimizers[0].step();
      seen.push(lossD.item(), lossG.item());
    }
    return [...seen, ...weights(g), ...weights(d)];
  },
  "a loss that goes back twice": (steps, read) => {
    const model = mlp();
    const optimizer = new optim.SGD(model.parameters(), { lr: 0.05 });
    for (let step = 0; step < steps; step++) {
      const loss = model.forward(torch.randn(5, 6)).square().mean();
      read(loss);
      optimizer.zeroGrad();
      loss.backward(undefined, { retainGraph: true });
      loss.backward();
      optimizer.step();
    }
    return weights(model);
  },
  "the actions of an episode": (steps, read) => {
    const policy = mlp();
    const optimizer = new optim.Adam(policy.parameters(), { lr: 0.01 });
    const seen: number[] = [];
    for (let step = 0; step < steps; step++) {
      const kept: Tensor[] = [];
      let state = torch.ones(6);
      for (let t = 0; t < 4 + (step % 2); t++) {
        const of = new distributions.Categorical({ logits: policy.forward(state.unsqueeze(0)) });
        const action = torch.tensor([(t + step) % 3]);
        read(of.probs.max());
        kept.push(of.logProb(action));
        state = state.mul(0.9);
      }
      const loss = torch.cat(kept).sum().neg();
      optimizer.zeroGrad();
      loss.backward();
      optimizer.step();
      seen.push(loss.item());
    }
    return [...seen, ...weights(policy)];
  },
  "losses of an evaluation that doesn't switch gradients off": (steps, read) => {
    const model = mlp();
    const optimizer = new optim.SGD(model.parameters(), { lr: 0.05 });
    const seen: number[] = [];
    for (let step = 0; step < steps; step++) {
      const loss = model.forward(torch.randn(5, 6)).square().mean();
      read(loss);
      loss.backward();
      optimizer.step();
      optimizer.zeroGrad();
      for (let i = 0; i < 3; i++) seen.push(model.forward(torch.randn(5, 6)).square().mean().item());
    }
    return [...seen, ...weights(model)];
  },
  "a hidden state that the next chunk begins with": (steps, read) => {
    const [rnn, head] = [new nn.LSTM(3, 5), new nn.Linear(5, 2)];
    const optimizer = new optim.SGD([...rnn.parameters(), ...head.parameters()], { lr: 0.05 });
    let state: [Tensor, Tensor] | undefined;
    const seen: number[] = [];
    for (let step = 0; step < steps; step++) {
      const [output, next] = rnn.forward(torch.randn(4, 2, 3), state);
      const loss = head.forward(output).square().mean();
      read(loss);
      optimizer.zeroGrad();
      loss.backward();
      optimizer.step();
      state = [next[0].detach(), next[1].detach()];
      seen.push(loss.item());
    }
    return [...seen, ...weights(rnn), ...weights(head)];
  },
  "the gradient of each parameter, in its hook": (steps, read) => {
    const model = mlp(new nn.Tanh(), new nn.Linear(8, 8));
    for (const parameter of model.parameters()) parameter.registerHook((grad) => read(grad.norm()));
    return training(model, steps, () => {});
  },
  "the gradient of each layer, in a hook of the module": (steps, read) => {
    const model = mlp(new nn.Tanh(), new nn.Linear(8, 8));
    for (const layer of model)
      layer.registerFullBackwardHook((_module, _inputs, [grad]) => {
        read(grad!.norm());
      });
    return training(model, steps, () => {});
  },
  "gradients that hooks read and replace": (steps, read) => {
    const model = mlp(new nn.Tanh(), new nn.Linear(8, 8));
    for (const parameter of model.parameters())
      parameter.registerHook((grad) => {
        const norm = grad.norm();
        read(norm);
        return grad.div(norm.add(1));
      });
    return training(model, steps, () => {});
  },
  "a gradient that is an activation": (steps, read) => {
    const model = new nn.Linear(4, 4);
    const scale = new nn.Parameter(torch.ones(4));
    const seen: number[] = [];
    for (let step = 0; step < steps; step++) {
      const hidden = torch.tanh(model.forward(torch.randn(4)));
      const loss = hidden.mul(scale).sum();
      read(loss);
      scale.grad = null;
      model.zeroGrad();
      loss.backward();
      seen.push(...(scale.grad as unknown as Tensor).toTypedArray(), ...model.weight.grad!.toTypedArray());
    }
    return seen;
  },
};

/** An encoder and a decoder, each with an optimizer of its own, or both with one. */
const inParts =
  (together: boolean): Program =>
  (steps) => {
    const parts = [mlp(), new nn.Linear(3, 5), new nn.Linear(5, 2)];
    const of = together
      ? [parts.flatMap((part) => part.parameters())]
      : parts.map((part) => part.parameters());
    const optimizers = of.map((parameters) => new optim.SGD(parameters, { lr: 0.05 }));
    const seen: number[] = [];
    for (let step = 0; step < steps; step++) {
      for (const optimizer of optimizers) optimizer.zeroGrad();
      const output = parts.reduce((x, part) => torch.tanh(part.forward(x)), torch.randn(10, 6));
      const loss = output.square().mean();
      loss.backward();
      for (const optimizer of optimizers) optimizer.step();
      seen.push(loss.item());
    }
    return [...seen, ...parts.flatMap(weights)];
  };

onEachEngine((engine, executor) => {
  /** Runs `body` with each plan shown to `look`. */
  function watching<T>(look: (plan: Plan) => void, body: () => T): T {
    const running = runtime.executor!;
    const run = running.run.bind(running);
    running.run = (plan, inspector) => {
      look(plan);
      run(plan, inspector);
    };
    try {
      return body();
    } finally {
      Reflect.deleteProperty(running, "run");
    }
  }

  /** Products of matrices that plans compute, those of the first steps left out. */
  function products(program: Program, read: (x: Tensor) => void): number {
    let count = 0;
    const of = (steps: number): number => {
      // What programs before have left uncomputed would be computed in this one.
      computeNow(runtime.gradients.pendingLeaves().map((leaf) => leaf.ownGrad!.value));
      count = 0;
      torch.manualSeed(3);
      program(steps, read);
      return count;
    };
    const look = ({ nodes }: Plan): void => {
      for (const node of nodes) if (/matmul|lstm/i.test(node?.op.name)) count++;
    };
    return watching(look, () => {
      // Experience with these plans.
      of(4);
      return of(10) - of(4);
    });
  }

  const cases = Object.entries(PROGRAMS);

  it.each(cases)("%s: no number changes", (_, program) => {
    torch.manualSeed(2);
    const seen: number[] = [];
    const early = program(8, (x) => void seen.push(x.item()));
    torch.manualSeed(2);
    const late = program(8, () => {});
    expect(seen.length).toBeGreaterThan(7);
    expect(early).toHaveLength(late.length);
    early.forEach((value, i) => expect(value).toBeCloseTo(late[i]!, 5));
  });

  it.runIf(engine === "native").each(cases)("%s: no product is computed twice", (_, program) => {
    expect(products(program, (x) => void x.item())).toBe(products(program, () => {}));
  });

  const hooked = cases.filter(([name]) => /hook/.test(name));

  it.runIf(engine === "native").each(hooked)(
    "%s: no product is computed twice in a training",
    (_, program) => {
      const [early, late] = withPolicy({ compileAtOnce: true }, () => [
        products(program, (x) => void x.item()),
        products(program, () => {}),
      ]);
      expect(early).toBe(late);
    },
  );

  it.runIf(engine === "native")("optimizers of parts of a model compute no product twice", () => {
    expect(products(inParts(false), () => {})).toBe(products(inParts(true), () => {}));
  });

  it("optimizers of parts of a model give the numbers of one", () => {
    const [apart, together] = [false, true].map((one) => {
      torch.manualSeed(2);
      return inParts(one)(8, () => {});
    }) as [number[], number[]];
    apart.forEach((value, i) => expect(value).toBeCloseTo(together[i]!, 5));
  });

  // Of a new plan, the engine guesses what will be needed.
  it.runIf(engine === "native")("of batches of another size, keeps nothing that no plan needs", () => {
    const model = mlp(new nn.Tanh(), new nn.Linear(8, 8), new nn.LayerNorm(8));
    const optimizer = new optim.SGD(model.parameters(), { lr: 0.05 });
    const kept = new Set<Value>();
    const unneeded: number[] = [];
    const look = ({ lazy, leaves, assigns }: Plan): void => {
      for (const leaf of leaves) kept.delete(leaf);
      if (assigns.length === 0) return lazy.forEach((value) => kept.add(value));
      unneeded.push(kept.size);
      kept.clear();
    };
    watching(look, () => {
      for (let step = 0; step < 8; step++) {
        const loss = F.crossEntropy(
          model.forward(torch.randn(step < 4 ? 10 : 7, 6)),
          torch.zeros(step < 4 ? 10 : 7).long(),
        );
        loss.item();
        optimizer.zeroGrad();
        loss.backward();
        optimizer.step();
      }
    });
    expect(unneeded).toEqual([0, 0, 0, 0, expect.any(Number), 0, 0, 0]);
  });

  it.each(cases)("%s: leaves no tensor behind", (_, program) => {
    const counts: number[] = [];
    program(80, (x) => {
      x.item();
      counts.push(executor().counters()["tensors"]!);
    });
    const most = (from: number, to: number): number =>
      Math.max(...counts.slice(counts.length * from, counts.length * to));
    expect(most(3 / 4, 1)).toBe(most(1 / 2, 3 / 4));
  });
});
