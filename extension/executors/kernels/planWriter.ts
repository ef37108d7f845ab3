import { TF } from "../../native/binding.ts";
import { toHostArray, type DType, type HostArray } from "../../tensor/core/dtype.ts";
import type { TfAttribute, TfBuilder, TfRef } from "../../tensor/lowering/lowering.ts";
import { numel, type Shape } from "../../tensor/core/shape.ts";
import { DATA_TYPE } from "../dataTypes.ts";
import { CONSTANT, IMPLIED, OP_CODES } from "./opCodes.ts";

/** A plan has something that the binding's own kernels can't compute. */
export class UnsupportedError extends Error {}

class PlanRef implements TfRef {
  readonly __tensorflow = true;
  readonly id: number;

  constructor(id: number) {
    this.id = id;
  }
}

/** By id, for all plans: they say nothing else. */
const refs: PlanRef[] = [];

function refOf(id: number): PlanRef {
  while (refs.length <= id) refs.push(new PlanRef(refs.length));
  return refs[id]!;
}

const FLOATS = new Float32Array(1);
const BITS = new Int32Array(FLOATS.buffer);

function bitsOf(x: number): number {
  FLOATS[0] = x;
  return BITS[0]!;
}

/** For the numbers of the next plan: the array of the last one, unless that is still being written. */
let spare: Int32Array | undefined;

/**
 * Writes a plan as the numbers that native/plan.h reads: leaves, each with type, rank and sizes; nodes; and the ids of the
 * outputs; each list with its length before it. Leaves, constants and outputs of nodes have ids in the order they are written.
 */
export class PlanWriter implements TfBuilder {
  readonly exact = true;
  #code = spare ?? new Int32Array(4096);
  #length = 0;
  #nodes = 0;
  #values: number;
  readonly #nodesAt: number;

  constructor(leaves: readonly { readonly shape: Shape; readonly dtype: DType }[]) {
    spare = undefined;
    this.#push(leaves.length);
    for (const { shape, dtype } of leaves) this.#value(shape, dtype);
    this.#values = leaves.length;
    this.#nodesAt = this.#length;
    this.#push(0);
  }

  /** Ops and constants written so far. */
  get count(): number {
    return this.#nodes;
  }

  leaf(index: number): TfRef {
    return refOf(index);
  }

  nodes(
    op: string,
    inputs: readonly TfRef[],
    attributes: Record<string, TfAttribute>,
    outputs: number,
  ): TfRef[] {
    const made: TfRef[] = [];
    let id = this.#write(op, inputs, attributes, outputs);
    while (made.length < outputs) made.push(refOf(id++));
    return made;
  }

  node(op: string, inputs: readonly TfRef[], attributes: Record<string, TfAttribute>): TfRef {
    return refOf(this.#write(op, inputs, attributes, 1));
  }

  /** Returns the id of the first output. */
  #write(
    op: string,
    inputs: readonly TfRef[],
    attributes: Record<string, TfAttribute>,
    outputs: number,
  ): number {
    if (op === "ClipByValue") {
      const [x, least, most] = inputs as [TfRef, TfRef, TfRef];
      return this.#write("Maximum", [this.node("Minimum", [x, most], attributes), least], attributes, 1);
    }
    const known = OP_CODES.get(op);
    if (known === undefined) throw new UnsupportedError(op);
    const read = known.attributes;
    this.#push(known.code);
    this.#push(inputs.length);
    this.#push(outputs);
    const countAt = this.#length;
    this.#push(0);
    for (let i = 0; i < inputs.length; i++) this.#push((inputs[i] as PlanRef).id);
    const from = this.#length;
    for (let i = 0; i < read.length; i++) this.#attribute(attributes[read[i]!]);
    this.#code[countAt] = this.#length - from;
    for (const name in attributes)
      if (attributes[name]!.kind !== "type" && !read.includes(name) && !implied(name, attributes[name]!))
        throw new UnsupportedError(`${op}.${name}`);
    this.#nodes++;
    const id = this.#values;
    this.#values += outputs;
    return id;
  }

  constant(data: HostArray | readonly number[], shape: Shape, dtype: DType): TfRef {
    const count = data.length;
    this.#push(CONSTANT);
    this.#value(shape, dtype);
    if (numel(shape) !== count || data instanceof Float64Array) throw new UnsupportedError("constant");
    if (dtype === "float32") for (let i = 0; i < count; i++) this.#push(bitsOf(data[i]!));
    else if (dtype === "int64") for (let i = 0; i < count; i++) this.#push(data[i]!);
    else {
      const values = toHostArray(data, dtype);
      for (let i = 0; i < count; i += 4)
        this.#push(
          values[i]! |
            ((values[i + 1] ?? 0) << 8) |
            ((values[i + 2] ?? 0) << 16) |
            ((values[i + 3] ?? 0) << 24),
        );
    }
    this.#nodes++;
    return refOf(this.#values++);
  }

  /** Returns the plan's numbers, which the next plan takes the place of. */
  finish(outputs: readonly TfRef[]): Int32Array {
    this.#code[this.#nodesAt] = this.#nodes;
    this.#push(outputs.length);
    for (const output of outputs) this.#push((output as PlanRef).id);
    spare = this.#code;
    return spare.subarray(0, this.#length);
  }

  /** A list is written with its length before it; an attribute that isn't given as 0, the default of all that are read. */
  #attribute(attribute: TfAttribute | undefined): void {
    if (attribute?.kind !== "ints") return this.#push(attribute === undefined ? 0 : number(attribute));
    this.#push(attribute.value.length);
    for (const x of attribute.value) this.#push(x);
  }

  #push(x: number): void {
    // Stored, it would be another one.
    if ((x | 0) !== x) throw new UnsupportedError(`${x}`);
    if (this.#length === this.#code.length) {
      const longer = new Int32Array(2 * this.#length);
      longer.set(this.#code);
      this.#code = longer;
    }
    this.#code[this.#length++] = x;
  }

  #value(shape: Shape, dtype: DType): void {
    const type = DATA_TYPE[dtype];
    if (type !== TF.TF_FLOAT && type !== TF.TF_INT32 && type !== TF.TF_BOOL)
      throw new UnsupportedError(dtype);
    this.#push(type);
    this.#push(shape.length);
    for (let i = 0; i < shape.length; i++) this.#push(shape[i]!);
  }
}

const PADDINGS = ["VALID", "SAME", "EXPLICIT"];

function number(attribute: TfAttribute): number {
  switch (attribute.kind) {
    case "type":
      return DATA_TYPE[attribute.value];
    case "int":
      return attribute.value;
    case "float":
      return bitsOf(attribute.value);
    case "bool":
      return Number(attribute.value);
    case "string":
      if (PADDINGS.includes(attribute.value)) return PADDINGS.indexOf(attribute.value);
      throw new UnsupportedError(attribute.value);
    case "ints":
    case "floats":
    case "shape":
      throw new UnsupportedError(attribute.kind);
  }
}

function implied(name: string, attribute: TfAttribute): boolean {
  if (IMPLIED.has(name)) return true;
  // Of matrices that are not transposed first, and of decompositions that leave out what is zero.
  if (name === "adjoint" || name === "full_matrices") return attribute.value === false;
  if (name === "compute_v" || name === "compute_uv") return attribute.value === true;
  if (name === "data_format") return attribute.value === "NHWC" || attribute.value === "NDHWC";
  return name === "explicit_paddings" && attribute.kind === "ints" && attribute.value.length === 0;
}
