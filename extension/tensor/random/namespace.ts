// PyTorch's torch.random.
import { getRngState, setRngState } from "../functions/creation/random.ts";
import { requireBody } from "../recording/scope.ts";

export { getRngState, initialSeed, manualSeed, seed, setRngState } from "../functions/creation/random.ts";

/**
 * Runs `body` and returns its result, as `with torch.random.fork_rng():` does: the global generator then continues where it was.
 *
 * ```ts
 * const noise = torch.random.forkRng(() => torch.randn(3));
 * ```
 * @see https://docs.pytorch.org/docs/stable/random.html#torch.random.fork_rng
 */
export function forkRng<T>(body: () => T): T {
  const run = requireBody("fork_rng", body);
  const state = getRngState();
  try {
    return run();
  } finally {
    setRngState(state);
  }
}
