// Which settings a trial has. Both searches answer by the trial's number alone, so an interrupted sweep needs no state of
// theirs, and trials that run side by side don't change each other's settings.
import { createHash } from "node:crypto";
import { EngineError } from "../../protocol/errors.ts";
import {
  MOST_TRIALS,
  type DomainSpec,
  type SearchSpace,
  type Setting,
  type Settings,
} from "../../protocol/sweeps/sweep.ts";

type Range = Extract<DomainSpec, { low: number }>;

/**
 * Draws the settings of a trial. Each value depends on the seed, the trial's number and the parameter's name only: another
 * parameter in the space changes none of the others.
 */
export function randomSettings(space: SearchSpace, seed: number, number: number): Settings {
  return Object.fromEntries(
    Object.entries(space).map(([name, domain]) => [name, valueAt(domain, uniform(seed, number, name))]),
  );
}

/** The seed of a trial whose experiment has none: 32 bits, as PyTorch counts. */
export function trialSeed(seed: number, number: number): number {
  return randomBytes(seed, number, "").readUInt32BE();
}

/** A number in [0, 1) with 53 random bits. */
function uniform(seed: number, number: number, name: string): number {
  return Number(randomBytes(seed, number, name).readBigUInt64BE() >> 11n) / 2 ** 53;
}

/** 32 bytes that follow from a trial and a parameter. No parameter has an empty name. */
function randomBytes(seed: number, number: number, name: string): Buffer {
  return createHash("sha256")
    .update(JSON.stringify([seed, number, name]))
    .digest();
}

/** The value at a quantile of a domain, from 0 up to and without 1. */
export function valueAt(domain: DomainSpec, quantile: number): Setting {
  if (domain.kind === "choice") return domain.values[Math.floor(quantile * domain.values.length)]!;
  const { kind, low, high, log, step } = domain;
  const clamp = (value: number): number => Math.min(high, Math.max(low, value));
  if (step !== undefined && !log) return gridValue(domain, Math.floor(quantile * countOf(domain)!));
  if (!log) return clamp(low + quantile * (high - low));
  // Each integer has the width from half below to half above it, as in Optuna.
  const margin = kind === "int" ? 0.5 : 0;
  const from = Math.log(low - margin);
  const value = Math.exp(from + quantile * (Math.log(high + margin) - from));
  return clamp(kind === "int" ? Math.round(value) : value);
}

/** How many values a domain has; undefined for a continuous one. */
function countOf(domain: DomainSpec): number | undefined {
  if (domain.kind === "choice") return domain.values.length;
  const { low, high, step } = domain;
  // A step like 0.1 is no binary fraction.
  return step === undefined ? undefined : Math.floor((high - low) / step + 1e-9) + 1;
}

function gridValue({ kind, low, high, step = 1 }: Range, index: number): number {
  const value = low + index * step;
  // 3 × 0.1 is written as 0.3.
  return Math.min(high, kind === "int" ? value : Number(value.toPrecision(12)));
}

/**
 * How many trials a grid has.
 * @throws EngineError "sweep" for a continuous parameter, or too many trials
 */
export function gridSize(space: SearchSpace): number {
  const refuse = (message: string, hint: string): never => {
    throw new EngineError({ code: "sweep", message, hint });
  };
  let size = 1;
  for (const [name, domain] of Object.entries(space)) {
    const count = countOf(domain);
    if (count === undefined)
      return refuse(
        `A grid needs parameters with a finite number of values: ${name} has none.`,
        `Write sweep.choice(…) or sweep.uniform(low, high, { step }) for ${name}, or search at random.`,
      );
    size *= count;
  }
  if (size > MOST_TRIALS)
    return refuse(
      `The grid has ${size.toLocaleString("en-US")} trials; at most ${MOST_TRIALS.toLocaleString("en-US")} are possible.`,
      "Give the parameters fewer values, or search at random.",
    );
  return size;
}

/** The settings of a grid's trial: the last parameter changes fastest. */
export function gridSettings(space: SearchSpace, number: number): Settings {
  let rest = number;
  const entries = Object.entries(space)
    .toReversed()
    .map(([name, domain]): [string, Setting] => {
      const count = countOf(domain) ?? 1;
      const index = rest % count;
      rest = Math.floor(rest / count);
      return [name, domain.kind === "choice" ? domain.values[index]! : gridValue(domain, index)];
    });
  return Object.fromEntries(entries.toReversed());
}
