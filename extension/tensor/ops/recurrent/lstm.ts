import { applyAll } from "../../recording/apply.ts";
import { TRAINING_ONLY } from "../../lowering/onnx.ts";
import { defineOp, type GradientContext, type Op, type Signature } from "../../recording/op.ts";
import { scope } from "../../recording/scope.ts";
import type { Tensor } from "../../core/tensor.ts";
import type { Sequences } from "./attributes.ts";
import { TensorFlowKernels, type Kernels } from "./kernels.ts";
import { running } from "./plainKernels.ts";
import { onnxLstm } from "./onnxSequences.ts";
import { blockBackward, blockForward, fitsBlock } from "./lstmBlock.ts";
import { gradsOf, ONCE } from "./rnn.ts";
import { backwards, before, checkRows, forwards, sequencewise, type Walked } from "./sequences.ts";
import { sideBySide, spelledOut, stepwise } from "./tensorKernels.ts";

/** i, f, g, o, c and tanh(c) are of every row. */
const SAVED = ["row", "row", "row", "row", "row", "row"] as const;

/**
 * Long short-term memory for all steps of sequences, one layer, one direction:
 * (i, f, g, o) = (σ, σ, tanh, σ)(V x + W h + b), c' = f c + i g, h' = o tanh(c') or, with a projection R, R (o tanh(c')).
 *
 * Inputs: x [rows, I], h0 [batch, P], c0 [batch, H], V [4H, I], W [4H, P], b [4H], and R [P, H] where P ≠ H. It takes x
 * unchanged because TensorFlow's fused kernel does.
 * Outputs: h of every row [rows, P], h and c at the end of each sequence; for the gradient i, f, g, o, c and tanh(c) of
 * every row [rows, H].
 */
export const lstmSequence: Op<Sequences> = defineOp<Sequences>({
  name: "lstmSequence",
  infer([x, h0, c0], attributes) {
    checkRows(x!, attributes);
    const rows = x!.shape[0]!;
    const { dtype } = x!;
    const cell = { shape: [rows, c0!.shape[1]!], dtype };
    return [{ shape: [rows, h0!.shape[1]!], dtype }, h0!, c0!, cell, cell, cell, cell, cell, cell];
  },
  gradient(c) {
    const {
      inputs,
      outputs: [y, , , ...saved],
      attributes,
    } = c;
    const grads = gradsOf(c as GradientContext<never>, 3);
    const all = (h: Tensor, gates: readonly Tensor[]): Tensor[] => [
      ...inputs.slice(0, 6),
      h,
      ...gates,
      ...grads,
      ...inputs.slice(6),
    ];
    if (scope.gradients) {
      return spelledOut(c, forward, backward, ([again, , , ...gates]) => all(again!, gates));
    }
    return applyAll(lstmSequenceGrad, all(y!, saved), attributes);
  },
  onnx: onnxLstm,
  batch: sideBySide(forward, 3),
  ...running(forward),
  tensorflow(b, inputs, attributes, signature) {
    const { sizes } = attributes;
    if (b.exact !== true && b.portable !== true && fitsBlock(sizes, inputs.length > 6))
      return blockForward(b, inputs, sizes, signature);
    return forward(new TensorFlowKernels(b), inputs, attributes, signature);
  },
  calls: (_, { sizes }) => 14 * sizes.length,
  cost: ({ inputs }, { bias }) => inputs[0]!.shape[0]! * (products(inputs) + biases(inputs, bias)),
  parts: sequencewise(["row", "state", "state"], ["row", "state", "state", ...SAVED]),
});

/**
 * Gradients of the inputs of {@link lstmSequence}. Inputs: x, h0, c0, V, W, b, h of every row, i, f, g, o, c, tanh(c),
 * the gradients of h of every row, of h and of c at the end, and R where there is one.
 */
export const lstmSequenceGrad: Op<Sequences> = defineOp<Sequences>({
  name: "lstmSequenceGrad",
  infer: (inputs) => [...inputs.slice(0, 6), ...inputs.slice(16)],
  gradient: ONCE,
  onnx: TRAINING_ONLY,
  batch: stepwise(backward),
  ...running(backward),
  tensorflow(b, inputs, attributes, signature) {
    const { sizes } = attributes;
    if (b.exact !== true && fitsBlock(sizes, inputs.length > 16))
      return blockBackward(b, inputs, sizes, signature);
    return backward(new TensorFlowKernels(b), inputs, attributes, signature);
  },
  calls: (_, { sizes }) => 27 * sizes.length,
  cost: ({ inputs }, { bias }) => inputs[0]!.shape[0]! * (2 * products(inputs) + biases(inputs, bias)),
  parts: sequencewise(
    ["row", "state", "state", "whole", "whole", "whole", "row", ...SAVED, "row", "state", "state"],
    ["row", "state", "state"],
  ),
});

/** Multiply-adds of one row's matrix products. */
function products([x, h0, c0]: Signature["inputs"]): number {
  const [I, P, H] = [x!.shape[1]!, h0!.shape[1]!, c0!.shape[1]!];
  return 4 * H * (I + P) + (P === H ? 0 : P * H);
}

/** Every gate meets two. */
const biases = ([, , c0]: Signature["inputs"], bias: boolean): number => (bias ? 8 * c0!.shape[1]! : 0);

function forward<R>(
  k: Kernels<R>,
  [x, h0, c0, v, w, b, projection]: readonly R[],
  attributes: Sequences,
  { inputs }: Signature,
): R[] {
  const { sizes } = attributes;
  const [P, H] = [inputs[1]!.shape[1]!, inputs[2]!.shape[1]!];
  const projected = k.add(k.matmul(x!, v!, false, true), b!);
  const whole =
    projection === undefined
      ? k.layer?.("LstmSequence", H, [w!, projected, h0!, c0!], attributes, 9)
      : undefined;
  if (whole !== undefined) return whole;
  const {
    outputs: [y, ...saved],
    state,
  } = forwards(
    k,
    sizes,
    {
      state: [h0!, c0!],
      sequences: [projected],
      fixed: [w!, ...(projection === undefined ? [] : [projection])].map((m) => k.transpose(m)),
      widths: [P, H, H, H, H, H, H],
    },
    (q, [h, c], [xt], [wt, rt]) => {
      const [pi, pf, pg, po] = q.columns(q.add(xt!, q.matmul(h!, wt!)), [H, H, H, H]) as [R, R, R, R];
      const [i, f, g, o] = [q.sigmoid(pi), q.sigmoid(pf), q.tanh(pg), q.sigmoid(po)];
      const cell = q.add(q.mul(f, c!), q.mul(i, g));
      const squashed = q.tanh(cell);
      const m = q.mul(o, squashed);
      const hidden = rt === undefined ? m : q.matmul(m, rt);
      return { state: [hidden, cell], outputs: [hidden, i, f, g, o, cell, squashed] };
    },
  );
  return [y!, ...state, ...saved];
}

function backward<R>(
  k: Kernels<R>,
  [x, h0, c0, v, w, , y, i, f, g, o, c, squashed, gradY, gradH, gradC, projection]: readonly R[],
  attributes: Sequences,
  { inputs }: Signature,
): R[] {
  const { sizes } = attributes;
  const [P, H] = [inputs[1]!.shape[1]!, inputs[2]!.shape[1]!];
  const projected = projection !== undefined;
  const given = [w!, i!, f!, g!, o!, squashed!, c0!, c!, gradH!, gradY!, gradC!];
  const whole = projected ? undefined : k.layer?.("LstmSequenceGrad", H, given, attributes, 3);
  const walk = (): Walked<R> =>
    backwards(
      k,
      sizes,
      {
        state: [gradH!, gradC!],
        sequences: [i!, f!, g!, o!, squashed!, before(k, sizes, c0!, c!), gradY!],
        fixed: projected ? [w!, projection] : [w!],
        widths: projected ? [4 * H, P] : [4 * H],
      },
      (q, [dh, dc], [it, ft, gt, ot, tc, previous, dyt], [weight, r]) => {
        const total = q.add(dh!, dyt!);
        const dm = r === undefined ? total : q.matmul(total, r);
        const cell = q.add(dc!, q.tanhGrad(tc!, q.mul(dm, ot!)));
        const d = q.join([
          q.sigmoidGrad(it!, q.mul(cell, gt!)),
          q.sigmoidGrad(ft!, q.mul(cell, previous!)),
          q.tanhGrad(gt!, q.mul(cell, it!)),
          q.sigmoidGrad(ot!, q.mul(dm, tc!)),
        ]);
        return {
          state: [q.matmul(d, weight!), q.mul(cell, ft!)],
          outputs: r === undefined ? [d] : [d, total],
        };
      },
    );
  const {
    outputs: [gates, hidden],
    state,
  } = whole === undefined ? walk() : { outputs: whole.slice(0, 1), state: whole.slice(1) };
  return [
    k.matmul(gates!, v!),
    ...state,
    k.matmul(gates!, x!, true),
    k.matmul(gates!, before(k, sizes, h0!, y!), true),
    k.sumRows(gates!),
    ...(projected ? [k.matmul(hidden!, k.mul(o!, squashed!), true)] : []),
  ];
}
