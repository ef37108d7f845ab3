import { internal } from "../../../tensor/core/errors.ts";
import type { Node, Storage, Value } from "../../../tensor/recording/graph.ts";
import { attr, scalar, type TfRef } from "../../../tensor/lowering/lowering.ts";
import { fillNode } from "../../../tensor/lowering/nodes.ts";
import { Lowering, signatureOf } from "../../nhwc.ts";
import { tensorflowBackend } from "../../backend.ts";
import type { Blueprint, Feed } from "./blueprint.ts";
import type { GraphBuilder } from "./graphBuilder.ts";

/** A variable, and its value before the step: read where something needs it. */
export class Resource {
  readonly handle: TfRef;
  /** Read of the value before the step, for which an update must wait; undefined while nothing needs it. */
  before: TfRef | undefined;
  readonly #write: () => TfRef;

  /** @param write writes the node that reads the variable */
  constructor(handle: TfRef, write: () => TfRef) {
    this.handle = handle;
    this.#write = write;
  }

  read(): TfRef {
    return (this.before ??= this.#write());
  }
}

/** Returns the reads of old values, for which updates of the variables must wait. */
const readsOf = (resources: Iterable<Resource>): TfRef[] =>
  [...resources].flatMap(({ before }) => (before === undefined ? [] : [before]));

/** Forward, backward and update of one step. */
export class StepBody {
  /** Numbers that are constants of the graph, by leaf. */
  readonly constants = new Map<number, number>();
  readonly #b: GraphBuilder;
  readonly #blueprint: Blueprint;
  readonly #resources: ReadonlyMap<Storage, Resource>;
  readonly #lowering: Lowering<TfRef>;
  /** Updates written between other nodes, and the reads after them. */
  readonly #done: TfRef[] = [];

  constructor(
    b: GraphBuilder,
    blueprint: Blueprint,
    feeds: readonly Feed[],
    inputs: readonly TfRef[],
    resources: ReadonlyMap<Storage, Resource>,
  ) {
    this.#b = b;
    this.#blueprint = blueprint;
    this.#resources = resources;
    const { plan, inPlace, standIns } = blueprint;
    const fed = new Map(feeds.map(({ leaf }, i) => [leaf, inputs[i]!]));
    const at = new Map(plan.leaves.map((value, i) => [value, i]));
    const backend = tensorflowBackend(b, (value) => {
      const i = at.get(value)!;
      return fed.get(i) ?? this.#leaf(value, i);
    });
    const lower: typeof backend.lower = (node, refs) =>
      b.within(node.op.name, () => backend.lower(node, refs));
    this.#lowering = new Lowering({ ...backend, lower }, standIns);
    for (const node of plan.nodes) {
      if (!inPlace.has(node)) this.#lowering.node(node);
      else if (this.#atOnce(node)) this.#updateAtOnce(node);
    }
  }

  #atOnce(node: Node): boolean {
    return node.outputs.some((value) => this.#blueprint.usedAtOnce.has(value));
  }

  /** Updates variables and reads them again. */
  #updateAtOnce(node: Node): void {
    const b = this.#b;
    const blueprint = this.#blueprint;
    const updated = this.#updated(node);
    // Read the old values now that other nodes still need.
    for (const { storage, resource } of updated) if (blueprint.usedBefore.has(storage)) resource.read();
    const inputs = this.#others(node);
    const writes = b.after(readsOf(updated.map(({ resource }) => resource)), () =>
      this.#update(node, inputs),
    );
    this.#done.push(...writes);
    node.outputs.forEach((value, i) => {
      if (!blueprint.usedAtOnce.has(value)) return;
      const dtype = attr.type(value.dtype);
      const ref = b.after(writes, () => b.node("ReadVariableOp", [updated[i]!.resource.handle], { dtype }));
      this.#lowering.define(value, ref);
      this.#done.push(ref);
    });
  }

  /** The variables that a node updates, in the order of its outputs. */
  #updated({ outputs }: Node): { storage: Storage; resource: Resource }[] {
    return outputs.map((value) => {
      const { storage } = this.#blueprint.plan.assigns.find((a) => a.value === value)!;
      return { storage, resource: this.#resources.get(storage)! };
    });
  }

  /** Inputs of an update other than its variables. */
  #others({ inputs, outputs }: Node): TfRef[] {
    return inputs.slice(outputs.length).map((v) => this.#lowering.plain(v));
  }

  #update(node: Node, inputs: readonly TfRef[]): readonly TfRef[] {
    const handles = this.#updated(node).map(({ resource }) => resource.handle);
    return node.op.inPlace!(this.#b, handles, inputs, node.attributes, signatureOf(node));
  }

  /** Writes a leaf that isn't fed. */
  #leaf(value: Value, i: number): TfRef {
    const { producer, dtype } = value;
    if (producer.kind === "state") return this.#resources.get(producer.storage)!.read();
    if (producer.kind === "fill") return fill(this.#b, producer.value, value);
    if (producer.kind !== "scalar") return internal("a leaf that is neither fed nor known");
    this.constants.set(i, producer.value);
    return scalar(this.#b, producer.value, dtype);
  }

  output(value: Value): TfRef {
    return this.#lowering.plain(value);
  }

  /** Writes the updates of variables: each after its variable was read, so that all nodes see the old value. */
  updates(): TfRef[] {
    const b = this.#b;
    const resources = this.#resources;
    const lowering = this.#lowering;
    const { plan, inPlace } = this.#blueprint;
    const inputs = new Map(
      [...inPlace].filter((node) => !this.#atOnce(node)).map((node) => [node, this.#others(node)]),
    );
    const others = plan.assigns.filter(
      ({ value }) => value.producer.kind !== "node" || !inPlace.has(value.producer),
    );
    const values = others.map(({ value }) => lowering.plain(value));
    return b.after(readsOf(resources.values()), () => {
      const writes = [...this.#done];
      for (const [node, refs] of inputs) writes.push(...this.#update(node, refs));
      others.forEach(({ storage }, i) => {
        const T = attr.type(storage.dtype);
        const own = b.node("DeepCopy", [values[i]!], { T });
        writes.push(b.node("AssignVariableOp", [resources.get(storage)!.handle, own], { dtype: T }));
      });
      return writes;
    });
  }
}

function fill(b: GraphBuilder, value: number, { shape, dtype }: Value): TfRef {
  return shape.length === 0 ? scalar(b, value, dtype) : fillNode(b, shape, value, dtype);
}
