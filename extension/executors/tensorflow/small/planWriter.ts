import { TF } from "../../../native/binding.ts";
import { toHostArray, type DType, type HostArray } from "../../../tensor/core/dtype.ts";
import type { TfAttribute, TfBuilder, TfRef } from "../../../tensor/lowering/lowering.ts";
import { numel, type Shape } from "../../../tensor/core/shape.ts";
import { DATA_TYPE } from "../graph/graphDef.ts";
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

const WORD = new DataView(new ArrayBuffer(4));

function bitsOf(x: number): number {
  WORD.setFloat32(0, x);
  return WORD.getInt32(0);
}

/**
 * Writes a plan as the numbers that native/plan.h reads: leaves, each with type, rank and sizes; nodes; and the ids of the
 * outputs; each list with its length before it. Leaves, constants and outputs of nodes have ids in the order they are written.
 */
export class PlanWriter implements TfBuilder {
  readonly exact = true;
  readonly #code: number[];
  #nodes = 0;
  #values: number;
  readonly #nodesAt: number;

  constructor(leaves: readonly { readonly shape: Shape; readonly dtype: DType }[]) {
    this.#code = [leaves.length];
    for (const { shape, dtype } of leaves) this.#value(shape, dtype);
    this.#values = leaves.length;
    this.#nodesAt = this.#code.push(0) - 1;
  }

  /** Ops and constants written so far. */
  get count(): number {
    return this.#nodes;
  }

  leaf(index: number): TfRef {
    return new PlanRef(index);
  }

  nodes(
    op: string,
    inputs: readonly TfRef[],
    attributes: Record<string, TfAttribute>,
    outputs: number,
  ): TfRef[] {
    if (op === "ClipByValue") {
      const [x, least, most] = inputs as [TfRef, TfRef, TfRef];
      return this.nodes("Maximum", [this.node("Minimum", [x, most], attributes), least], attributes, 1);
    }
    const known = OP_CODES.get(op);
    if (known === undefined) throw new UnsupportedError(op);
    const code = this.#code;
    code.push(known.code, inputs.length, outputs, known.attributes.length);
    for (const input of inputs) code.push((input as PlanRef).id);
    for (const name of known.attributes) code.push(number(attributes[name]));
    for (const name in attributes)
      if (!known.attributes.includes(name) && !implied(name, attributes[name]!))
        throw new UnsupportedError(`${op}.${name}`);
    this.#nodes++;
    return Array.from({ length: outputs }, () => new PlanRef(this.#values++));
  }

  node(op: string, inputs: readonly TfRef[], attributes: Record<string, TfAttribute>): TfRef {
    return this.nodes(op, inputs, attributes, 1)[0]!;
  }

  constant(data: HostArray | readonly number[], shape: Shape, dtype: DType): TfRef {
    const values = Array.isArray(data) ? toHostArray(data, dtype) : (data as HostArray);
    this.#code.push(CONSTANT);
    this.#value(shape, dtype);
    if (numel(shape) !== values.length || values instanceof Float64Array)
      throw new UnsupportedError("constant");
    if (values instanceof Float32Array) for (const x of values) this.#code.push(bitsOf(x));
    else if (values instanceof Int32Array) this.#code.push(...values);
    else
      for (let i = 0; i < values.length; i += 4)
        this.#code.push(
          values[i]! |
            ((values[i + 1] ?? 0) << 8) |
            ((values[i + 2] ?? 0) << 16) |
            ((values[i + 3] ?? 0) << 24),
        );
    this.#nodes++;
    return new PlanRef(this.#values++);
  }

  finish(outputs: readonly TfRef[]): Int32Array {
    this.#code[this.#nodesAt] = this.#nodes;
    this.#code.push(outputs.length);
    for (const output of outputs) this.#code.push((output as PlanRef).id);
    return Int32Array.from(this.#code);
  }

  #value(shape: Shape, dtype: DType): void {
    const type = DATA_TYPE[dtype];
    if (type !== TF.TF_FLOAT && type !== TF.TF_INT32 && type !== TF.TF_BOOL)
      throw new UnsupportedError(dtype);
    this.#code.push(type, shape.length, ...shape);
  }
}

/** 0 for an attribute that isn't given: TensorFlow's default for all that are read. */
function number(attribute: TfAttribute | undefined): number {
  if (attribute === undefined) return 0;
  switch (attribute.kind) {
    case "type":
      return DATA_TYPE[attribute.value];
    case "int":
      return attribute.value;
    case "float":
      return bitsOf(attribute.value);
    case "bool":
      return Number(attribute.value);
    case "ints":
    case "floats":
    case "string":
    case "shape":
      throw new UnsupportedError(attribute.kind);
  }
}

function implied(name: string, attribute: TfAttribute): boolean {
  if (attribute.kind === "type" || IMPLIED.has(name)) return true;
  return name === "data_format" && attribute.value === "NHWC";
}
