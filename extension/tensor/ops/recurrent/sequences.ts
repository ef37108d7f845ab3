import { TensorError } from "../../core/errors.ts";
import type { Meta } from "../../recording/op.ts";
import type { Cut, PartRule } from "../../planning/parts.ts";
import type { Sequences } from "./attributes.ts";
import type { Kernels, Step } from "./kernels.ts";

/** Steps in which the same number of sequences is running. */
interface Run {
  /** First row. */
  readonly from: number;
  readonly steps: number;
  readonly batch: number;
}

export const rowsOf = (sizes: readonly number[]): number => sizes.reduce((n, size) => n + size, 0);

/** @throws TensorError for no steps at all, or rows that are not as many as the sizes say */
export function checkRows(rows: Meta, { sizes }: Sequences): void {
  if (sizes.length === 0)
    throw new TensorError("shape", "Expected sequence length to be larger than 0 in RNN");
  if (rows.shape[0] !== rowsOf(sizes)) {
    throw new TensorError(
      "shape",
      `Expected batch_sizes to sum to the number of rows ${rows.shape[0]}, but got ${rowsOf(sizes)}`,
    );
  }
}

function runsOf(sizes: readonly number[]): Run[] {
  const runs: Run[] = [];
  let from = 0;
  for (let first = 0; first < sizes.length;) {
    const batch = sizes[first]!;
    let steps = 1;
    while (sizes[first + steps] === batch) steps++;
    runs.push({ from, steps, batch });
    from += steps * batch;
    first += steps;
  }
  return runs;
}

type Kind = "row" | "state" | "whole" | "sum";

/**
 * How the ops run over some of the sequences, where all are as long: inputs and outputs have rows of every step, a state of
 * every sequence, or are whole (weights; as outputs, their gradients add up).
 */
export const sequencewise =
  (inputs: readonly Kind[], outputs: readonly Kind[]): PartRule<Sequences> =>
  (cuts, signature, attributes, parts) => {
    const { sizes } = attributes;
    if (sizes[0] !== sizes[sizes.length - 1]) return undefined;
    const cut = (kind: Kind | undefined): Cut | undefined =>
      kind === "row" || kind === "state" ? { dim: 0, outer: kind === "row" ? sizes.length : 1 } : undefined;
    const own = signature.inputs.map((_, i) => cut(inputs[i]));
    if (cuts.some((c, i) => c !== undefined && c.outer !== own[i]?.outer)) return undefined;
    return {
      inputs: own,
      outputs: signature.outputs.map((_, i) => cut(outputs[i]) ?? "sum"),
      attributes: { ...attributes, sizes: sizes.map((n) => n / parts) },
    };
  };

interface Walk<R> {
  readonly state: readonly R[];
  readonly sequences: readonly R[];
  readonly fixed: readonly R[];
  readonly widths: readonly number[];
}

export interface Walked<R> {
  /** Of every row. */
  readonly outputs: readonly R[];
  /** One row per sequence. */
  readonly state: readonly R[];
}

/** Steps through all sequences: the state each ends with, and what the steps gave. */
export function forwards<R>(
  k: Kernels<R>,
  sizes: readonly number[],
  { state, sequences, fixed, widths }: Walk<R>,
  step: Step<R, Kernels<R>>,
): Walked<R> {
  const runs = runsOf(sizes);
  const outputs: R[][] = widths.map(() => []);
  const ended: (readonly R[])[] = [];
  let now = state;
  runs.forEach((run, i) => {
    const before = runs[i - 1]?.batch;
    if (before !== undefined) {
      ended.unshift(now.map((s) => k.rows(s, run.batch, before)));
      now = now.map((s) => k.rows(s, 0, run.batch));
    }
    const result = k.loop(
      {
        ...run,
        backwards: false,
        state: now,
        sequences: sequences.map((x) => part(k, x, run, runs)),
        fixed,
        widths,
      },
      step,
    );
    now = result.state;
    result.outputs.forEach((y, j) => outputs[j]!.push(y));
  });
  return {
    outputs: outputs.map((parts) => k.stack(parts)),
    state: now.map((s, j) => k.stack([s, ...ended.map((rows) => rows[j]!)])),
  };
}

/** Steps through all sequences from their ends, with `state` given for the end of each. */
export function backwards<R>(
  k: Kernels<R>,
  sizes: readonly number[],
  { state, sequences, fixed, widths }: Walk<R>,
  step: Step<R, Kernels<R>>,
): Walked<R> {
  const runs = runsOf(sizes);
  const outputs: R[][] = widths.map(() => []);
  let now: readonly R[] | undefined;
  let running = 0;
  for (const run of runs.toReversed()) {
    // Sequences that end with this run join those that continue.
    now =
      runs.length === 1
        ? state
        : state.map((s, j) => {
            const joining = k.rows(s, running, run.batch);
            return now === undefined ? joining : k.stack([now[j]!, joining]);
          });
    running = run.batch;
    const result = k.loop(
      {
        ...run,
        backwards: true,
        state: now,
        sequences: sequences.map((x) => part(k, x, run, runs)),
        fixed,
        widths,
      },
      step,
    );
    now = result.state;
    result.outputs.forEach((y, j) => outputs[j]!.unshift(y));
  }
  return { outputs: outputs.map((parts) => k.stack(parts)), state: now ?? state };
}

/** For every row, what the step before it left: rows of the initial state, then of the sequence. */
export function before<R>(k: Kernels<R>, sizes: readonly number[], initial: R, sequence: R): R {
  const parts = [initial];
  let last = 0;
  for (const { from, steps, batch } of runsOf(sizes)) {
    if (from > 0) parts.push(k.rows(sequence, last, last + batch));
    last = from + (steps - 1) * batch;
    if (steps > 1) parts.push(k.rows(sequence, from, last));
  }
  return k.stack(parts);
}

function part<R>(k: Kernels<R>, x: R, { from, steps, batch }: Run, runs: readonly Run[]): R {
  return runs.length === 1 ? x : k.rows(x, from, from + steps * batch);
}
