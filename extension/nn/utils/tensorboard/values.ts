// Arguments of a SummaryWriter as plain values.
import { kindOf, TensorError } from "../../../tensor/core/errors.ts";
import { Tensor } from "../../../tensor/core/tensor.ts";
import { item } from "../../../tensor/functions/creation/conversion.ts";
import { valuesOf } from "../../../tensor/planning/barrier.ts";
import type { Hyperparameter } from "./events.ts";

const MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(" ");

/** The local time as PyTorch writes it in names of folders: May04_22-14-54. */
export function timeName(time: Date): string {
  const two = (value: number): string => String(value).padStart(2, "0");
  const clock = [time.getHours(), time.getMinutes(), time.getSeconds()].map(two).join("-");
  return `${MONTHS[time.getMonth()]!}${two(time.getDate())}_${clock}`;
}

export function numberOf(callee: string, name: string, given: unknown): number {
  const value = given instanceof Tensor ? item(given) : given;
  if (typeof value === "number") return value;
  if (typeof value === "boolean" || typeof value === "bigint") return Number(value);
  throw new TensorError(
    "value",
    `${callee}(): expected ${name} to be a number or a tensor, got ${kindOf(given)}`,
  );
}

export function textOf(callee: string, name: string, given: unknown): string {
  if (typeof given === "string") return given;
  throw new TensorError("value", `${callee}(): expected ${name} to be a string, got ${kindOf(given)}`);
}

export function stepOf(callee: string, given: unknown): number | undefined {
  if (given === null) return undefined;
  const step = Math.trunc(numberOf(callee, "globalStep", given));
  if (Number.isSafeInteger(step)) return step;
  throw new TensorError("value", `${callee}(): expected globalStep to be a whole number, got ${step}`);
}

export function dictOf<T>(
  callee: string,
  name: string,
  given: Readonly<Record<string, T>> | ReadonlyMap<string, T>,
): [string, T][] {
  if (given instanceof Map) return [...(given as ReadonlyMap<string, T>)];
  if (typeof given === "object" && given !== null && !Array.isArray(given) && !(given instanceof Tensor))
    return Object.entries(given);
  throw new TensorError("value", `${callee}(): expected ${name} to be an object, got ${kindOf(given)}`);
}

export const numbersOf = (values: ArrayLike<number> | Tensor): readonly number[] =>
  Array.from(values instanceof Tensor ? valuesOf(values.value) : values, Number);

export function parameterOf(value: unknown): Hyperparameter {
  if (value instanceof Tensor) return item(value);
  if (typeof value === "number" || typeof value === "string" || typeof value === "boolean") return value;
  throw new TensorError("value", "value should be one of int, float, str, bool, or torch.Tensor");
}
