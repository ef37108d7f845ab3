import { attr, scalar, type TfBuilder, type TfRef } from "../../lowering/lowering.ts";
import { castNode, fillNode, reshapeNode, T } from "../../lowering/nodes.ts";
import type { Signature } from "../../recording/op.ts";
import { TensorFlowKernels } from "./kernels.ts";
import { before } from "./sequences.ts";

// TensorFlow's fused LSTM kernels: a whole sequence in one node. Their gate order IFCO is PyTorch's i, f, g, o; their
// weights are [I + H, 4H].

/** Hidden sizes from which on the fused gradient of a whole sequence is slower than one of each step. */
const LARGE = 64;

/** Whether the fused kernels support this: sequences of one length, hidden state and cell of one size. */
export function fitsBlock(sizes: readonly number[], projected: boolean): boolean {
  return !projected && sizes[0]! > 0 && sizes[0] === sizes[sizes.length - 1];
}

export function blockForward(
  b: TfBuilder,
  [x, h0, c0, v, w, bias]: readonly TfRef[],
  sizes: readonly number[],
  { inputs }: Signature,
): TfRef[] {
  const k = new TensorFlowKernels(b);
  const dims = dimensions(sizes, inputs);
  const { steps, batch, H } = dims;
  const [i, cs, f, o, ci, co, h] = b
    .nodes(
      "BlockLSTMV2",
      sequenceInputs(k, x!, h0!, c0!, v!, w!, bias!, dims),
      { T, cell_clip: attr.float(-1), use_peephole: attr.bool(false) },
      7,
    )
    .map((y) => reshapeNode(b, y, [steps * batch, H])) as [TfRef, TfRef, TfRef, TfRef, TfRef, TfRef, TfRef];
  const end = (y: TfRef): TfRef => (steps === 1 ? y : k.rows(y, (steps - 1) * batch, steps * batch));
  return [h, end(h), end(cs), i, f, ci, o, cs, co];
}

export function blockBackward(
  b: TfBuilder,
  inputs: readonly TfRef[],
  sizes: readonly number[],
  signature: Signature,
): TfRef[] {
  const dims = dimensions(sizes, signature.inputs);
  return dims.H < LARGE ? wholeBackward(b, inputs, dims) : stepsBackward(b, inputs, sizes, dims);
}

interface Dimensions {
  readonly steps: number;
  readonly batch: number;
  readonly I: number;
  readonly H: number;
}

function dimensions(sizes: readonly number[], [x, , c0]: Signature["inputs"]): Dimensions {
  return { steps: sizes.length, batch: sizes[0]!, I: x!.shape[1]!, H: c0!.shape[1]! };
}

function wholeBackward(
  b: TfBuilder,
  [x, h0, c0, v, w, bias, y, i, f, g, o, c, squashed, gradY, gradH, gradC]: readonly TfRef[],
  dims: Dimensions,
): TfRef[] {
  const k = new TensorFlowKernels(b);
  const { steps, batch, I, H } = dims;
  const rows = (t: TfRef): TfRef => sequence(b, t, H, dims);
  const cells = steps === 1 ? gradC! : k.stack([zeros(b, [(steps - 1) * batch, H]), gradC!]);
  const hidden =
    steps === 1
      ? k.add(gradY!, gradH!)
      : k.stack([
          k.rows(gradY!, 0, (steps - 1) * batch),
          k.add(k.rows(gradY!, (steps - 1) * batch, steps * batch), gradH!),
        ]);
  const given = [i!, c!, f!, o!, g!, squashed!, y!, cells, hidden].map(rows);
  const [dx, dc0, dh0, weight, , , , dBias] = b.nodes(
    "BlockLSTMGradV2",
    [...sequenceInputs(k, x!, h0!, c0!, v!, w!, bias!, dims), ...given],
    { T, use_peephole: attr.bool(false) },
    8,
  ) as [TfRef, TfRef, TfRef, TfRef, TfRef, TfRef, TfRef, TfRef];
  const flat = reshapeNode(b, dx, [steps * batch, I]);
  return [flat, dh0, dc0, k.transpose(k.rows(weight, 0, I)), k.transpose(k.rows(weight, I, I + H)), dBias];
}

/** One fused node for the gates of each step, and all weights' gradients in one product over all steps. */
function stepsBackward(
  b: TfBuilder,
  [x, h0, c0, v, w, bias, y, i, f, g, o, c, squashed, gradY, gradH, gradC]: readonly TfRef[],
  sizes: readonly number[],
  { steps, batch, H }: Dimensions,
): TfRef[] {
  const k = new TensorFlowKernels(b);
  // The kernel gives its gates as i, g, f, o.
  const reordered = (parts: readonly TfRef[]): TfRef[] => [parts[0]!, parts[2]!, parts[1]!, parts[3]!];
  const rows = [0, 1, 2, 3].map((gate) => k.rows(w!, gate * H, (gate + 1) * H));
  const {
    outputs: [gates],
    state,
  } = k.loop(
    {
      steps,
      batch,
      backwards: true,
      state: [gradH!, gradC!],
      sequences: [i!, c!, f!, o!, g!, squashed!, before(k, sizes, c0!, c!), gradY!],
      // The kernel needs only the shapes of x, h, the weights and the bias.
      fixed: [k.stack(reordered(rows)), zeros(b, [batch, 1]), zeros(b, [1 + H, 4 * H]), zeros(b, [H]), bias!],
      widths: [4 * H],
    },
    (q, [dh, dc], [it, ct, ft, ot, gt, tc, previous, dyt], [weight, input, shape, peephole, shift]) => {
      const shapes = [input!, previous!, dyt!, shape!, peephole!, peephole!, peephole!, shift!];
      const [dPrevious, d] = q.b.nodes(
        "LSTMBlockCellGrad",
        [...shapes, it!, ct!, ft!, ot!, gt!, tc!, dc!, q.add(dh!, dyt!)],
        { T, use_peephole: attr.bool(false) },
        5,
      ) as [TfRef, TfRef];
      return { state: [q.matmul(d, weight!), dPrevious], outputs: [d] };
    },
  );
  const d = k.join(reordered(k.columns(gates!, [H, H, H, H])));
  return [
    k.matmul(d, v!),
    ...state,
    k.matmul(d, x!, true),
    k.matmul(d, before(k, sizes, h0!, y!), true),
    k.sumRows(d),
  ];
}

const zeros = (b: TfBuilder, shape: readonly number[]): TfRef => fillNode(b, shape, 0);

/** First inputs of both kernels of whole sequences. */
function sequenceInputs(
  k: TensorFlowKernels,
  x: TfRef,
  h0: TfRef,
  c0: TfRef,
  v: TfRef,
  w: TfRef,
  bias: TfRef,
  dims: Dimensions,
): TfRef[] {
  const peephole = zeros(k.b, [dims.H]);
  const weights = k.transpose(k.join([v, w]));
  const sequenced = sequence(k.b, x, dims.I, dims);
  const steps = castNode(k.b, scalar(k.b, dims.steps, "int64"), "int64", "long");
  return [steps, sequenced, c0, h0, weights, peephole, peephole, peephole, bias];
}

function sequence(b: TfBuilder, x: TfRef, width: number, { steps, batch }: Dimensions): TfRef {
  return reshapeNode(b, x, [steps, batch, width]);
}
