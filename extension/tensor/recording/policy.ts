import { MIN_LEFT_OUT_BYTES } from "../tuning.ts";

/** What a training's executor counts, as part of the training's state: it follows from the steps of the training alone. */
export interface TrainingGraphs {
  /** The graphs that are compiled; those that come later are not, and may round differently. */
  compiled: readonly string[];
  /**
   * Estimated milliseconds that compiled graphs would have saved the steps that own kernels have computed; {@link KERNELS_OVER} once the
   * graphs are compiled.
   */
  kernelWork: number;
}

/** Stands for the work of a training whose graphs are compiled. */
export const KERNELS_OVER = Number.MAX_SAFE_INTEGER;

/** How steps are computed. The defaults are those of a program's own loop; a training has others. */
export interface Policy {
  /** Whether gradients stay readable until the next step. Off where no code of the user's sees them. */
  readonly keepGradients: boolean;
  /**
   * Whether a `backward()` is taken over from an equal step. Off in a step whose gradients are read while those of others aren't:
   * it would be recorded after all, which counts as a failure of the prediction.
   */
  readonly repeatBackward: boolean;
  /** Whether another thread may compute a step until one of its values is read, while the next ones are recorded. */
  readonly deferSteps: boolean;
  /**
   * Whether graphs are compiled at first sight. On in a training: a resumed training compiles graphs at other steps, and
   * interpreted steps may round differently.
   */
  readonly compileAtOnce: boolean;
  /** Whether plans of small tensors are left to the executor's own kernels, if it has any. Off in tests of what is compiled. */
  readonly smallPlans: boolean;
  /** Bytes from which a value that the program may read is left out of plans that have run before: see savedValues.ts. */
  readonly leaveOutFrom: number;
  /** Whether the processes of a group share the batch of each step, if there is a group. */
  readonly shareSteps: boolean;
  readonly training: TrainingGraphs | undefined;
}

export const DEFAULT_POLICY: Policy = {
  keepGradients: true,
  repeatBackward: true,
  deferSteps: false,
  compileAtOnce: false,
  smallPlans: true,
  leaveOutFrom: MIN_LEFT_OUT_BYTES,
  shareSteps: false,
  training: undefined,
};
