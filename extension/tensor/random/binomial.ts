import type { Draw } from "./draw.ts";
import { drawn } from "./gamma.ts";
import type { Generator } from "./generator.ts";

/** log k! less Stirling's formula, for k up to 9. */
const TAILS = [
  0.0810614667953272, 0.0413406959554092, 0.0276779256849983, 0.02079067210376509, 0.0166446911898211,
  0.0138761288230707, 0.0118967099458917, 0.010411265261972, 0.00925546218271273, 0.00833056343336287,
];

function stirlingTail(k: number): number {
  if (k <= 9) return TAILS[k]!;
  const square = (k + 1) * (k + 1);
  return (1 / 12 - (1 / 360 - 1 / 1260 / square) / square) / (k + 1);
}

/** Adds up waiting times of successes until they exceed the trials. */
function inverted(generator: Generator, count: number, prob: number): number {
  const log = Math.log1p(-prob);
  let [trials, successes] = [0, 0];
  for (;;) {
    trials += Math.ceil(Math.log(generator.nextDouble()) / log);
    if (!(trials <= count)) return successes;
    successes++;
  }
}

/** Hörmann's transformed rejection with squeeze (1993), as PyTorch has it. */
function rejected(generator: Generator, count: number, prob: number): number {
  const deviation = Math.sqrt(count * prob * (1 - prob));
  const b = 1.15 + 2.53 * deviation;
  const a = -0.0873 + 0.0248 * b + 0.01 * prob;
  const c = count * prob + 0.5;
  const limit = 0.92 - 4.2 / b;
  const odds = prob / (1 - prob);
  const alpha = (2.83 + 5.1 / b) * deviation;
  const m = Math.floor((count + 1) * prob);
  for (;;) {
    const u = generator.nextDouble() - 0.5;
    const v = generator.nextDouble();
    const us = 0.5 - Math.abs(u);
    const k = Math.floor(((2 * a) / us + b) * u + c);
    if (k < 0 || k > count) continue;
    if (us >= 0.07 && v <= limit) return k;
    const bound =
      (m + 0.5) * Math.log((m + 1) / (odds * (count - m + 1))) +
      (count + 1) * Math.log((count - m + 1) / (count - k + 1)) +
      (k + 0.5) * Math.log((odds * (count - k + 1)) / (k + 1)) +
      (stirlingTail(m) + stirlingTail(count - m) - stirlingTail(k) - stirlingTail(count - k));
    if (Math.log((v * alpha) / (a / (us * us) + b)) <= bound) return k;
  }
}

function sampled(generator: Generator, count: number, prob: number): number {
  if (!(count > 0) || prob <= 0) return 0;
  if (prob >= 1) return count;
  // A probability that isn't a number would be drawn for ever.
  if (Number.isNaN(prob)) return NaN;
  const rarer = prob <= 0.5 ? prob : Math.fround(1 - prob);
  const rare = (count * rarer >= 10 ? rejected : inverted)(generator, count, rarer);
  return prob <= 0.5 ? rare : count - rare;
}

/** `torch.binomial(count, prob)`: the input holds all counts, then all probabilities. */
export function binomial(size: number): Draw<Float32Array, Float32Array> {
  return drawn("binomial", size, (generator, out, input) => {
    for (let i = 0; i < size; i++) out[i] = sampled(generator, input[i]!, input[size + i]!);
  });
}
