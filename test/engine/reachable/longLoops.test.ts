// Loops that read nothing: they are computed in pieces of one plan each, and give the numbers of a loop that reads each time.
import { beforeEach, expect, it } from "vitest";
import { F, nn, optim, torch, type Tensor } from "../../../extension/nn/index.ts";
import type { Plan } from "../../../extension/tensor/planning/executor.ts";
import { runtime } from "../../../extension/tensor/recording/runtime.ts";
import { onEachEngine } from "../../engines.ts";

/** A loop that reads in each iteration if `read` does anything. Returns its results. */
type Loop = (iterations: number, read: (x: Tensor) => void) => number[];

const values = (...all: Tensor[]): number[] => all.flatMap((x) => [...x.toTypedArray()]);

class Denoiser extends nn.Module {
  first = new nn.Linear(6, 8);
  last = new nn.Linear(8, 4);

  forward(x: Tensor, t: Tensor): Tensor {
    return this.last.forward(torch.relu(this.first.forward(torch.cat([x, t.sin(), t.cos()], 1))));
  }
}

const LOOPS: Record<string, Loop> = {
  "samples from a diffusion model"(iterations, read) {
    const model = new Denoiser();
    const betas = torch.linspace(1e-3, 0.02, iterations);
    return torch.noGrad(() => {
      let x = torch.randn(3, 4);
      for (let i = iterations - 1; i >= 0; i--) {
        const noise = model.forward(x, torch.full([3, 1], i));
        const beta = betas.index(i);
        x = x.sub(noise.mul(beta)).div(torch.sub(1, beta).sqrt()).add(torch.randn(3, 4).mul(0.01));
        read(x);
      }
      return values(x);
    });
  },
  "collects its states"(iterations, read) {
    const states: Tensor[] = [];
    let [x, v] = [torch.randn(5), torch.randn(5)];
    for (let i = 0; i < iterations; i++) {
      v = v.sub(x.mul(0.01));
      x = x.add(v.mul(0.01));
      states.push(x);
      read(x);
    }
    return values(torch.stack(states), v);
  },
  "writes in place"(iterations, read) {
    const [x, total] = [torch.randn(5), torch.zeros(5)];
    for (let i = 0; i < iterations; i++) {
      x.mul_(0.999).add_(0.01);
      total.add_(x);
      read(x);
    }
    return values(x, total);
  },
  "fills a tensor with another number"(iterations, read) {
    const [t, total] = [torch.zeros(5), torch.zeros(5)];
    for (let i = 0; i < iterations; i++) {
      t.fill_(i / iterations);
      total.add_(t.sin());
      read(total);
    }
    return values(total);
  },
  "changes its state after a while"(iterations, read) {
    let x = torch.randn(4, 4).div(10);
    for (let i = 0; i < iterations; i++) {
      x =
        i < iterations / 2
          ? x.matmul(x).add(0.1)
          : x
              .tanh()
              .sub(x.mean())
              .mul(i % 5 === 0 ? 0.5 : 2);
      read(x);
    }
    return values(x);
  },
  "averages weights"(iterations, read) {
    const [model, average] = [new Denoiser(), new Denoiser()];
    for (let i = 0; i < iterations; i++)
      torch.noGrad(() => {
        const now = [...model.parameters()];
        for (const [k, p] of [...average.parameters()].entries()) p.lerp_(now[k]!, 0.01);
        read(average.first.weight);
      });
    return values(...average.parameters());
  },
  "leaves the gradients of a loss alone"(iterations, read) {
    const model = new Denoiser();
    const optimizer = new optim.SGD(model.parameters(), { lr: 0.1 });
    const loss = F.mseLoss(model.forward(torch.randn(3, 4), torch.ones(3, 1)), torch.zeros(3, 4));
    let x = torch.randn(3, 4);
    torch.noGrad(() => {
      for (let i = 0; i < iterations; i++) {
        x = x.mul(0.99).add(model.first.bias!.mean());
        read(x);
      }
    });
    loss.add(x.mean()).backward();
    optimizer.step();
    return values(x, ...model.parameters());
  },
  "needs a gradient through all iterations"(iterations, read) {
    const x = torch.ones(3).requiresGrad_();
    let y = x.mul(1);
    for (let i = 0; i < iterations; i++) {
      y = y.mul(0.999).add(x.mul(0.001));
      read(y);
    }
    y.sum().backward();
    return values(x.grad!);
  },
};

const ITERATIONS = 600;

onEachEngine(() => {
  beforeEach(() => torch.manualSeed(0));

  it.for(Object.entries(LOOPS))("%s", ([, loop]) => {
    const expected = loop(ITERATIONS, (x) => x.sum().item());
    torch.manualSeed(0);
    const found = loop(ITERATIONS, () => {});
    expect(found.length).toBe(expected.length);
    for (const [i, x] of found.entries()) expect(x).toBeCloseTo(expected[i]!, 5);
  });
});

/** The plans of a loop that reads nothing, and their names. */
function plansOf(loop: Loop, iterations: number): { sizes: number[]; names: Set<string> } {
  const executor = runtime.executor!;
  const [run, sizes, names] = [executor.run.bind(executor), [] as number[], new Set<string>()];
  executor.run = (plan: Plan, inspector) => {
    sizes.push(plan.nodes.length);
    names.add(plan.key);
    run(plan, inspector);
  };
  try {
    loop(iterations, () => {});
    return { sizes, names };
  } finally {
    executor.run = run;
  }
}

onEachEngine((engine) => {
  const pieces = [
    "samples from a diffusion model",
    "collects its states",
    "writes in place",
    "fills a tensor with another number",
  ];
  it.runIf(engine === "native").for(pieces)("has few plans of few nodes: %s", (name) => {
    const { sizes, names } = plansOf(LOOPS[name]!, 4 * ITERATIONS);
    expect(sizes.length).toBeGreaterThan(10);
    expect(Math.max(...sizes)).toBeLessThan(1500);
    expect(names.size).toBeLessThan(8);
  });
});
