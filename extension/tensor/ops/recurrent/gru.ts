import { applyAll } from "../../recording/apply.ts";
import { TRAINING_ONLY } from "../../lowering/onnx.ts";
import { defineOp, type GradientContext, type Op, type Signature } from "../../recording/op.ts";
import { scope } from "../../recording/scope.ts";
import type { Sequences } from "./attributes.ts";
import type { Kernels } from "./kernels.ts";
import { running } from "./plainKernels.ts";
import { onnxGru } from "./onnxSequences.ts";
import { gradsOf, ONCE } from "./rnn.ts";
import { backwards, before, checkRows, forwards, sequencewise, type Walked } from "./sequences.ts";
import { sideBySide, spelledOut, stepwise } from "./tensorKernels.ts";

/**
 * The gated recurrent unit for all steps of sequences, one layer, one direction:
 * (p, q, s) = W h + b, r = σ(x₁ + p), z = σ(x₂ + q), n = tanh(x₃ + r s), h' = n + z (h − n).
 *
 * Inputs: x [rows, 3H] (the projected input with its bias), h0 [batch, H], W [3H, H], b [3H].
 * Outputs: h of every row [rows, H], h at the end of each sequence [batch, H]; for the gradient r, z, n, s [rows, H].
 */
export const gruSequence: Op<Sequences> = defineOp<Sequences>({
  name: "gruSequence",
  infer([x, h0], attributes) {
    checkRows(x!, attributes);
    const row = { shape: [x!.shape[0]!, h0!.shape[1]!], dtype: x!.dtype };
    return [row, h0!, row, row, row, row];
  },
  gradient(c) {
    const {
      inputs: [, h0, w],
      outputs: [y, , ...saved],
      attributes,
    } = c;
    const grads = gradsOf(c as GradientContext<never>, 2);
    if (scope.gradients) {
      return spelledOut(c, forward, backward, ([again, , ...gates]) => [h0!, w!, again!, ...gates, ...grads]);
    }
    return applyAll(gruSequenceGrad, [h0!, w!, y!, ...saved, ...grads], attributes);
  },
  onnx: onnxGru,
  batch: sideBySide(forward, 2),
  ...running(forward),
  calls: (_, { sizes }) => 14 * sizes.length,
  cost: ({ inputs: [x, , w] }, { bias }) => x!.shape[0]! * w!.shape[0]! * (w!.shape[1]! + Number(bias)),
  parts: sequencewise(["row", "state"], ["row", "state", "row", "row", "row", "row"]),
});

/** Gradients of x, h0, W and b. Inputs: h0, W, h of every row, r, z, n, s, then the gradients of both outputs. */
export const gruSequenceGrad: Op<Sequences> = defineOp<Sequences>({
  name: "gruSequenceGrad",
  infer([h0, w, y]) {
    const gates = w!.shape[0]!;
    const { dtype } = h0!;
    return [{ shape: [y!.shape[0]!, gates], dtype }, h0!, w!, { shape: [gates], dtype }];
  },
  gradient: ONCE,
  onnx: TRAINING_ONLY,
  batch: stepwise(backward),
  ...running(backward),
  calls: (_, { sizes }) => 18 * sizes.length,
  cost: ({ inputs: [, w, y] }, { bias }) => y!.shape[0]! * w!.shape[0]! * (2 * w!.shape[1]! + Number(bias)),
  parts: sequencewise(
    ["state", "whole", "row", "row", "row", "row", "row", "row", "state"],
    ["row", "state"],
  ),
});

function forward<R>(
  k: Kernels<R>,
  [x, h0, w, b]: readonly R[],
  attributes: Sequences,
  { inputs }: Signature,
): R[] {
  const { sizes } = attributes;
  const H = inputs[1]!.shape[1]!;
  const whole = k.layer?.("GruSequence", H, [w!, x!, h0!, b!], attributes, 6);
  if (whole !== undefined) return whole;
  const {
    outputs: [y, ...saved],
    state,
  } = forwards(
    k,
    sizes,
    {
      state: [h0!],
      sequences: k.columns(x!, [2 * H, H]),
      fixed: [k.transpose(w!), b!],
      widths: [H, H, H, H, H],
    },
    (q, [h], [gates, candidate], [wt, bias]) => {
      const [pq, s] = q.columns(q.add(q.matmul(h!, wt!), bias!), [2 * H, H]) as [R, R];
      const [r, z] = q.columns(q.sigmoid(q.add(gates!, pq)), [H, H]) as [R, R];
      const n = q.tanh(q.add(candidate!, q.mul(r, s)));
      const next = q.add(n, q.mul(z, q.sub(h!, n)));
      return { state: [next], outputs: [next, r, z, n, s] };
    },
  );
  return [y!, state[0]!, ...saved];
}

function backward<R>(
  k: Kernels<R>,
  [h0, w, y, r, z, n, s, gradY, gradEnd]: readonly R[],
  attributes: Sequences,
  { inputs }: Signature,
): R[] {
  const { sizes } = attributes;
  const H = inputs[0]!.shape[1]!;
  const previous = before(k, sizes, h0!, y!);
  const given = [w!, h0!, y!, r!, z!, n!, s!, gradEnd!, gradY!];
  const whole = k.layer?.("GruSequenceGrad", H, given, attributes, 3);
  const walk = (): Walked<R> =>
    backwards(
      k,
      sizes,
      { state: [gradEnd!], sequences: [previous, r!, z!, n!, s!, gradY!], fixed: [w!], widths: [3 * H, H] },
      (q, [grad], [h, rt, zt, nt, st, dyt], [weight]) => {
        const dh = q.add(grad!, dyt!);
        const kept = q.mul(dh, zt!);
        const dn = q.tanhGrad(nt!, q.sub(dh, kept));
        const dz = q.sigmoidGrad(zt!, q.mul(dh, q.sub(h!, nt!)));
        const dr = q.sigmoidGrad(rt!, q.mul(dn, st!));
        const d = q.join([dr, dz, q.mul(dn, rt!)]);
        return { state: [q.add(kept, q.matmul(d, weight!))], outputs: [d, dn] };
      },
    );
  const {
    outputs: [hidden, candidate],
    state: [dh0],
  } = whole === undefined ? walk() : { outputs: [whole[0]!, whole[2]!], state: [whole[1]!] };
  const [gates] = k.columns(hidden!, [2 * H, H]);
  return [k.join([gates!, candidate!]), dh0!, k.matmul(hidden!, previous, true), k.sumRows(hidden!)];
}
