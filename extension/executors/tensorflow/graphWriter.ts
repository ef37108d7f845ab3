import { internal } from "../../tensor/errors.ts";
import type { Storage, Value } from "../../tensor/graph.ts";
import { attr, scalar, vector, type TfRef } from "../../tensor/lowering.ts";
import type { Op } from "../../tensor/op.ts";
import { Lowering, signatureOf } from "../layouts.ts";
import type { Blueprint, Feed } from "./blueprint.ts";
import { tensorflowBackend } from "./backend.ts";
import { FunctionBuilder, GraphBuilder } from "./graphBuilder.ts";
import {
  DATA_TYPE,
  RESOURCE,
  VARIANT,
  type GraphAttribute,
  type GraphFunction,
  type GraphNode,
} from "./savedModel.ts";

/** A storage that the plan writes: a variable of the session. */
export interface Variable {
  readonly storage: Storage;
  readonly initFeed: string;
  readonly initFetch: string;
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
  /** Numbers that were taken for constants, by leaf. */
  readonly constants: ReadonlyMap<number, number>;
}

/** A variable, and its value before the step: read where something needs it. */
class Resource {
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

const INDEX = attr.type("int64");

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
    constants: body.constants,
  };
}

/**
 * Any number of steps a call, as a loop inside the graph. What the plan fetches comes back with a dimension more.
 * @param stacked leaves that differ from step to step
 * @returns undefined when the plan has an op that can't be part of a function
 */
export function writeLoop(
  blueprint: Blueprint,
  promoted: ReadonlySet<number>,
  stacked: ReadonlySet<number>,
): Graph | undefined {
  const { plan } = blueprint;
  const b = new GraphBuilder();
  const resources = new Map<Storage, Resource>();
  const variables = plan.assigns.map(({ storage }, i) => variable(b, storage, i, resources));
  const feeds = blueprint.feeds(promoted, stacked);
  const steps = placeholder(b, "steps", { shape: [], dtype: "int64" });
  const inputs = feeds.map((feed, i) => {
    const { shape, dtype } = plan.leaves[feed.leaf]!;
    return placeholder(b, `input_${i}`, { shape: feed.stacked ? [-1, ...shape] : shape, dtype });
  });
  const lists = plan.fetches.map(({ shape, dtype }) =>
    b.node("TensorListReserve", [vector(b, shape), steps], {
      element_dtype: attr.type(dtype),
      shape_type: INDEX,
    }),
  );

  // The state of the loop; only the count and the lists change.
  const state = [
    { name: "i", type: DATA_TYPE.int64, ref: scalar(b, 0, "int64") },
    { name: "steps", type: DATA_TYPE.int64, ref: steps },
    ...[...resources.values()].map(({ handle }, i) => ({ name: `h${i}`, type: RESOURCE, ref: handle })),
    ...lists.map((ref, i) => ({ name: `l${i}`, type: VARIANT, ref })),
    ...inputs.map((ref, i) => {
      const type = DATA_TYPE[plan.leaves[feeds[i]!.leaf]!.dtype];
      return { name: `x${i}`, type, ref };
    }),
  ];
  const cond = new FunctionBuilder();
  const less = cond.node("Less", [cond.argument("i"), cond.argument("steps")], { T: INDEX });
  const body = loopBody(blueprint, feeds);
  if (body.unnamed.size > 0) return undefined;
  const functions: GraphFunction[] = [
    {
      name: "more",
      inputs: state,
      outputs: [{ name: "more", type: DATA_TYPE.bool, input: cond.result(less) }],
      nodes: cond.graph,
    },
    {
      name: "step",
      inputs: state,
      outputs: state.map(({ name, type }) => ({
        name: `${name}_next`,
        type,
        input: body.results.get(name) ?? name,
      })),
      nodes: body.nodes,
    },
  ];
  const attributes: Record<string, GraphAttribute> = {
    T: { kind: "dataTypes", value: state.map(({ type }) => type) },
    cond: { kind: "function", value: "more" },
    body: { kind: "function", value: "step" },
    output_shapes: { kind: "shapes", value: state.map(() => undefined) },
    parallel_iterations: attr.int(1),
    _lower_using_switch_merge: attr.bool(true),
  };
  const loop = b.nodes(
    "While",
    state.map(({ ref }) => ref),
    attributes,
    state.length,
    "loop",
  );
  const first = 2 + resources.size;
  const fetchNames = plan.fetches.map(({ shape, dtype }, i) => {
    const stack = b.node("TensorListStack", [loop[first + i]!, vector(b, shape)], {
      element_dtype: attr.type(dtype),
      num_elements: attr.int(-1),
    });
    return fetch(b, stack, attr.type(dtype));
  });
  fetchNames.push(doneAfter(b, [loop[0]!], "done"));
  return {
    nodes: b.graph,
    functions,
    feeds,
    feedNames: [steps, ...inputs].map((ref) => GraphBuilder.address(ref)),
    fetchNames,
    variables,
    constants: body.constants,
  };
}

/** One turn of the loop: what it gives for the parts of the state that change. */
function loopBody(
  blueprint: Blueprint,
  feeds: readonly Feed[],
): Pick<Graph, "nodes" | "constants"> & {
  results: ReadonlyMap<string, string>;
  unnamed: ReadonlySet<string>;
} {
  const { plan } = blueprint;
  const b = new FunctionBuilder();
  const i = b.node("Identity", [b.argument("i")], { T: INDEX }, "turn");
  const resources = new Map<Storage, Resource>();
  plan.assigns.forEach(({ storage }, at) => {
    const handle = b.argument(`h${at}`);
    const dtype = attr.type(storage.dtype);
    // A turn reads what the one before has written: its count is known only then.
    const read = (): TfRef => b.after([i], () => b.node("ReadVariableOp", [handle], { dtype }));
    resources.set(storage, new Resource(handle, read));
  });
  const axis = scalar(b, 0, "int64");
  const inputs = feeds.map(({ stacked, leaf: at }, n) => {
    const argument = b.argument(`x${n}`);
    if (!stacked) return argument;
    const { dtype } = plan.leaves[at]!;
    return b.node("GatherV2", [argument, i, axis], {
      Tparams: attr.type(dtype),
      Tindices: INDEX,
      Taxis: INDEX,
      batch_dims: attr.int(0),
    });
  });
  const body = new Body(b, blueprint, feeds, inputs, resources);
  const results = new Map<string, string>();
  plan.fetches.forEach((value, n) => {
    const list = b.node("TensorListSetItem", [b.argument(`l${n}`), i, body.output(value)], {
      element_dtype: attr.type(value.dtype),
      resize_if_index_out_of_bounds: attr.bool(false),
    });
    results.set(`l${n}`, b.result(list));
  });
  const next = b.after(body.updates(), () => b.node("AddV2", [i, scalar(b, 1, "int64")], { T: INDEX }));
  results.set("i", b.result(next));
  return { nodes: b.graph, constants: body.constants, results, unnamed: b.unnamed };
}

/** Forward, backward and update of one step. */
class Body {
  /** Numbers taken for constants, by leaf. */
  readonly constants = new Map<number, number>();
  private readonly b: GraphBuilder;
  private readonly blueprint: Blueprint;
  private readonly resources: ReadonlyMap<Storage, Resource>;
  private readonly lowering: Lowering<TfRef>;

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
    for (const node of plan.nodes) if (!inPlace.has(node)) this.lowering.node(node);
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
      [...inPlace].map((node) => [
        node,
        node.inputs.slice(node.outputs.length).map((v) => lowering.plain(v)),
      ]),
    );
    const others = plan.assigns.filter(
      ({ value }) => value.producer.kind !== "node" || !inPlace.has(value.producer),
    );
    const values = others.map(({ value }) => lowering.plain(value));
    return b.after(
      [...resources.values()].flatMap((r) => r.reads),
      () => {
        const writes: TfRef[] = [];
        for (const [node, refs] of inputs) {
          const op = node.op as unknown as Op<object>;
          const handles = node.outputs.map(
            (v) => resources.get(plan.assigns.find((a) => a.value === v)!.storage)!.handle,
          );
          writes.push(...op.inPlace!(b, handles, refs, node.attributes, signatureOf(node)));
        }
        others.forEach(({ storage }, i) => {
          const T = attr.type(storage.dtype);
          const copy = b.node("DeepCopy", [values[i]!], { T });
          writes.push(b.node("AssignVariableOp", [resources.get(storage)!.handle, copy], { dtype: T }));
        });
        return writes;
      },
    );
  }
}

function variable(b: GraphBuilder, storage: Storage, i: number, resources: Map<Storage, Resource>): Variable {
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
    read: GraphBuilder.address(read),
  };
}

/** The address of a number that is there when `refs` have run. */
function doneAfter(b: GraphBuilder, refs: readonly TfRef[], name: string): string {
  return GraphBuilder.address(
    b.after(refs, () => b.node("Identity", [scalar(b, 1, "int64")], { T: INDEX }, name)),
  );
}

function fetch(b: GraphBuilder, ref: TfRef, T: GraphAttribute): string {
  return GraphBuilder.address(b.node("Identity", [ref], { T }, "output"));
}

function placeholder(b: GraphBuilder, name: string, { shape, dtype }: Pick<Value, "shape" | "dtype">): TfRef {
  return b.node("Placeholder", [], { dtype: attr.type(dtype), shape: attr.shape(shape) }, name);
}

function fill(b: GraphBuilder, value: number, { shape, dtype }: Value): TfRef {
  const one = scalar(b, value, dtype);
  if (shape.length === 0) return one;
  return b.node("Fill", [vector(b, shape), one], { T: attr.type(dtype), index_type: INDEX });
}
