import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import type { NativeBinding } from "../../native/binding.ts";
import type { HostArray } from "../../tensor/dtype.ts";
import type { Node, Storage, Value } from "../../tensor/graph.ts";
import { attr, scalar, vector, type TfRef } from "../../tensor/lowering.ts";
import type { Op } from "../../tensor/op.ts";
import type { Plan } from "../../tensor/runtime.ts";
import { leafData } from "../../tensor/runtime.ts";
import { upload } from "./eagerBuilder.ts";
import { GraphBuilder } from "./graphBuilder.ts";
import { Lowering, signatureOf } from "../layouts.ts";
import { tensorflowBackend } from "./backend.ts";
import { encodeSavedModel } from "./savedModel.ts";

const TAG = "layerwise";

/** Where a storage's value is: a tensor of the library, or a variable of a program. */
export type Residence =
  | { readonly kind: "handle"; readonly id: number }
  | {
      readonly kind: "variable";
      readonly program: Program;
      readonly index: number;
      handle: number | undefined;
    };

/** Moves storages between programs; the executor's side of it. */
export interface Residences {
  /** A tensor with the storage's current value; stays the executor's. */
  handle(storage: Storage): number;
}

interface Feed {
  /** Position among the plan's leaves. */
  readonly leaf: number;
  readonly kind: "data" | "scalar" | "state";
  /** The tensor of the last call, used again while the same array is fed. */
  array: HostArray | undefined;
  id: number | undefined;
}

interface Variable {
  readonly storage: Storage;
  readonly initFeed: string;
  readonly initFetch: string;
  readonly read: string;
}

/**
 * A plan compiled into one TensorFlow session: forward, backward and update of a step are one call. Storages the plan
 * writes are variables of the session; everything else is fed.
 */
export class Program {
  /** TensorFlow nodes of the graph. */
  readonly size: number;
  private readonly binding: NativeBinding;
  private readonly session: number;
  private readonly feeds: Feed[];
  private readonly variables: Variable[];
  private readonly feedNames: string;
  private readonly fetchNames: string;
  private readonly constants: ReadonlyMap<number, number>;
  private readonly promoted: ReadonlySet<number>;

  /** @param promoted leaves whose number changed from call to call: fed instead of constant */
  constructor(binding: NativeBinding, plan: Plan, promoted: ReadonlySet<number>) {
    this.binding = binding;
    this.promoted = promoted;
    const graph = new GraphWriter(plan, promoted);
    this.feeds = graph.feeds;
    this.variables = graph.variables;
    this.constants = graph.constants;
    this.feedNames = graph.feedNames.join();
    this.fetchNames = graph.fetchNames.join();
    this.size = graph.b.graph.length;
    this.session = load(binding, encodeSavedModel(graph.b.graph, TAG));
  }

  /** Leaves to promote when this plan's constants are not the compiled ones; undefined when they are. */
  mismatch(plan: Plan): ReadonlySet<number> | undefined {
    let wider: Set<number> | undefined;
    for (const [leaf, value] of this.constants) {
      const now = plan.leaves[leaf]!.producer;
      if (now.kind === "scalar" && !Object.is(now.value, value)) (wider ??= new Set(this.promoted)).add(leaf);
    }
    return wider;
  }

  /** One call. Afterwards the plan's storages live here. Answers the tensors of the plan's lazy values. */
  run(plan: Plan, residences: Residences): number[] {
    this.enter(residences);
    const ids: number[] = [];
    for (const feed of this.feeds) {
      const value = plan.leaves[feed.leaf]!;
      const leaf = value.producer;
      if (feed.kind === "state" && leaf.kind === "state" && leaf.version === leaf.storage.version) {
        ids.push(residences.handle(leaf.storage));
      } else {
        ids.push(this.fed(feed, value));
      }
    }
    const outputs = this.binding.runSavedModel(this.session, ids, this.feedNames, this.fetchNames);
    plan.fetches.forEach((value, i) => {
      const { id } = outputs[i]!;
      value.data = this.binding.tensorDataSync(id) as HostArray;
      this.binding.deleteTensor(id);
    });
    const lazy = outputs.slice(plan.fetches.length).map(({ id }) => id);
    if (this.variables.length > 0) this.binding.deleteTensor(lazy.pop()!);
    return lazy;
  }

  /** A tensor with a variable's value; the caller's to delete. */
  read(index: number): number {
    return this.binding.runSavedModel(this.session, [], "", this.variables[index]!.read)[0]!.id;
  }

  /** Moves every variable out and closes the session. */
  close(): void {
    for (const [index, { storage }] of this.variables.entries()) {
      if (this.holds(storage, index)) {
        const id = (storage.device as { handle?: number }).handle ?? this.read(index);
        storage.device = { kind: "handle", id } satisfies Residence;
      }
    }
    for (const { id } of this.feeds) if (id !== undefined) this.binding.deleteTensor(id);
    this.binding.deleteSavedModel(this.session);
  }

  private holds(storage: Storage, index: number): boolean {
    const at = storage.device as Residence | undefined;
    return at?.kind === "variable" && at.program === this && at.index === index;
  }

  /** Brings the storages this program writes into its variables. */
  private enter(residences: Residences): void {
    const moved: Variable[] = [];
    const ids: number[] = [];
    for (const [index, variable] of this.variables.entries()) {
      const { storage } = variable;
      if (this.holds(storage, index)) {
        // A handle would share the variable's memory and force the update to copy it.
        const at = storage.device as Extract<Residence, { kind: "variable" }>;
        if (at.handle !== undefined) this.binding.deleteTensor(at.handle);
        at.handle = undefined;
        continue;
      }
      if (storage.device === undefined && storage.host === undefined) {
        // Written for the first time by this very call.
        storage.device = { kind: "variable", program: this, index, handle: undefined } satisfies Residence;
        continue;
      }
      moved.push(variable);
      ids.push(residences.handle(storage));
    }
    if (moved.length === 0) return;
    const done = this.binding.runSavedModel(
      this.session,
      ids,
      moved.map((v) => v.initFeed).join(),
      moved.map((v) => v.initFetch).join(),
    );
    for (const { id } of done) this.binding.deleteTensor(id);
    for (const variable of moved) {
      const { storage } = variable;
      const before = storage.device as Residence | undefined;
      const stale = before?.kind === "handle" ? before.id : before?.handle;
      if (stale !== undefined) this.binding.deleteTensor(stale);
      const index = this.variables.indexOf(variable);
      storage.device = { kind: "variable", program: this, index, handle: undefined } satisfies Residence;
    }
  }

  private fed(feed: Feed, value: Value): number {
    const data = leafData(value);
    if (feed.id !== undefined && feed.array === data) return feed.id;
    if (feed.id !== undefined) this.binding.deleteTensor(feed.id);
    feed.array = data;
    feed.id = upload(this.binding, data, value.shape, value.dtype);
    return feed.id;
  }
}

/** Writes a plan's graph: placeholders and variables, the nodes, the updates, and the names to feed and fetch. */
class GraphWriter {
  readonly b = new GraphBuilder();
  readonly feeds: Feed[] = [];
  readonly variables: Variable[] = [];
  readonly feedNames: string[] = [];
  readonly fetchNames: string[] = [];
  readonly constants = new Map<number, number>();
  private readonly leaves = new Map<Value, TfRef>();
  private readonly resources = new Map<Storage, { handle: TfRef; read: TfRef }>();

  constructor(plan: Plan, promoted: ReadonlySet<number>) {
    for (const { storage } of plan.assigns) this.variable(storage);
    plan.leaves.forEach((value, i) => this.leaves.set(value, this.leaf(value, i, promoted.has(i))));
    const backend = tensorflowBackend(this.b, (value) => this.leaves.get(value)!);
    const lowering = new Lowering({
      ...backend,
      lower: (node, inputs) => this.b.within(node.op.name, () => backend.lower(node, inputs)),
    });
    const inPlace = new Set<Node>();
    for (const node of plan.nodes) {
      if (updatesInPlace(node, plan)) inPlace.add(node);
      else lowering.node(node);
    }
    for (const value of [...plan.fetches, ...plan.lazy]) this.fetch(lowering.plain(value), value);
    const writes = this.updates(plan, lowering, inPlace);
    if (plan.assigns.length > 0) {
      const done = this.b.after(writes, () =>
        this.b.node("Identity", [scalar(this.b, 1, "int64")], { T: attr.type("int64") }, "done"),
      );
      this.fetchNames.push(GraphBuilder.address(done));
    }
  }

  private variable(storage: Storage): void {
    const i = this.variables.length;
    const { shape, dtype } = storage;
    const type = attr.type(dtype);
    const handle = this.b.node(
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
    const read = this.b.node("ReadVariableOp", [handle], { dtype: type }, `read_${i}`);
    this.resources.set(storage, { handle, read });
    const initial = this.placeholder(`initial_${i}`, shape, dtype);
    // Without the copy the variable would share memory with a JavaScript array.
    const copy = this.b.node("DeepCopy", [initial], { T: type });
    const assign = this.b.node("AssignVariableOp", [handle, copy], { dtype: type });
    const ready = this.b.after([assign], () =>
      this.b.node("Identity", [scalar(this.b, 1, "int64")], { T: attr.type("int64") }, `ready_${i}`),
    );
    this.variables.push({
      storage,
      initFeed: GraphBuilder.address(initial),
      initFetch: GraphBuilder.address(ready),
      read: GraphBuilder.address(read),
    });
  }

  private leaf(value: Value, index: number, promoted: boolean): TfRef {
    const { producer, shape, dtype } = value;
    if (value.data === undefined && value.read === undefined) {
      if (producer.kind === "state" && producer.version === producer.storage.version) {
        const own = this.resources.get(producer.storage);
        if (own !== undefined) return own.read;
      }
      if (producer.kind === "fill") return this.fill(producer.value, value);
    }
    if (producer.kind === "scalar" && !producer.varying && !promoted) {
      this.constants.set(index, producer.value);
      return scalar(this.b, producer.value, dtype);
    }
    const name = `input_${this.feeds.length}`;
    const ref = this.placeholder(name, shape, dtype);
    this.feedNames.push(GraphBuilder.address(ref));
    const kind = producer.kind === "state" || producer.kind === "scalar" ? producer.kind : "data";
    this.feeds.push({ leaf: index, kind, array: undefined, id: undefined });
    return ref;
  }

  private fill(value: number, { shape, dtype }: Value): TfRef {
    const one = scalar(this.b, value, dtype);
    if (shape.length === 0) return one;
    return this.b.node("Fill", [vector(this.b, shape), one], {
      T: attr.type(dtype),
      index_type: attr.type("int64"),
    });
  }

  private placeholder(name: string, shape: Value["shape"], dtype: Value["dtype"]): TfRef {
    return this.b.node("Placeholder", [], { dtype: attr.type(dtype), shape: attr.shape(shape) }, name);
  }

  private fetch(ref: TfRef, { dtype }: Value): void {
    const out = this.b.node("Identity", [ref], { T: attr.type(dtype) }, `output_${this.fetchNames.length}`);
    this.fetchNames.push(GraphBuilder.address(out));
  }

  /** The nodes that write variables: each after its variable was read, so that all see the old value. */
  private updates(plan: Plan, lowering: Lowering<TfRef>, inPlace: ReadonlySet<Node>): TfRef[] {
    const reads = [...this.resources.values()].map((r) => r.read);
    return this.b.after(reads, () => {
      const writes: TfRef[] = [];
      for (const node of inPlace) {
        const op = node.op as unknown as Op<object>;
        const handles = node.outputs.map(
          (v) => this.resources.get(plan.assigns.find((a) => a.value === v)!.storage)!.handle,
        );
        const inputs = node.inputs.map((v) => lowering.plain(v));
        writes.push(...op.inPlace!(this.b, handles, inputs, node.attributes, signatureOf(node)));
      }
      for (const { storage, value } of plan.assigns) {
        if (value.producer.kind === "node" && inPlace.has(value.producer)) continue;
        const T = attr.type(storage.dtype);
        const copy = this.b.node("DeepCopy", [lowering.plain(value)], { T });
        writes.push(
          this.b.node("AssignVariableOp", [this.resources.get(storage)!.handle, copy], { dtype: T }),
        );
      }
      return writes;
    });
  }
}

/** Whether each output of a node is only the next value of the variable that is its input. */
function updatesInPlace(node: Node, plan: Plan): boolean {
  if (node.op.inPlace === undefined) return false;
  return node.outputs.every((output, i) => {
    const input = node.inputs[i]!.producer;
    const target = plan.assigns.filter((a) => a.value === output);
    return (
      target.length === 1 &&
      input.kind === "state" &&
      input.storage === target[0]!.storage &&
      input.version === input.storage.version &&
      !plan.fetches.includes(output) &&
      !plan.lazy.includes(output) &&
      !plan.nodes.some((n) => n.inputs.includes(output))
    );
  });
}

function load(binding: NativeBinding, bytes: Uint8Array): number {
  const folder = mkdtempSync(path.join(tmpdir(), "layerwise-graph-"));
  try {
    writeFileSync(path.join(folder, "saved_model.pb"), bytes);
    return binding.loadSavedModel(folder, TAG);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
