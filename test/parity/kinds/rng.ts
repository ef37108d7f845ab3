import {
  alphaDropoutConstants,
  bernoulli,
  bernoulliTensor,
  type Draw,
  dropout,
  exponential,
  featureNoiseShape,
  multinomial,
  normal,
  type NumberArray,
  randint,
  randperm,
  truncNormal,
  uniform,
} from "../../../extension/tensor/random/operations.ts";
import { Generator } from "../../../extension/tensor/random/generator.ts";
import {
  loaderBatches,
  randomSplit,
  type RandomSource,
  weightedRandomSampler,
} from "../../../extension/tensor/random/dataSamplers.ts";

/** A tensor of the golden files, as far as kind `rng` uses them. */
export interface GoldenTensor {
  dtype: string;
  shape: number[];
  data?: number[];
  b64f32?: string;
}

export type RngOp = { generator?: string } & (
  | { op: "manual_seed"; seed: number | string }
  | { op: "generator"; id: string; seed: number | string }
  | { op: "save_state" | "restore_state"; id: string }
  | { op: "initial_seed" }
  | { op: "rand" | "randn"; size: number[] }
  | { op: "uniform_"; size: number[]; a: number; b: number }
  | { op: "normal_"; size: number[]; mean: number; std: number }
  | { op: "trunc_normal_"; size: number[]; mean: number; std: number; a: number; b: number }
  | { op: "exponential_"; size: number[]; lambda: number }
  | { op: "randint"; size: number[]; low: number; high: number }
  | { op: "randperm"; n: number }
  | { op: "bernoulli_"; size: number[]; p: number }
  | { op: "bernoulli"; probs: GoldenTensor }
  | { op: "multinomial"; probs: GoldenTensor; n: number; replacement: boolean }
  | {
      op: "dropout" | "dropout1d" | "dropout2d" | "alpha_dropout";
      size: number[];
      p: number;
      training?: boolean;
    }
  | { op: "random_split"; n: number; lengths: number[] }
  | { op: "weighted_sampler"; weights: number[]; n: number; replacement: boolean }
  | {
      op: "loader";
      n: number;
      batch_size: number;
      epochs: number;
      shuffle?: boolean;
      drop_last?: boolean;
      rand_per_batch?: number;
    }
);

export interface RngSpec {
  id: string;
  ops: RngOp[];
}

export interface RngExpectation {
  id: string;
  results: (GoldenTensor | string | number[] | number[][] | number[][][] | null)[];
}

/** Result of an op: values, a decimal string, lists of sample numbers, or nothing. */
export type RngResult = NumberArray | string | number[] | number[][] | number[][][] | null;

/** Normal values agree within 1e-6, times the standard deviation where it is above 1; all else is exact. */
const NORMAL_TOLERANCE = 1e-6;

/**
 * Runs an item of kind `rng` and compares the results with PyTorch's.
 *
 * @returns null when all results agree, else the differences.
 */
export function runRngItem(spec: RngSpec, expect: RngExpectation): string | null {
  const results = runRngOps(spec.ops);
  for (const [index, op] of spec.ops.entries()) {
    const difference = compare(op, results[index]!, expect.results[index] ?? null);
    if (difference !== null) return `op ${index} (${op.op}): ${difference}`;
  }
  return null;
}

/** Runs the ops in order on one set of generators, as one process of PyTorch would. */
export function runRngOps(ops: readonly RngOp[], global = new Generator()): RngResult[] {
  const process: Process = { global, generators: new Map(), saved: new Map() };
  return ops.map((op) => runOp(op, process));
}

interface Process {
  readonly global: Generator;
  readonly generators: Map<string, Generator>;
  /** Saved states of the global generator. */
  readonly saved: Map<string, Uint8Array>;
}

function runOp(op: RngOp, { global, generators, saved }: Process): RngResult {
  const own = op.generator === undefined ? undefined : generators.get(op.generator)!;
  const generator = own ?? global;
  switch (op.op) {
    case "generator":
      generators.set(op.id, new Generator().manualSeed(BigInt(op.seed)));
      return null;
    case "save_state":
      saved.set(op.id, global.getState());
      return null;
    case "restore_state":
      global.setState(saved.get(op.id)!);
      return null;
    case "manual_seed":
      global.manualSeed(BigInt(op.seed));
      return null;
    case "initial_seed":
      return String(global.initialSeed());
    case "rand":
      return float32(uniform(numel(op.size)), generator);
    case "randn":
      return float32(normal(numel(op.size)), generator);
    case "uniform_":
      return float32(uniform(numel(op.size), op.a, op.b), generator);
    case "normal_":
      return float32(normal(numel(op.size), op.mean, op.std), generator);
    case "trunc_normal_":
      return float32(truncNormal(numel(op.size), op.mean, op.std, op.a, op.b), generator);
    case "exponential_":
      return float32(exponential(numel(op.size), op.lambda), generator);
    case "bernoulli_":
      return float32(bernoulli(numel(op.size), op.p), generator);
    case "randint":
      return integers(randint(numel(op.size), op.low, op.high), generator);
    case "randperm":
      return integers(randperm(op.n), generator);
    case "bernoulli": {
      const out = new Float32Array(numel(op.probs.shape));
      bernoulliTensor(out.length).fill(generator, out, Float32Array.from(values(op.probs)));
      return out;
    }
    case "multinomial": {
      const { shape } = op.probs;
      const draw = multinomial(shape.length === 1 ? 1 : shape[0]!, shape.at(-1)!, op.n, op.replacement);
      const out = new Int32Array(draw.size);
      draw.fill(generator, out, values(op.probs));
      return out;
    }
    case "dropout":
    case "dropout1d":
    case "dropout2d":
    case "alpha_dropout":
      return op.training === false ? ones(op.size) : dropOnes(op.op, op.size, op.p, generator);
    case "random_split":
      return randomSplit(op.n, op.lengths, { generator });
    case "weighted_sampler":
      return [...weightedRandomSampler(op.weights, op.n, op.replacement, { generator })];
    case "loader":
      return loadEpochs(op, { generator: global }, own && { generator: own });
  }
}

/** Dropout of ones: the factors themselves, spread over the channels for the channel-wise kinds. */
function dropOnes(kind: string, size: number[], p: number, generator: Generator): Float32Array {
  const out = ones(size);
  if (kind === "alpha_dropout") {
    if (p === 0) return out;
    if (p === 1) return out.fill(0);
    const keep = float32(bernoulli(out.length, 1 - p), generator);
    const { a, slope, shift } = alphaDropoutConstants(p);
    return out.map((x, i) => Math.fround(x * keep[i]! * a) + Math.fround((keep[i]! - 1) * slope + shift));
  }
  if (kind === "dropout") return float32(dropout(out.length, p), generator);
  const factors = float32(dropout(numel(featureNoiseShape(size)), p), generator);
  const each = out.length / factors.length;
  return out.map((x, i) => x * factors[Math.floor(i / each)]!);
}

function loadEpochs(
  op: RngOp & { op: "loader" },
  global: RandomSource,
  source: RandomSource | undefined,
): number[][][] {
  const options = {
    length: op.n,
    batchSize: op.batch_size,
    shuffle: op.shuffle ?? true,
    dropLast: op.drop_last,
    source,
  };
  return Array.from({ length: op.epochs }, () => {
    const epoch: number[][] = [];
    for (const batch of loaderBatches(options, global)) {
      epoch.push(batch);
      uniform(op.rand_per_batch ?? 0).skip(global.generator);
    }
    return epoch;
  });
}

function compare(op: RngOp, actual: RngResult, expected: RngExpectation["results"][number]): string | null {
  if (!isTensor(expected)) {
    const [got, wanted] = [JSON.stringify(actual), JSON.stringify(expected)];
    return got === wanted ? null : `expected ${wanted}, got ${got}`;
  }
  if (actual === null || typeof actual === "string") return `expected a tensor, got ${String(actual)}`;
  const wanted = values(expected);
  if (actual.length !== wanted.length) return `expected ${wanted.length} values, got ${actual.length}`;
  const std = op.op === "normal_" ? op.std : 1;
  const isNormal = op.op === "randn" || op.op === "normal_";
  const tolerance = isNormal ? NORMAL_TOLERANCE * Math.max(1, std) : 0;
  for (const [i, value] of wanted.entries()) {
    const got = actual[i] as number;
    if (!(Math.abs(got - value) <= tolerance)) return `value ${i}: expected ${value}, got ${got}`;
  }
  return null;
}

function isTensor(value: unknown): value is GoldenTensor {
  return typeof value === "object" && value !== null && "dtype" in value;
}

function values(tensor: GoldenTensor): Float32Array | Float64Array {
  if (tensor.b64f32 !== undefined) {
    const bytes = Uint8Array.from(Buffer.from(tensor.b64f32, "base64"));
    return new Float32Array(bytes.buffer);
  }
  const data = tensor.data!.map(Number);
  return tensor.dtype === "float32" ? Float32Array.from(data) : Float64Array.from(data);
}

function float32(draw: Draw, generator: Generator): Float32Array {
  const out = new Float32Array(draw.size);
  draw.fill(generator, out);
  return out;
}

function integers(draw: Draw<NumberArray>, generator: Generator): Float64Array {
  const out = new Float64Array(draw.size);
  draw.fill(generator, out);
  return out;
}

function ones(size: number[]): Float32Array {
  return new Float32Array(numel(size)).fill(1);
}

function numel(size: number[]): number {
  return size.reduce((product, extent) => product * extent, 1);
}
