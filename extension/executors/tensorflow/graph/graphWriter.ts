import type { Storage, Value } from "../../../tensor/recording/graph.ts";
import { attr, scalar, type TfRef } from "../../../tensor/lowering/lowering.ts";
import type { Blueprint, Feed } from "./blueprint.ts";
import { GraphBuilder } from "./graphBuilder.ts";
import type { GraphAttribute, GraphNode } from "./graphDef.ts";
import { StepBody, Resource } from "./stepBody.ts";

const INDEX = attr.type("int64");

/** A storage that the plan writes: a variable of the session, or several that share its rows. */
export interface Variable {
  readonly storage: Storage;
  readonly initFeed: string;
  readonly initFetch: string;
  /** Operations that assign the fed initial values. */
  readonly init: readonly TfRef[];
  readonly read: string;
}

/** A plan written as a TensorFlow graph, with the names to feed and fetch. */
export interface Graph {
  readonly nodes: readonly GraphNode[];
  readonly feeds: readonly Feed[];
  /** In the order of `feeds`. */
  readonly feedNames: readonly string[];
  /** The plan's fetches, its lazy values, and, if it writes anything, an operation that completes when everything is written. */
  readonly fetchNames: readonly string[];
  readonly variables: readonly Variable[];
  /** The operation that completes when all variables have their fed initial values. */
  readonly initFetch: string;
  /** Numbers that were taken for constants, by leaf. */
  readonly constants: ReadonlyMap<number, number>;
}

/**
 * Writes forward, backward and update of one step.
 * @param promoted leaves whose number changed from call to call: fed instead of constant
 */
export function writeStep(blueprint: Blueprint, promoted: ReadonlySet<number>): Graph {
  const { plan } = blueprint;
  const b = new GraphBuilder();
  const resources = new Map<Storage, Resource>();
  const variables = blueprint.storages.map(({ storage, shards }, i) =>
    variable(b, storage, shards, i, resources),
  );
  const init = variables.flatMap((v) => v.init);
  const feeds = blueprint.feeds(promoted);
  const inputs = feeds.map((feed, i) => placeholder(b, `input_${i}`, plan.leaves[feed.leaf]!));
  const body = new StepBody(b, blueprint, feeds, inputs, resources);
  const fetchNames = [...plan.fetches, ...plan.lazy].map((v) => fetch(b, body.output(v), attr.type(v.dtype)));
  const writes = body.updates();
  if (variables.length > 0) fetchNames.push(doneAfter(b, writes, "done"));
  return {
    nodes: b.graph,
    feeds,
    feedNames: inputs.map((ref) => GraphBuilder.address(ref)),
    fetchNames,
    variables,
    initFetch: doneAfter(b, init, "ready"),
    constants: body.constants,
  };
}

/** @param shards what shares the rows of the storage: itself, if it is one variable */
function variable(
  b: GraphBuilder,
  storage: Storage,
  shards: readonly Storage[],
  i: number,
  resources: Map<Storage, Resource>,
): Variable {
  const type = attr.type(storage.dtype);
  const read = (handle: TfRef): TfRef => b.node("ReadVariableOp", [handle], { dtype: type }, `read_${i}`);
  const handles = shards.map((shard, at) => {
    const name = at === 0 ? `variable_${i}` : `variable_${i}_${at}`;
    const shared_name = attr.string(name);
    const attributes = {
      dtype: type,
      shape: attr.shape(shard.shape),
      shared_name,
      container: attr.string(""),
    };
    const handle = b.node("VarHandleOp", [], attributes, name);
    resources.set(shard, new Resource(handle, () => b.node("ReadVariableOp", [handle], { dtype: type })));
    return handle;
  });
  const initial = placeholder(b, `initial_${i}`, storage);
  let [initials, whole] = [[initial], read(handles[0]!)];
  if (shards.length > 1) {
    const [rows, count] = [scalar(b, 0, "int64"), shards.length];
    const values = [whole, ...handles.slice(1).map(read)];
    initials = b.nodes("Split", [rows, initial], { T: type, num_split: attr.int(count) }, count);
    whole = b.node("ConcatV2", [...values, rows], { T: type, N: attr.int(count), Tidx: INDEX });
  }
  const init = handles.map((handle, at) => {
    // Without the copy the variable would share memory with a JavaScript array.
    const copy = b.node("DeepCopy", [initials[at]!], { T: type });
    return b.node("AssignVariableOp", [handle, copy], { dtype: type });
  });
  return {
    storage,
    initFeed: GraphBuilder.address(initial),
    initFetch: doneAfter(b, init, `ready_${i}`),
    init,
    read: GraphBuilder.address(whole),
  };
}

/** The address of a number that is there when `refs` have run. */
function doneAfter(b: GraphBuilder, refs: readonly TfRef[], name: string): string {
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
