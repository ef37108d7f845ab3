import { TensorError } from "../../tensor/core/errors.ts";
import { tensor } from "../../tensor/functions/creation/creation.ts";
import { stack } from "../../tensor/functions/shape/shape.ts";
import { formatShape, numel, sameShape } from "../../tensor/core/shape.ts";
import { fromHost, Tensor } from "../../tensor/core/tensor.ts";

/** Type of a batch of samples: numbers become tensors, tensors get a batch dimension. */
export type Collated<S> = S extends Tensor | number | boolean | ArrayBufferView
  ? Tensor
  : S extends string
    ? string[]
    : S extends ReadonlyMap<infer K, infer V>
      ? Map<K, Collated<V>>
      : S extends object
        ? { -readonly [K in keyof S]: Collated<S[K]> }
        : unknown;

/** Type of a sample without a batch: typed arrays become tensors. */
export type Converted<S> = S extends Tensor | number | boolean | string | null | undefined
  ? S
  : S extends ArrayBufferView
    ? Tensor
    : S extends ReadonlyMap<infer K, infer V>
      ? Map<K, Converted<V>>
      : S extends object
        ? { -readonly [K in keyof S]: Converted<S[K]> }
        : S;

/**
 * Converts a sample's typed arrays to tensors, also those in arrays, Maps and objects; all else stays unchanged. This
 * is the default of a loader without batches (`batchSize: null`).
 */
export function defaultConvert<S>(data: S): Converted<S> {
  return convert(data) as Converted<S>;
}

function convert(data: unknown): unknown {
  if (ArrayBuffer.isView(data)) return tensor(data as Float32Array);
  if (typeof data !== "object" || data === null || data instanceof Tensor) return data;
  if (Array.isArray(data)) return data.map(convert);
  if (data instanceof Map)
    return new Map([...(data as ReadonlyMap<unknown, unknown>)].map(([key, x]) => [key, convert(x)]));
  if (Object.getPrototypeOf(data) !== Object.prototype) return data;
  return Object.fromEntries(Object.entries(data).map(([key, x]) => [key, convert(x)]));
}

/**
 * Samples as one batch: tensors stacked, numbers as a tensor, strings as a list; arrays and objects member by member.
 * @throws TensorError when the samples don't have one form
 */
export function defaultCollate<S>(samples: readonly S[]): Collated<S> {
  return collate(samples) as Collated<S>;
}

function collate(samples: readonly unknown[]): unknown {
  const [first] = samples;
  if (first instanceof Tensor) {
    const wrong = samples.findIndex((one) => !(one instanceof Tensor));
    if (wrong < 0) return stacked(samples as readonly Tensor[]);
    throw new TensorError(
      "value",
      `expected Tensor as element ${wrong} in argument 0, but got ${pythonType(samples[wrong])}`,
    );
  }
  if (typeof first === "number" || typeof first === "boolean") return tensor(samples as readonly number[]);
  if (typeof first === "string") return [...samples];
  // Members are taken from each, so all must be what the first one is.
  const other = samples.findIndex((one) => kindOf(one) !== kindOf(first));
  if (other > 0)
    throw new TensorError(
      "value",
      `default_collate: sample ${other} of the batch is of another type than sample 0: ${kindOf(samples[other])}, not ${kindOf(first)}`,
    );
  if (Array.isArray(first)) {
    const lists = samples as readonly (readonly unknown[])[];
    if (lists.some((list) => list.length !== first.length)) {
      throw new TensorError("shape", "each element in list of batch should be of equal size");
    }
    return first.map((_, i) => collate(lists.map((list) => list[i])));
  }
  if (ArrayBuffer.isView(first)) return stacked(samples.map((one) => tensor(one as Float32Array)));
  if (first instanceof Map) {
    const maps = samples as readonly ReadonlyMap<unknown, unknown>[];
    const keys = [...(first as ReadonlyMap<unknown, unknown>).keys()];
    return new Map(
      keys.map((key) => [key, collate(maps.map((map, i) => member(map.has(key), map.get(key), key, i)))]),
    );
  }
  if (typeof first === "object" && first !== null) {
    const records = samples as readonly Readonly<Record<string, unknown>>[];
    return Object.fromEntries(
      Object.keys(first).map((key) => [
        key,
        collate(records.map((record, i) => member(key in record, record[key], key, i))),
      ]),
    );
  }
  throw new TensorError(
    "value",
    `default_collate: batch must contain tensors, numbers, strings, arrays or objects; found ${first === null ? "null" : typeof first}`,
  );
}

function kindOf(value: unknown): string {
  if (value === null || typeof value !== "object") return pythonType(value);
  if (Array.isArray(value)) return "a list";
  if (value instanceof Tensor || ArrayBuffer.isView(value)) return "numbers";
  return value instanceof Map ? "a Map" : "an object";
}

/** Python's name of a value's type, as PyTorch's messages have it. */
function pythonType(value: unknown): string {
  if (typeof value === "number") return Number.isInteger(value) ? "int" : "float";
  if (typeof value === "boolean") return "bool";
  if (typeof value === "string") return "str";
  if (value === null || value === undefined) return "NoneType";
  return Array.isArray(value) ? "list" : value instanceof Map ? "dict" : value.constructor.name;
}

/** A value of sample `i`, which must have what the first one has. */
function member(present: boolean, value: unknown, key: unknown, i: number): unknown {
  if (present) return value;
  throw new TensorError("value", `default_collate: sample ${i} of the batch has no '${String(key)}'`);
}

/** Values that are at hand are copied together; others are computed with the batch. */
function stacked(tensors: readonly Tensor[]): Tensor {
  const { shape, dtype } = tensors[0]!;
  const wrong = tensors.findIndex((t) => !sameShape(t.shape, shape));
  if (wrong > 0) {
    throw new TensorError(
      "shape",
      `stack expects each tensor to be equal size, but got ${formatShape(shape)} at entry 0 and ${formatShape(tensors[wrong]!.shape)} at entry ${wrong}`,
    );
  }
  const parts = tensors.map((t) => t.value.data);
  const [first] = parts;
  if (first === undefined || !parts.every((part) => part?.constructor === first.constructor)) {
    return stack(tensors);
  }
  const size = numel(shape);
  const out = new (first.constructor as Float32ArrayConstructor)(size * parts.length);
  parts.forEach((part, i) => out.set(part!, i * size));
  return fromHost(out, [parts.length, ...shape], dtype);
}
