import type { NativeBinding } from "../../../native/binding.ts";
import type { TfBuilder, TfRef } from "../../../tensor/lowering/lowering.ts";
import type { Meta } from "../../../tensor/core/meta.ts";
import { EagerBuilder, EagerRef } from "../eagerBuilder.ts";
import { PlanWriter, UnsupportedError } from "./planWriter.ts";

/** A tensor of the binding. */
interface Input extends Meta {
  readonly id: number;
}

/**
 * Computes one node apart from a plan: with the binding's own kernels, which need no TensorFlow, or with TensorFlow where they
 * don't have it.
 * @param gpu whether tensors are on a GPU
 * @returns the tensor's id
 */
export function computeNode(
  binding: NativeBinding,
  gpu: boolean,
  inputs: readonly Input[],
  write: (b: TfBuilder, inputs: readonly TfRef[]) => TfRef,
): number {
  const made = gpu ? undefined : byOwnKernels(binding, inputs, write);
  if (made !== undefined) return made;
  const b = new EagerBuilder(binding);
  try {
    const refs = inputs.map(({ id }) => new EagerRef(id));
    return b.take(write(b, refs) as EagerRef);
  } finally {
    b.release();
  }
}

function byOwnKernels(
  binding: NativeBinding,
  inputs: readonly Input[],
  write: (b: TfBuilder, inputs: readonly TfRef[]) => TfRef,
): number | undefined {
  let code: Int32Array;
  try {
    const b = new PlanWriter(inputs);
    const refs = inputs.map((_, i) => b.leaf(i));
    code = b.finish([write(b, refs)]);
  } catch (error) {
    if (error instanceof UnsupportedError) return undefined;
    throw error;
  }
  const plan = binding.openPlan(code, 1, new Float64Array(3));
  if (plan < 0) return undefined;
  try {
    const ids = inputs.map(({ id }) => id);
    const made = new Int32Array(1);
    return binding.runPlan(plan, ids, [], made) ? made[0] : undefined;
  } finally {
    binding.closePlan(plan);
  }
}
