// The binding's kernels for order, running totals and indices, against plain loops, on both sides of the sizes at which they work
// differently: few numbers, rows for several threads, blocks of a long sum.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { TensorFlowExecutor } from "../../../extension/executors/tensorflow/executor.ts";
import { loadNative } from "../../../extension/native/load.ts";
import { nativeStatus } from "../../../extension/native/status.ts";
import { F, torch, type Tensor } from "../../../extension/nn/index.ts";
import { setExecutor } from "../../../extension/tensor/planning/barrier.ts";
import { withPolicy } from "../../../extension/tensor/recording/runtime.ts";

const available = nativeStatus().state === "installed";

type Numbers = readonly number[];

const valuesOf = (x: Tensor): number[] => x.reshape([-1]).tolist() as number[];

function rowsOf(values: Numbers, length: number): Numbers[] {
  return Array.from({ length: values.length / length }, (_, r) => values.slice(r * length, (r + 1) * length));
}

/** Places in descending order, the first of equal numbers first, NaN before all others. */
function descending(row: Numbers): number[] {
  const rank = (x: number): number => (Number.isNaN(x) ? Infinity : x === Infinity ? Number.MAX_VALUE : x);
  return row.map((_, i) => i).sort((i, j) => rank(row[j]!) - rank(row[i]!) || i - j);
}

describe.skipIf(!available)("kernels of the binding", () => {
  let executor: TensorFlowExecutor;
  beforeAll(() => {
    executor = new TensorFlowExecutor(loadNative(), 2);
    setExecutor(executor);
  });
  afterAll(() => setExecutor(undefined));

  /** Computes with the binding's kernels, and with no others. */
  function own(body: () => number | boolean): number;
  function own(body: () => Tensor): Tensor;
  function own(body: () => Tensor | number | boolean): Tensor | number | boolean {
    const { counters } = executor;
    const before = { ...counters };
    const result = body();
    if (typeof result === "object") valuesOf(result);
    expect(counters.small).toBeGreaterThan(before.small);
    expect([counters.interpreted, counters.compiledRuns]).toEqual([before.interpreted, before.compiledRuns]);
    return result;
  }

  /** Rows with equal numbers, both zeros, infinities and NaN. */
  function mixed(rows: number, length: number): Tensor {
    const special = [0, -0, Infinity, -Infinity, 1, 1, NaN];
    const drawn = valuesOf(torch.randn(rows, length));
    const values = drawn.map((x, i) => (i % 3 === 0 ? special[(i / 3) % special.length]! : x));
    return torch.tensor(values).reshape([rows, length]);
  }

  for (const [rows, length] of [
    [1, 1],
    [3, 5],
    [7, 128],
    [5, 129],
    [2, 3000],
    [1, 40_000],
  ] as const) {
    test(`sort and topk of ${rows} x ${length}`, () => {
      torch.manualSeed(length);
      const x = mixed(rows, length);
      const expected = rowsOf(valuesOf(x), length).map(descending);
      const places = own(() => x.sort(1, true).indices);
      expect(rowsOf(valuesOf(places), length)).toEqual(expected);
      for (const k of [1, 2, 64, 65, length - 1]) {
        if (k < 1 || k > length) continue;
        const top = own(() => x.topk(k, 1).indices);
        expect(rowsOf(valuesOf(top), k)).toEqual(expected.map((row) => row.slice(0, k)));
        expect(valuesOf(x.topk(k, 1).values)).toEqual(valuesOf(x.gather(1, top)));
      }
    });

    test(`sort of ${rows} x ${length} integers`, () => {
      torch.manualSeed(length);
      const x = torch.randint(-300, 300, [rows, length]);
      const expected = rowsOf(valuesOf(x), length).map((row) => row.toSorted((a, b) => a - b));
      expect(rowsOf(valuesOf(own(() => x.sort(1).values)), length)).toEqual(expected);
    });
  }

  for (const shape of [
    [3, 4, 5],
    [40, 300, 7],
    [1, 200, 400],
    [1, 300, 1],
    [600, 100, 1],
  ] as const) {
    const [outer, length, inner] = shape;
    const at = (o: number, i: number, j: number): number => (o * length + i) * inner + j;

    test(`running totals of ${shape.join(" x ")}`, () => {
      torch.manualSeed(0);
      const x = torch.randn([...shape]);
      const values = valuesOf(x);
      const sums = values.slice();
      const products = values.slice();
      const back = values.slice();
      for (let o = 0; o < outer; o++)
        for (let j = 0; j < inner; j++) {
          for (let i = 1; i < length; i++) {
            sums[at(o, i, j)]! += sums[at(o, i - 1, j)]!;
            products[at(o, i, j)]! *= products[at(o, i - 1, j)]!;
          }
          for (let i = length - 2; i >= 0; i--) back[at(o, i, j)]! += back[at(o, i + 1, j)]!;
        }
      const close = (found: Tensor, expected: Numbers): void => {
        const errors = valuesOf(found).map(
          (y, i) => Math.abs(y - expected[i]!) / (1 + Math.abs(expected[i]!)),
        );
        expect(Math.max(...errors)).toBeLessThan(1e-5);
      };
      close(
        own(() => x.cumsum(1)),
        sums,
      );
      close(
        own(() => x.cumprod(1)),
        products,
      );
      const weights = torch.ones([...shape]).requiresGrad_();
      weights.cumsum(1).mul(x).sum().backward();
      close(weights.grad!, back);
    });

    test(`extremes of ${shape.join(" x ")} and where they are`, () => {
      torch.manualSeed(1);
      // Equal ones among them.
      const x = torch.randint(-20, 20, [...shape]).float();
      const values = valuesOf(x);
      for (const [name, better] of [
        ["argmax", (a: number, b: number) => a > b],
        ["argmin", (a: number, b: number) => a < b],
      ] as const) {
        const expected = Array.from({ length: outer * inner }, (_, place) => {
          const [o, j] = [Math.floor(place / inner), place % inner];
          let best = 0;
          for (let i = 1; i < length; i++)
            if (better(values[at(o, i, j)]!, values[at(o, best, j)]!)) best = i;
          return best;
        });
        expect(valuesOf(own(() => x[name](1)))).toEqual(expected);
      }
    });
  }

  for (const count of [2 ** 14 - 1, 2 ** 15 - 1, 2 ** 15, 100_003])
    test(`reductions of all ${count} numbers`, () => {
      torch.manualSeed(2);
      const x = torch.randn(count);
      const values = valuesOf(x);
      const total = values.reduce((a, b) => a + b, 0);
      expect(own(() => x.sum().item())).toBeCloseTo(total, 2);
      expect(own(() => x.mean().item())).toBeCloseTo(total / count, 6);
      expect(own(() => x.max().item())).toBe(values.reduce((a, b) => Math.max(a, b)));
      expect(own(() => x.min().item())).toBe(values.reduce((a, b) => Math.min(a, b)));
      const last = torch.arange(count).eq(count - 1);
      expect(own(() => last.any().item())).toBe(true);
      expect(own(() => last.logicalNot().all().item())).toBe(false);
      const whole = torch.arange(count).remainder(7);
      expect(own(() => whole.sum().item())).toBe(valuesOf(whole).reduce((a, b) => a + b, 0));
    });

  test("numbers scattered into their rows, and gathered from them", () => {
    torch.manualSeed(3);
    const [rows, length, n] = [300, 50, 120];
    const x = torch.randn(rows, length);
    const index = torch.randint(0, length, [rows, n]);
    const source = torch.randn(rows, n);
    const [xs, places, given] = [valuesOf(x), valuesOf(index), valuesOf(source)];
    for (const [mode, combine] of [
      ["sum", (a: number, b: number) => Math.fround(a + b)],
      ["amax", Math.max],
      ["amin", Math.min],
      ["prod", (a: number, b: number) => Math.fround(a * b)],
    ] as const) {
      const expected = xs.slice();
      places.forEach((place, i) => {
        const at = Math.floor(i / n) * length + place;
        expected[at] = combine(expected[at]!, given[i]!);
      });
      expect(valuesOf(own(() => x.scatterReduce(1, index, source, mode)))).toEqual(expected);
    }
    const last = xs.slice();
    places.forEach((place, i) => (last[Math.floor(i / n) * length + place] = given[i]!));
    expect(valuesOf(own(() => x.scatter(1, index, source)))).toEqual(last);
    expect(valuesOf(own(() => x.gather(1, index)))).toEqual(
      places.map((place, i) => xs[Math.floor(i / n) * length + place]),
    );
    // What the kernel refuses, TensorFlow says.
    const wrong = index.add(torch.tensor(length).mul(index.eq(index.max()).long()));
    expect(() => x.gather(1, wrong).sum().item()).toThrow(/index/);
    expect(() => x.scatterAdd(1, wrong, source).sum().item()).toThrow(/index/);
  });

  test("sums of rows by segment, wide enough for threads", () => {
    torch.manualSeed(4);
    const [count, n, width] = [20, 3000, 70];
    const x = torch.randn(n, width);
    const index = torch.randint(0, count, [n]);
    const expected = Array.from({ length: count * width }, () => 0);
    const [values, segments] = [valuesOf(x), valuesOf(index)];
    values.forEach(
      (value, i) => (expected[segments[Math.floor(i / width)]! * width + (i % width)]! += value),
    );
    const sums = valuesOf(own(() => torch.zeros(count, width).indexAdd(0, index, x)));
    sums.forEach((sum, i) => expect(sum).toBeCloseTo(expected[i]!, 3));
  });

  test("sine, cosine and tangent of small, large and very large angles", () => {
    const step = 0.37;
    for (const [scale, tolerance] of [
      [1, 2e-7],
      [1e4, 2e-7],
      [9e5, 2e-7],
      [1e12, 2e-7],
    ] as const) {
      const x = torch.arange(-3000, 3000).mul((step * scale) / 1000);
      const angles = valuesOf(x);
      for (const name of ["sin", "cos"] as const) {
        const found = valuesOf(own(() => x[name]()));
        const errors = found.map((y, i) => Math.abs(y - Math[name](angles[i]!)));
        expect(Math.max(...errors)).toBeLessThan(tolerance);
      }
      const errors = valuesOf(own(() => x.tan())).map((y, i) => {
        const expected = Math.tan(angles[i]!);
        return Math.abs(y - expected) / (1 + expected * expected);
      });
      expect(Math.max(...errors)).toBeLessThan(2 * tolerance);
    }
    const none = torch.tensor([NaN, Infinity, -Infinity]);
    expect(valuesOf(own(() => none.sin()))).toEqual([NaN, NaN, NaN]);
    // The sign of a zero stays.
    expect(Object.is(valuesOf(torch.tensor([-0, 0.5]).sin())[0], -0)).toBe(true);
  });

  test("powers of e without 1, of tiny, small and large numbers", () => {
    const values = [
      -0,
      1e-30,
      -1e-8,
      1e-4,
      -0.3,
      0.34,
      -0.35,
      0.7,
      -3,
      20,
      -50,
      79,
      81,
      88.5,
      200,
      -200,
      Infinity,
      -Infinity,
    ];
    const x = torch.tensor(values);
    const found = valuesOf(own(() => x.expm1()));
    valuesOf(x).forEach((value, i) => {
      const expected = Math.fround(Math.expm1(value));
      if (Number.isFinite(expected) && expected !== 0)
        expect(Math.abs(found[i]! / expected - 1)).toBeLessThan(3e-7);
      else expect(found[i]).toBe(expected);
    });
    expect(torch.tensor([NaN]).expm1().item()).toBeNaN();
  });

  test("remainders of small and large quotients, with the sign of the divisor", () => {
    const numbers = [
      0,
      -0,
      1,
      -1,
      0.1,
      -0.3,
      7.5,
      -7.5,
      1e-30,
      -1e-30,
      3e7,
      -3e7,
      1e9,
      1e20,
      -3e38,
      Infinity,
      NaN,
    ];
    const pairs = numbers.flatMap((a) => numbers.map((b) => [Math.fround(a), Math.fround(b)] as const));
    const column = (at: 0 | 1): Tensor => torch.tensor(pairs.map((pair) => pair[at])).float();
    const [as, bs] = [column(0), column(1)];
    const expected = pairs.map(([a, b]) => {
      const r = Math.fround(a % b);
      return r !== 0 && r < 0 !== b < 0 ? Math.fround(r + b) : r;
    });
    expect(valuesOf(own(() => as.remainder(bs)))).toEqual(expected);
    torch.manualSeed(6);
    const [x, y] = [torch.randn(5000).mul(100), torch.rand(5000).add(0.01)];
    const [xs, ys] = [valuesOf(x), valuesOf(y)];
    const rests = valuesOf(own(() => x.remainder(y)));
    rests.forEach((rest, i) => {
      const r = xs[i]! % ys[i]!;
      expect(rest).toBe(Math.fround(r < 0 ? r + ys[i]! : r));
    });
  });

  for (const [batch, n, columns] of [
    [1, 1, 1],
    [3, 40, 7],
    [1, 150, 200],
  ] as const)
    test(`${batch} x ${n} equations with triangular matrices and ${columns} right sides`, () => {
      torch.manualSeed(5);
      const a = torch.randn(batch, n, n).div(n).add(torch.eye(n));
      const b = torch.randn(batch, n, columns);
      for (const upper of [true, false]) {
        const x = own(() => torch.linalg.solveTriangular(a, b, { upper }));
        const back = (upper ? a.triu() : a.tril()).matmul(x);
        expect(back.sub(b).abs().max().item()).toBeLessThan(1e-5);
      }
    });

  test("a triangular matrix without an inverse gives infinities and NaN, as in PyTorch", () => {
    const a = torch.tensor([
      [1, 2],
      [0, 0],
    ]);
    const solve = (): Tensor => torch.linalg.solveTriangular(a.float(), torch.ones(2, 1), { upper: true });
    expect(own(solve).tolist()).toEqual([[-Infinity], [Infinity]]);
  });

  for (const classes of [1, 2, 15, 16, 17, 64, 127, 129, 300])
    test(`cross-entropy of ${classes} classes`, () => {
      torch.manualSeed(classes);
      const rows = 40;
      const logits = torch.randn(rows, classes).mul(5).requiresGrad_();
      const labels = torch.randint(0, classes, [rows]);
      const losses = F.crossEntropy(logits, labels, { reduction: "none" });
      losses.sum().backward();
      const found = valuesOf(losses);
      const gradients = rowsOf(valuesOf(logits.grad!), classes);
      rowsOf(valuesOf(logits.detach()), classes).forEach((row, r) => {
        const label = valuesOf(labels)[r]!;
        const most = Math.max(...row);
        const sum = row.reduce((all, x) => all + Math.exp(x - most), 0);
        expect(found[r]).toBeCloseTo(Math.log(sum) - (row[label]! - most), 4);
        row.forEach((x, i) =>
          expect(gradients[r]![i]).toBeCloseTo(Math.exp(x - most) / sum - Number(i === label), 5),
        );
      });
      const unknown = logits.detach().maskedFill(torch.arange(classes).eq(classes - 1), NaN);
      expect(valuesOf(F.crossEntropy(unknown, labels, { reduction: "none" })).every(Number.isNaN)).toBe(true);
    });

  const edges = torch.tensor([2 ** 31 - 1, 2 ** 31 - 1, -(2 ** 31), -(2 ** 31), 65_536, -3, 1, 0]);
  const places = torch.tensor([0, 1, 0, 1, 0, 1, 0, 1]);
  test.each<[string, () => Tensor]>([
    ["sums", () => edges.add(edges)],
    ["differences", () => edges.sub(edges.flip([0]))],
    ["products", () => edges.mul(edges.flip([0]))],
    ["negatives", () => edges.neg()],
    ["absolute values", () => edges.abs()],
    ["squares", () => edges.square()],
    ["quotients", () => edges.floorDivide(-1)],
    ["all added up", () => edges.sum()],
    ["rows added up", () => torch.stack([edges, edges, edges]).sum(0)],
    ["running sums", () => edges.cumsum(0)],
    ["running sums of columns", () => torch.stack([edges, edges, edges]).cumsum(0)],
    ["running products", () => edges.abs().cumprod(0)],
    ["sums at places", () => torch.zeros(2, { dtype: torch.int64 }).indexAdd(0, places, edges)],
    [
      "sums of rows at places",
      () => torch.zeros(2, 3, { dtype: torch.int64 }).indexAdd(0, places, edges.unsqueeze(1).expand(8, 3)),
    ],
    ["sums scattered", () => torch.zeros(2, { dtype: torch.int64 }).scatterAdd(0, places, edges)],
    [
      "products scattered",
      () => torch.ones(2, { dtype: torch.int64 }).scatterReduce(0, places, edges, "prod"),
    ],
  ])("%s of whole numbers wrap around as TensorFlow's do", (_, compute) => {
    const found = valuesOf(own(compute));
    expect(found).toEqual(valuesOf(withPolicy({ smallPlans: false }, compute)));
    for (const x of found) expect(x).toBe(x | 0);
  });
});
