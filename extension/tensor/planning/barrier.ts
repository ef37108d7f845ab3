import type { HostArray } from "../core/dtype.ts";
import { internal } from "../core/errors.ts";
import type { GraphTensor, Node, Value } from "../recording/graph.ts";
import { Tensor } from "../core/tensor.ts";
import { Reached } from "../recording/gradients.ts";
import { dataOfLeaf, requireExecutor } from "../recording/leaves.ts";
import { movedWhenRead } from "../recording/onHost.ts";
import { observe, runtime } from "../recording/runtime.ts";
import { scope } from "../recording/scope.ts";
import { released } from "../recording/skipped.ts";
import { IncompletePlan, type Executor, type Plan, type Request } from "./executor.ts";
import { buildPlan } from "./plan.ts";
import { preparationOf, remaining } from "./preparation.ts";
import type { Chosen } from "./savedValues.ts";
import {
  MAX_ASIDE_NODES,
  MAX_DETACHED_READS,
  MAX_GRADIENT_NODES,
  MAX_GROUPED_STEPS,
  MAX_PENDING_LOSSES,
} from "../tuning.ts";

export type { Executor, Inspector, Plan } from "./executor.ts";

/** Has a value computed with its step, because the user detaches it inside a forward or from a gradient. */
export function keepReadable(value: Value): void {
  if (scope.hidden > 0 || value.visible || value.ready || value.producer.kind !== "node") return;
  runtime.saved.drop([value], runtime.executor);
  if (scope.depth === 0) observe(value);
  else value.visible = true;
}

/** Installs the executor. Without one, graphs can be built and checked but not run: the preview. */
export function setExecutor(executor: Executor | undefined): void {
  runtime.executor = executor;
}

export function hasExecutor(): boolean {
  return runtime.executor !== undefined;
}

/** The values of a tensor, row-major. The array is the tensor's own: do not write to it. */
export function valuesOf(value: Value): HostArray {
  scope.sample?.checkRead(value);
  if (value.data === undefined && value.producer.kind !== "node") return leafData(value);
  // Not kept: the graph still has the value.
  const assumed = value.data === undefined && !hasExecutor() ? runtime.standIn?.(value, false) : undefined;
  return assumed ?? (value.data ??= computed(value));
}

/** A tensor of the same values to be read later, detached from its graph if they are computed or deferred already. */
export function withoutGraph(x: Tensor): Tensor {
  const { value } = x;
  const hasGraph = x.edge?.node !== undefined || value.producer.kind === "node";
  return hasGraph && value.ready ? new Tensor(value.withoutGraph()) : x;
}

/** Checks of values when they are read: reading throws if their inputs are invalid. */
const guards = new WeakMap<Value, Guard>();

interface Guard {
  /** Values to check, computed with the value. */
  readonly inputs: readonly Value[];
  /** @throws TensorError for invalid inputs; those without `data` are not known */
  check(): void;
}

/** Has `inputs` checked when `value` is read, for inputs that need not be computed before. */
export function guard(value: Value, by: Guard): void {
  scope.sample?.checkRead(value);
  guards.set(value, by);
}

/** Computes a value of the graph now. */
function computed(value: Value): HostArray {
  const by = guards.get(value);
  if (by === undefined && value.read === undefined && movedWhenRead(value)) return value.data!;
  if (by === undefined && value.read === undefined) runtime.saved.deliver([value], runtime.executor);
  if (by === undefined && !value.ready && isAside(value)) computeNow([value]);
  if (!value.ready) barrier(by === undefined ? [value] : [value, ...by.inputs]);
  // A barrier may leave the value on the executor's side, with deferred steps.
  const data = value.data ?? value.read?.() ?? internal("a barrier left a value uncomputed");
  by?.check();
  return data;
}

/**
 * Whether values depend on no node with gradients, and on no pending write: reading a mask, between a forward with
 * batch norm and its backward, needn't compute the forward, which its backward would compute again.
 */
function areApart(requested: readonly Value[], writes: ReadonlySet<GraphTensor>, most = Infinity): boolean {
  const written = new Set<Value["producer"]>();
  for (const { value } of writes) written.add(value.producer);
  const met = new Set<Node>();
  const stack = [...requested];
  for (let value = stack.pop(); value !== undefined; value = stack.pop()) {
    const { producer } = value;
    if (value.ready || producer.kind !== "node" || met.has(producer)) continue;
    if (producer.edges !== undefined || written.has(producer) || met.size === most) return false;
    met.add(producer);
    stack.push(...producer.inputs);
  }
  return true;
}

/**
 * Whether a value is read in the midst of a forward that it doesn't depend on, such as a mask of an expert's samples. A barrier would
 * divide the forward, and each further one would go through the parts before it.
 */
function isAside(value: Value): boolean {
  if (runtime.inspector !== undefined || runtime.readsApart >= MAX_DETACHED_READS) return false;
  if (!runtime.trace.isInForward() || runtime.trace.isStandIn(value)) return false;
  if (!areApart([value], runtime.pendingWrites, MAX_ASIDE_NODES)) return false;
  runtime.readsApart++;
  return true;
}

/**
 * Computes `requested`, the values that the user may still read, and every pending write to persistent tensors, unless
 * `requested` is independent of the writes.
 * @param leaves their gradients are computed too, and stay on the executor's side
 */
export function barrier(requested: readonly Value[], leaves: ReadonlySet<GraphTensor> = NO_LEAVES): void {
  const { trace, gradients } = runtime;
  const apart =
    requested.length > 0 && runtime.pendingWrites.size > 0 && runtime.readsApart < MAX_DETACHED_READS;
  const left = apart && areApart(requested, runtime.pendingWrites);
  runtime.readsApart = left ? runtime.readsApart + 1 : 0;
  const pendingWrites = left ? new Set<GraphTensor>() : runtime.pendingWrites;
  const written = [...pendingWrites];
  const writes = written.length > 0;
  if (writes) computeNow(trace.takeAbandoned());
  const assigns = written.map((t) => ({ storage: t.storage!, value: t.value }));
  trace.recordReached(requested, pendingWrites);
  for (const value of trace.readLater(assigns.map((a) => a.value))) value.visible = true;
  let held = trace.held(writes);
  if (writes) runtime.saved.deliver(readable(written), runtime.executor);
  const roots = writes ? [...requested, ...pendingOf(runtime.stepOutputs)] : requested;
  if (writes) runtime.stepOutputs = new Set();
  const reached = new Reached(
    gradients,
    pendingWrites,
    runtime.policy.keepGradients,
    () => (writes ? [...roots, ...held] : roots),
    leaves,
    (value) => trace.isStandIn(value),
  );
  const { complete } = reached;
  if (complete && !writes) held = trace.held(true);
  // A loss that is read before its `backward()` still needs values that its forward has overwritten: a masked weight.
  const old = writes && requested.length > 0 ? trace.overwritten(new Set(assigns.map((a) => a.storage))) : [];
  const { saved } = runtime;
  let plan: Plan;
  let chosen: Chosen | undefined;
  try {
    saved.drop(
      [...roots, ...assigns.map(({ value }) => value), ...reached.values, ...held],
      runtime.executor,
    );
    const reads = requested.length > 0 && reached.values.length === 0;
    const arriving = reads && !writes ? arrivingValues() : [];
    const request = { requested: roots, assigns, lazy: [...reached.values, ...arriving], held };
    plan = planFor(request);
    if (complete && reached.releaseOthers(new Set(plan.leaves), requireExecutor(), released))
      runtime.gradientReads++;
    // The optimizer of an encoder steps before that of the decoder: both have gradients of one loss.
    const precedes = reads || reached.leavesGradients;
    // An evaluation may collect its outputs, to use them all at its end. A `backward()` switches gradients off for its hooks.
    const collects = !scope.gradients && runtime.gradients.arriving === undefined;
    const from = collects ? Infinity : runtime.policy.leaveOutFrom;
    chosen = savesValues() ? saved.choose(plan, precedes, from) : undefined;
    if (chosen !== undefined) old.push(...chosen.leaves);
    const before = old.map(leafData);
    plan = run(chosen?.plan ?? plan, request) ?? plan;
    saved.passed(plan, reads, requireExecutor());
    if (chosen !== undefined) saved.computed(plan, precedes, chosen, requireExecutor());
    saved.keep(arriving, requireExecutor());
    reached.done(requireExecutor(), released);
    old.forEach((value, i) => (value.data = before[i]));
  } catch (error) {
    refuse();
    throw error;
  }
  if (writes) runtime.writings++;
  for (const t of written) {
    const storage = t.storage!;
    storage.version++;
    storage.host = undefined;
    t.settled(storage);
  }
  if (!left) {
    runtime.pendingWrites = new Set();
    runtime.undoActions = [];
  }
  trace.computed(writes);
  if (chosen !== undefined) trace.release(chosen.leftOut);
  const open = complete ? [] : pendingOf(held).filter((value) => chosen?.leftOut.has(value) !== true);
  computeNow(trace.carry(open, !complete));
  if (writes && !runtime.policy.compileAtOnce) computeNow(gradients.outlived());
  if (!writes) {
    runtime.forgetComputed();
    if (runtime.stepOutputs.size > MAX_PENDING_LOSSES) {
      computeNow([...runtime.stepOutputs]);
      runtime.stepOutputs = new Set();
    }
  }
  // Values read inside a forward may still be exported as they were recorded.
  if (writes || scope.depth === 0) for (const value of chosen?.plan.fetches ?? plan.fetches) value.settle();
}

/** Runs a plan, and returns another one that was run in its place. */
function run(plan: Plan, request: Request): Plan | undefined {
  try {
    requireExecutor().run(plan, runtime.inspector?.(plan));
    return undefined;
  } catch (error) {
    if (!(error instanceof IncompletePlan)) throw error;
    runtime.trace.refused();
    const whole = buildPlan(request);
    requireExecutor().run(whole);
    return whole;
  }
}

/** Values that the program may read after a step: those that it has recorded outside of a forward, and the gradients of what is written. */
function* readable(written: readonly GraphTensor[]): Generator<Value> {
  yield* runtime.stepOutputs;
  for (const { ownGrad } of written) if (ownGrad !== null) yield ownGrad.value;
}

/** Gradients that hooks of a `backward()` under way will see, or that others are made of. */
function arrivingValues(): Value[] {
  const values = new Set<Value>();
  if (!keepsValues()) return [];
  for (const gradient of runtime.gradients.arriving?.() ?? []) {
    const value = gradient?.value;
    if (value?.producer.kind === "node" && !value.ready && value.retained === undefined) values.add(value);
  }
  return [...values];
}

const NO_LEAVES: ReadonlySet<GraphTensor> = new Set();

/** Computes pending writes to persistent tensors, if there are any. */
export function settle(): void {
  if (runtime.pendingWrites.size > 0) barrier([]);
}

/** Computes values that the user may hold, before their inputs are overwritten or their graph grows too long. */
export function computeNow(values: readonly Value[]): void {
  const { executor, saved } = runtime;
  saved.deliver(values, executor);
  const requested = pendingOf(values);
  if (requested.length === 0 || executor === undefined) return;
  try {
    const plan = buildPlan({ requested, assigns: [], lazy: [], held: [] });
    executor.run(plan);
    // Values read inside a forward may still be exported as they were recorded.
    if (scope.depth === scope.hidden) for (const value of plan.fetches) value.settle();
  } catch {
    // One value may have failed: reading it throws. Compute the others.
    if (requested.length > 1) for (const value of requested) computeNow([value]);
  }
}

/**
 * Computes gradients to which several calls of `backward()` have added, once their graph is long: each call's graph is different then,
 * and all of them together no longer fit into caches. Not in a training, which computes all its steps alike.
 */
export function computeLongGradients(leaves: Iterable<GraphTensor>): void {
  const { gradients, policy, inspector, executor } = runtime;
  if (gradients.nodes <= MAX_GRADIENT_NODES || policy.compileAtOnce || !policy.keepGradients) return;
  if (inspector === undefined && executor?.saves === true) barrier([], new Set(leaves));
}

/** Computes what is recorded so far, where a loop that reads nothing repeats itself. A training computes all its steps alike. */
export function computePiece(): void {
  const values = savesValues() ? runtime.trace.piece() : [];
  if (values.length > 0) barrier(values);
}

/** Discards the recording after an error in the user's forward: the next step begins with an empty one. */
export function interrupted(): void {
  computeNow(runtime.trace.interrupt());
}

/** Runs `undo` if the writes pending now can't be computed. */
export function onRefusal(undo: () => void): void {
  scope.sample?.refuse();
  runtime.undoActions.push(undo);
}

/** Discards all pending writes: restores the model, so that the next step can be recorded. */
export function refuse(): void {
  for (const t of runtime.pendingWrites) t.revert();
  const { undoActions } = runtime;
  runtime.undoActions = [];
  runtime.stepOutputs = new Set();
  for (let i = undoActions.length - 1; i >= 0; i--) undoActions[i]!();
  runtime.trace.carry([]);
  runtime.trace.refused();
}

/** Forgets everything pending: see {@link Runtime.forgetPending}. */
export function forgetPending(): void {
  runtime.forgetPending();
}

/** Ends `optimizer.step()`: computes pending writes, unless steps are grouped. */
export function step(): void {
  if (runtime.grouping && ++runtime.groupedSteps < MAX_GROUPED_STEPS) return;
  runtime.groupedSteps = 0;
  if (runtime.pendingWrites.size > 0 && hasExecutor()) barrier([]);
  else runtime.undoActions = [];
}

/**
 * Runs `body` and computes its optimizer steps together at its end, or when it reads a value: the two steps of a GAN
 * become one graph.
 */
export async function stepsTogether<T>(body: () => T | Promise<T>): Promise<T> {
  runtime.grouping = true;
  try {
    return await body();
  } finally {
    runtime.grouping = false;
    step();
  }
}

export function pendingOf(values: Iterable<Value>): Value[] {
  return [...values].filter((v) => !v.ready);
}

/**
 * Returns the values of a leaf, or of a node, which is computed now.
 * @throws TensorError for a parameter's value from before an update
 */
export function leafData(value: Value): HostArray {
  scope.sample?.checkRead(value);
  if (value.retained !== undefined && !value.ready) return value.retained();
  if (value.data === undefined && value.producer.kind === "node") value.data = computed(value);
  return dataOfLeaf(value);
}

/** Number of the last steps that are deferred or being computed. */
export const pendingSteps = (): number => runtime.executor?.pendingSteps ?? 0;

/** Whether plans may keep values for later ones: not under an inspector, whose values must be computed. */
const keepsValues = (): boolean => runtime.executor?.saves === true && runtime.inspector === undefined;

/** Whether experience decides which: not in a training, which computes all its steps alike, also after it is resumed. */
const savesValues = (): boolean => keepsValues() && !runtime.policy.compileAtOnce;

/** The plan of everything pending: known from an earlier step, or named now. */
function planFor(request: Request): Plan {
  const { trace } = runtime;
  // Inspected values must be computed: no node is taken from an earlier step.
  let plan = runtime.inspector === undefined ? trace.recognize(request, runtime.isCompiled) : undefined;
  if (plan === undefined) {
    plan = buildPlan(request);
    if (savesValues()) runtime.saved.learn(plan);
    // A training computes all its steps alike: they may be repeated from any step on.
    const apart = runtime.inspector !== undefined || runtime.policy.compileAtOnce;
    const preparation = apart ? undefined : preparationOf(plan, request);
    if (preparation === undefined) trace.learn(plan);
    else {
      requireExecutor().run(preparation);
      plan = buildPlan(remaining(request));
      // The graphs of those that the program carries from step to step would hold all steps.
      if (scope.depth === scope.hidden) for (const value of preparation.fetches) value.settle();
    }
  }
  trace.end();
  return plan;
}
