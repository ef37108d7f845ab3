import type { BoundaryReport, EvaluationReport, RegressionReport } from "../../protocol/evaluation.ts";
import { valuesOf } from "../../tensor/planning/barrier.ts";
import { noGrad } from "../../tensor/recording/scope.ts";
import { fromHost } from "../../tensor/core/tensor.ts";
import { forward } from "./evaluator.ts";
import { indexOfLargest } from "./samples.ts";
import { probabilities, widthOf } from "./decisions.ts";
import { describeForm } from "./inputForm.ts";
import type { Numbers, Outcomes } from "./outcomes.ts";
import { lookAt, type Evaluated } from "./subject.ts";

const HARDEST = 24;
const EXAMPLES = 16;
/** Most points of a plot: more would overlap. */
export const MAX_POINTS = 2000;
const BINS = 41;
/** Cells along either axis of a decision boundary. */
const GRID = 100;

/** Builds the report of an evaluation, in addition to its metrics. */
export function reportOf(subject: Evaluated, outcomes: Outcomes): EvaluationReport {
  const { held, split, form } = subject;
  const task = outcomes.task ?? "other";
  const listed = held.listed ? outcomes.length : 0;
  const known = outcomes.losses.some((loss) => !Number.isNaN(loss));
  const hardest = listed > 0 && known ? outcomes.select({ order: "hardest" }).slice(0, HARDEST) : [];
  const shows = task === "reconstruction" || task === "generation";
  const examples = shows ? Array.from({ length: Math.min(listed, EXAMPLES) }, (_, i) => i) : [];
  const boundary = task === "classification" ? boundaryOf(subject, outcomes) : undefined;
  return {
    version: 1,
    task,
    split,
    listed,
    input: describeForm(form),
    hardest: task === "generation" ? [] : lookAt(subject, task, hardest),
    examples: lookAt(subject, task, examples),
    regression: outcomes.numbers.map((numbers, k) => regressionOf(numbers, outputName(k, outcomes))),
    ...(boundary === undefined ? {} : { boundary }),
  };
}

function outputName(k: number, { numbers }: Outcomes): string {
  return numbers.length === 1 ? "prediction" : `output ${k + 1}`;
}

/** Evenly spaced indices below `count`, at most `most` of them. */
export function evenly(count: number, most: number): number[] {
  const kept = Math.min(count, most);
  return Array.from({ length: kept }, (_, i) => Math.floor((i * count) / kept));
}

export function regressionOf({ actual, predicted }: Numbers, name: string): RegressionReport {
  const residuals = predicted.map((value, i) => value - actual[i]!);
  const count = residuals.length;
  const mean = (of: (i: number) => number): number => {
    let sum = 0;
    for (let i = 0; i < count; i++) sum += of(i);
    return sum / count;
  };
  const middle = mean((i) => actual[i]!);
  const squares = mean((i) => residuals[i]! ** 2);
  const variance = mean((i) => (actual[i]! - middle) ** 2);
  return {
    name,
    points: evenly(count, MAX_POINTS).map((i) => [actual[i]!, predicted[i]!]),
    residuals: histogram(residuals),
    meanAbsoluteError: mean((i) => Math.abs(residuals[i]!)),
    rootMeanSquaredError: Math.sqrt(squares),
    bias: mean((i) => residuals[i]!),
    r2: variance > 0 ? 1 - squares / variance : Number.NaN,
  };
}

/** Bins of equal width on both sides of zero, so that the middle one is that of no error. */
export function histogram(residuals: readonly number[]): RegressionReport["residuals"] {
  let most = 0;
  for (const residual of residuals) if (Number.isFinite(residual)) most = Math.max(most, Math.abs(residual));
  const counts = Array.from({ length: BINS }, () => 0);
  for (const residual of residuals) {
    if (!Number.isFinite(residual)) continue;
    const share = most > 0 ? (residual + most) / (2 * most) : 0.5;
    counts[Math.min(BINS - 1, Math.floor(share * BINS))]!++;
  }
  return { minimum: -most, maximum: most, counts };
}

/** Predictions of a classifier of two numbers on a grid over its data; undefined for other models. */
function boundaryOf(
  { prepared: { model, loss }, held, form }: Evaluated,
  { actual, predicted, length }: Outcomes,
): BoundaryReport | undefined {
  if (form.kind !== "row" || form.names.length !== 2 || !held.listed || length === 0) return undefined;
  const shown = evenly(length, MAX_POINTS);
  const values = valuesOf(held.pick(shown)[0]!.value);
  const points = shown.map((index, i): BoundaryReport["points"][number] => {
    const [x, y] = form.decode([values[2 * i]!, values[2 * i + 1]!]) as [number, number];
    return [x, y, actual[index]!, predicted[index]!];
  });
  const [x, y] = [range(points.map(([one]) => one)), range(points.map(([, one]) => one))];
  const at = ([low, high]: readonly [number, number], i: number): number =>
    low + ((i + 0.5) / GRID) * (high - low);
  const cells = Array.from({ length: GRID * GRID }, (_, i) =>
    held.encodeRow([at(x, i % GRID), at(y, Math.floor(i / GRID))]),
  );
  const grid = fromHost(Float32Array.from(cells.flat()), [GRID * GRID, 2], "float32");
  model.eval();
  const output = noGrad(() => forward(model, [grid]));
  const scores = valuesOf(output.value);
  const width = widthOf(output);
  const classes = new Uint8Array(GRID * GRID);
  const confidence = new Uint8Array(GRID * GRID);
  for (let i = 0; i < classes.length; i++) {
    const chances = probabilities(scores.subarray(i * width, (i + 1) * width), loss);
    classes[i] = indexOfLargest(chances);
    confidence[i] = Math.round(255 * (chances[classes[i]!] ?? 0));
  }
  const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64");
  const [first, second] = form.names as [string, string];
  return {
    names: [first, second],
    x,
    y,
    size: GRID,
    predicted: base64(classes),
    confidence: base64(confidence),
    points,
  };
}

/** From the least to the largest, with a margin. */
function range(values: readonly number[]): [number, number] {
  const low = values.reduce((a, b) => Math.min(a, b), Infinity);
  const high = values.reduce((a, b) => Math.max(a, b), -Infinity);
  const margin = 0.08 * (high - low) || 1;
  return [low - margin, high + margin];
}
