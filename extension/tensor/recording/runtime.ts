import type { Executor, Inspector, Plan } from "../planning/executor.ts";
import type { HostArray } from "../core/dtype.ts";
import { Gradients } from "./gradients.ts";
import type { GraphTensor, Value } from "./graph.ts";
import { DEFAULT_POLICY, type Policy } from "./policy.ts";
import { SavedValues } from "../planning/savedValues.ts";
import { resetScope, scope } from "./scope.ts";
import { Trace } from "./trace.ts";

/**
 * State shared by recording and computing. A process has one {@link runtime}.
 *
 * Sets that live from step to step are replaced, not cleared: a cleared set's old table keeps its elements and points
 * to the new table, so the first table promoted to the old generation would keep the graphs of all steps since.
 */
export class Runtime {
  /** Computes plans. Without one, graphs can be built and checked but not run: the preview. */
  executor: Executor | undefined = undefined;
  policy: Policy = DEFAULT_POLICY;
  /** The place in the program where the next node is recorded. */
  readonly scope = scope;
  gradients = new Gradients();
  trace = new Trace(this.gradients);
  readonly saved = new SavedValues();
  /** Persistent tensors whose newest value is not computed yet: a barrier computes them. */
  pendingWrites = new Set<GraphTensor>();
  /** Consecutive reads that have left writes pending. */
  readsApart = 0;
  /** Values that code reads after the step, and that the next step computes for that reason: mostly losses. */
  stepOutputs = new Set<Value>();
  /** Undo the host's part of pending writes, such as step counts, if they are refused. */
  undoActions: (() => void)[] = [];
  /** Whether optimizer steps are computed together; `groupedSteps` counts those since the last barrier. */
  grouping = false;
  groupedSteps = 0;
  /** Number of barriers that have written, such as optimizer steps: recordings from before are over. */
  writings = 0;
  /** Number of steps whose gradients code read after the step: a loop that never does needn't keep them. */
  gradientReads = 0;
  /** Makes an inspector for each plan, which is then computed op by op: for anomaly detection and profiles. */
  inspector: ((plan: Plan) => Inspector) | undefined = undefined;
  /**
   * Gives values in place of those that can't be computed without an executor, in a preview; undefined to throw.
   * @param shapes The values decide on shapes
   */
  standIn: ((value: Value, shapes: boolean) => HostArray | undefined) | undefined = undefined;
  /** Whether `backward()` checks its gradients for NaN. */
  checksGradients = false;

  /** Whether a plan of this key is run without looking at its nodes. */
  readonly isCompiled = (key: string): boolean =>
    this.executor?.compiled?.(key) === true && !this.saved.alters(key);

  /** Forgets values that are computed by now, where nothing was written. */
  forgetComputed(): void {
    const { stepOutputs } = this;
    if (stepOutputs.size > 0) this.stepOutputs = new Set([...stepOutputs].filter((value) => !value.ready));
    this.gradients.forgetComputed();
  }

  /** Forgets everything pending: for a preview, which computes nothing and builds one program after another. */
  forgetPending(): void {
    this.pendingWrites = new Set();
    this.stepOutputs = new Set();
    this.undoActions = [];
    this.gradients.forgetPending();
    this.trace.carry([]);
    this.trace.end();
  }

  /** Forgets all state of programs: the next one is recorded as in a new process. */
  reset(): void {
    this.policy = DEFAULT_POLICY;
    this.saved.clear(this.executor);
    this.gradients = new Gradients();
    this.trace = new Trace(this.gradients);
    this.pendingWrites = new Set();
    this.readsApart = 0;
    this.stepOutputs = new Set();
    this.undoActions = [];
    this.grouping = false;
    this.groupedSteps = 0;
    this.gradientReads = 0;
    this.inspector = undefined;
    this.standIn = undefined;
    this.checksGradients = false;
    resetScope();
  }
}

export const runtime = new Runtime();

/** Has a value computed with the next step, because code reads it after the step. */
export function observe(value: Value): void {
  value.visible = true;
  // No barrier computes a value of one sample.
  if (scope.sample?.includes(value) === true) return;
  runtime.stepOutputs.add(value);
}

/** Runs `body` under a changed policy, which ends when `body` returns or the promise it returns is settled. */
export function withPolicy<T>(changes: Partial<Policy>, body: () => T): T {
  const before = runtime.policy;
  runtime.policy = { ...before, ...changes };
  return finallyRun(body, () => void (runtime.policy = before));
}

/** Changes the policy until the innermost {@link withPolicy} around the call ends. */
export function changePolicy(changes: Partial<Policy>): void {
  runtime.policy = { ...runtime.policy, ...changes };
}

/** Runs `body`, and `after` when it has returned or thrown, or the promise it returns is settled. */
export function finallyRun<T>(body: () => T, after: () => void): T {
  let result: T;
  try {
    result = body();
  } catch (error) {
    after();
    throw error;
  }
  if (result instanceof Promise) return result.finally(after) as T;
  after();
  return result;
}
