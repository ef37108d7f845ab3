// Lists of numbers in what may be a stranger's file. Valibot takes 0.15 µs for a number and more for one that may be null, so a million
// would hold up VS Code. These schemas are Valibot's, but take a list that has nothing else in a single pass.
import * as v from "valibot";
import { MetricValue } from "../run.ts";

/** @param quick gives the output; undefined to have the schema judge */
function quickly<T extends v.GenericSchema>(
  schema: T,
  quick: (value: unknown) => v.InferOutput<T> | undefined,
): T {
  const run: T["~run"] = (dataset, config) => {
    const output = quick(dataset.value);
    return output === undefined ? schema["~run"](dataset, config) : { typed: true, value: output };
  };
  return { ...schema, "~run": run };
}

const isList = (value: unknown): value is unknown[] => Array.isArray(value);
const isNumber = (value: unknown): value is number => typeof value === "number" && !Number.isNaN(value);

/** JSON has null for NaN. */
function metricsIn(value: unknown): number[] | undefined {
  if (!isList(value)) return undefined;
  const numbers = Array.from<number>({ length: value.length });
  for (const [i, one] of value.entries()) {
    if (typeof one !== "number" && one !== null) return undefined;
    numbers[i] = one ?? Number.NaN;
  }
  return numbers;
}

export const Numbers = quickly(v.array(v.number()), (value) =>
  isList(value) && value.every(isNumber) ? value : undefined,
);

/** Measured values. */
export const MetricValues = quickly(v.array(MetricValue), metricsIn);

/** Actual and predicted values. */
export const MetricPairs = quickly(v.array(v.tuple([MetricValue, MetricValue])), (value) => {
  if (!isList(value)) return undefined;
  const pairs: [number, number][] = [];
  for (const one of value) {
    const pair = metricsIn(one);
    if (pair?.length !== 2) return undefined;
    pairs.push(pair as [number, number]);
  }
  return pairs;
});
