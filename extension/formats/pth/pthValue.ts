import type { Fail } from "./pthError.ts";
import { PthDtype } from "./pthObjects.ts";
import { PthTensor } from "./pthTensor.ts";
import { describe } from "./unpickler.ts";

export type PthKey = null | boolean | number | bigint | string | readonly PthKey[];

/**
 * A value of a `.pth` file. A dict is a `Map` (an `OrderedDict` where it was one), with the order and the types of its
 * keys; a list is an array, a tuple a frozen array, `bytes` a `Uint8Array`; whole numbers that a double can't hold are
 * bigints; a device is its name.
 */
export type PthValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | PthTensor
  | PthDtype
  | readonly PthValue[]
  | ReadonlySet<PthValue>
  | ReadonlyMap<PthKey, PthValue>;

/** Levels of nesting; real checkpoints have about ten. */
const MAX_DEPTH = 128;
/**
 * Values, each counted as often as it is reached: a small file can refer to one list from everywhere. Without that, a
 * value takes a byte of the pickle at least.
 */
const FREE_VALUES = 2 ** 16;
const VALUES_PER_BYTE = 4;

/**
 * Whether something is plain data and tensors, nested not too deep, without a value that contains itself: code
 * that walks it needs no precautions.
 * @param bytes of the pickle that it comes from
 * @throws PthError "pickle"; "limit" where it would be walked too long
 */
export function checkedValue(root: unknown, fail: Fail, bytes: number): PthValue {
  const most = FREE_VALUES + VALUES_PER_BYTE * bytes;
  /** Number of values that are reached through an object; 0 while it is being counted. */
  const counts = new Map<object, number>();
  const stack: { value: object; parts: Iterator<unknown>; count: number }[] = [];
  const enter = (value: unknown): number => {
    const parts = partsOf(value, fail);
    if (parts === undefined) return 1;
    const known = counts.get(value as object);
    if (known === 0) return fail("pickle", `${describe(value)} contains itself`);
    if (known !== undefined) return known;
    if (stack.length === MAX_DEPTH) return fail("limit", `values are nested deeper than ${MAX_DEPTH} levels`);
    counts.set(value as object, 0);
    stack.push({ value: value as object, parts, count: 1 });
    return 0;
  };
  enter(root);
  while (stack.length > 0) {
    const top = stack.at(-1)!;
    const { done, value } = top.parts.next();
    if (done === true) {
      counts.set(top.value, top.count);
      stack.pop();
      const parent = stack.at(-1);
      if (parent !== undefined) parent.count += top.count;
    } else {
      top.count += enter(value);
    }
    if (top.count > most)
      fail(
        "limit",
        `there are more than ${most.toLocaleString("en-US")} values, the limit for a pickle of ${bytes.toLocaleString("en-US")} bytes`,
      );
  }
  return root as PthValue;
}

/** The values in a container; undefined for a value that is no container. */
function partsOf(value: unknown, fail: Fail): Iterator<unknown> | undefined {
  if (Array.isArray(value) || value instanceof Set) return value.values();
  // Keys were checked when they were set.
  if (value instanceof Map) return value.values();
  if (
    value === null ||
    value instanceof PthTensor ||
    value instanceof PthDtype ||
    value instanceof Uint8Array
  )
    return undefined;
  if (typeof value !== "object") return undefined;
  return fail("global", `${describe(value)} is no data`);
}
