import { toHostArray, type DType, type HostArray } from "../../tensor/core/dtype.ts";
import { internal, TensorError } from "../../tensor/core/errors.ts";
import type { Node, Value } from "../../tensor/recording/graph.ts";
import type { OnnxAttribute, OnnxBuilder, OnnxRef } from "../../tensor/lowering/onnx.ts";
import { valuesOf } from "../../tensor/planning/barrier.ts";
import type { Shape } from "../../tensor/core/shape.ts";
import type { Named, Recording } from "./recording.ts";

class Ref implements OnnxRef {
  readonly __onnx = true;
  readonly name: string;

  constructor(name: string) {
    this.name = name;
  }
}

/** An entry of a draft; entries are in the order of writing. */
export type Entry =
  | {
      readonly kind: "node";
      readonly name: string;
      readonly op: string;
      readonly inputs: readonly string[];
      readonly outputs: readonly string[];
      readonly attributes: Readonly<Record<string, OnnxAttribute>>;
    }
  | {
      readonly kind: "tensor";
      readonly name: string;
      readonly shape: Shape;
      readonly dtype: DType;
      data(): HostArray;
    }
  /** A vector of sizes, some of which may follow the batch. */
  | { readonly kind: "sizes"; readonly name: string; readonly values: Shape };

/** A recorded model written with ONNX's nodes, for the sizes that it was recorded with. */
export class Draft implements OnnxBuilder {
  readonly entries: Entry[] = [];
  /** Values that nodes of the recording give, with the names of their refs. */
  readonly results: Named[] = [];
  /** The name of each output of the model. */
  readonly outputs: readonly string[];
  private readonly values = new Map<Value, Ref>();
  private readonly constants = new Map<string, Ref>();
  private readonly names = new Map<string, number>();
  private scope = "";

  /** @throws TensorError naming an op that can't be exported, and its module */
  constructor(recording: Recording) {
    for (const { name, value } of recording.inputs) this.values.set(value, new Ref(this.unique(name)));
    const outputs = recording.outputs.map(({ name }) => this.unique(name));
    for (const node of recording.nodes) this.lower(node, recording);
    this.outputs = recording.outputs.map(({ value }, i) => {
      // Names of outputs are given: a value that is an input, or comes out twice, can't have two.
      const ref = this.node("Identity", [this.value(value, recording)]) as Ref;
      this.rename(ref.name, outputs[i]!);
      return outputs[i]!;
    });
  }

  nodes(
    op: string,
    inputs: readonly (OnnxRef | null)[],
    attributes: Record<string, OnnxAttribute>,
    outputs: number,
  ): OnnxRef[] {
    const name = this.unique(`${this.scope}${op}`);
    const refs = Array.from(
      { length: outputs },
      (_, i) => new Ref(i === 0 ? `${name}_output` : `${name}_output_${i}`),
    );
    this.entries.push({
      kind: "node",
      name,
      op,
      // ONNX Runtime crashes on some that are left out at the end but named.
      inputs: inputs
        .slice(0, inputs.findLastIndex((ref) => ref !== null) + 1)
        .map((ref) => (ref as Ref | null)?.name ?? ""),
      outputs: refs.map((ref) => ref.name),
      attributes,
    });
    return refs;
  }

  node(
    op: string,
    inputs: readonly (OnnxRef | null)[],
    attributes: Record<string, OnnxAttribute> = {},
  ): OnnxRef {
    return this.nodes(op, inputs, attributes, 1)[0]!;
  }

  constant(data: HostArray | readonly number[], shape: Shape, dtype: DType): OnnxRef {
    const values = Array.isArray(data) ? toHostArray(data, dtype) : (data as HostArray);
    const key = values.length <= 16 ? `${dtype}[${shape.join()}]${values.join()}` : undefined;
    return this.once(key, "constant", (name) => ({ kind: "tensor", name, shape, dtype, data: () => values }));
  }

  sizes(values: Shape): OnnxRef {
    return this.once(undefined, "sizes", (name) => ({ kind: "sizes", name, values }));
  }

  private once(key: string | undefined, word: string, make: (name: string) => Entry): Ref {
    const known = key === undefined ? undefined : this.constants.get(key);
    if (known !== undefined) return known;
    const ref = new Ref(this.unique(word));
    this.entries.push(make(ref.name));
    if (key !== undefined) this.constants.set(key, ref);
    return ref;
  }

  private lower(node: Node, recording: Recording): void {
    const { op, attributes, inputs, outputs, module } = node;
    const rule = op.onnx;
    if (typeof rule !== "function") {
      const error = new TensorError("unsupported", `${op.name} can't be exported: ${rule.none}`);
      if (module !== "") error.module = module;
      throw error;
    }
    const refs = inputs.map((value) => this.value(value, recording));
    this.scope = module === "" ? "/" : `/${module.replaceAll(".", "/")}/`;
    const written = rule(this, refs, attributes, { inputs, outputs });
    this.scope = "/";
    const list = Array.isArray(written) ? (written as readonly Ref[]) : [written as Ref];
    list.forEach((ref, i) => {
      this.values.set(outputs[i]!, ref);
      this.results.push({ name: ref.name, value: outputs[i]! });
    });
  }

  private value(value: Value, recording: Recording): Ref {
    let ref = this.values.get(value);
    if (ref === undefined) this.values.set(value, (ref = this.leaf(value, recording)));
    return ref;
  }

  private leaf(value: Value, { states }: Recording): Ref {
    const { producer, shape, dtype } = value;
    switch (producer.kind) {
      case "node":
        return value.data === undefined
          ? this.refused(`an output of ${producer.op.name} that only training needs`)
          : (this.constant(value.data, shape, dtype) as Ref);
      case "scalar":
        return this.constant([producer.value], [], dtype) as Ref;
      case "fill": {
        const filled = this.constant([producer.value], [], dtype);
        return (shape.length === 0 ? filled : this.node("Expand", [filled, this.sizes(shape)])) as Ref;
      }
      case "random":
        return this.refused("random numbers that forward draws");
      case "data":
        return this.constant(valuesOf(value), shape, dtype) as Ref;
      case "state": {
        const name = states.get(producer.storage) ?? "state";
        const data = (): HostArray => valuesOf(value);
        return this.once(`state ${producer.storage.id}`, name, (unique) => ({
          kind: "tensor",
          name: unique,
          shape,
          dtype,
          data,
        }));
      }
    }
  }

  private refused(what: string): never {
    throw new TensorError("unsupported", `${what} can't be exported`);
  }

  private rename(from: string, to: string): void {
    const at = this.entries.length - 1;
    const entry = this.entries[at];
    if (entry?.kind !== "node" || entry.outputs[0] !== from)
      internal("an output that is not the last node's");
    this.entries[at] = { ...entry, outputs: [to] };
  }

  private unique(wanted: string): string {
    const count = this.names.get(wanted) ?? 0;
    this.names.set(wanted, count + 1);
    return count === 0 ? wanted : this.unique(`${wanted}_${count}`);
  }
}
