// Functions of one sample, recorded once for all samples: each op by the batching rule of its record.
import type { Signature } from "../core/meta.ts";
import { allocate } from "../core/dtype.ts";
import { numel, range, sameShape, strides, type Shape } from "../core/shape.ts";
import { collectDraws, type CollectedDraw, type DrawCollector } from "../random/stream.ts";
import { internal } from "../core/errors.ts";
import { Tensor } from "../core/tensor.ts";
import { cat, expand, identity, permute, reshape, unstack } from "../ops/movement/movement.ts";
import { sliceAlong } from "../ops/movement/slicing.ts";
import { apply, applyAll } from "../recording/apply.ts";
import { standIn, Value, type Draw, type GradientEdge, type Node } from "../recording/graph.ts";
import type { BatchContext, Op, OpRecord } from "../recording/op.ts";
import { runtime } from "../recording/runtime.ts";
import { hidden, scope, withGradients } from "../recording/scope.ts";
import { customGradient } from "./customGradients.ts";
import { SampleGraph } from "./sampleGraph.ts";

/** An argument of the mapped function. `dim` is the dimension of the samples; null if all samples share the tensor. */
export interface Argument {
  readonly tensor: Tensor;
  readonly dim: number | null;
}

/** A value of one sample, and where its gradient goes. */
interface End {
  readonly value: Value;
  readonly edge: GradientEdge | undefined;
}

const reshaped = (x: Tensor, shape: Shape): Tensor =>
  sameShape(x.shape, shape) ? x : apply(reshape, [x], { shape });

/** A tensor with a dimension moved to another place. */
export function moved(x: Tensor, from: number, to: number): Tensor {
  if (from === to) return x;
  const order = range(x.ndim).filter((d) => d !== from);
  order.splice(to, 0, from);
  return apply(permute, [x], { order });
}

/** A tensor that all samples share, repeated as [size, …shape]. */
const repeated = (x: Tensor, size: number): Tensor => apply(expand, [x], { shape: [size, ...x.shape] });

/** Samples along dimension 0, one by one. */
const samplesOf = (x: Tensor): Tensor[] => applyAll(unstack, [x], {});

function stacked(samples: readonly Tensor[]): Tensor {
  const rows = samples.map((x) => apply(reshape, [x], { shape: [1, ...x.shape] }));
  return rows.length === 1 ? rows[0]! : apply(cat, rows, { dim: 0 });
}

/** Context of a batching rule. */
class Context implements BatchContext<object> {
  readonly size: number;
  readonly op: Op<object>;
  readonly attributes: object;
  readonly signature: Signature;
  readonly inputs: readonly Tensor[];
  readonly batched: readonly boolean[];

  constructor(size: number, node: Node, inputs: readonly Tensor[], batched: readonly boolean[]) {
    this.size = size;
    this.op = node.op;
    this.attributes = node.attributes;
    this.signature = node;
    this.inputs = inputs;
    this.batched = batched;
  }

  whole(input: number): Tensor {
    const x = this.inputs[input]!;
    return this.batched[input] ? x : repeated(x, this.size);
  }

  aligned(input: number, rank: number): Tensor {
    const x = this.inputs[input]!;
    if (!this.batched[input]) return x;
    const own = x.shape.slice(1);
    const ones = range(rank - own.length).map(() => 1);
    return reshaped(x, [this.size, ...ones, ...own]);
  }

  merged(x: Tensor, dim: number, inner = false): Tensor {
    const own = x.shape.slice(1);
    return reshaped(
      moved(x, 0, inner ? dim + 1 : dim),
      own.map((n, d) => (d === dim ? n * this.size : n)),
    );
  }

  split(x: Tensor, dim: number, inner = false): Tensor {
    const { size } = this;
    const parts = [size, x.shape[dim]! / size];
    if (inner) parts.reverse();
    const apart = reshaped(x, [...x.shape.slice(0, dim), ...parts, ...x.shape.slice(dim + 1)]);
    return moved(apart, inner ? dim + 1 : dim, 0);
  }

  reshaped(x: Tensor, shape: Shape): Tensor {
    return reshaped(x, shape);
  }

  behind(x: Tensor, dim: number): Tensor {
    return moved(x, 0, dim);
  }

  front(x: Tensor, dim: number): Tensor {
    return moved(x, dim, 0);
  }

  apply(inputs: readonly Tensor[], attributes = this.attributes): Tensor {
    return apply(this.op, inputs, attributes);
  }

  applyAll(inputs: readonly Tensor[], attributes = this.attributes): Tensor[] {
    return applyAll(this.op, inputs, attributes);
  }

  spelled(body: (inputs: readonly Tensor[]) => readonly Tensor[]): readonly Tensor[] {
    const given = this.inputs.map((tensor, i) => ({ tensor, dim: this.batched[i] ? 0 : null }));
    return overBatch(given, this.size, body) ?? internal(`${this.op.name} reads values of one sample`);
  }

  /** The op applied sample by sample. */
  oneByOne(): readonly Tensor[] {
    const all = this.inputs.map((x, i) => (this.batched[i] ? samplesOf(x) : undefined));
    const results = range(this.size).map((b) => this.applyAll(this.inputs.map((x, i) => all[i]?.[b] ?? x)));
    return this.signature.outputs.map((_, k) => stacked(results.map((outputs) => outputs[k]!)));
  }
}

/** The outputs of a node for all samples, as [size, …sample]. */
function outputsOf(context: Context): readonly Tensor[] {
  const { op, size, signature } = context;
  const { batch } = op as OpRecord<object>;
  const found = typeof batch === "function" ? batch(context) : undefined;
  const outputs = found === undefined ? context.oneByOne() : found instanceof Tensor ? [found] : found;
  signature.outputs.forEach(({ shape, dtype }, i) => {
    const y = outputs[i];
    if (y?.dtype === dtype && sameShape(y.shape, [size, ...shape])) return;
    internal(
      `${op.name} of ${size} samples gives ${y?.dtype}[${y?.shape.join()}] for ${dtype}[${shape.join()}]`,
    );
  });
  return outputs;
}

/** The nodes of one sample as nodes of the batch. */
class Batch {
  readonly #graph: SampleGraph;
  readonly #size: number;
  /** Tensors of all samples, by the value of one sample. */
  readonly #known = new Map<Value, Tensor>();
  readonly #nodes: Set<Node>;

  constructor(graph: SampleGraph, size: number) {
    this.#graph = graph;
    this.#size = size;
    this.#nodes = new Set(graph.nodes);
  }

  enter(value: Value, tensor: Tensor): void {
    this.#known.set(value, tensor);
  }

  /** @throws PerSample where gradients can't go through the whole batch */
  results(ends: readonly End[]): Tensor[] {
    const needed = this.#needed(ends);
    for (const node of this.#graph.nodes) if (needed.has(node)) this.#record(node);
    return ends.map((end) => {
      const { tensor, batched } = this.#input(end);
      if (!batched) return repeated(tensor, this.#size);
      // A returned argument becomes a tensor of its own.
      return tensor.value.producer.kind === "node"
        ? new Tensor(tensor.value, tensor.edge)
        : apply(identity, [tensor], {});
    });
  }

  #needed(ends: readonly End[]): Set<Node> {
    const needed = new Set<Node>();
    const stack: Node[] = [];
    const visit = (value: Value, edge: GradientEdge | undefined): void => {
      for (const node of [value.producer, edge?.node]) {
        if (node?.kind !== "node" || needed.has(node) || !this.#nodes.has(node)) continue;
        needed.add(node);
        stack.push(node);
      }
    };
    for (const { value, edge } of ends) visit(value, edge);
    for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
      const { inputs, edges } = node;
      inputs.forEach((value, i) => visit(value, edges?.[i]));
    }
    return needed;
  }

  #record(node: Node): void {
    const given = node.inputs.map((value, i) => this.#input({ value, edge: node.edges?.[i] }));
    const context = new Context(
      this.#size,
      node,
      given.map(({ tensor }) => tensor),
      given.map(({ batched }) => batched),
    );
    const { path, site, forward } = scope;
    Object.assign(scope, { path: node.module, site: node.site, forward: node.forward });
    try {
      const outputs = withGradients(node.edges !== undefined, () => outputsOf(context));
      node.outputs.forEach((value, i) => this.#known.set(value, outputs[i]!));
      // The user's own gradient is that of one sample.
      if (customGradient(node) !== undefined && outputs.some((y) => y.edge !== undefined))
        this.#graph.refuse();
    } finally {
      Object.assign(scope, { path, site, forward });
    }
  }

  #input({ value, edge }: End): { tensor: Tensor; batched: boolean } {
    const known = this.#known.get(value);
    const to = edge && this.#edge(edge, known !== undefined);
    if (known === undefined) return { tensor: new Tensor(value, to), batched: false };
    return { tensor: to === known.edge ? known : new Tensor(known.value, to), batched: true };
  }

  /** Returns the gradient edge of a batch (or of a tensor that all samples share), given that of one sample. */
  #edge(edge: GradientEdge, batched: boolean): GradientEdge | undefined {
    const { node, leaf } = edge;
    if (leaf !== undefined) {
      const { still } = leaf;
      const outside = !this.#graph.owns(leaf);
      if (batched) return outside && still !== undefined ? this.#known.get(still)?.edge : undefined;
      return outside ? edge : undefined;
    }
    if (this.#nodes.has(node) !== batched) this.#graph.refuse();
    return batched ? this.#known.get(node.outputs[edge.index]!)?.edge : edge;
  }
}

/** Draws of one sample; they are made for all samples once it is recorded. */
class SampleDraws implements DrawCollector {
  readonly #graph: SampleGraph;
  readonly #collected: { readonly value: Value; readonly draw: CollectedDraw }[] = [];

  constructor(graph: SampleGraph) {
    this.#graph = graph;
  }

  collect(draw: CollectedDraw): Value {
    const value = standIn(draw.shape, draw.dtype);
    this.#graph.enter(value);
    this.#collected.push({ value, draw });
    return value;
  }

  refuse(): never {
    return this.#graph.refuse();
  }

  /** Draws for one sample after another. */
  make(size: number, enter: (value: Value, numbers: Tensor) => void): void {
    const rows = range(size).map(() => this.#collected.map(({ draw }) => draw.make()));
    this.#collected.forEach(({ value }, i) => {
      const own = rows.map((row) => row[i]!);
      enter(value, jointDraw(own) ?? stacked(own.map((one) => new Tensor(one))));
      value.become(own.at(-1)!);
    });
  }
}

/** The draws of all samples in one tensor; undefined where some are recorded for an outer batch. */
function jointDraw(values: readonly Value[]): Tensor | undefined {
  const draws = values.flatMap(({ producer }) => (producer.kind === "random" ? [producer.draw] : []));
  if (draws.length < values.length) return undefined;
  const [{ shape, dtype }] = values as [Value];
  const joint: Draw = {
    values() {
      const parts = draws.map((draw) => draw.values());
      const wide = parts.some((part) => part instanceof Float64Array);
      const all = wide
        ? new Float64Array(draws.length * numel(shape))
        : allocate(dtype, draws.length * numel(shape));
      parts.forEach((part, i) => all.set(part, i * part.length));
      return all;
    },
    share: () => draws.forEach((draw) => draw.share()),
    abandon: () => draws.forEach((draw) => draw.abandon()),
  };
  return new Tensor(new Value({ kind: "random", draw: joint }, 0, [draws.length, ...shape], dtype));
}

/** Gives a sample the memory layout of its argument, where that is not row by row. */
function laidOutAs(x: Tensor, dim: number, sample: Tensor): void {
  const steps = (x.viewStrides() ?? strides(x.shape)).filter((_, d) => d !== dim);
  if (!sameShape(steps, strides(sample.shape))) sample.laidOut(steps);
}

export interface BatchOptions {
  /** Whether values that the function keeps elsewhere can be read later: the last sample's, as if called for each. */
  readonly keep?: boolean;
  /** Whether samples have random numbers of their own: those that calls for one after another would draw. */
  readonly differentDraws?: boolean;
}

/**
 * The results of a function of samples as [size, …sample] each, recorded at once for all samples.
 * @returns undefined where the function reads values or changes outer tensors: it has to be called for each sample
 */
export function overBatch(
  given: readonly Argument[],
  size: number,
  body: (samples: readonly Tensor[]) => readonly Tensor[],
  { keep = false, differentDraws = false }: BatchOptions = {},
): Tensor[] | undefined {
  // Anomaly detection reads the values of each sample.
  if (runtime.checksGradients) return undefined;
  const graph = new SampleGraph();
  const samples = given.map(({ tensor, dim }) => {
    if (dim === null) return tensor;
    const value = standIn(
      tensor.shape.filter((_, d) => d !== dim),
      tensor.dtype,
    );
    graph.enter(value);
    const sample = new Tensor(value);
    if (scope.gradients && tensor.requiresGrad) sample.edge = { leaf: sample };
    laidOutAs(tensor, dim, sample);
    return sample;
  });
  const run = (): End[] =>
    body(samples).map((y) => ({ value: y.value, edge: y.requiresGrad ? y.edge : undefined }));
  const draws = new SampleDraws(graph);
  const ends = graph.record(() => (differentDraws ? collectDraws(draws, run) : run()))?.result;
  if (ends === undefined) return undefined;
  const results = hidden(() => {
    const batch = new Batch(graph, size);
    draws.make(size, (value, numbers) => batch.enter(value, numbers));
    given.forEach(({ tensor, dim }, i) => {
      if (dim !== null) batch.enter(samples[i]!.value, moved(tensor, dim, 0));
    });
    try {
      const results = batch.results(ends);
      if (keep) given.forEach((argument, i) => keepLast(argument, samples[i]!.value));
      return results;
    } catch (error) {
      if (graph.refused) return undefined;
      throw error;
    }
  });
  if (scope.depth === 0) for (const { value } of results ?? []) value.visible = true;
  return results;
}

/** Gives the sample's value, which the function may have kept elsewhere, the data of the last sample. */
function keepLast({ tensor, dim }: Argument, value: Value): void {
  if (dim === null) return;
  const end = tensor.shape[dim]!;
  const last = sliceAlong(new Tensor(tensor.value), dim, end - 1, end);
  value.become(apply(reshape, [last], { shape: value.shape }).value);
}
