import type { NativeBinding } from "../../native/binding.ts";
import type { TfBuilder, TfRef } from "../../tensor/lowering/lowering.ts";
import type { Meta } from "../../tensor/core/meta.ts";
import { PlanWriter, UnsupportedError } from "./planWriter.ts";

/** A tensor of the binding. */
export interface Input extends Meta {
  readonly id: number;
}

/** Computes one node apart from a plan. Returns the id of its output. */
export type Compute = (
  inputs: readonly Input[],
  write: (b: TfBuilder, inputs: readonly TfRef[]) => TfRef,
) => number;

/**
 * Computes one node with the binding's own kernels.
 * @returns the ids of its outputs; undefined where no kernel has it, or one refuses its inputs
 */
export function byOwnKernels(
  binding: NativeBinding,
  threads: number,
  inputs: readonly Input[],
  write: (b: TfBuilder, inputs: readonly TfRef[]) => readonly TfRef[],
): Int32Array | undefined {
  let code: Int32Array;
  let count: number;
  try {
    const b = new PlanWriter(inputs);
    const outputs = write(
      b,
      inputs.map((_, i) => b.leaf(i)),
    );
    count = outputs.length;
    code = b.finish(outputs);
  } catch (error) {
    if (error instanceof UnsupportedError) return undefined;
    throw error;
  }
  const plan = binding.openPlan(code, threads, new Float64Array(3));
  if (plan < 0) return undefined;
  try {
    const made = new Int32Array(count);
    const ids = inputs.map(({ id }) => id);
    return binding.runPlan(plan, ids, [], made) ? made : undefined;
  } finally {
    binding.closePlan(plan);
  }
}
