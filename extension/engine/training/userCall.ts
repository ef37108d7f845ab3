import { TensorError } from "../../tensor/core/errors.ts";
import { refuse, type Inspector, type Plan } from "../../tensor/planning/barrier.ts";
import { runtime, withPolicy } from "../../tensor/recording/runtime.ts";
import { scope } from "../../tensor/recording/scope.ts";

/** Ends code that is run again before it writes anything. */
class Passed extends Error {}

/** Computes a plan op by op, and lets it write nothing. */
const withoutWrites = ({ assigns }: Plan): Inspector => ({
  node() {},
  done() {
    if (assigns.length > 0) throw new Passed();
  },
});

/**
 * Finds the user's call of the op that has refused its inputs. Recorded nodes don't keep their calls, which would take longer than
 * recording them: the code runs again, op by op, with the calls kept. It writes to no parameter.
 * @param again runs the code again
 * @returns whether the error has its call now
 */
export async function findCall(error: TensorError, again: () => unknown): Promise<boolean> {
  const { inspector } = runtime;
  const { sites } = scope;
  const policy = { deferSteps: false, repeatBackward: false };
  try {
    refuse();
    runtime.inspector = withoutWrites;
    scope.sites = true;
    await withPolicy(policy, again);
  } catch (found) {
    if (!(found instanceof TensorError) || found.code !== error.code || found.sites.length === 0)
      return false;
    if (error.op !== undefined && error.op !== found.op) return false;
    error.sites = found.sites;
    if (found.module !== undefined) error.module ??= found.module;
    return true;
  } finally {
    refuse();
    runtime.inspector = inspector;
    scope.sites = sites;
  }
  return false;
}

/** Runs `body`, which computes what it records, and has its error name the user's call: see {@link findCall}. */
export async function namingCalls<T>(body: () => T | Promise<T>): Promise<T> {
  try {
    return await body();
  } catch (error) {
    if (error instanceof TensorError && error.late && error.sites.length === 0) await findCall(error, body);
    throw error;
  }
}
