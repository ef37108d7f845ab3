import { internal, TensorError } from "../../tensor/core/errors.ts";
import { attr } from "../../tensor/lowering/lowering.ts";
import type { OnnxNode, OnnxTensor } from "../../tensor/lowering/onnx.ts";
import { numel, sameShape } from "../../tensor/core/shape.ts";
import type { Draft, Entry } from "./draft.ts";

/** Where a graph reads the size that may be another each time. */
export interface Axis {
  /** Of an input. */
  readonly input: string;
  readonly dim: number;
  /** The size that the first draft has; the second one's is larger by 1. */
  readonly size: number;
}

export interface Written {
  readonly nodes: readonly OnnxNode[];
  readonly initializers: readonly OnnxTensor[];
}

/**
 * The nodes of a draft, for its sizes, or for all sizes of an axis: what differs between it and a draft with one more
 * follows that axis.
 * @param entry a name for messages
 * @throws TensorError where the two differ in more than sizes
 */
export function written(draft: Draft, larger: Draft | undefined, axis: Axis | undefined): Written {
  if (larger === undefined || axis === undefined)
    return new Writer(undefined).write(draft.entries, draft.entries);
  if (draft.entries.length !== larger.entries.length) differ("has other operations for another size");
  return new Writer(axis).write(draft.entries, larger.entries);
}

function differ(what: string): never {
  throw new TensorError(
    "unsupported",
    `torch.onnx.export(): forward() ${what} of the batch`,
    "export it for one size: { dynamicAxes: {} }, or --batch SIZE on the command line",
  );
}

class Writer {
  private readonly axis: Axis | undefined;
  private readonly nodes: OnnxNode[] = [];
  private readonly initializers: OnnxTensor[] = [];
  /** Vectors of sizes by name, with −1 where there is one that follows the axis. */
  private readonly reshapes = new Map<string, readonly number[]>();
  private length: string | undefined;

  constructor(axis: Axis | undefined) {
    this.axis = axis;
  }

  write(entries: readonly Entry[], others: readonly Entry[]): Written {
    const sizes = new Map<string, readonly [readonly number[], readonly number[]]>();
    entries.forEach((entry, i) => {
      const other = others[i]!;
      if (entry.kind !== other.kind) differ("has other operations for another size");
      if (entry.kind === "sizes" && other.kind === "sizes")
        sizes.set(entry.name, [entry.values, other.values]);
      else if (entry.kind === "tensor" && other.kind === "tensor") this.tensor(entry, other);
      else if (entry.kind === "node" && other.kind === "node") this.node(entry, other, sizes);
    });
    return { nodes: this.nodes, initializers: this.initializers };
  }

  private tensor(entry: Extract<Entry, { kind: "tensor" }>, other: Extract<Entry, { kind: "tensor" }>): void {
    const data = entry.data();
    if (!sameShape(entry.shape, other.shape)) differ("makes a constant for each size");
    if (entry !== other) {
      const values = other.data();
      if (values !== data && data.some((x, i) => !Object.is(x, values[i])))
        differ("makes a constant from the size");
    }
    const { name, shape, dtype } = entry;
    this.initializers.push({ name, shape, dtype, data });
  }

  private node(
    entry: Extract<Entry, { kind: "node" }>,
    other: Extract<Entry, { kind: "node" }>,
    sizes: ReadonlyMap<string, readonly [readonly number[], readonly number[]]>,
  ): void {
    const { name, op, outputs, attributes } = entry;
    const same = (key: "op" | "attributes" | "inputs"): boolean =>
      JSON.stringify(entry[key]) === JSON.stringify(other[key]);
    if (!same("op") || !same("attributes") || !same("inputs"))
      differ("has other operations for another size");
    const inputs = entry.inputs.map((input) => {
      const pair = sizes.get(input);
      return pair === undefined ? input : this.sizes(input, pair, op === "Reshape");
    });
    // A size of 0 is none to be taken from the input.
    const empty = op === "Reshape" && (this.reshapes.get(inputs[1]!)?.includes(0) ?? false);
    this.nodes.push({
      name,
      op,
      inputs,
      outputs,
      attributes: empty ? { ...attributes, allowzero: attr.int(1) } : attributes,
    });
  }

  /** The name of a vector of sizes: a constant, or computed where more than a −1 is needed. */
  private sizes(
    name: string,
    [values, others]: readonly [readonly number[], readonly number[]],
    reshape: boolean,
  ): string {
    const follows = values.map((value, i) => value !== others[i]);
    if (this.reshapes.has(name)) return name;
    const count = follows.filter(Boolean).length;
    if (count === 0 || (reshape && count === 1 && numel(values) > 0)) {
      this.vector(
        name,
        values.map((value, i) => (follows[i] ? -1 : value)),
      );
      return name;
    }
    const parts = values.map((value, i) =>
      follows[i] ? this.following(value, others[i]!) : this.vector(`${name}/${i}`, [value]),
    );
    this.push("Concat", parts, name, { axis: attr.int(0) });
    this.reshapes.set(name, values);
    return name;
  }

  /** A size that grows with the axis: a multiple of it, plus a constant. */
  private following(value: number, other: number): string {
    const axis = this.axis ?? internal("a size that follows nothing");
    const factor = other - value;
    const rest = value - factor * axis.size;
    let name = this.axisLength(axis);
    for (const [op, by, idle] of [
      ["Mul", factor, 1],
      ["Add", rest, 0],
    ] as const) {
      if (by === idle) continue;
      const key = `${name}_${op.toLowerCase()}_${by}`.replace("-", "minus_");
      if (!this.nodes.some((node) => node.outputs[0] === key))
        this.push(op, [name, this.vector(`${key}_by`, [by])], key);
      name = key;
    }
    return name;
  }

  private axisLength({ input, dim }: Axis): string {
    if (this.length !== undefined) return this.length;
    this.push("Shape", [input], "batch_shape", { start: attr.int(dim), end: attr.int(dim + 1) });
    return (this.length = "batch_shape");
  }

  private vector(name: string, values: readonly number[]): string {
    this.reshapes.set(name, values);
    this.initializers.push({ name, shape: [values.length], dtype: "int64", data: Int32Array.from(values) });
    return name;
  }

  private push(
    op: string,
    inputs: readonly string[],
    output: string,
    attributes: OnnxNode["attributes"] = {},
  ): void {
    this.nodes.push({ name: `/${output}`, op, inputs, outputs: [output], attributes });
  }
}
