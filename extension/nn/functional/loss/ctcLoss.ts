import { applyAll } from "../../../tensor/recording/apply.ts";
import { TensorError } from "../../../tensor/core/errors.ts";
import { clamp, div } from "../../../tensor/functions/pointwise/arithmetic.ts";
import { indexSelect } from "../../../tensor/functions/indexing/gathering.ts";
import { castTo, composed, named, notImplemented } from "../../../tensor/functions/pointwise/operands.ts";
import { reshape, unsqueeze } from "../../../tensor/functions/shape/shape.ts";
import { checkLabels, ctcLoss as op } from "../../../tensor/ops/loss/ctc.ts";
import { dataAtHand } from "../../../tensor/recording/onHost.ts";
import { valuesOf } from "../../../tensor/planning/barrier.ts";
import { fromHost, type Tensor } from "../../../tensor/core/tensor.ts";
import { bind, type Arguments } from "../../arguments.ts";
import { checkReduction, reduce, type Reduction } from "./reduction.ts";

/** Lengths of the rows of a batch: a tensor of integers or a list. */
export type Lengths = Tensor | readonly number[];

export interface CtcOptions {
  /** The class that stands for no label. Default 0. */
  blank?: number;
  /** "mean" by default: each loss divided by the length of its target (at least 1), averaged over the batch. */
  reduction?: Reduction;
  /** Rows whose target is too long for their input cost 0 instead of infinity. Default false. */
  zeroInfinity?: boolean;
}

/** Options all by name, or the first of them by position. */
export type CtcArguments = Arguments<CtcOptions, "blank reduction zeroInfinity">;

/**
 * Connectionist temporal classification (Graves et al. 2006): −ln of the probability of a sequence of labels that is
 * nowhere aligned with its input.
 * @param logProbs [T, N, C], or [T, C] of one sequence
 * @param targets class numbers [N, S], padded at the end, or those of all rows one after the other, which has the lengths
 *   read now
 * @param inputLengths [N], each at most T
 * @param targetLengths [N], each at most S
 * @throws TensorError "blank must be in label range", "Target 9 is out of bounds."
 */
export function ctcLoss(
  logProbs: Tensor,
  targets: Tensor,
  inputLengths: Lengths,
  targetLengths: Lengths,
  ...rest: CtcArguments
): Tensor {
  const { blank, reduction, zeroInfinity } = bind<CtcOptions>("ctc_loss", rest, {
    blank: 0,
    reduction: "mean",
    zeroInfinity: false,
  });
  checkReduction(reduction);
  const times = lengthsOf("input_lengths", inputLengths);
  const lengths = lengthsOf("target_lengths", targetLengths);
  const single = logProbs.ndim !== 3;
  const logs = single ? composed(() => unsqueeze(logProbs, 1)) : logProbs;
  check(logs, targets, times, lengths, blank);
  return composed(() => {
    const labels = castTo(targets, "int64");
    const padded = labels.ndim === 2 ? labels : rowsOf(labels, lengths);
    const [losses] = applyAll(op, [logs, padded, times, lengths], { blank, zeroInfinity }) as [Tensor];
    if (reduction === "mean") return named(reduce(div(losses, clamp(lengths, 1)), "mean"), "MeanBackward0");
    const kept = single && reduction === "none" ? reshape(losses, []) : losses;
    return reduce(kept, reduction);
  });
}

function lengthsOf(name: string, lengths: Lengths): Tensor {
  if (Array.isArray(lengths)) return fromHost(Int32Array.from(lengths), [lengths.length], "int64");
  const given = lengths as Tensor;
  if (given.dtype !== "int64") throw new TensorError("dtype", `${name} must be integral`);
  return given.ndim === 0 ? reshape(given, [1]) : given;
}

const CHECKED = "(while checking arguments for ctc_loss_allocate_outputs)";

function check(logs: Tensor, targets: Tensor, times: Tensor, lengths: Tensor, blank: number): void {
  if (logs.dtype !== "float32") notImplemented("ctc_loss_cpu", logs.dtype);
  if (logs.ndim !== 3) {
    throw new TensorError(
      "shape",
      `Expected 3-dimensional tensor, but got ${logs.ndim}-dimensional tensor for argument #1 'log_probs' ${CHECKED}`,
    );
  }
  if (targets.ndim < 1 || targets.ndim > 2) {
    throw new TensorError(
      "shape",
      `Expected 1 to 2 dimensions, but got ${targets.ndim}-dimensional tensor for argument #2 'targets' ${CHECKED}`,
    );
  }
  const [steps, rows, classes] = logs.shape as [number, number, number];
  if (!(blank >= 0 && blank < classes)) throw new TensorError("value", "blank must be in label range");
  if (times.numel() !== rows) throw new TensorError("shape", "input_lengths must be of size batch_size");
  if (lengths.numel() !== rows) throw new TensorError("shape", "target_lengths must be of size batch_size");
  checkValues("input_lengths", times, steps);
  checkValues("target_lengths", lengths, Infinity);
  const known = lengths.value.data;
  if (known === undefined) return;
  const longest = Math.max(0, ...known);
  if (targets.ndim === 2 && longest > targets.shape[1]!) {
    throw new TensorError(
      "shape",
      `Expected tensor to have size at least ${longest} at dimension 1, but got size ${targets.shape[1]} for argument #2 'targets' ${CHECKED}`,
    );
  }
  const labels = targets.storage === undefined ? dataAtHand(targets.value) : undefined;
  if (labels === undefined) return;
  if (targets.ndim === 1) return checkLabels(labels, classes);
  const width = targets.shape[1]!;
  known.forEach((n, row) => checkLabels(labels.subarray(row * width, row * width + n), classes));
}

/** Lengths that are at hand are checked now. */
function checkValues(name: string, lengths: Tensor, most: number): void {
  for (const n of lengths.value.data ?? []) {
    if (n < 0)
      throw new TensorError(
        "value",
        `Expected ${name} to have value at least 0, but got value ${n} ${CHECKED}`,
      );
    if (n > most) {
      throw new TensorError(
        "value",
        `Expected ${name} to have value at most ${most}, but got value ${n} ${CHECKED}`,
      );
    }
  }
}

/** Targets one after the other as rows, padded with whatever follows. */
function rowsOf(targets: Tensor, lengths: Tensor): Tensor {
  const sizes = [...valuesOf(lengths.value)];
  const total = sizes.reduce((a, b) => a + b, 0);
  if (targets.shape[0] !== total) {
    throw new TensorError(
      "shape",
      `Expected tensor to have size ${total} at dimension 0, but got size ${targets.shape[0]} for argument #2 'targets' ${CHECKED}`,
    );
  }
  const width = Math.max(0, ...sizes);
  const places = new Int32Array(sizes.length * width);
  let start = 0;
  sizes.forEach((n, row) => {
    for (let i = 0; i < width; i++) places[row * width + i] = Math.min(start + i, total - 1);
    start += n;
  });
  if (width === 0) return fromHost(places, [sizes.length, 0], "int64");
  return reshape(indexSelect(targets, 0, fromHost(places, [places.length], "int64")), [sizes.length, width]);
}
