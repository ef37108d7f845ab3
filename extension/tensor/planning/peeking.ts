// Values for an observer, such as a debugger: computed beside the program.
import type { HostArray } from "../core/dtype.ts";
import type { Value } from "../recording/graph.ts";
import { requireExecutor } from "../recording/leaves.ts";
import { runtime, withPolicy } from "../recording/runtime.ts";
import { scope } from "../recording/scope.ts";
import { hasExecutor, leafData, pendingOf, refuse } from "./barrier.ts";
import type { Inspector, Plan } from "./executor.ts";
import { buildPlan } from "./plan.ts";

let peeks = 0;

/**
 * Returns a value for an observer, such as a debugger. It is computed in a plan of its own: the program computes, keeps
 * and names nothing differently, so its numbers stay the same. (On TensorFlow, reading a gradient before its step was
 * seen to change the last digit of later values.)
 * @returns undefined where the value can't be computed: in a preview, or after its step
 */
export function peek(value: Value): HostArray | undefined {
  if (value.data !== undefined) return value.data;
  if (scope.sample?.includes(value) === true) return undefined;
  try {
    return beside([value], (plan) => {
      if (value.read !== undefined) return value.read();
      if (value.producer.kind !== "node") return leafData(value);
      requireExecutor().run({ ...plan, fetches: [value] });
      return value.data;
    });
  } catch {
    return undefined;
  }
}

/** Shows values to an inspector before the program requests them, computed beside the program: see {@link peek}. */
export function inspect(values: readonly Value[], inspector: (plan: Plan) => Inspector): void {
  const pending = pendingOf(values).filter(({ producer }) => producer.kind === "node");
  if (!hasExecutor() || pending.length === 0) return;
  try {
    beside(pending, (plan) => requireExecutor().run({ ...plan, fetches: [] }, inspector(plan)));
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
  const { inspector, checksGradients } = runtime;
  runtime.inspector = undefined;
  runtime.checksGradients = false;
  try {
    return withPolicy({ compileAtOnce: false }, () => body({ ...plan, key: `peek ${++peeks}` }));
  } finally {
    touched.forEach((one, i) => (one.data = before[i]));
    runtime.inspector = inspector;
    runtime.checksGradients = checksGradients;
  }
}
