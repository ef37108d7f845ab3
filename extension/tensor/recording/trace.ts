import { Node, Value, type Storage } from "./graph.ts";
import { internal, TensorError } from "../core/errors.ts";
import { noteGradient, isTransient } from "./gradients.ts";
import type { Op } from "./op.ts";
import { Numbering, place, Template, type Backward, type Plan, type Request } from "./template.ts";
import { Tensor } from "../core/tensor.ts";

// A training loop records the same graph step after step. Naming it each time (walking it, writing its key) would
// cost more than small models take to compute, so the nodes are compared, in the order in which they were recorded,
// with those of graphs named before. As soon as the forward part has been found to be that of the step before, its
// `backward()` is not recorded at all.

/** Nodes recorded without a barrier at most: a longer graph is not compared. */
const MOST_NODES = 20_000;
/** Graphs remembered of one number of nodes. */
const MOST_ALIKE = 4;
/** Numbers of nodes remembered: programs that never repeat themselves are forgotten. */
const MOST_SIZES = 64;

/** Nodes since the last barrier; those of a `backward()` taken over are missing, but for its results. */
let recorded: Node[] = [];
/** Values that the user may hold, of nodes recorded before `recorded`. */
let carried: readonly Value[] = [];
/** Those of a step that an error has ended: computed beside the next one, whose graph is what it always is. */
let abandoned: readonly Value[] = [];
/** Most values of a graph that is longer than {@link MOST_NODES}. */
const MOST_HELD = 1024;
/** Most of these after a barrier: what is never asked for must not hold on to its graph for long. */
const MOST_CARRIED = 32;
/** Computes values that would otherwise hold on to too many graphs: see runtime.ts. */
export const surplus = { compute: undefined as ((values: readonly Value[]) => void) | undefined };
let overflow = false;
let backwards: Backward[] = [];
/** The last training step. */
let latest: Template | undefined;
/** How far the step under way was found to repeat it. */
let progress: { readonly template: Template; readonly numbering: Numbering; matched: number } | undefined;
/** A call of `backward()` that was taken over. */
interface Skipped {
  readonly results: readonly (readonly [Tensor, Value])[];
  readonly run: () => Map<Tensor, Tensor>;
}
let skipped: Skipped[] = [];
/** Those of the plan that is computed now. */
let computing: Skipped[] = [];
/** Vain attempts after which a graph's backward() is always recorded. */
const MOST_FAILURES = 3;
const known = new Map<number, Template[]>();

/** Notes a node in the order of recording. */
export function trace(node: Node): void {
  if (recorded.length >= MOST_NODES && skipped.length === 0) {
    overflow = true;
    carry(heldValues(true), false, MOST_HELD);
    recorded = [];
  }
  node.serial = recorded.length;
  recorded.push(node);
}

/**
 * Values that the user may hold, and that can't be computed once parameters have changed: they depend on a parameter, or
 * on what lies inside a forward.
 * @param all those of before the last barrier too
 */
export function heldValues(all: boolean): Value[] {
  const held = all ? carried.filter((value) => !value.ready) : [];
  for (const node of recorded) {
    // Nodes of a backward() that was taken over are missing.
    if (node === undefined) continue;
    for (const output of node.outputs)
      if (output.visible && !output.ready && node.inputs.some(isInside)) held.push(output);
  }
  return held;
}

function isInside(value: Value): boolean {
  if (value.ready) return isTransient(value);
  const { producer, visible } = value;
  return producer.kind === "state" || (producer.kind === "node" && !visible);
}

/** An error has ended the step under way: the next one begins with nothing recorded. */
export function interrupted(): void {
  if (skipped.length > 0) return;
  abandoned = [...abandoned, ...heldValues(true)];
  if (abandoned.length > MOST_CARRIED) surplus.compute?.(takeAbandoned());
  carried = [];
  endTrace();
}

/** Answers values of steps that errors have ended, once. */
export function takeAbandoned(): Value[] {
  const values = abandoned.filter((value) => !value.ready);
  abandoned = [];
  return values;
}

/**
 * Notes values of before a barrier that the next step must compute, in addition to those noted before or instead of them.
 * Where there are too many of them, they are computed now.
 */
export function carry(values: readonly Value[], add = false, most = MOST_CARRIED): void {
  const before = add ? carried.filter((value) => !value.ready) : [];
  carried = [...before, ...values];
  if (carried.length <= most) return;
  const all = carried;
  carried = [];
  surplus.compute?.(all);
}

/** The graph is computed, or given up: what is recorded from here on is another. */
export function endTrace(): void {
  recorded = [];
  backwards = [];
  computing = skipped;
  skipped = [];
  overflow = false;
  progress = undefined;
}

/**
 * The plan of what was recorded, if it equals a graph that was named before.
 * @param compiled whether a plan of that name can be run without its nodes
 */
export function recognize(request: Request, compiled: (key: string) => boolean): Plan | undefined {
  const plan = overflow ? undefined : (completed(request, compiled) ?? compared(request));
  if (plan === undefined) record();
  return plan;
}

/** Remembers a graph that was just named. */
export function learn(plan: Plan): void {
  if (overflow) return;
  const template = Template.of(recorded, plan, backwards);
  if (template === undefined) return;
  follow(template, plan);
  let alike = known.get(template.length);
  if (alike === undefined) known.set(template.length, (alike = []));
  alike.unshift(template);
  if (alike.length > MOST_ALIKE) alike.pop();
  if (known.size > MOST_SIZES) known.delete(known.keys().next().value!);
}

/** The step that repeats the predicted one, some of whose nodes may be missing. */
function completed(request: Request, compiled: (key: string) => boolean): Plan | undefined {
  if (progress === undefined) return undefined;
  const { template, numbering, matched } = progress;
  if (recorded.length !== template.length || !compiled(template.key)) return undefined;
  if (!template.matches(numbering, recorded, matched, recorded.length)) return undefined;
  const kept = new Set([...request.lazy, ...request.requested]);
  const plan = template.plan(numbering, recorded, request);
  if (plan === undefined) return undefined;
  follow(template, plan);
  for (const { results } of skipped)
    for (const [, value] of results)
      if (value.producer.kind === "node" && !kept.has(value)) value.read = released;
  return plan;
}

/** Throws: the gradient was discarded. */
export function released(): never {
  throw new TensorError(
    "released",
    "this gradient belongs to a step that is over",
    "read it (grad.toTypedArray(), grad.item()) before the next optimizer.step(), or keep a copy: grad.clone()",
  );
}

/** Remembers which training step comes after which. */
function follow(template: Template, { assigns }: Plan): void {
  if (assigns.length === 0) return;
  if (latest !== undefined) latest.next = template;
  latest = template;
}

/** A graph of which all nodes are there, among those of its length. */
function compared(request: Request): Plan | undefined {
  if (skipped.length > 0) return undefined;
  const alike = known.get(recorded.length);
  if (alike === undefined) return undefined;
  for (let i = 0; i < alike.length; i++) {
    const template = alike[i]!;
    const numbering = new Numbering(recorded);
    if (!template.matches(numbering, recorded, 0, recorded.length)) continue;
    const plan = template.plan(numbering, recorded, request);
    if (plan === undefined) continue;
    if (i > 0) {
      alike.splice(i, 1);
      alike.unshift(template);
    }
    follow(template, plan);
    return plan;
  }
  return undefined;
}

/**
 * Takes a `backward()` over from the step before, if everything up to it was recorded as then: the leaves' gradients
 * stand for what would have been recorded.
 * @param run records it after all
 */
export function repeatBackward(root: Value, run: () => Map<Tensor, Tensor>): boolean {
  const predicted = progress?.template ?? latest?.next;
  if (overflow || predicted === undefined || predicted.failures >= MOST_FAILURES) return false;
  const start = recorded.length;
  const pattern = predicted.backwards.find((b) => b.start === start);
  if (pattern === undefined) return false;
  progress ??= { template: predicted, numbering: new Numbering(recorded), matched: 0 };
  const { numbering } = progress;
  if (!predicted.matches(numbering, recorded, progress.matched, start)) return giveUp();
  if (numbering.code(root) !== pattern.root || numbering.leaves.length !== pattern.firstLeaf) return giveUp();
  const leaves: Tensor[] = [];
  for (const { leaf, serial, input } of pattern.results) {
    const tensor = leaf.deref();
    if (tensor === undefined || tensor.ownGrad !== null) return giveUp();
    if (recorded[serial]?.edges?.[input]?.leaf !== tensor) return giveUp();
    leaves.push(tensor);
  }
  for (const leaf of pattern.leaves) numbering.meet(leaf);
  recorded.length = pattern.end;
  const results = pattern.results.map(({ gradient, shape, dtype }, i): readonly [Tensor, Value] => {
    const value = gradient < 0 ? numbering.leaves[-gradient - 1]! : standIn(place(gradient), shape, dtype);
    leaves[i]!.grad = new Tensor(value);
    noteGradient(leaves[i]!);
    return [leaves[i]!, value];
  });
  progress.matched = pattern.end;
  skipped.push({ results, run });
  return true;
}

/** Notes a `backward()` that was recorded, for leaves that had no gradient before. */
export function noteBackward(
  start: number,
  root: Value,
  results: readonly (readonly [Tensor, Value])[],
): void {
  backwards.push({ start, end: recorded.length, root, results });
}

/** Nodes recorded so far. */
export const traced = (): number => recorded.length;

/** Whether something that is still to be computed has this value as an input: of this step, or of before a barrier. */
export const isRead = (value: Value): boolean =>
  recorded.some((node) => node.inputs.includes(value)) || isAmongInputs(value, [...carried, ...abandoned]);

function isAmongInputs(value: Value, of: Value[]): boolean {
  const met = new Set<Value>();
  for (let one = of.pop(); one !== undefined; one = of.pop()) {
    if (one === value) return true;
    if (one.ready || one.producer.kind !== "node" || met.has(one)) continue;
    met.add(one);
    of.push(...one.producer.inputs);
  }
  return false;
}

/** What storages hold now, of which a gradient may still be computed: inputs of recorded nodes that have gradients. */
export function overwritten(storages: ReadonlySet<Storage>): Value[] {
  const found: Value[] = [];
  // Nodes without a gradient whose values one with a gradient reads.
  const read = new Set<Node>();
  for (let i = recorded.length - 1; i >= 0; i--) {
    const node = recorded[i];
    if (node === undefined || (node.edges === undefined && !read.has(node))) continue;
    for (const input of node.inputs) {
      const { producer } = input;
      if (input.ready) continue;
      if (producer.kind === "state") {
        const { storage, version } = producer;
        if (storages.has(storage) && storage.version === version) found.push(input);
      } else if (producer.kind === "node" && producer.edges === undefined) read.add(producer);
    }
  }
  return found;
}

/** Whether a value stands for a gradient of a `backward()` that was taken over. */
export const isStandIn = (value: Value): boolean =>
  skipped.some(({ results }) => results.some((result) => result[1] === value));

/** Records what was taken over if a leaf that isn't updated now has its gradient from it: it may be used later. */
export function recordReached(requested: readonly Value[], written: ReadonlySet<Tensor>): void {
  for (const { results } of skipped)
    for (const [leaf, value] of results) {
      if (written.has(leaf) || requested.includes(value)) continue;
      if (leaf.ownGrad?.value === value) return record();
    }
}

/** Records what was taken over: somebody wants to see more of it than its results. */
function record(): void {
  if (skipped.length === 0) return;
  const taken = skipped;
  skipped = [];
  progress!.template.failures++;
  progress = undefined;
  recordAll(taken);
  // The nodes are not where they were recorded before.
  overflow = true;
}

function recordAll(taken: readonly Skipped[]): void {
  for (const { results, run } of taken) {
    const gradients = run();
    for (const [leaf, value] of results) {
      const real = gradients.get(leaf)?.value ?? internal("a gradient that was there before is missing");
      if (real !== value && value.producer.kind === "node") value.become(real);
    }
  }
}

/** The plan was computed: nothing of its graph is needed any more. */
export function graphComputed(): void {
  computing = [];
}

/** The plan was refused: its gradients are what they would be without it. */
export function graphRefused(): void {
  const taken = [...computing, ...skipped];
  endTrace();
  recordAll(taken);
  endTrace();
  computing = [];
}

/** Stops following the predicted step, unless a part of it was taken over: then the barrier decides. */
function giveUp(): false {
  if (skipped.length === 0) progress = undefined;
  return false;
}

const STAND_IN: Op<object> = {
  name: "gradient",
  infer: () => internal("a stand-in is never inferred"),
  gradient: { none: "it stands for a gradient" },
  onnx: { none: "it stands for a gradient" },
  tensorflow: () => internal("a stand-in is never computed"),
  tfjs: () => internal("a stand-in is never computed"),
};

/** What stands for an output of a node that was not recorded. */
function standIn(
  { serial, index }: { serial: number; index: number },
  shape: Value["shape"],
  dtype: Value["dtype"],
): Value {
  let node = recorded[serial];
  if (node === undefined) {
    node = new Node(STAND_IN, {}, [], [], undefined);
    node.serial = serial;
    recorded[serial] = node;
  }
  const value = new Value(node, index, shape, dtype);
  // As where it is recorded: a gradient is kept for its tensor, and not fetched.
  value.visible = false;
  return value;
}
