import { valuesOf } from "../../tensor/planning/barrier.ts";
import { numel, sameShape, type Shape } from "../../tensor/core/shape.ts";
import type { HostArray } from "../../tensor/core/dtype.ts";
import type { Tensor } from "../../tensor/core/tensor.ts";
import { fieldsOf, type Role } from "./fields.ts";

/** One tensor of every sample that was read, one after the other. */
export interface Part {
  dtype: Tensor["dtype"];
  /** Of one sample. */
  shape: Shape;
  /** Numbers of one sample. */
  size: number;
  values: Float32Array;
}

/** A tensor of one sample. */
export interface Row {
  shape: Shape;
  values: HostArray;
}

/** A value that samples have under one name. */
export interface Field {
  name: string;
  role: Role;
  dtype: Tensor["dtype"] | "text";
  /** Tensors of one shape. */
  part?: Part;
  /** Tensors of several shapes, or those that some samples don't have. */
  rows?: readonly (Row | undefined)[];
  texts?: readonly (string | undefined)[];
}

interface Collected {
  role: Role;
  dtype: Tensor["dtype"] | "text";
  values: (Row | string | undefined)[];
}

/** Returns a sample's value of a field: a tensor, a text, or undefined. */
export function valueAt(field: Field, sample: number): Row | string | undefined {
  const { part, rows, texts } = field;
  if (part === undefined) return (rows ?? texts)?.[sample];
  const { values, size, shape } = part;
  return { shape, values: values.subarray(sample * size, (sample + 1) * size) };
}

/** Collects the samples of a data set, whatever their form. */
export class Rows {
  /** The number of each sample that was added. */
  readonly indices: number[] = [];
  /** Numbers and characters of all. */
  size = 0;
  readonly #fields = new Map<string, Collected>();
  readonly #names: readonly string[];

  /** @param names Names of the inputs of a list: see `inputNames` */
  constructor(names: readonly string[] = []) {
    this.#names = names;
  }

  get read(): number {
    return this.indices.length;
  }

  /**
   * Adds a batch. Returns false, and adds nothing, if its values don't have a row for each sample.
   * @param indices Numbers of its samples; those that follow by default
   */
  addBatch(batch: unknown, indices?: readonly number[]): boolean {
    const fields = fieldsOf(batch, true, this.#names);
    const lengths = fields.map((one) => ("texts" in one ? one.texts.length : one.tensor.shape[0]));
    const count = indices?.length ?? lengths[0];
    if (count === undefined || lengths.length === 0 || lengths.some((length) => length !== count))
      return false;
    // Computed before anything is added: a transform may fail.
    const known = fields.map((field) => {
      if ("texts" in field) return { ...field, dtype: "text" as const, rows: field.texts };
      const { shape, dtype, value } = field.tensor;
      const [values, own] = [valuesOf(value), shape.slice(1)];
      const size = numel(own);
      const rows = Array.from({ length: count }, (_, i): Row => ({
        shape: own,
        values: values.subarray(i * size, (i + 1) * size),
      }));
      return { ...field, dtype, rows };
    });
    for (const { name, role, dtype, rows } of known) this.#add(name, role, dtype, rows);
    for (let i = 0; i < count; i++) this.indices.push(indices?.[i] ?? this.read);
    return true;
  }

  /** Adds a sample as its data set has it. */
  addSample(sample: unknown, index: number): void {
    const known = fieldsOf(sample, false, this.#names).map((field) => {
      if ("texts" in field) return { ...field, dtype: "text" as const, row: field.texts[0]! };
      const { shape, dtype, value } = field.tensor;
      return { ...field, dtype, row: { shape, values: valuesOf(value) } };
    });
    for (const { name, role, dtype, row } of known) this.#add(name, role, dtype, [row]);
    this.indices.push(index);
  }

  clear(): void {
    this.#fields.clear();
    this.indices.length = 0;
    this.size = 0;
  }

  /** All samples, by their number. */
  fields(): { fields: Field[]; indices: number[] } {
    const order = this.indices.map((_, i) => i).sort((a, b) => this.indices[a]! - this.indices[b]!);
    const fields = [...this.#fields].map(([name, { role, dtype, values }]): Field => {
      const sorted = order.map((i) => values[i]);
      if (dtype === "text") return { name, role, dtype, texts: sorted as (string | undefined)[] };
      const rows = sorted as (Row | undefined)[];
      const part = joined(rows, dtype);
      return { name, role, dtype, ...(part === undefined ? { rows } : { part }) };
    });
    return { fields, indices: order.map((i) => this.indices[i]!) };
  }

  #add(name: string, role: Role, dtype: Collected["dtype"], rows: readonly (Row | string)[]): void {
    let field = this.#fields.get(name);
    if (field === undefined) this.#fields.set(name, (field = { role, dtype, values: [] }));
    // A value of another kind than those before has no place among them.
    if ((field.dtype === "text") !== (dtype === "text")) return;
    rows.forEach((row, i) => {
      field.values[this.read + i] = row;
      this.size += typeof row === "string" ? row.length : row.values.length;
    });
  }
}

/** Joins the samples' tensors; undefined unless all have one, of the same shape. */
function joined(rows: readonly (Row | undefined)[], dtype: Tensor["dtype"]): Part | undefined {
  const shape = rows[0]?.shape;
  if (shape === undefined || !rows.every((row) => row !== undefined && sameShape(row.shape, shape)))
    return undefined;
  const size = numel(shape);
  const values = new Float32Array(size * rows.length);
  rows.forEach((row, i) => values.set(row!.values, i * size));
  return { dtype, shape, size, values };
}
