import { TensorError } from "../../tensor/core/errors.ts";
import { randn, randperm } from "../../tensor/functions/creation/random.ts";
import { RandomStream, defaultStream } from "../../tensor/random/stream.ts";
import { valuesOf } from "../../tensor/planning/barrier.ts";
import { fromHost, type Tensor } from "../../tensor/core/tensor.ts";
import { LabelledDataset } from "./bundled.ts";
import { TensorDataset } from "./dataset.ts";

export interface SyntheticOptions {
  /** How many; 100 by default. */
  samples?: number;
  /** Standard deviation of normal noise that is added; 0 by default. */
  noise?: number;
  /** Whether the samples are in random order; true by default. */
  shuffle?: boolean;
  /** For random numbers of their own; without it, they come from the global generator. */
  seed?: number;
}

type Point = readonly [x: number, y: number];

/**
 * Two half circles that reach into each other, upper (0) and lower (1): samples [2] (scikit-learn's make_moons).
 *
 * ```ts
 * data.twoMoons({ samples: 500, noise: 0.1, seed: 0 })
 * ```
 */
export function twoMoons(options: SyntheticOptions = {}): LabelledDataset {
  const [upper, lower] = halves("twoMoons", options);
  const angle = (i: number, count: number): number => (Math.PI * i) / Math.max(count - 1, 1);
  return labelled(
    [
      points(upper, (i) => [Math.cos(angle(i, upper)), Math.sin(angle(i, upper))]),
      points(lower, (i) => [1 - Math.cos(angle(i, lower)), 1 - Math.sin(angle(i, lower)) - 0.5]),
    ],
    options,
  );
}

/**
 * Two circles around the same middle, outer (0) and inner (1): samples [2] (scikit-learn's make_circles).
 * @param options `factor`: radius of the inner one, 0.8 by default
 */
export function circles(options: SyntheticOptions & { factor?: number } = {}): LabelledDataset {
  const { factor = 0.8 } = options;
  if (!(factor >= 0 && factor < 1))
    throw new TensorError(
      "value",
      `data.circles(): expected factor to be from 0 to 1 (excluded), got ${factor}`,
    );
  const around = (count: number, radius: number): Point[] =>
    points(count, (i) => {
      const angle = (2 * Math.PI * i) / count;
      return [radius * Math.cos(angle), radius * Math.sin(angle)];
    });
  const [outer, inner] = halves("circles", options);
  return labelled([around(outer, 1), around(inner, factor)], options);
}

/**
 * Spirals that wind around each other, each a class: samples [2], from the middle to a radius of 1.
 * @param options `classes`: how many, 2 by default; `turns` of each, 1 by default
 */
export function spirals(
  options: SyntheticOptions & { classes?: number; turns?: number } = {},
): LabelledDataset {
  const { classes = 2, turns = 1 } = options;
  const samples = count("spirals", options);
  const arms = Array.from({ length: classes }, (_, arm) => {
    const own = Math.floor(samples / classes) + (arm < samples % classes ? 1 : 0);
    return points(own, (i) => {
      const radius = i / Math.max(own - 1, 1);
      const angle = 2 * Math.PI * (turns * radius + arm / classes);
      return [radius * Math.cos(angle), radius * Math.sin(angle)];
    });
  });
  return labelled(arms, options);
}

/**
 * A sine curve: samples [1] evenly over `from` to `to`, and sin(frequency · x + phase) as targets [1]. The noise is added
 * to the targets.
 */
export function sine(
  options: SyntheticOptions & { from?: number; to?: number; frequency?: number; phase?: number } = {},
): TensorDataset<readonly [inputs: Tensor, targets: Tensor]> {
  const { from = -Math.PI, to = Math.PI, frequency = 1, phase = 0, shuffle = false } = options;
  const samples = count("sine", options);
  const stream = streamOf(options);
  const order = orderOf(samples, shuffle, stream);
  const x = Array.from(order, (i) => from + ((to - from) * i) / Math.max(samples - 1, 1));
  const noise = noiseOf(samples, options, stream);
  const y = x.map((value, i) => Math.sin(frequency * value + phase) + noise[i]!);
  return new TensorDataset(
    fromHost(Float32Array.from(x), [samples, 1], "float32"),
    fromHost(Float32Array.from(y), [samples, 1], "float32"),
  );
}

function count(callee: string, { samples = 100 }: SyntheticOptions): number {
  if (Number.isInteger(samples) && samples > 0) return samples;
  throw new TensorError(
    "value",
    `data.${callee}(): expected samples to be a whole number of at least 1, got ${samples}`,
  );
}

function halves(callee: string, options: SyntheticOptions): [number, number] {
  const samples = count(callee, options);
  return [samples >> 1, samples - (samples >> 1)];
}

function points(length: number, point: (i: number) => Point): Point[] {
  return Array.from({ length }, (_, i) => point(i));
}

function streamOf({ seed }: SyntheticOptions): RandomStream {
  return seed === undefined ? defaultStream : new RandomStream().manualSeed(seed);
}

/** First the order is drawn, then the noise, as in scikit-learn. */
function orderOf(samples: number, shuffle: boolean, generator: RandomStream): ArrayLike<number> {
  if (!shuffle) return Array.from({ length: samples }, (_, i) => i);
  return valuesOf(randperm(samples, { generator }).value);
}

function noiseOf(
  length: number,
  { noise = 0 }: SyntheticOptions,
  generator: RandomStream,
): ArrayLike<number> {
  if (noise === 0) return new Float32Array(length);
  return Array.from(valuesOf(randn(length, { generator }).value), (x) => x * noise);
}

function labelled(classes: readonly Point[][], options: SyntheticOptions): LabelledDataset {
  const all = classes.flatMap((own, label) => own.map((point) => ({ point, label })));
  const stream = streamOf(options);
  const order = orderOf(all.length, options.shuffle ?? true, stream);
  const noise = noiseOf(2 * all.length, options, stream);
  const chosen = Array.from(order, (i) => all[i]!);
  return new LabelledDataset(
    fromHost(
      Float32Array.from(
        chosen.flatMap(({ point }) => point),
        (x, i) => x + noise[i]!,
      ),
      [all.length, 2],
      "float32",
    ),
    fromHost(
      Int32Array.from(chosen, ({ label }) => label),
      [all.length],
      "int64",
    ),
    classes.map((_, label) => String(label)),
  );
}
