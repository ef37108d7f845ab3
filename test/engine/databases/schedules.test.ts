// Schedules against PyTorch: see fixtures/databases/schedules.py.
import { describe, test } from "vitest";
import { optim, torch } from "../../../extension/nn/index.ts";
import type { Json } from "../../parity/format.ts";
import { callArguments, construct } from "../../parity/names.ts";
import { argument, attempt, Differences, read, refusal, useQuietEngine } from "./differences.ts";
import { SCHEDULES } from "./known.ts";

type Spec = [type: string, options: Record<string, Json>];
type Rates = [rates: number[], momenta: number[]];

interface Case {
  schedule: Spec;
  optimizer: "momentum" | "plain" | "Adam";
  error?: string;
  rates?: Rates[];
  state?: Record<string, Json>;
  refused?: [step: number, message: string];
  resumed?: Rates[] | string;
  jumped?: Rates[] | string;
}

const { cases, metrics, jumps } = read("schedules") as { cases: Case[]; metrics: number[]; jumps: number[] };
const differences = new Differences();

useQuietEngine();

const FUNCTIONS: Readonly<Record<string, (epoch: number) => number>> = {
  inverse: (epoch) => 1 / (1 + epoch),
  half: (epoch) => 0.5 ** epoch,
  constant: () => 0.9,
};

interface Schedule {
  lastEpoch: number;
  step(metricOrEpoch?: number): void;
  stateDict(): Record<string, unknown>;
  loadStateDict(state: Record<string, unknown>): void;
}

type Optimizer = optim.SGD | optim.Adam;

function optimizerOf({ optimizer }: Case): Optimizer {
  const groups = [
    { params: [torch.zeros(1).requiresGrad_()] },
    { params: [torch.zeros(1).requiresGrad_()], lr: 0.02 },
  ];
  if (optimizer === "Adam") return new optim.Adam(groups, { lr: 0.1 });
  return new optim.SGD(groups, { lr: 0.1, momentum: optimizer === "momentum" ? 0.9 : 0 });
}

const option = (value: Json): unknown =>
  Array.isArray(value)
    ? value.map(option)
    : typeof value === "string"
      ? (FUNCTIONS[value] ?? value)
      : argument(value);

function build(optimizer: Optimizer, [type, options]: Spec, more: Record<string, Json> = {}): Schedule {
  const { schedulers, ...own } = options;
  const parts = (schedulers as unknown as Spec[] | undefined)?.map((part) => build(optimizer, part));
  if (type === "ChainedScheduler")
    return construct("torch.optim.lr_scheduler", type, [parts], {}) as Schedule;
  const given = Object.fromEntries(Object.entries({ ...own, ...more }).map(([name, v]) => [name, option(v)]));
  const named = parts === undefined ? given : { ...given, schedulers: parts };
  if (type !== "SWALR") return construct("torch.optim.lr_scheduler", type, [optimizer], named) as Schedule;
  const SWALR = optim.swaUtils.SWALR as unknown as new (...args: readonly unknown[]) => Schedule;
  return new SWALR(...callArguments([optimizer], named));
}

const rates = (optimizer: Optimizer): Rates => [
  optimizer.paramGroups.map(({ lr }) => lr),
  optimizer.paramGroups.map((group) => ("betas" in group ? group.betas[0] : group["momentum"]) as number),
];

/** Numbers as they are compared: the last digits depend on the library of mathematics. */
const rounded = (x: unknown): unknown => JSON.parse(JSON.stringify(x, (_, v: unknown) => digits(v)));
const digits = (v: unknown): unknown => {
  if (typeof v !== "number") return v ?? null;
  return Number.isFinite(v) ? Number(v.toPrecision(9)) + 0 : String(v);
};

function step(c: Case, schedule: Schedule, i: number): void {
  schedule.step(c.schedule[0] === "ReduceLROnPlateau" ? metrics[i] : undefined);
}

function run(c: Case): void {
  const [of] = c.schedule;
  const same = (what: string, got: unknown, expected: unknown): void =>
    differences.same(of, what, rounded(got), rounded(expected));
  let optimizer = optimizerOf(c);
  let schedule: Schedule | undefined;
  const message = refusal(() => (schedule = build(optimizer, c.schedule)));
  same("message", message, c.error);
  if (schedule === undefined || c.error !== undefined) return;
  same("first rates", rates(optimizer), c.rates![0]);
  for (let i = 0; i < metrics.length; i++) {
    if (i === 5 && c.state !== undefined) {
      const state = schedule.stateDict();
      const expected = Object.fromEntries(Object.entries(c.state).map(([name, v]) => [name, saved(v)]));
      same("state", sorted(state), sorted(expected));
      same("order of the state", Object.keys(state), Object.keys(expected));
      // New ones continue from PyTorch's state.
      const next = optimizerOf(c);
      schedule = build(next, c.schedule);
      next.loadStateDict(optimizer.stateDict());
      schedule.loadStateDict(expected);
      optimizer = next;
    }
    optimizer.step();
    const refused = refusal(() => step(c, schedule!, i));
    same("message of a step", refused, c.refused?.[0] === i ? c.refused[1] : undefined);
    if (refused !== undefined || c.refused?.[0] === i) return;
    same("rates", rates(optimizer), c.rates![i + 1]);
  }
  if (c.resumed !== undefined)
    same(
      "resumed",
      orMessage(() => resumed(c)),
      c.resumed,
    );
  if (c.jumped !== undefined)
    same(
      "jumped",
      orMessage(() => jumped(c)),
      c.jumped,
    );
}

/** Entries in the order of their names, also within. */
function sorted(state: unknown): unknown {
  if (Array.isArray(state)) return state.map(sorted);
  if (typeof state !== "object" || state === null) return state;
  const entries = Object.entries(state).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([name, v]) => [name, sorted(v)]));
}

/** A saved value, with infinite numbers in it. */
const saved = (x: Json): unknown => {
  if (Array.isArray(x)) return x.map(saved);
  if (typeof x !== "object" || x === null) return x;
  if ("$number" in x) return Number(x["$number"]);
  return Object.fromEntries(Object.entries(x).map(([name, v]) => [name, saved(v)]));
};

function orMessage(call: () => unknown): unknown {
  let result: unknown;
  return refusal(() => void (result = call())) ?? result;
}

function resumed(c: Case): Rates[] {
  const optimizer = optimizerOf(c);
  const before = build(optimizer, c.schedule);
  for (let i = 0; i < 3; i++) {
    optimizer.step();
    step(c, before, i);
  }
  const schedule = build(optimizer, c.schedule, { last_epoch: before.lastEpoch });
  return [
    rates(optimizer),
    ...Array.from({ length: 4 }, (_, i) => {
      optimizer.step();
      step(c, schedule, i);
      return rates(optimizer);
    }),
  ];
}

function jumped(c: Case): Rates[] {
  const optimizer = optimizerOf(c);
  const schedule = build(optimizer, c.schedule);
  return jumps.map((epoch) => {
    optimizer.step();
    schedule.step(epoch);
    return rates(optimizer);
  });
}

const names = [...new Set(cases.map(({ schedule }) => schedule[0]))];

describe("schedules", () => {
  test.each(names)("%s", (name) => {
    for (const c of cases) if (c.schedule[0] === name) attempt(differences, name, () => run(c));
  });
  differences.check(SCHEDULES);
});
