import { allocate, type HostArray } from "../core/dtype.ts";
import { internal, TensorError } from "../core/errors.ts";
import { Node, Value, type Storage } from "../recording/graph.ts";
import { numel } from "../core/shape.ts";
import { allSettled, dirty, replacing, Tensor } from "../core/tensor.ts";
import { forgetGradients, Reached } from "../recording/gradients.ts";
import { buildPlan } from "./plan.ts";
import type { Plan, Request } from "../recording/template.ts";
import { runtime, withPolicy } from "../recording/runtime.ts";
import { scope } from "../recording/scope.ts";
import {
  carry,
  graphComputed,
  endTrace,
  heldValues,
  isRead,
  isStandIn,
  learn,
  overwritten,
  recognize,
  recordReached,
  graphRefused,
  released,
  surplus,
  takeAbandoned,
} from "../recording/trace.ts";

export type { Plan } from "../recording/template.ts";

/** Computes plans. Implementations: see ../executors. */
export interface Executor {
  /**
   * Sets `data` of every fetch and `read` of every lazy value, and moves the storages on. Synchronous: one call is
   * kept short by the caller.
   */
  run(plan: Plan, inspector?: Inspector): void;
  /** How many of the last steps aren't computed yet: they are deferred, see {@link Policy}. */
  readonly waits?: number;
  /** Whether a plan of this key is run without looking at its nodes. */
  compiled?(key: string): boolean;
  /** The current value of a storage the executor has written, copied to the host. */
  read(storage: Storage): HostArray;
  /** Whether a lazy value stays readable until it is released. The others are there until the next step. */
  holds?(value: Value): boolean;
  /** Forgets a lazy value, if it is held. */
  release?(value: Value): void;
}

/** Looks at every value of a plan that is computed op by op, before anything is written. */
export interface Inspector {
  /** What is fed is there: the first node is computed next. */
  begin?(): void;
  node(node: Node, read: (value: Value) => HostArray): void;
  /** All nodes were computed. What it throws keeps the plan from writing. */
  done(read: (value: Value) => HostArray): void;
}

let current: Executor | undefined;
/** Makes what looks at a plan: there is nothing that does unless anomalies are to be detected. */
export const inspection = {
  of: undefined as ((plan: Plan) => Inspector) | undefined,
  /** Looks at the gradients that a `backward()` gives, at once. */
  backward: undefined as ((gradients: readonly Value[]) => void) | undefined,
};

/** Steps whose gradients somebody asked for after they were made. */
let gradientsRead = 0;

/** How often gradients were read after their step: a loop that never does needn't have them kept. */
export const gradientReads = (): number => gradientsRead;

/** What `backward` started from: losses, which the user reads after the step. */
let observed = new Set<Value>();

/** Has a value computed with the next step, because it will be asked for when the step is over. */
export function observe(value: Value): void {
  value.visible = true;
  observed.add(value);
}

/** Has a value computed with its step that the user takes out of the graph, inside a forward or of a gradient. */
export function keepReadable(value: Value): void {
  if (scope.hidden > 0 || value.visible || value.ready || value.producer.kind !== "node") return;
  if (scope.depth === 0) observe(value);
  else value.visible = true;
}

/** Installs what computes. Without one, graphs can be built and checked but not run: the preview. */
export function setExecutor(executor: Executor | undefined): void {
  current = executor;
}

export function hasExecutor(): boolean {
  return current !== undefined;
}

function executor(): Executor {
  if (current === undefined) {
    throw new TensorError(
      "preview",
      "a value was asked for (item, toTypedArray, print, if), but the preview only looks at shapes",
    );
  }
  return current;
}

/** The values of a tensor, row-major. The array is the tensor's own: do not write to it. */
export function valuesOf(value: Value): HostArray {
  if (value.data === undefined && value.producer.kind !== "node") return leafData(value);
  return (value.data ??= computed(value));
}

/**
 * A tensor of the same values for somebody who reads them later: as soon as they are computed, or wait with their step,
 * it doesn't hold on to the graph that they come from.
 */
export function parted(x: Tensor): Tensor {
  const { value } = x;
  return value.producer.kind === "node" && value.ready ? new Tensor(value.parted()) : x;
}

/** Values that are refused when they are read, if what they were computed from is invalid. */
const guards = new WeakMap<Value, Guard>();

interface Guard {
  /** Computed with the value. */
  readonly inputs: readonly Value[];
  /** @throws TensorError for invalid inputs; those without `data` are not known */
  check(): void;
}

/** Has `inputs` checked when `value` is read: for values that need not be there before. */
export function guard(value: Value, by: Guard): void {
  guards.set(value, by);
}

/** Computes a value of the graph now. */
function computed(value: Value): HostArray {
  const by = guards.get(value);
  if (value.read === undefined) barrier(by === undefined ? [value] : [value, ...by.inputs]);
  // A barrier may leave it to be read: with the steps that wait.
  const data = value.data ?? value.read?.() ?? internal("a barrier left a value uncomputed");
  by?.check();
  return data;
}

let peeks = 0;

/**
 * A value for somebody who only looks, such as a debugger: computed beside the program, of which nothing is computed,
 * kept or named differently for it, so that its own numbers stay what they would have been. (On TensorFlow, looking at a
 * gradient before its step was seen to change the last digit of what came after.)
 * @returns undefined where there is nothing to be seen: in a preview, or of a step that is over
 */
export function peek(value: Value): HostArray | undefined {
  if (value.data !== undefined) return value.data;
  try {
    return beside([value], (plan) => {
      if (value.read !== undefined) return value.read();
      if (value.producer.kind !== "node") return leafData(value);
      executor().run({ ...plan, fetches: [value] });
      return value.data;
    });
  } catch {
    return undefined;
  }
}

/** Shows values to an inspector before they are asked for: computed beside the program, see {@link peek}. */
export function inspect(values: readonly Value[], inspector: (plan: Plan) => Inspector): void {
  const pending = pendingOf(values).filter(({ producer }) => producer.kind === "node");
  if (current === undefined || pending.length === 0) return;
  try {
    beside(pending, (plan) => executor().run({ ...plan, fetches: [] }, inspector(plan)));
  } catch (error) {
    refuse();
    throw error;
  }
}

/** Runs `body` with a plan of its own for some values, and forgets all that it computes. */
function beside<T>(values: readonly Value[], body: (plan: Plan) => T): T {
  const plan = buildPlan({ requested: values, assigns: [], lazy: [], held: [] });
  const touched = [...new Set([...values, ...plan.leaves])];
  const before = touched.map(({ data }) => data);
  const inspected = { ...inspection };
  Object.assign(inspection, { of: undefined, backward: undefined });
  try {
    return withPolicy({ compileAtOnce: false }, () => body({ ...plan, key: `peek ${++peeks}` }));
  } finally {
    touched.forEach((one, i) => (one.data = before[i]));
    Object.assign(inspection, inspected);
  }
}

/** Computes `requested`, every pending write to persistent tensors, and what the user may still ask for. */
export function barrier(requested: readonly Value[]): void {
  const written = [...dirty];
  const writes = written.length > 0;
  if (writes) computeHeld(takeAbandoned());
  const assigns = written.map((t) => ({ storage: t.storage!, value: t.value }));
  recordReached(requested, dirty);
  const held = heldValues(writes);
  const roots = writes ? [...requested, ...pendingOf(observed)] : requested;
  if (writes) observed = new Set();
  const gradients = writes
    ? new Reached(dirty, runtime.policy.keepGradients, () => [...roots, ...held], isStandIn)
    : undefined;
  // A loss that is read before its `backward()` still needs what its forward has written over, such as a masked weight.
  const old = writes && requested.length > 0 ? overwritten(new Set(assigns.map((a) => a.storage))) : [];
  let plan: Plan;
  try {
    plan = planFor({ requested: roots, assigns, lazy: gradients?.values ?? [], held });
    if (gradients?.releaseOthers(new Set(plan.leaves), executor(), released) === true) gradientsRead++;
    const before = old.map(leafData);
    executor().run(plan, inspection.of?.(plan));
    gradients?.done();
    old.forEach((value, i) => (value.data = before[i]));
  } catch (error) {
    refuse();
    throw error;
  }
  for (const t of written) {
    const storage = t.storage!;
    storage.version++;
    storage.host = undefined;
    t.settled(storage);
  }
  allSettled();
  undoing = [];
  graphComputed();
  carry(writes ? [] : pendingOf(held), !writes);
  // Inside a forward, what is read there may still be exported as it was recorded.
  if (writes || scope.depth === 0) for (const value of plan.fetches) value.leaf ??= null;
}

/** Computes what the user may hold, before the storages it is made of are written. */
function computeHeld(values: readonly Value[]): void {
  const requested = pendingOf(values);
  if (requested.length === 0 || current === undefined) return;
  try {
    current.run(buildPlan({ requested, assigns: [], lazy: [], held: [] }));
  } catch {
    // One of them may be what an error was about: reading it says so. The others are there.
    if (requested.length > 1) for (const value of requested) computeHeld([value]);
  }
}

surplus.compute = computeHeld;

/** What takes back the numbers of the host that pending writes come with, such as counts of steps. */
let undoing: (() => void)[] = [];

/** Has `undo` run when what is pending now can't be computed. */
export function onRefusal(undo: () => void): void {
  undoing.push(undo);
}

/** Gives up all pending writes: the model is as it was before them, and the next step can be made. */
export function refuse(): void {
  for (const t of dirty) t.revert();
  const undo = undoing;
  undoing = [];
  observed = new Set();
  for (let i = undo.length - 1; i >= 0; i--) undo[i]!();
  carry([]);
  graphRefused();
}

/** Forgets all that waits to be computed: for a preview, which computes nothing and looks at one program after another. */
export function forgetPending(): void {
  allSettled();
  undoing = [];
  carry([]);
  observed = new Set();
  forgetGradients();
  endTrace();
}

/** Steps waiting to be computed together; a loop of many steps is computed in between, lest its graph grows without end. */
const together = { active: false, steps: 0, limit: 16 };

/** What `optimizer.step()` ends with. */
export function step(): void {
  if (together.active && ++together.steps < together.limit) return;
  together.steps = 0;
  if (dirty.size > 0 && current !== undefined) barrier([]);
  else undoing = [];
}

/**
 * Runs `body`, whose optimizer steps are computed when it is through, or when it asks for a value: the two steps of a
 * GAN become one graph.
 */
export async function stepsTogether<T>(body: () => T | Promise<T>): Promise<T> {
  together.active = true;
  try {
    return await body();
  } finally {
    together.active = false;
    step();
  }
}

function pendingOf(values: Iterable<Value>): Value[] {
  return [...values].filter((v) => !v.ready);
}

/**
 * Values of a leaf on the host.
 * @throws TensorError when it is a parameter's value from before an update
 */
export function leafData(value: Value): HostArray {
  if (value.data !== undefined) return value.data;
  const leaf = value.producer;
  if (leaf.kind === "node") return (value.data = computed(value));
  switch (leaf.kind) {
    case "data":
      return (value.data = value.read?.() ?? internal("a data leaf without data"));
    case "random":
      return (value.data = leaf.draw.values());
    case "scalar":
    case "fill":
      return (value.data = allocate(value.dtype, numel(value.shape)).fill(leaf.value));
    case "state": {
      const { storage } = leaf;
      if (storage.version === leaf.version && (storage.host ?? storage.device) !== undefined) {
        return (storage.host ??= executor().read(storage));
      }
      if (leaf.initial === undefined) {
        throw new TensorError(
          "released",
          "this value depends on parameters as they were before an update, and was not kept",
          "return it from forward, keep it as a property of the module (this.h = h), or take h.detach() there",
        );
      }
      const data = valuesOf(leaf.initial);
      if (storage.version === leaf.version) storage.host = data;
      return data;
    }
  }
}

// In a preview, which reads no values, nothing has to be kept.
replacing.keep = (value) => {
  if (value.data === undefined && current !== undefined && isRead(value)) value.data = leafData(value);
};

/** How many of the last steps wait to be computed with those to come, or are meanwhile. */
export const stepsWaiting = (): number => current?.waits ?? 0;

const isCompiled = (key: string): boolean => current?.compiled?.(key) ?? false;

/** The plan of everything pending: known from an earlier step, or named now. */
function planFor(request: Request): Plan {
  // Inspected values must be computed: no node is taken from an earlier step.
  let plan = inspection.of === undefined ? recognize(request, isCompiled) : undefined;
  if (plan === undefined) learn((plan = buildPlan(request)));
  endTrace();
  return plan;
}
