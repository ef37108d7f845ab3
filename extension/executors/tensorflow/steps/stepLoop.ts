// Many steps in one call: a loop inside the graph, run by TensorFlow or compiled by XLA.
import type { Storage } from "../../../tensor/recording/graph.ts";
import { attr, scalar, vector, type TfRef } from "../../../tensor/lowering/lowering.ts";
import type { Blueprint, Feed } from "../graph/blueprint.ts";
import { FunctionBuilder, GraphBuilder } from "../graph/graphBuilder.ts";
import { doneAfter, fetch, initialised, placeholder, variable, type Graph } from "../graph/graphWriter.ts";
import { DATA_TYPE } from "../../dataTypes.ts";
import { RESOURCE, VARIANT, type GraphAttribute, type GraphFunction } from "../graph/graphDef.ts";
import { StepBody, Resource } from "./stepBody.ts";

const INDEX = attr.type("int64");

/** Argument of a function: a name, TensorFlow's number of its type, and the value passed. */
interface Argument {
  readonly name: string;
  readonly type: number;
  readonly ref: TfRef;
}

/**
 * Writes a loop inside the graph: any number of steps a call. Fetches of the plan get a leading dimension of steps.
 * @param stacked leaves that differ from step to step
 * @param room for XLA, which compiles for fixed sizes: maximum steps of a call; their number is still an input
 * @returns undefined when the plan has an op that can't be part of a function
 */
export function writeLoop(
  blueprint: Blueprint,
  promoted: ReadonlySet<number>,
  stacked: ReadonlySet<number>,
  room?: number,
): Graph | undefined {
  const { plan } = blueprint;
  const b = new GraphBuilder();
  const resources = new Map<Storage, Resource>();
  const variables = blueprint.storages.map(({ storage, shards }, i) =>
    variable(b, storage, shards, i, resources),
  );
  const feeds = blueprint.feeds(promoted, stacked);
  const steps = placeholder(b, "steps", { shape: [], dtype: "int64" });
  const inputs = feeds.map((feed, i) => {
    const { shape, dtype } = plan.leaves[feed.leaf]!;
    return placeholder(b, `input_${i}`, { shape: feed.stacked ? [room ?? -1, ...shape] : shape, dtype });
  });
  const given: Argument[] = [
    { name: "steps", type: DATA_TYPE.int64, ref: steps },
    ...plan.assigns.map(({ storage }, i) => ({
      name: `h${i}`,
      type: RESOURCE,
      ref: resources.get(storage)!.handle,
    })),
    ...inputs.map((ref, i) => {
      const type = DATA_TYPE[plan.leaves[feeds[i]!.leaf]!.dtype];
      return { name: `x${i}`, type, ref };
    }),
  ];
  const body = loopBody(blueprint, feeds, room !== undefined);
  if (body.unnamed.size > 0) return undefined;
  const functions: GraphFunction[] = [...body.functions];
  const { results, done } =
    room === undefined
      ? loop(b, blueprint, given, steps, body, functions)
      : compiled(b, blueprint, given, room, body, functions);
  const fetchNames = plan.fetches.map(({ dtype }, i) => fetch(b, results[i]!, attr.type(dtype)));
  fetchNames.push(doneAfter(b, [done], "done"));
  return {
    nodes: b.graph,
    functions,
    feeds,
    feedNames: [steps, ...inputs].map((ref) => GraphBuilder.address(ref)),
    fetchNames,
    variables,
    initFetch: initialised(b, variables),
    constants: body.constants,
    ...(room === undefined ? {} : { room }),
  };
}

/** Outputs of a loop: the plan's fetches of all steps, and a node that runs after everything else. */
interface Looped {
  readonly results: readonly TfRef[];
  readonly done: TfRef;
}

/** Writes the loop as nodes of `b`, and adds its functions to `functions`. */
function loop(
  b: GraphBuilder,
  { plan }: Blueprint,
  given: readonly Argument[],
  length: TfRef,
  body: LoopBody,
  functions: GraphFunction[],
): Looped {
  const lists = plan.fetches.map(({ shape, dtype }) =>
    b.node("TensorListReserve", [vector(b, shape), length], {
      element_dtype: attr.type(dtype),
      shape_type: INDEX,
    }),
  );
  // The state of the loop; only the count and the lists change.
  const state: Argument[] = [
    { name: "i", type: DATA_TYPE.int64, ref: scalar(b, 0, "int64") },
    ...given,
    ...lists.map((ref, i) => ({ name: `l${i}`, type: VARIANT, ref })),
  ];
  const cond = new FunctionBuilder();
  const less = cond.node("Less", [cond.argument("i"), cond.argument("steps")], { T: INDEX });
  functions.push(
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
  );
  const attributes: Record<string, GraphAttribute> = {
    T: { kind: "dataTypes", value: state.map(({ type }) => type) },
    cond: { kind: "function", value: "more" },
    body: { kind: "function", value: "step" },
    output_shapes: { kind: "shapes", value: state.map(() => undefined) },
    parallel_iterations: attr.int(1),
    // XLA has loops of its own.
    ...(b.xla ? {} : { _lower_using_switch_merge: attr.bool(true) }),
  };
  const refs = state.map(({ ref }) => ref);
  const ends = b.nodes("While", refs, attributes, state.length, "loop");
  const results = plan.fetches.map(({ shape, dtype }, i) =>
    b.node("TensorListStack", [ends[1 + given.length + i]!, vector(b, shape)], {
      element_dtype: attr.type(dtype),
      num_elements: attr.int(-1),
    }),
  );
  return { results, done: ends[0]! };
}

/** Writes the loop in a function that XLA compiles. */
function compiled(
  b: GraphBuilder,
  blueprint: Blueprint,
  given: readonly Argument[],
  room: number,
  body: LoopBody,
  functions: GraphFunction[],
): Looped {
  const inside = new FunctionBuilder(true);
  const parameters = given.map(({ name, type }) => ({ name, type, ref: inside.argument(name) }));
  const { results, done } = loop(
    inside,
    blueprint,
    parameters,
    scalar(inside, room, "int64"),
    body,
    functions,
  );
  const outputs = [
    ...results.map((ref, i) => ({
      name: `f${i}`,
      type: DATA_TYPE[blueprint.plan.fetches[i]!.dtype],
      input: inside.result(ref),
    })),
    { name: "done", type: DATA_TYPE.int64, input: inside.result(done) },
  ];
  const forXla = { _XlaMustCompile: attr.bool(true) };
  const attributes = { ...forXla, _noinline: attr.bool(true) };
  functions.push({ name: "train", inputs: given, outputs, nodes: inside.graph, attributes });
  const refs = b.nodes(
    "StatefulPartitionedCall",
    given.map(({ ref }) => ref),
    {
      Tin: { kind: "dataTypes", value: given.map(({ type }) => type) },
      Tout: { kind: "dataTypes", value: outputs.map(({ type }) => type) },
      f: { kind: "function", value: "train" },
      config: attr.string(""),
      config_proto: attr.string(""),
      executor_type: attr.string(""),
      ...forXla,
    },
    outputs.length,
    "train",
  );
  return { results: refs.slice(0, -1), done: refs[outputs.length - 1]! };
}

/** Body of the loop; `results` are the outputs for the parts of the state that change. */
interface LoopBody extends Pick<Graph, "nodes" | "constants"> {
  readonly results: ReadonlyMap<string, string>;
  readonly unnamed: ReadonlySet<string>;
  readonly functions: readonly GraphFunction[];
}

function loopBody(blueprint: Blueprint, feeds: readonly Feed[], xla: boolean): LoopBody {
  const { plan } = blueprint;
  const b = new FunctionBuilder(xla);
  const i = b.node("Identity", [b.argument("i")], { T: INDEX }, "turn");
  const resources = new Map<Storage, Resource>();
  plan.assigns.forEach(({ storage }, at) => {
    const handle = b.argument(`h${at}`);
    const dtype = attr.type(storage.dtype);
    // An iteration must read after the one before has written: its counter exists only then.
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
  const body = new StepBody(b, blueprint, feeds, inputs, resources);
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
  return { nodes: b.graph, constants: body.constants, results, unnamed: b.unnamed, functions: b.functions };
}
