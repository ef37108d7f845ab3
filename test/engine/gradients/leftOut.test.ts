// Values that a plain loop may read, and most often doesn't: they are left out of its plans, and read as they were all the same.
import { describe, expect, it } from "vitest";
import { F, nn, optim, torch, type Tensor } from "../../../extension/nn/index.ts";
import { runtime, withPolicy } from "../../../extension/tensor/recording/runtime.ts";
import { onEachEngine } from "../../engines.ts";

/** More than the plans that the graph of one value may go through. */
const STEPS = 20;

/** A step of a program, which returns the values that it may read, and its loss. */
type Step = () => [values: Tensor[], loss: Tensor];

/** Makes programs with equal numbers. */
const PROGRAMS: Record<string, () => Step> = {
  "layers written as functions, with an optimizer": () => {
    const [w, v] = [torch.randn(6, 40).requiresGrad_(), torch.randn(40, 3).requiresGrad_()];
    const optimizer = new optim.Adam([w, v], { lr: 0.05 });
    const [x, y] = [torch.randn(50, 6), torch.randint(0, 3, [50])];
    return () => {
      const h = x.matmul(w).relu();
      const logits = h.matmul(v);
      const loss = F.crossEntropy(logits, y);
      optimizer.zeroGrad();
      loss.backward();
      optimizer.step();
      return [[h, logits], loss];
    };
  },
  "a loss that is read before its backward()": () => {
    const layer = new nn.Conv2d(1, 4, 3, { padding: 1 });
    const optimizer = new optim.SGD(layer.parameters(), { lr: 0.1, momentum: 0.9 });
    const [x, y] = [torch.rand(8, 1, 6, 6), torch.rand(8, 4, 6, 6)];
    return () => {
      optimizer.zeroGrad();
      const out = layer(x);
      const shifted = out.sub(y);
      const loss = shifted.square().mean();
      loss.item();
      loss.backward();
      optimizer.step();
      return [[out, shifted], loss];
    };
  },
  "noise, and a write in place after the step": () => {
    const layer = new nn.Linear(5, 30);
    const optimizer = new optim.SGD(layer.parameters(), { lr: 0.1, momentum: 0.9 });
    return () => {
      const noisy = torch.randn(20, 5).mul(2);
      const out = layer(noisy).sin();
      const scaled = out.mul(3);
      const loss = scaled.square().mean();
      optimizer.zeroGrad();
      loss.backward();
      optimizer.step();
      torch.noGrad(() => scaled.add_(1));
      return [[noisy, out, scaled], loss];
    };
  },
  "plain tensors that each step makes anew": () => {
    let w = torch.randn(20, 30);
    const step = torch.func.gradAndValue((p: Tensor) => p.sin().square().mean());
    return () => {
      const [gradient, loss] = step(w);
      const scaled = gradient.mul(0.5);
      w = w.sub(scaled);
      return [[gradient, scaled, w], loss];
    };
  },
  "a leaf that each step detaches": () => {
    let w = torch.randn(20, 30).requiresGrad_();
    return () => {
      const squares = w.square();
      const loss = squares.mean();
      loss.backward();
      const before = w;
      w = w.sub(w.grad!.mul(3)).detach().requiresGrad_();
      return [[squares, before, w], loss];
    };
  },
  "a hook of a gradient that reads values": () => {
    const layer = new nn.Linear(5, 30);
    const optimizer = new optim.SGD(layer.parameters(), { lr: 0.1 });
    return () => {
      const out = layer(torch.randn(20, 5));
      const made: Tensor[] = [];
      out.registerHook((grad) => {
        const turned = grad.sin();
        const scaled = turned.mul(0.5);
        scaled.norm().item();
        made.push(turned, scaled);
        return scaled.add(turned);
      });
      const loss = out.square().mean();
      optimizer.zeroGrad();
      loss.backward();
      optimizer.step();
      return [made, loss];
    };
  },
  "gradients of single samples": () => {
    const params = { weight: torch.randn(4, 6), bias: torch.zeros(4) };
    const [x, y] = [torch.randn(12, 6), torch.randint(0, 4, [12])];
    const perSample = torch.func.vmap(
      torch.func.gradAndValue((p: typeof params, one: Tensor, target: Tensor) =>
        F.crossEntropy(F.linear(one, p.weight, p.bias), target),
      ),
      { inDims: [null, 0, 0] },
    );
    return () => {
      const [gradients, losses] = perSample(params, x, y);
      // Read twice, by the next step's plan.
      const norms = gradients.weight.flatten(1).norm({ dim: 1 });
      params.weight = params.weight.sub(gradients.weight.mul(norms.reshape(-1, 1, 1)).mean(0));
      params.bias = params.bias.sub(gradients.bias.mean(0));
      return [[gradients.weight, gradients.bias, losses, params.weight], losses.mean()];
    };
  },
};

/** When a program reads the values of its steps. */
const READS = {
  "at once": (): boolean => true,
  never: (): boolean => false,
  "in one step": (step: number): boolean => step === 12,
  "in the last steps": (step: number): boolean => step >= 15,
} as const;

const numbers = (x: Tensor): number[] => [...x.toTypedArray()];

interface Results {
  /** All values of all steps: read when the program does, or else at its end. */
  values: number[][][];
  losses: number[];
  /** For each step, how many of its values weren't on the host at its end. */
  left: number[];
}

function run(make: () => Step, reads: (step: number) => boolean): Results {
  torch.manualSeed(3);
  runtime.saved.clear(runtime.executor);
  const step = make();
  const kept: (Tensor[] | number[][])[] = [];
  const [losses, left]: [number[], number[]] = [[], []];
  for (let i = 0; i < STEPS; i++) {
    const [values, loss] = step();
    losses.push(loss.item());
    left.push(values.filter(({ value }) => !value.ready).length);
    kept.push(reads(i) ? values.map(numbers) : values);
  }
  const values = kept.map((one) => one.map((x) => (Array.isArray(x) ? x : numbers(x))));
  return { values, losses, left };
}

onEachEngine((device) => {
  it("the outputs of an evaluation are not left out", () => {
    const layer = new nn.Linear(4, 5);
    const step: Step = () => {
      const out = layer(torch.randn(60, 4)).mul(2);
      return [[out], out.mean()];
    };
    const evaluation = (): Results => torch.noGrad(() => run(() => step, READS.never));
    expect(withPolicy({ leaveOutFrom: 1 }, evaluation).left.slice(1)).not.toContain(1);
  });

  describe.each(Object.keys(PROGRAMS))("%s", (name) => {
    const make = PROGRAMS[name]!;
    const expected = (): Results => withPolicy({ leaveOutFrom: Infinity }, () => run(make, READS["at once"]));

    const compare = (found: Results, { values, losses }: Results, tolerance = 5e-6): void => {
      found.losses.forEach((loss, i) => expect(Math.abs(loss - losses[i]!)).toBeLessThan(tolerance));
      found.values.flat().forEach((one, i) => {
        const other = values.flat()[i]!;
        expect(one).toHaveLength(other.length);
        one.forEach((x, j) =>
          expect(Math.abs(x - other[j]!)).toBeLessThan(tolerance * Math.max(1, Math.abs(x))),
        );
      });
    };
    const times = Object.keys(READS) as (keyof typeof READS)[];

    it.each(times)("values that are read %s are as they were", (when) => {
      const found = withPolicy({ leaveOutFrom: 1 }, () => run(make, READS[when]));
      compare(found, expected());
    });

    // Weights are the session's variables then, which a step may be given as inputs too.
    describe.runIf(device === "native")("by TensorFlow's graphs", () => {
      it.each(times)("values that are read %s are as they were", (when) => {
        const found = withPolicy({ leaveOutFrom: 1, smallPlans: false }, () => run(make, READS[when]));
        // Other kernels add up in another order, which Adam enlarges.
        compare(found, expected(), 1e-4);
      });
    });

    it.runIf(device === "native")("values that are never read are left out", () => {
      const open = (leaveOutFrom: number): number =>
        withPolicy({ leaveOutFrom }, () => run(make, READS.never)).left.reduce((a, b) => a + b);
      // Others wait for the next step's plan.
      expect(open(1)).toBeGreaterThan(open(Infinity));
    });

    it.runIf(device === "native")(
      "all of them are left out of most steps, though the next step needs some",
      () => {
        const { values, left } = withPolicy({ leaveOutFrom: 1 }, () => run(make, READS.never));
        expect(left.slice(-10).filter((count) => count === values[0]!.length).length).toBeGreaterThan(7);
      },
    );
  });
});
