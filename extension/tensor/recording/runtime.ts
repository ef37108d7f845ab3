import { DEFAULT_POLICY, type Policy } from "./policy.ts";

/** What recording and computing share. A process has one {@link runtime}. */
export class Runtime {
  policy: Policy = DEFAULT_POLICY;
}

export const runtime = new Runtime();

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
