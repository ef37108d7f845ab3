import type { Executor, Inspector, Plan } from "../planning/executor.ts";
import { Gradients } from "./gradients.ts";
import type { GraphTensor, Value } from "./graph.ts";
import { DEFAULT_POLICY, type Policy } from "./policy.ts";
import { SavedValues } from "../planning/savedValues.ts";
import { resetScope, scope } from "./scope.ts";
import { Trace } from "./trace.ts";

/**
 * What recording and computing share. A process has one {@link runtime}.
 *
 * Sets that live from step to step are replaced and not cleared: a cleared set's old table keeps its elements and points to
 * the new one, so that the first to grow old would keep the graphs of all steps since.
 */
export class Runtime {
  /** Computes plans. Without one, graphs can be built and checked but not run: the preview. */
  executor: Executor | undefined = undefined;
  policy: Policy = DEFAULT_POLICY;
  /** Where in the program the next node is recorded. */
  readonly scope = scope;
  gradients = new Gradients();
  trace = new Trace(this.gradients);
  readonly saved = new SavedValues();
  /** Persistent tensors whose newest value is not computed yet: a barrier computes them. */
  pendingWrites = new Set<GraphTensor>();
  /** Reads in a row that have left them pending. */
  readsApart = 0;
  /** Values that code reads after the step, and that the next step therefore computes: losses above all. */
  stepOutputs = new Set<Value>();
  /** What takes back the host's part of pending writes, such as counts of steps, if they are refused. */
  undoActions: (() => void)[] = [];
  /** Whether optimizer steps are computed together, and how many have been made since the last barrier. */
  grouping = false;
  groupedSteps = 0;
  /** Barriers that have written, such as optimizer steps: what was recorded before is over. */
  writings = 0;
  /** Steps whose gradients code read after the step: a loop that never does needn't have them kept. */
  gradientReads = 0;
  /** Makes an inspector for each plan, which is then computed op by op: for anomaly detection and profiles. */
  inspector: ((plan: Plan) => Inspector) | undefined = undefined;
  /** Whether `backward()` checks its gradients for NaN. */
  checksGradients = false;

  /** Forgets what is computed by now, where nothing was written. */
  forgetComputed(): void {
    const { stepOutputs } = this;
    if (stepOutputs.size > 0) this.stepOutputs = new Set([...stepOutputs].filter((value) => !value.ready));
    this.gradients.forgetComputed();
  }

  /** Forgets all that is pending: for a preview, which computes nothing and builds one program after another. */
  forgetPending(): void {
    this.pendingWrites = new Set();
    this.stepOutputs = new Set();
    this.undoActions = [];
    this.gradients.forgetPending();
    this.trace.carry([]);
    this.trace.end();
  }

  /** Forgets all that programs have left behind: the next one is recorded as in a new process. */
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
    this.checksGradients = false;
    resetScope();
  }
}

export const runtime = new Runtime();

/** Has a value computed with the next step, because code reads it after the step. */
export function observe(value: Value): void {
  value.visible = true;
  // No barrier computes what is of one sample.
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
