// Every gradient is a tensor of its own: programs that write to gradients give PyTorch's numbers.
import { readFileSync } from "node:fs";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { copy, data, F, nn, optim, torch, type Tensor } from "../../extension/nn/index.ts";
import { useEngine } from "../engines.ts";

useEngine("cpu");

const EXPECTED = JSON.parse(
  readFileSync(new URL("../fixtures/autograd/gradients.json", import.meta.url), "utf8"),
) as Record<string, number[]>;

type Numbers = readonly (Tensor | number | boolean | null)[];

const floats = (...values: number[]): Tensor => torch.tensor(values, { dtype: torch.float32 });
const leaf = (...values: number[]): Tensor => floats(...values).requiresGrad_();
const gradients = (...tensors: Tensor[]): (Tensor | null)[] => tensors.map((t) => t.grad);

/** Results of changing x = 2w in place by `change`, in a loss of x's squares: the gradients of w and x, and a log. */
function changed(change: (x: Tensor, log: (Tensor | boolean)[]) => unknown): Numbers {
  const [w, log] = [leaf(1, -2, 3), [] as (Tensor | boolean)[]];
  const x = w.mul(2);
  change(x, log);
  x.mul(x).sum().backward();
  return [w.grad, ...(x.grad === null ? [] : [x.grad]), ...log];
}
const leaky = (x: Tensor): Tensor => F.leakyRelu(x, 0.1, true);

/** As in test/fixtures/autograd/make.py. */
const PROGRAMS: Record<string, () => Numbers> = {
  "a gradient of two leaves": () => {
    const [a, b] = [leaf(1, 2), leaf(3, 4)];
    a.add(b).sum().backward();
    for (const p of [a, b]) p.grad!.div_(2);
    return gradients(a, b);
  },
  "a gradient that was given": () => {
    const [w, v, g] = [leaf(1, 2), leaf(1, 2), floats(1, 5)];
    w.add(0).backward(g);
    w.grad!.mul_(10);
    v.backward(g);
    v.grad!.mul_(100);
    return [w.grad, v.grad, g];
  },
  "clipping an RNN": () => {
    torch.manualSeed(0);
    return [() => new nn.RNN(3, 4), () => new nn.LSTM(3, 4), () => new nn.GRU(3, 4)].flatMap((make) => {
      const model: nn.Module = make();
      const [y] = (model as nn.RNN)(torch.randn(5, 2, 3));
      y.square().sum().backward();
      const norm = nn.utils.clipGradNorm_(model.parameters(), 0.5);
      const clipped = model.parameters().map((p) => p.grad!.clone());
      nn.utils.clipGradValue_(model.parameters(), 0.01);
      return [norm, ...clipped, ...model.parameters().map((p) => p.grad!.sum())];
    });
  },
  "clipping a cell": () => {
    torch.manualSeed(0);
    const cell = new nn.LSTMCell(3, 4);
    const [h] = cell(torch.randn(2, 3));
    h.square().sum().backward();
    const norm = nn.utils.clipGradNorm_(cell.parameters(), 0.05);
    return [norm, ...gradients(...cell.parameters())];
  },
  "gradients are added in place": () => {
    const w = leaf(1, 2);
    w.mul(2).sum().backward();
    const g = w.grad!;
    w.mul(3).sum().backward();
    const same = g === w.grad;
    w.mul(3).sum().backward({ createGraph: true });
    return [g, w.grad, same, g === w.grad];
  },
  "a gradient held by a hook": () => {
    const [w, kept] = [leaf(1, 2), [] as Tensor[]];
    w.registerHook((g) => void kept.push(g));
    w.mul(3).sum().backward();
    w.grad!.mul_(100);
    return [...kept, w.grad];
  },
  "a gradient that is retained": () => {
    const [a, b] = [leaf(1, 2), leaf(3, 4)];
    const s = a.add(b);
    s.retainGrad();
    s.sum().backward();
    a.grad!.mul_(100);
    s.grad!.mul_(7);
    return gradients(a, b, s);
  },
  "one retained is not added to in place": () => {
    const x = leaf(1, 2).mul(2);
    x.retainGrad();
    x.mul(3).sum().backward({ retainGraph: true });
    const g = x.grad;
    x.mul(5).sum().backward();
    return [g, x.grad];
  },
  "a gradient assigned to two": () => {
    const [a, b] = [leaf(1, 2), leaf(3, 4)];
    a.grad = b.grad = floats(1, 1);
    a.mul(2).sum().backward();
    return gradients(a, b);
  },
  "zeros in place": () => {
    const w = leaf(1, 2);
    const optimizer = new optim.SGD([w], { lr: 0.1 });
    w.mul(2).sum().backward();
    const g = w.grad!;
    optimizer.zeroGrad({ setToNone: false });
    const first = g.clone();
    w.mul(3).sum().backward();
    return [first, g, g === w.grad];
  },
  "zeros of a module": () => {
    torch.manualSeed(0);
    const layer = new nn.Linear(2, 1);
    layer(torch.ones(1, 2)).sum().backward();
    const g = layer.weight.grad!;
    layer.zeroGrad(false);
    const first = g.clone();
    layer(torch.ones(1, 2)).sum().backward();
    return [first, g, g === layer.weight.grad];
  },
  "zeros of one with a graph": () => {
    const w = leaf(1, 2);
    const optimizer = new optim.SGD([w], { lr: 0.1 });
    w.mul(w).sum().backward({ createGraph: true });
    const before = w.grad!.requiresGrad;
    optimizer.zeroGrad(false);
    return [before, w.grad!.requiresGrad, w.grad];
  },
  "retained before a change": () => changed((x) => [x.retainGrad(), leaky(x)]),
  "retained after a change": () => changed((x) => [leaky(x), x.retainGrad()]),
  "retained between changes": () => changed((x) => [x.mul_(2), x.retainGrad(), x.mul_(3), x.add_(1)]),
  "retained twice": () => changed((x) => [x.retainGrad(), x.retainGrad()]),
  "hooks before and after a change": () =>
    changed((x, log) => {
      x.registerHook((g) => void log.push(g));
      leaky(x);
      x.registerHook((g) => void log.push(g.mul(2)));
    }),
  "a hook that replaces before a change": () =>
    changed((x) => [x.retainGrad(), x.registerHook((g) => g.mul(10)), leaky(x)]),
  "a hook that replaces after a change": () =>
    changed((x) => [x.retainGrad(), leaky(x), x.registerHook((g) => g.mul(10))]),
  "a change without gradient": () => changed((x) => [x.retainGrad(), torch.noGrad(() => x.mul_(3))]),
  "a view is changed": () => {
    let v: Tensor | undefined;
    const found = changed((x) => {
      x.retainGrad();
      v = x.narrow(0, 0, 2);
      v.retainGrad();
      v.mul_(3);
    });
    return [...found, v!.grad === null];
  },
  "the base of a view is changed": () => {
    const w = leaf(1, -2, 3);
    const x = w.mul(2);
    const v = x.narrow(0, 0, 2);
    v.retainGrad();
    x.mul_(3);
    v.mul(v).sum().backward();
    return gradients(w, v);
  },
  "detached in place": () => {
    const w = leaf(1, 2);
    const x = w.mul(2);
    x.detach_();
    w.mul(x).sum().backward();
    return [w.grad, x.requiresGrad, x.isLeaf];
  },
};

function numbers(values: Numbers): number[] {
  return values.flatMap((x) =>
    typeof x === "object" ? (x === null ? [NaN] : [...x.toTypedArray()]) : [Number(x)],
  );
}

describe("as PyTorch", () => {
  test.each(Object.keys(EXPECTED))("%s", (name) => {
    const got = numbers(PROGRAMS[name]!());
    expect(got).toHaveLength(EXPECTED[name]!.length);
    got.forEach((x, i) => expect(x).toBeCloseTo(EXPECTED[name]![i]!, 4));
  });

  test("a view can't be detached in place", () => {
    expect(() => leaf(1, 2).mul(2).narrow(0, 0, 1).detach_()).toThrow("Can't detach views in-place.");
  });
});

test("a gradient has the size of its tensor", () => {
  const w = leaf(1, 2);
  expect(() => (w.grad = floats(1, 2, 3))).toThrow(
    "attempting to assign a gradient of size '[3]' to a tensor of size '[2]'. Please ensure that the gradient and the tensor are the same size",
  );
  expect(() => (w.grad = 1 as unknown as Tensor)).toThrow(
    "assigned grad expected to be a Tensor or None but got grad of type number",
  );
  expect(() => (w.grad = w)).toThrow("can't assign Variable as its own grad");
  w.grad = null;
  expect(w.grad).toBeNull();
});

test("functions that change nothing give a tensor of their own", () => {
  const [i, b, s, x] = [
    torch.tensor([1, 2]),
    torch.tensor([true, false]),
    torch.tensor(3).float(),
    floats(1, 2),
  ];
  const results: [Tensor, Tensor][] = [
    [i, i.ceil()],
    [i, i.round()],
    [i, torch.trunc(i)],
    [i, torch.nanToNum(i)],
    [b, torch.sign(b)],
    [s, s.cumsum(0)],
    [s, s.cumprod(0)],
    [s, torch.logcumsumexp(s, 0)],
    [s, s.sum()],
    [s, s.amax()],
    [s, s.median()],
    [x, torch.roll(x, 0, 0)],
    [x, torch.roll(x, 2)],
    [x, torch.diff(x, { n: 0 })],
    [x, torch.cat([x])],
    [x, x.repeat(1)],
    [x, copy.deepcopy(x)],
  ];
  results.forEach(([input, result], at) => {
    const before = input.tolist();
    result.zero_();
    expect(input.tolist(), `result ${at}`).toEqual(before);
  });
  for (const [batch] of new data.DataLoader(new data.TensorDataset(x), { batchSize: 2 })) batch.zero_();
  expect(x.tolist()).toEqual([1, 2]);
});

test("a copied tensor has a gradient of its own, a copied parameter none", () => {
  const [w, p] = [leaf(1, 2), new nn.Parameter(floats(1, 2))];
  w.mul(p).sum().backward();
  const [v, q] = copy.deepcopy([w, p] as const);
  v.grad!.zero_();
  expect([w.grad!.tolist(), v.grad!.tolist(), q.grad]).toEqual([[1, 2], [0, 0], null]);
});

/** The functions of a random program: each on tensors, on numbers, and its derivatives by two earlier values. */
const FUNCTIONS = {
  add: [(a: Tensor, b: Tensor) => a.add(b), (a: number, b: number) => a + b, () => [1, 1]],
  sub: [(a: Tensor, b: Tensor) => a.sub(b), (a: number, b: number) => a - b, () => [1, -1]],
  mul: [
    (a: Tensor, b: Tensor) => a.mul(b),
    (a: number, b: number) => a * b,
    (a: number, b: number) => [b, a],
  ],
  clone: [(a: Tensor) => a.clone(), (a: number) => a, () => [1, 0]],
  view: [(a: Tensor) => a.reshape(3, 1).reshape(3), (a: number) => a, () => [1, 0]],
} as const;

/** Changes of one gradient between two calls of `backward()`. */
const WRITES = {
  mul: [(g: Tensor, c: number) => g.mul_(c), (x: number, c: number) => x * c],
  add: [(g: Tensor, c: number) => g.add_(c), (x: number, c: number) => x + c],
  clamp: [(g: Tensor, c: number) => g.clamp_(-c, c), (x: number, c: number) => Math.min(c, Math.max(-c, x))],
  zero: [(g: Tensor) => g.zero_(), () => 0],
} as const;

const index = fc.nat(99);
const recipe = fc.record({
  steps: fc.array(
    fc.tuple(fc.constantFrom(...(Object.keys(FUNCTIONS) as (keyof typeof FUNCTIONS)[])), index, index),
    {
      minLength: 1,
      maxLength: 6,
    },
  ),
  rounds: fc.array(
    fc.record({
      roots: fc.array(index, { minLength: 1, maxLength: 2 }),
      seeded: fc.boolean(),
      writes: fc.array(
        fc.tuple(
          fc.constantFrom(...(Object.keys(WRITES) as (keyof typeof WRITES)[])),
          index,
          fc.integer({ min: 1, max: 3 }),
        ),
        { maxLength: 4 },
      ),
    }),
    { minLength: 1, maxLength: 3 },
  ),
});

test("random programs whose gradients are written to give what their formulas give", () => {
  fc.assert(
    fc.property(recipe, ({ steps, rounds }) => {
      const values = [
        [1, -2, 0.5],
        [3, 0.25, -1],
      ];
      const leaves = values.map((v) => leaf(...v));
      const expected: (number[] | null)[] = leaves.map(() => null);
      const held: Tensor[] = [];
      for (const { roots, seeded, writes } of rounds) {
        const tensors: Tensor[] = [...leaves];
        const plain = values.map((v) => [...v]);
        const inputs: [number, number][] = [];
        steps.forEach(([name, i, j]) => {
          const [a, b] = [i % tensors.length, j % tensors.length];
          tensors.push(FUNCTIONS[name][0](tensors[a]!, tensors[b]!));
          plain.push(plain[a]!.map((x, k) => FUNCTIONS[name][1](x, plain[b]![k]!)));
          inputs.push([a, b]);
        });
        for (const root of roots) {
          const at = leaves.length + (root % steps.length);
          const back = plain.map(() => [0, 0, 0]);
          back[at] = seeded ? [1, 2, -1] : [1, 1, 1];
          for (let n = at; n >= leaves.length; n--) {
            const [a, b] = inputs[n - leaves.length]!;
            const [, , rule] = FUNCTIONS[steps[n - leaves.length]![0]];
            back[n]!.forEach((g, k) => {
              const [da, db] = rule(plain[a]![k]!, plain[b]![k]!);
              back[a]![k]! += g * da!;
              back[b]![k]! += g * db!;
            });
          }
          // A leaf that the root doesn't depend on has no gradient.
          const reached = new Set([at]);
          for (let n = at; n >= leaves.length; n--) {
            if (!reached.has(n)) continue;
            const [a, b] = inputs[n - leaves.length]!;
            reached.add(a);
            if (!["clone", "view"].includes(steps[n - leaves.length]![0])) reached.add(b);
          }
          leaves.forEach((_, l) => {
            if (reached.has(l)) expected[l] = back[l]!.map((g, k) => g + (expected[l]?.[k] ?? 0));
          });
          const seed = floats(1, 2, -1);
          if (seeded) tensors[at]!.backward(seed, { retainGraph: true });
          else tensors[at]!.sum().backward({ retainGraph: true });
          // The passed gradient stays the caller's.
          seed.mul_(1000);
          for (const { grad } of leaves) if (grad !== null && !held.includes(grad)) held.push(grad);
        }
        for (const [name, which, c] of writes) {
          const l = which % leaves.length;
          const { grad } = leaves[l]!;
          if (grad === null) continue;
          WRITES[name][0](grad, c);
          expected[l] = expected[l]!.map((x) => WRITES[name][1](x, c));
        }
      }
      expect(held.length).toBeLessThanOrEqual(leaves.length);
      leaves.forEach(({ grad }, l) => {
        if (expected[l] === null) expect(grad).toBeNull();
        else grad!.toTypedArray().forEach((x, k) => expect(x).toBeCloseTo(expected[l]![k]!, 3));
      });
    }),
    { numRuns: 200 },
  );
});

test("a value read between two backward() and the step leaves their gradients alone", () => {
  /** Two parts of a loss whose layers write buffers, as a GAN's discriminator has; `peek` reads between them. */
  const losses = (peek: boolean): number[] => {
    torch.manualSeed(0);
    const model = new nn.Sequential(new nn.Linear(2, 4), new nn.BatchNorm1d(4), new nn.Linear(4, 1));
    const optimizer = new optim.Adam(model.parameters(), { lr: 0.01 });
    return Array.from({ length: 8 }, () => {
      optimizer.zeroGrad();
      const [first, second] = [
        model(torch.randn(4, 2)).square().mean(),
        model(torch.randn(4, 2)).abs().mean(),
      ];
      for (const part of [first, second]) {
        part.backward();
        if (peek) expect(part.add(1).item()).toBeGreaterThan(1);
      }
      optimizer.step();
      return first.add(second).item();
    });
  };
  expect(losses(true)).toEqual(losses(false));
});
