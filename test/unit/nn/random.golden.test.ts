import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { data, F, torch, type Tensor } from "../../../extension/nn/index.ts";
import type { GoldenTensor, RngExpectation, RngOp, RngSpec } from "../../parity/kinds/rng.ts";
import { useEngine } from "../../engines.ts";

// The golden cases of random numbers once more, through the functions and classes that users call.
const folder = new URL("../../fixtures/golden/rng/", import.meta.url);

interface GoldenCase {
  spec: { items: RngSpec[] };
  expect: { items: RngExpectation[] };
}

type Generator = InstanceType<typeof torch.Generator>;

interface Process {
  generators: Map<string, Generator>;
  saved: Map<string, Uint8Array>;
}

useEngine("cpu");

function seeded(seed: number | string): Generator {
  const generator = new torch.Generator();
  generator.manualSeed(BigInt(seed));
  return generator;
}

const tensor = (t: GoldenTensor): Tensor =>
  torch
    .tensor(
      t.b64f32 === undefined
        ? (t.dtype === "float32" ? Float32Array : Int32Array).from(t.data!)
        : new Float32Array(Uint8Array.from(Buffer.from(t.b64f32, "base64")).buffer),
    )
    .reshape(t.shape);

const DROPOUTS = {
  dropout: F.dropout,
  dropout1d: F.dropout1d,
  dropout2d: F.dropout2d,
  alpha_dropout: F.alphaDropout,
};

/** Answers undefined for what has no public function. */
function run(
  op: RngOp,
  { generators, saved }: Process,
): Tensor | string | number[] | number[][] | number[][][] | null | undefined {
  const own = op.generator === undefined ? undefined : generators.get(op.generator)!;
  const from = own === undefined ? {} : { generator: own };
  switch (op.op) {
    case "generator":
      generators.set(op.id, seeded(op.seed));
      return null;
    case "manual_seed":
      torch.manualSeed(BigInt(op.seed));
      return null;
    case "save_state":
      saved.set(op.id, torch.getRngState());
      return null;
    case "restore_state":
      torch.setRngState(saved.get(op.id)!);
      return null;
    case "initial_seed":
      return String(torch.initialSeed());
    case "rand":
      return torch.rand(op.size, from);
    case "randn":
      return torch.randn(op.size, from);
    case "randint":
      return torch.randint(op.low, op.high, op.size, from);
    case "randperm":
      return torch.randperm(op.n, from);
    case "bernoulli":
      return torch.bernoulli(tensor(op.probs), from);
    case "multinomial":
      return torch.multinomial(tensor(op.probs), op.n, { replacement: op.replacement, ...from });
    case "dropout":
    case "dropout1d":
    case "dropout2d":
    case "alpha_dropout": {
      return DROPOUTS[op.op](torch.ones(op.size), op.p, op.training ?? true);
    }
    case "random_split":
      return data.randomSplit(range(op.n), op.lengths, from).map((part) => [...part.indices]);
    case "weighted_sampler":
      return [...new data.WeightedRandomSampler(op.weights, op.n, { replacement: op.replacement, ...from })];
    case "loader":
      return epochs(op, own);
    case "uniform_":
    case "normal_":
    case "trunc_normal_":
    case "exponential_":
    case "bernoulli_":
      return undefined;
  }
}

const range = (n: number): data.TensorDataset<[Tensor]> => new data.TensorDataset(torch.arange(n));

function epochs(op: RngOp & { op: "loader" }, generator: Generator | undefined): number[][][] {
  const loader = new data.DataLoader(range(op.n), {
    batchSize: op.batch_size,
    shuffle: op.shuffle ?? true,
    dropLast: op.drop_last ?? false,
    generator: generator ?? null,
  });
  return Array.from({ length: op.epochs }, () => {
    const epoch: number[][] = [];
    for (const [x] of loader) {
      epoch.push([...x.toTypedArray()]);
      if (op.rand_per_batch !== undefined) torch.rand(op.rand_per_batch);
    }
    return epoch;
  });
}

function check(op: RngOp, result: ReturnType<typeof run>, expected: RngExpectation["results"][number]): void {
  if (result === null || !(result instanceof torch.Tensor)) {
    expect(result).toEqual(expected);
    return;
  }
  const wanted = tensor(expected as GoldenTensor);
  const [got, numbers] = [[...result.toTypedArray()], [...wanted.toTypedArray()]];
  const normal = ["randn", "normal_", "alpha_dropout"].includes(op.op);
  if (normal) got.forEach((x, i) => expect(Math.abs(x - numbers[i]!)).toBeLessThan(1e-6));
  else expect(got).toEqual(numbers);
}

describe.each(readdirSync(folder))("golden rng/%s through the public functions", (file) => {
  const { spec, expect: expected } = JSON.parse(readFileSync(new URL(file, folder), "utf8")) as GoldenCase;
  // Integers beyond 32 bits and in-place draws of tensors are tested where they are drawn.
  const items = spec.items.filter(
    ({ ops }) =>
      !ops.some(
        (op) =>
          op.op === "uniform_" ||
          op.op === "normal_" ||
          op.op === "bernoulli_" ||
          (op.op === "randint" && Math.max(Math.abs(op.low), op.high) > 2 ** 31),
      ),
  );
  test.each(items.map((item) => [item.id, item] as const))("%s", (id, item) => {
    const process: Process = { generators: new Map(), saved: new Map() };
    const { results } = expected.items.find((e) => e.id === id)!;
    item.ops.forEach((op, i) => check(op, run(op, process), results[i] ?? null));
  });
});
