import { internal } from "../../tensor/errors.ts";
import type { Node, Storage, Value } from "../../tensor/graph.ts";
import { attr, scalar, vector, type TfRef } from "../../tensor/lowering.ts";
import type { Op } from "../../tensor/op.ts";
import { Lowering, signatureOf } from "../layouts.ts";
import type { Blueprint, Feed } from "./blueprint.ts";
import { tensorflowBackend } from "./backend.ts";
import { GraphBuilder } from "./graphBuilder.ts";
import type { GraphAttribute, GraphFunction, GraphNode } from "./savedModel.ts";

/** A storage that the plan writes: a variable of the session. */
export interface Variable {
  readonly storage: Storage;
  readonly initFeed: string;
  readonly initFetch: string;
  /** Writes what is fed. */
  readonly init: TfRef;
  readonly read: string;
}

/** A plan written as a TensorFlow graph, with the names to feed and fetch. */
export interface Graph {
  readonly nodes: readonly GraphNode[];
  readonly functions: readonly GraphFunction[];
  readonly feeds: readonly Feed[];
  /** In the order of `feeds`; for many steps, their number before all others. */
  readonly feedNames: readonly string[];
  /** The plan's fetches, its lazy values, and, if it writes anything, what says that everything is written. */
  readonly fetchNames: readonly string[];
  readonly variables: readonly Variable[];
  /** What says that all variables were written, when all are fed. */
  readonly initFetch: string;
  /** Numbers that were taken for constants, by leaf. */
  readonly constants: ReadonlyMap<number, number>;
  /** Steps that what is stacked has room for, where that is fixed. */
  readonly room?: number;
}

/** A variable, and its value before the step: read where something needs it. */
export class Resource {
  readonly handle: TfRef;
  private readonly write: () => TfRef;
  private ref: TfRef | undefined;

  constructor(handle: TfRef, read: () => TfRef) {
    this.handle = handle;
    this.write = read;
  }

  read(): TfRef {
    return (this.ref ??= this.write());
  }

  /** What an update has to wait for. */
  get reads(): TfRef[] {
    return this.ref === undefined ? [] : [this.ref];
  }
}

export const INDEX = attr.type("int64");

/**
 * One step a call.
 * @param promoted leaves whose number changed from call to call: fed instead of constant
 */
export function writeStep(blueprint: Blueprint, promoted: ReadonlySet<number>): Graph {
  const { plan } = blueprint;
  const b = new GraphBuilder();
  const resources = new Map<Storage, Resource>();
  const variables = plan.assigns.map(({ storage }, i) => variable(b, storage, i, resources));
  const feeds = blueprint.feeds(promoted, new Set());
  const inputs = feeds.map((feed, i) => placeholder(b, `input_${i}`, plan.leaves[feed.leaf]!));
  const body = new Body(b, blueprint, feeds, inputs, resources);
  const fetchNames = [...plan.fetches, ...plan.lazy].map((v) => fetch(b, body.output(v), attr.type(v.dtype)));
  const writes = body.updates();
  if (variables.length > 0) fetchNames.push(doneAfter(b, writes, "done"));
  return {
    nodes: b.graph,
    functions: [],
    feeds,
    feedNames: inputs.map((ref) => GraphBuilder.address(ref)),
    fetchNames,
    variables,
    initFetch: initialised(b, variables),
    constants: body.constants,
  };
}

/** Forward, backward and update of one step. */
export class Body {
  /** Numbers taken for constants, by leaf. */
  readonly constants = new Map<number, number>();
  private readonly b: GraphBuilder;
  private readonly blueprint: Blueprint;
  private readonly resources: ReadonlyMap<Storage, Resource>;
  private readonly lowering: Lowering<TfRef>;
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
      const i = at.get(value)!;
      return fed.get(i) ?? this.leaf(value, i);
    });
    this.lowering = new Lowering({
      ...backend,
      lower: (node, refs) => b.within(node.op.name, () => backend.lower(node, refs)),
    });
    for (const node of plan.nodes) {
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
      const { handle } = resources[i]!.resource;
      const read = b.after(writes, () =>
        b.node("ReadVariableOp", [handle], { dtype: attr.type(value.dtype) }),
      );
      this.lowering.define(value, read);
      this.done.push(read);
    });
  }

  /** The variables that a node updates, in the order of its outputs. */
  private updated({ outputs }: Node): { storage: Storage; resource: Resource }[] {
    return outputs.map((value) => {
      const { storage } = this.blueprint.plan.assigns.find((a) => a.value === value)!;
      return { storage, resource: this.resources.get(storage)! };
    });
  }

  /** What an update takes besides its variables. */
  private others(node: Node): TfRef[] {
    return node.inputs.slice(node.outputs.length).map((v) => this.lowering.plain(v));
  }

  private update(node: Node, inputs: readonly TfRef[]): readonly TfRef[] {
    const op = node.op as unknown as Op<object>;
    const handles = this.updated(node).map(({ resource }) => resource.handle);
    return op.inPlace!(this.b, handles, inputs, node.attributes, signatureOf(node));
  }

  /** A leaf that isn't fed. */
  private leaf(value: Value, i: number): TfRef {
    const { producer, dtype } = value;
    if (producer.kind === "state") return this.resources.get(producer.storage)!.read();
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
          writes.push(b.node("AssignVariableOp", [resources.get(storage)!.handle, own], { dtype: T }));
        });
        return writes;
      },
    );
  }
}

export function variable(
  b: GraphBuilder,
  storage: Storage,
  i: number,
  resources: Map<Storage, Resource>,
): Variable {
  const { shape, dtype } = storage;
  const type = attr.type(dtype);
  const handle = b.node(
    "VarHandleOp",
    [],
    {
      dtype: type,
      shape: attr.shape(shape),
      shared_name: attr.string(`variable_${i}`),
      container: attr.string(""),
    },
    `variable_${i}`,
  );
  const read = b.node("ReadVariableOp", [handle], { dtype: type }, `read_${i}`);
  resources.set(storage, new Resource(handle, () => b.node("ReadVariableOp", [handle], { dtype: type })));
  const initial = placeholder(b, `initial_${i}`, storage);
  // Without the copy the variable would share memory with a JavaScript array.
  const copy = b.node("DeepCopy", [initial], { T: type });
  const assign = b.node("AssignVariableOp", [handle, copy], { dtype: type });
  return {
    storage,
    initFeed: GraphBuilder.address(initial),
    initFetch: doneAfter(b, [assign], `ready_${i}`),
    init: assign,
    read: GraphBuilder.address(read),
  };
}

export const initialised = (b: GraphBuilder, variables: readonly Variable[]): string =>
  doneAfter(
    b,
    variables.map(({ init }) => init),
    "ready",
  );

/** The address of a number that is there when `refs` have run. */
export function doneAfter(b: GraphBuilder, refs: readonly TfRef[], name: string): string {
  return GraphBuilder.address(
    b.after(refs, () => b.node("Identity", [scalar(b, 1, "int64")], { T: INDEX }, name)),
  );
}

export function fetch(b: GraphBuilder, ref: TfRef, T: GraphAttribute): string {
  return GraphBuilder.address(b.node("Identity", [ref], { T }, "output"));
}

export function placeholder(
  b: GraphBuilder,
  name: string,
  { shape, dtype }: Pick<Value, "shape" | "dtype">,
): TfRef {
  return b.node("Placeholder", [], { dtype: attr.type(dtype), shape: attr.shape(shape) }, name);
}

function fill(b: GraphBuilder, value: number, { shape, dtype }: Value): TfRef {
  const one = scalar(b, value, dtype);
  if (shape.length === 0) return one;
  return b.node("Fill", [vector(b, shape), one], { T: attr.type(dtype), index_type: INDEX });
}
