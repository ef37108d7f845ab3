import { applyAll } from "../../recording/apply.ts";
import { TRAINING_ONLY } from "../../lowering/onnx.ts";
import { defineOp, type GradientContext, type Op, type Signature } from "../../recording/op.ts";
import { scope } from "../../recording/scope.ts";
import type { Tensor } from "../../core/tensor.ts";
import { zeros } from "../expressions.ts";
import type { RnnAttributes } from "./attributes.ts";
import type { Kernels } from "./kernels.ts";
import { running } from "./plainKernels.ts";
import { onnxRnn } from "./onnxSequences.ts";
import { backwards, before, checkRows, forwards, sequencewise, type Walked } from "./sequences.ts";
import { sideBySide, spelledOut, stepwise } from "./tensorKernels.ts";

/** Why the gradients have none: gradients that are recorded are made by {@link spelledOut}. */
export const ONCE = { none: "gradients that are to be differentiated again are made of simpler ops" };

/** The gradients of the outputs, zeros where there is none. */
export function gradsOf({ grads, outputs }: GradientContext<never>, count: number): Tensor[] {
  return outputs.slice(0, count).map((y, i) => grads[i] ?? zeros(y.shape));
}

/**
 * h' = φ(x + W h) for all steps of sequences: one layer, one direction.
 *
 * Inputs: x [rows, H] (the projected input with both biases), h0 [batch, H], W [H, H].
 * Outputs: h of every row [rows, H], h at the end of each sequence [batch, H].
 */
export const rnnSequence: Op<RnnAttributes> = defineOp<RnnAttributes>({
  name: "rnnSequence",
  infer([x, h0], attributes) {
    checkRows(x!, attributes);
    return [x!, h0!];
  },
  gradient(c) {
    const {
      inputs: [, h0, w],
      outputs: [y],
      attributes,
    } = c;
    const grads = gradsOf(c as GradientContext<never>, 2);
    if (scope.gradients) return spelledOut(c, forward, backward, ([again]) => [h0!, w!, again!, ...grads]);
    return applyAll(rnnSequenceGrad, [h0!, w!, y!, ...grads], attributes);
  },
  onnx: onnxRnn,
  batch: sideBySide(forward, 2),
  ...running(forward),
  calls: (_, { sizes }) => 3 * sizes.length,
  // One of the biases is met where the input is projected.
  cost: ({ inputs: [x, , w] }, { bias }) => x!.shape[0]! * w!.shape[0]! * (w!.shape[1]! + Number(bias)),
  parts: sequencewise(["row", "state"], ["row", "state"]),
});

/** Gradients of x, h0 and W, from those of both outputs. Inputs: h0, W, h of every row, its gradient, that of the end. */
export const rnnSequenceGrad: Op<RnnAttributes> = defineOp<RnnAttributes>({
  name: "rnnSequenceGrad",
  infer: ([h0, w, y]) => [y!, h0!, w!],
  gradient: ONCE,
  onnx: TRAINING_ONLY,
  batch: stepwise(backward),
  ...running(backward),
  calls: (_, { sizes }) => 5 * sizes.length,
  cost: ({ inputs: [, w, y] }) => y!.shape[0]! * w!.shape[0]! * 2 * w!.shape[1]!,
  parts: sequencewise(["state", "whole", "row", "row", "state"], ["row", "state"]),
});

function forward<R>(
  k: Kernels<R>,
  [x, h0, w]: readonly R[],
  attributes: RnnAttributes,
  { inputs }: Signature,
): R[] {
  const { sizes, nonlinearity } = attributes;
  const width = inputs[1]!.shape[1]!;
  const whole = k.layer?.("RnnSequence", width, [w!, x!, h0!], attributes, 2);
  if (whole !== undefined) return whole;
  const { outputs, state } = forwards(
    k,
    sizes,
    { state: [h0!], sequences: [x!], fixed: [k.transpose(w!)], widths: [width] },
    (q, [h], [xt], [wt]) => {
      const y = q[nonlinearity](q.add(xt!, q.matmul(h!, wt!)));
      return { state: [y], outputs: [y] };
    },
  );
  return [...outputs, ...state];
}

function backward<R>(
  k: Kernels<R>,
  [h0, w, y, gradY, gradEnd]: readonly R[],
  attributes: RnnAttributes,
  { inputs }: Signature,
): R[] {
  const { sizes, nonlinearity } = attributes;
  const width = inputs[0]!.shape[1]!;
  const given = [w!, y!, gradEnd!, gradY!];
  const whole = k.layer?.("RnnSequenceGrad", width, given, attributes, 2);
  const walk = (): Walked<R> =>
    backwards(
      k,
      sizes,
      { state: [gradEnd!], sequences: [y!, gradY!], fixed: [w!], widths: [width] },
      (q, [dh], [yt, dyt], [weight]) => {
        const d = q[`${nonlinearity}Grad`](yt!, q.add(dh!, dyt!));
        return { state: [q.matmul(d, weight!)], outputs: [d] };
      },
    );
  const {
    outputs: [dx],
    state: [dh0],
  } = whole === undefined ? walk() : { outputs: whole.slice(0, 1), state: whole.slice(1) };
  return [dx!, dh0!, k.matmul(dx!, before(k, sizes, h0!, y!), true)];
}
