// Calls of `backward()` that are not recorded, because the step before had the same ones.
import type { GraphTensor, Stretch, Value } from "./graph.ts";
import { internal, TensorError } from "../core/errors.ts";
import { withoutChecks } from "./version.ts";

/** A call of `backward()` that was taken over. */
export interface Skipped {
  readonly results: readonly (readonly [GraphTensor, Value])[];
  readonly run: () => ReadonlyMap<GraphTensor, GraphTensor>;
  readonly stretch: Stretch;
}

/** Throws: the gradient was discarded. */
export function released(): never {
  throw new TensorError(
    "released",
    "this gradient belongs to a step that is over",
    "read it (grad.toTypedArray(), grad.item()) before the next optimizer.step(), or keep a copy: grad.clone()",
  );
}

export function recordAll(taken: readonly Skipped[]): void {
  // Recording them frees the same nodes.
  for (const { stretch } of taken) stretch.taken.length = 0;
  for (const { results, run } of taken) {
    const gradients = withoutChecks(run);
    for (const [leaf, value] of results) {
      const real = gradients.get(leaf)?.value ?? internal("a gradient that was there before is missing");
      if (real !== value && value.producer.kind === "node") value.become(real);
    }
  }
}

/** The op of a node that was not recorded. */
export const STAND_IN = {
  name: "gradient",
  infer: () => internal("a stand-in is never inferred"),
  gradient: { none: "it stands for a gradient" },
  onnx: { none: "it stands for a gradient" },
  tensorflow: () => internal("a stand-in is never computed"),
  tfjs: () => internal("a stand-in is never computed"),
};
