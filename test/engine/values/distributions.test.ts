// torch.distributions against PyTorch: samples of a seed, scores, moments, gradients, divergences, texts and errors.
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { distributions, torch, type Tensor } from "../../../extension/nn/index.ts";
import { toHostArray, type DType } from "../../../extension/tensor/core/dtype.ts";
import { valuesOf } from "../../../extension/tensor/planning/barrier.ts";
import { fromHost } from "../../../extension/tensor/core/tensor.ts";
import { onEachEngine } from "../../engines.ts";

interface Recorded {
  dtype: DType;
  shape: number[];
  data: (number | string)[];
}

/** A class, its arguments and keywords. */
type Make = [name: string, args: Value[], kwargs: Record<string, Value>];
type Nested = number | string | Nested[];
type Value = number | { t: Nested; int?: boolean } | Make | Value[];
type Grads = (Recorded | null)[] | null;

interface Case {
  make: Make;
  batchShape: number[];
  eventShape: number[];
  repr: string;
  hasRsample: boolean;
  mean?: Recorded;
  mode?: Recorded;
  variance?: Recorded;
  stddev?: Recorded;
  entropy?: Recorded;
  samples: {
    method: "sample" | "rsample";
    shape: number[];
    seed: number;
    result: Recorded;
    after: Recorded;
  }[];
  value?: Value;
  logProb?: Recorded;
  cdf?: Recorded;
  logProbGrads?: Grads;
  probability?: Value;
  icdf?: Recorded;
  rsampleGrads?: Grads;
  entropyGrads?: Grads;
  support?: [Recorded, Recorded];
  expanded: { to: number[]; sample: Recorded };
}

const { cases, pairs, errors, draws, transforms } = JSON.parse(
  readFileSync(new URL("../../fixtures/distributions/distributions.json", import.meta.url), "utf8"),
) as {
  cases: Case[];
  pairs: { p: Make; q: Make; result: Recorded; grads: Grads }[];
  errors: { make: Make; call: string | null; value: Value; error: string }[];
  transforms: {
    make: Make;
    value: Value;
    image: Recorded;
    back: Recorded;
    slope: Recorded | null;
    grads: Grads;
    inside: Recorded[];
    eventDims: number[];
    bijective: boolean;
  }[];
  draws: { name: "normal" | "poisson"; args: Value[]; result?: Recorded; after?: Recorded; error?: string }[];
};

type AnyDistribution = distributions.Distribution;
type Constructor = new (...args: unknown[]) => unknown;

const isMake = (x: Value): x is Make => Array.isArray(x) && x.length === 3 && typeof x[0] === "string";

const numbers = (x: Nested): torch.Nested => (Array.isArray(x) ? x.map(numbers) : Number(x));

/** Builds the object that a value describes; adds tensors of floats to `leaves`, if given, to differentiate by them. */
function build(x: Value, leaves?: Tensor[]): unknown {
  if (isMake(x)) {
    const [name, args, kwargs] = x;
    const all = args.map((a) => build(a, leaves));
    const options = Object.entries(kwargs).map(([key, value]) => [key, build(value, leaves)] as const);
    if (options.length > 0) all.push(Object.fromEntries(options));
    return new (distributions as unknown as Record<string, Constructor>)[name]!(...all);
  }
  if (Array.isArray(x)) return x.map((each) => build(each, leaves));
  if (typeof x !== "object" || x === null) return x;
  const dtype = x.int === undefined ? "float32" : "int64";
  const tensor = torch.tensor(numbers(x.t), { dtype });
  if (leaves === undefined || dtype === "int64") return tensor;
  leaves.push(tensor.requiresGrad_());
  return tensor;
}

const DRAWS = { normal: torch.normal, poisson: torch.poisson };

const made = (make: Make, leaves?: Tensor[]): AnyDistribution => build(make, leaves) as AnyDistribution;

function expectEqual(actual: Tensor, expected: Recorded, rtol = 2e-6, atol = 2e-6): void {
  expect([actual.dtype, ...actual.shape]).toEqual([expected.dtype, ...expected.shape]);
  const wanted = toHostArray(expected.data.map(Number), expected.dtype);
  const values = valuesOf(actual.value);
  const wrong = values.findIndex((v, i) => {
    const w = wanted[i]!;
    return !(Object.is(v, w) || v === w || Math.abs(v - w) <= atol + rtol * Math.abs(w));
  });
  expect(wrong, `${[...values].join()} is not ${[...wanted].join()}`).toBe(-1);
}

function weighted(x: Tensor): Tensor {
  const weights = Float32Array.from({ length: x.numel() }, (_, k) => (((7 * k) % 11) - 5) / 5);
  return x.mul(fromHost(weights, x.shape, "float32")).sum();
}

/** Gradients of a score by all leaves, none where a leaf has no part in it. */
function expectGradients(
  expected: Grads | undefined,
  score: (leaves: Tensor[]) => Tensor,
  rtol: number,
  atol: number,
): void {
  if (expected === undefined || expected === null) return;
  const leaves: Tensor[] = [];
  weighted(score(leaves)).backward();
  expected.forEach((wanted, i) => {
    const { grad } = leaves[i]!;
    if (wanted !== null) expectEqual(grad ?? torch.zerosLike(leaves[i]!), wanted, rtol, atol);
    else if (grad !== null) expect(valuesOf(grad.value).every((g) => g === 0)).toBe(true);
  });
}

/** Functions that are computed by approximations of their own on either side. */
const SPECIAL = /Gamma|Beta|Dirichlet|StudentT|Chi2|Binomial|FisherSnedecor/;

const title = (x: unknown): string => JSON.stringify(x).slice(0, 110);

onEachEngine(() => {
  test.each(cases.map((c) => [title(c.make), c] as const))("%s", (_, c) => {
    const d = made(c.make);
    expect(d.batchShape).toEqual(c.batchShape);
    expect(d.eventShape).toEqual(c.eventShape);
    expect(d.hasRsample).toBe(c.hasRsample);
    expect(d.toString()).toBe(c.repr);
    for (const name of ["mean", "mode", "variance", "stddev"] as const) {
      if (c[name] !== undefined) expectEqual(d[name], c[name]);
    }
    const special = SPECIAL.test(JSON.stringify(c.make));
    // The logs of Gamma functions nearly cancel, at up to 860.
    const log = special ? 1e-4 : 5e-6;
    if (c.entropy !== undefined) expectEqual(d.entropy(), c.entropy, 2e-6, log);
    for (const { method, shape, seed, result, after } of c.samples) {
      torch.manualSeed(seed);
      const sample = d[method](shape);
      const next = torch.cat([torch.rand(2), torch.randn(3)]);
      expectEqual(sample, result);
      expectEqual(next, after, 0, 1e-7);
    }
    if (c.logProb !== undefined) {
      const value = build(c.value!) as Tensor;
      expectEqual(d.logProb(value), c.logProb, 2e-6, 2 * log);
      if (c.cdf !== undefined) expectEqual(d.cdf(value), c.cdf);
      expectGradients(c.logProbGrads, (leaves) => made(c.make, leaves).logProb(value), 1e-5, 1e-5);
    }
    if (c.icdf !== undefined) expectEqual(d.icdf(build(c.probability!) as Tensor), c.icdf, 5e-6);
    const drawn = (leaves: Tensor[]): Tensor => {
      torch.manualSeed(11);
      return made(c.make, leaves).rsample([4]);
    };
    const rtol = special ? 2e-5 : 5e-6;
    expectGradients(c.rsampleGrads, drawn, rtol, rtol);
    expectGradients(c.entropyGrads, (leaves) => made(c.make, leaves).entropy(), 1e-5, 1e-5);
    if (c.support !== undefined) {
      expectEqual(d.enumerateSupport(), c.support[0], 0, 0);
      expectEqual(d.enumerateSupport({ expand: false }), c.support[1], 0, 0);
    }
    torch.manualSeed(3);
    const wide = d.expand(c.expanded.to);
    expect(String(wide.batchShape)).toBe(String(torch.Size(c.expanded.to)));
    expectEqual(wide.sample(), c.expanded.sample);
  });

  test.each(pairs.map((pair) => [title([pair.p, pair.q]), pair] as const))(
    "KL %s",
    (_, { p, q, result, grads }) => {
      expectEqual(distributions.klDivergence(made(p), made(q)), result, 2e-6, 1e-5);
      const score = (leaves: Tensor[]): Tensor =>
        distributions.klDivergence(made(p, leaves), made(q, leaves));
      expectGradients(grads, score, 1e-5, 1e-5);
    },
  );

  test.each(transforms.map((c) => [title(c.make), c] as const))(
    "%s",
    (_, { make, value, image, back, slope, grads, inside, eventDims, bijective }) => {
      const transform = build(make) as distributions.Transform;
      const x = build(value) as Tensor;
      const y = transform(x);
      expectEqual(y, image);
      expectEqual(transform.inv(y), back, 1e-5, 1e-5);
      expect(transform.bijective).toBe(bijective);
      const { domain, codomain } = transform;
      expect([domain.eventDim, codomain.eventDim]).toEqual(eventDims);
      [domain.check(x), codomain.check(y), codomain.check(y.sub(1.5))].forEach((held, i) =>
        expectEqual(held, inside[i]!, 0, 0),
      );
      const leaf = (leaves: Tensor[]): Tensor => {
        leaves.push(x.detach().requiresGrad_());
        return leaves[0]!;
      };
      expectGradients([grads![0]!], (leaves) => transform(leaf(leaves)), 1e-5, 1e-5);
      if (slope === null) {
        expect(() => transform.logAbsDetJacobian(x, y)).toThrow("does not implement log_abs_det_jacobian");
        return;
      }
      expectEqual(transform.logAbsDetJacobian(x, y), slope, 2e-6, 1e-5);
      const slopeOf = (leaves: Tensor[]): Tensor => {
        const v = leaf(leaves);
        return transform.logAbsDetJacobian(v, transform(v));
      };
      if (grads![1] !== null) expectGradients([grads![1]!], slopeOf, 1e-5, 1e-5);
    },
  );

  test.each(errors.map((e) => [title(e.make), e] as const))(
    "refuses %s",
    (_, { make, call, value, error }) => {
      const attempt = (): unknown => {
        const d = made(make);
        if (call === "kl") return distributions.klDivergence(d, build(value) as AnyDistribution);
        return call === null
          ? d
          : (d as unknown as Record<string, (x: unknown) => unknown>)[call]!(build(value));
      };
      expect(attempt).toThrow(error);
    },
  );

  test.each(draws.map((draw) => [title([draw.name, draw.args]), draw] as const))(
    "torch: %s",
    (_, { name, args, result, after, error }) => {
      torch.manualSeed(21);
      const drawn = (): Tensor =>
        (DRAWS[name] as (...given: unknown[]) => Tensor)(...args.map((x) => build(x)));
      if (error !== undefined) {
        expect(() => drawn().tolist()).toThrow(error);
        return;
      }
      const sample = drawn();
      const next = torch.randn(3);
      expectEqual(sample, result!);
      expectEqual(next, after!, 0, 1e-7);
    },
  );

  describe("parameters that are computed", () => {
    const { Bernoulli, Categorical, Gamma, Independent, Normal } = distributions;
    const negative = (): Tensor => torch.tensor([1, -1], { dtype: torch.float32 }).mul(2);
    const text = /^Expected parameter (\w+) \(Tensor of shape \(2,\)\) of distribution \w+\(/;

    test("cost no computation until something is read", () => {
      const d = new Normal(0, negative());
      expect(d.scale.value.data).toBeUndefined();
      const sample = d.sample();
      expect(sample.value.data).toBeUndefined();
    });

    test.each([
      ["a sample", () => new Normal(0, negative()).sample()],
      ["a sample with gradients", () => new Normal(0, negative()).rsample()],
      ["a score", () => new Normal(0, negative()).logProb(torch.zeros(2))],
      ["a score of independent parts", () => new Independent(new Normal(0, negative()), 1).sample()],
    ] as const)("are refused when %s is read", (_, result) => {
      const x = result();
      expect(() => x.tolist()).toThrow(text);
    });

    test.each([
      ["Bernoulli", () => new Bernoulli(negative())],
      ["Gamma", () => new Gamma(negative(), 1)],
      ["Categorical", () => new Categorical(negative())],
    ] as const)("are refused where %s reads them in order to sample", (_, make) => {
      const d = make();
      expect(() => d.sample()).toThrow(/^Expected parameter \w+ \(Tensor of shape/);
    });

    test("are as they are without checks", () => {
      const d = new Normal(0, negative(), { validateArgs: false });
      expect(d.sample([3]).shape).toEqual([3, 2]);
      expect(Number.isNaN((d.logProb(torch.zeros(2)).tolist() as number[])[1])).toBe(true);
    });

    test("divergences of the user's classes are registered in the namespace kl", () => {
      class Mine extends distributions.Normal {}
      const { kl, Normal } = distributions;
      kl.registerKl(Mine, Normal)((p, q) => p.mean.sub(q.mean).abs());
      expect(kl.klDivergence(new Mine(1, 1), new Normal(4, 1)).item()).toBe(3);
      expect(distributions.klDivergence(new Normal(1, 1), new Normal(4, 1)).item()).toBe(4.5);
    });
  });
});
