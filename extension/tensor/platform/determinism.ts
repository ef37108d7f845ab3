// PyTorch's switches for deterministic algorithms.
import { TensorError } from "../core/errors.ts";

/** Options of {@link useDeterministicAlgorithms}. */
export interface DeterministicOptions {
  /** Kept, without effect: no function here is refused for lack of a deterministic algorithm. Default false. */
  warnOnly?: boolean;
}

/** Environment variable that TensorFlow's kernels for GPUs read before the first of them runs. */
const VARIABLE = "TF_DETERMINISTIC_OPS";

let enabled = false;
let warns = false;

/**
 * PyTorch's `torch.use_deterministic_algorithms`. On processors, every algorithm here is deterministic: a program with a
 * seed gives the same numbers again, whether this is on or off. On GPUs it makes TensorFlow choose deterministic kernels, which
 * may be slower; call it at the top of the file, since TensorFlow reads the switch once, when it first computes there.
 */
export function useDeterministicAlgorithms(
  mode: boolean,
  { warnOnly = false }: DeterministicOptions = {},
): void {
  enabled = mode;
  warns = warnOnly;
  if (mode) process.env[VARIABLE] = "1";
  else delete process.env[VARIABLE];
}

/** PyTorch's `torch.are_deterministic_algorithms_enabled`: whether {@link useDeterministicAlgorithms} is on. Default false. */
export const areDeterministicAlgorithmsEnabled = (): boolean => enabled;

/** PyTorch's `torch.is_deterministic_algorithms_warn_only_enabled`. Default false. */
export const isDeterministicAlgorithmsWarnOnlyEnabled = (): boolean => warns;

/** PyTorch's `torch.get_deterministic_debug_mode`: 0 when off, 1 with `warnOnly`, else 2. */
export const getDeterministicDebugMode = (): number => (enabled ? (warns ? 1 : 2) : 0);

const MODES = ["default", "warn", "error"];

/**
 * PyTorch's `torch.set_deterministic_debug_mode`: another form of {@link useDeterministicAlgorithms}.
 * @param debugMode 0 or "default" is off, 1 or "warn" is `warnOnly`, 2 or "error" is on
 * @throws TensorError for any other value
 */
export function setDeterministicDebugMode(debugMode: number | string): void {
  const mode = typeof debugMode === "string" ? MODES.indexOf(debugMode) : debugMode;
  if (typeof debugMode === "string" && mode < 0)
    throw new TensorError(
      "value",
      "invalid value of debug_mode, expected one of `default`, `warn`, `error`, but got " + debugMode,
    );
  if (mode !== 0 && mode !== 1 && mode !== 2)
    throw new TensorError("value", `invalid value of debug_mode, expected 0, 1, or 2, but got ${mode}`);
  useDeterministicAlgorithms(mode > 0, { warnOnly: mode === 1 });
}
