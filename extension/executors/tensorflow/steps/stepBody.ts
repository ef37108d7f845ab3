import { internal } from "../../../tensor/core/errors.ts";
import type { Node, Storage, Value } from "../../../tensor/recording/graph.ts";
import { attr, scalar, vector, type TfRef } from "../../../tensor/lowering/lowering.ts";
import { addBias } from "../../../tensor/ops/matrix/matmul.ts";
import { Lowering, resolved, signatureOf } from "../../layouts.ts";
import { tensorflowBackend } from "../backend.ts";
import type { Blueprint, Feed } from "../graph/blueprint.ts";
import type { GraphBuilder } from "../graph/graphBuilder.ts";
import { INDEX, joined, split, type Pieces } from "../graph/pieces.ts";

/** The variables of a storage, one or some rows in each, and their values before the step: read where something needs them. */
export class Resource {
  readonly handles: readonly TfRef[];
  private readonly write: (handle: TfRef) => TfRef;
  private refs: readonly TfRef[] = [];

  constructor(handles: readonly TfRef[], read: (handle: TfRef) => TfRef) {
    this.handles = handles;
    this.write = read;
  }

  read(): readonly TfRef[] {
    if (this.refs.length === 0) this.refs = this.handles.map((handle) => this.write(handle));
    return this.refs;
  }

  /** What an update has to wait for. */
  get reads(): readonly TfRef[] {
    return this.refs;
  }
}

/** Forward, backward and update of one step. */
export class Body {
  /** Numbers taken for constants, by leaf. */
  readonly constants = new Map<number, number>();
  private readonly b: GraphBuilder;
  private readonly blueprint: Blueprint;
  private readonly resources: ReadonlyMap<Storage, Resource>;
  private readonly lowering: Lowering<TfRef>;
  /** Values that come in parts, put together where something needs them whole. */
  private readonly pieces = new Map<Value, Pieces>();
  /** Columns of values that come whole. */
  private readonly cut = new Map<Value, Pieces>();
  /** Updates that were written in between, and what was read after them. */
  private readonly done: TfRef[] = [];

  constructor(
    b: GraphBuilder,
    blueprint: Blueprint,
    feeds: readonly Feed[],
    inputs: readonly TfRef[],
    resources: ReadonlyMap<Storage, Resource>,
  ) {
    this.b = b;
    this.blueprint = blueprint;
    this.resources = resources;
    const { plan, inPlace } = blueprint;
    const fed = new Map(feeds.map(({ leaf }, i) => [leaf, inputs[i]!]));
    const at = new Map(plan.leaves.map((value, i) => [value, i]));
    const backend = tensorflowBackend(b, (value) => {
      const pieces = this.pieces.get(resolved(value));
      if (pieces !== undefined) return joined(b, pieces, value.dtype);
      const i = at.get(value)!;
      return fed.get(i) ?? this.leaf(value, i);
    });
    this.lowering = new Lowering({
      ...backend,
      lower: (node, refs) => b.within(node.op.name, () => backend.lower(node, refs)),
    });
    for (const node of plan.nodes) {
      if (this.inPieces(node)) continue;
      if (!inPlace.has(node)) this.lowering.node(node);
      else if (this.atOnce(node)) this.updateAtOnce(node);
    }
  }

  private atOnce(node: Node): boolean {
    return node.outputs.some((value) => this.blueprint.usedAtOnce.has(value));
  }

  /** Updates variables and reads them again. */
  private updateAtOnce(node: Node): void {
    const { b } = this;
    const resources = this.updated(node);
    // What still needs the old values gets them now.
    for (const { storage, resource } of resources)
      if (this.blueprint.usedBefore.has(storage)) resource.read();
    const inputs = this.others(node);
    const writes = b.after(
      resources.flatMap(({ resource }) => resource.reads),
      () => this.update(node, inputs),
    );
    this.done.push(...writes);
    node.outputs.forEach((value, i) => {
      if (!this.blueprint.usedAtOnce.has(value)) return;
      const { handles } = resources[i]!.resource;
      const dtype = attr.type(value.dtype);
      const refs = b.after(writes, () =>
        handles.map((handle) => b.node("ReadVariableOp", [handle], { dtype })),
      );
      this.pieces.set(value, { refs, axis: 0 });
      this.done.push(...refs);
    });
  }

  /** The variables that a node updates, in the order of its outputs. */
  private updated({ outputs }: Node): { storage: Storage; resource: Resource }[] {
    return outputs.map((value) => {
      const { storage } = this.blueprint.plan.assigns.find((a) => a.value === value)!;
      return { storage, resource: this.resources.get(storage)! };
    });
  }

  /** Other inputs of an update, for each shard of its variables. */
  private others(node: Node): TfRef[][] {
    const { resource } = this.updated(node)[0]!;
    const values = node.inputs.slice(node.outputs.length);
    return resource.handles.map((_, part) =>
      values.map((v, i) =>
        i === 0 && resource.handles.length > 1
          ? this.pieces.get(resolved(v))!.refs[part]!
          : this.lowering.plain(v),
      ),
    );
  }

  private update(node: Node, inputs: readonly (readonly TfRef[])[]): readonly TfRef[] {
    const { op } = node;
    const resources = this.updated(node).map(({ resource }) => resource);
    return inputs.flatMap((given, part) => {
      const handles = resources.map(({ handles }) => handles[part]!);
      return op.inPlace!(this.b, handles, given, node.attributes, signatureOf(node));
    });
  }

  /** Writes a node that has to do with a weight in parts; false for any other. */
  private inPieces(node: Node): boolean {
    const { b } = this;
    const [x, w] = node.inputs as [Value, Value];
    const output = node.outputs[0]!;
    const { role, parts = 1 } = this.blueprint.weightParts.nodes.get(node) ?? {};
    const write = (...inputs: TfRef[]): TfRef =>
      b.within(
        node.op.name,
        () => node.op.tensorflow(b, inputs, node.attributes, signatureOf(node)) as TfRef,
      );
    if (role === "forward") {
      const whole = this.lowering.plain(x);
      this.pieces.set(output, { refs: this.weight(w).map((part) => write(whole, part)), axis: 1 });
    } else if (role === "backward") {
      const weights = this.weight(w);
      const products = this.columns(x, parts).map((g, i) => write(g, weights[i]!));
      const T = attr.type(output.dtype);
      this.lowering.define(
        output,
        products.reduce((sum, one) => b.node("AddV2", [sum, one], { T })),
      );
    } else if (role === "gradient") {
      const whole = this.lowering.plain(w);
      this.pieces.set(output, { refs: this.columns(x, parts).map((g) => write(g, whole)), axis: 0 });
    } else if (role === "sum") {
      const [a, c] = [x, w].map((v) => this.pieces.get(resolved(v))!.refs) as [
        readonly TfRef[],
        readonly TfRef[],
      ];
      this.pieces.set(output, { refs: a.map((ref, i) => write(ref, c[i]!)), axis: 0 });
    } else if (node.op === addBias && this.pieces.get(resolved(x))?.axis === 1) {
      // TensorFlow makes one kernel of a product and its bias.
      const { refs } = this.pieces.get(resolved(x))!;
      const biases = split(b, this.lowering.plain(w), 0, refs.length, w.dtype);
      this.pieces.set(output, { refs: refs.map((ref, i) => write(ref, biases[i]!)), axis: 1 });
    } else return false;
    return true;
  }

  /** The parts of a weight: as it was before the step, or as the step has made it. */
  private weight(value: Value): readonly TfRef[] {
    const { producer } = value;
    if (producer.kind === "state") return this.resources.get(producer.storage)!.read();
    return this.pieces.get(resolved(value))!.refs;
  }

  /** The columns of a matrix, as many in each part. */
  private columns(value: Value, parts: number): readonly TfRef[] {
    const key = resolved(value);
    const known = [this.pieces.get(key), this.cut.get(key)].find(
      (pieces) => pieces?.axis === 1 && pieces.refs.length === parts,
    );
    if (known !== undefined) return known.refs;
    const refs = split(this.b, this.lowering.plain(value), 1, parts, value.dtype);
    this.cut.set(key, { refs, axis: 1 });
    return refs;
  }

  /** A leaf that isn't fed. */
  private leaf(value: Value, i: number): TfRef {
    const { producer, dtype } = value;
    if (producer.kind === "state")
      return joined(this.b, { refs: this.resources.get(producer.storage)!.read(), axis: 0 }, dtype);
    if (producer.kind === "fill") return fill(this.b, producer.value, value);
    if (producer.kind !== "scalar") return internal("a leaf that is neither fed nor known");
    this.constants.set(i, producer.value);
    return scalar(this.b, producer.value, dtype);
  }

  output(value: Value): TfRef {
    return this.lowering.plain(value);
  }

  /** The nodes that write variables: each after its variable was read, so that all see the old value. */
  updates(): TfRef[] {
    const { b, resources, lowering } = this;
    const { plan, inPlace } = this.blueprint;
    const inputs = new Map(
      [...inPlace].filter((node) => !this.atOnce(node)).map((node) => [node, this.others(node)]),
    );
    const others = plan.assigns.filter(
      ({ value }) => value.producer.kind !== "node" || !inPlace.has(value.producer),
    );
    const values = others.map(({ value }) => lowering.plain(value));
    return b.after(
      [...resources.values()].flatMap((r) => r.reads),
      () => {
        const writes = [...this.done];
        for (const [node, refs] of inputs) writes.push(...this.update(node, refs));
        others.forEach(({ storage }, i) => {
          const T = attr.type(storage.dtype);
          // XLA's variables share nothing.
          const own = b.xla ? values[i]! : b.node("DeepCopy", [values[i]!], { T });
          writes.push(b.node("AssignVariableOp", [resources.get(storage)!.handles[0]!, own], { dtype: T }));
        });
        return writes;
      },
    );
  }
}

function fill(b: GraphBuilder, value: number, { shape, dtype }: Value): TfRef {
  const one = scalar(b, value, dtype);
  if (shape.length === 0) return one;
  return b.node("Fill", [vector(b, shape), one], { T: attr.type(dtype), index_type: INDEX });
}
