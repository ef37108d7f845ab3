// PyTorch's torch.nn.utils.rnn: batches of sequences of different lengths.
import { apply } from "../../tensor/recording/apply.ts";
import { TensorError } from "../../tensor/core/errors.ts";
import { castTo, composed, named } from "../../tensor/functions/pointwise/operands.ts";
import { cat, expand } from "../../tensor/functions/shape/shape.ts";
import { fillValue } from "../../tensor/recording/graph.ts";
import { indexSelect } from "../../tensor/ops/movement/indexing.ts";
import { reshape } from "../../tensor/ops/movement/movement.ts";
import { slice } from "../../tensor/ops/movement/slicing.ts";
import { valuesOf } from "../../tensor/planning/barrier.ts";
import { demandMemory } from "../../tensor/core/memory.ts";
import { broadcastShapes, normalizeDim, type Shape } from "../../tensor/core/shape.ts";
import { Tensor } from "../../tensor/core/tensor.ts";
import { listTensors } from "../../tensor/core/tensorLike.ts";
import { bind, REQUIRED } from "../arguments.ts";
import { indices, lengthsOfSizes, PackedSequence, rowStarts, sizesOfLengths } from "../packedSequence.ts";

export { invertPermutation, PackedSequence } from "../packedSequence.ts";

interface BatchOptions {
  /** [B, T, *] instead of [T, B, *]. */
  batchFirst?: boolean;
}

interface PadOptions extends BatchOptions {
  /** Value after the end of a sequence; 0 by default. */
  paddingValue?: number | boolean;
}

/** A batch of sequences as lengths: numbers, or a vector of them. */
export type Lengths = readonly number[] | Tensor;

function lengthsOf(lengths: Lengths | number): number[] {
  if (typeof lengths !== "number" && !(lengths instanceof Tensor)) return lengths.map(Math.trunc);
  const rank = typeof lengths === "number" ? 0 : lengths.ndim;
  if (typeof lengths === "number" || rank !== 1) {
    throw new TensorError(
      "value",
      `'lengths' argument should be a 1D CPU int64 tensor, but got ${rank}D cpu Long tensor`,
    );
  }
  return Array.from(valuesOf(lengths.value), Math.trunc);
}

/**
 * Packs padded sequences [T, B, *] (or [B, T, *]) of these lengths, so that a recurrent layer doesn't run over padding.
 * Without `enforceSorted` they may come in any order; it is restored by {@link padPackedSequence} and in the states.
 *
 * ```ts
 * const packed = nn.utils.rnn.packPaddedSequence(torch.randn(5, 2, 3), [5, 3]);
 * packed.batchSizes.tolist(); // [2, 2, 2, 1, 1]
 * ```
 * @throws TensorError "`lengths` array must be sorted in decreasing order when `enforce_sorted` is True. …"
 * @throws TensorError "Expected `len(lengths)` to be equal to batch_size, but got 2 (batch_size=3)"
 */
export function packPaddedSequence(
  input: Tensor,
  lengths: Lengths,
  options?: BatchOptions & { enforceSorted?: boolean },
): PackedSequence;
export function packPaddedSequence(
  input: Tensor,
  lengths: Lengths,
  batchFirst: boolean,
  enforceSorted?: boolean,
): PackedSequence;
export function packPaddedSequence(input: Tensor, ...rest: unknown[]): PackedSequence {
  const bound = bind<BatchOptions & { lengths: Lengths; enforceSorted?: boolean }>(
    "pack_padded_sequence",
    rest,
    { lengths: REQUIRED, batchFirst: false, enforceSorted: true },
  );
  const { batchFirst, enforceSorted } = bound;
  const given = lengthsOf(bound.lengths);
  const batchDim = normalizeDim(batchFirst ? 0 : 1, input.ndim);
  if (input.numel() === 0 || (given.length === 0 && !enforceSorted))
    throw new TensorError("value", "Cannot pack empty tensors.");
  const order = enforceSorted ? undefined : given.map((_, i) => i).sort((a, b) => given[b]! - given[a]!);
  const sorted = order?.map((i) => given[i]!) ?? given;
  const [T, B] = [input.shape[1 - batchDim]!, input.shape[batchDim]!];
  if (order === undefined) checkLengths(sorted, B);
  else if (order.length > B) {
    const beyond = order.find((i) => i >= B);
    throw new TensorError("index", `INDICES element is out of DATA bounds, id=${beyond} axis_dim=${B}`);
  }
  if (sorted[0]! > T && !sorted.some((length) => length <= 0)) tooLong(T, sorted[0]!);
  const sizes = sizesOfLengths(sorted);
  const source = sizes.flatMap((size, t) =>
    Array.from({ length: size }, (_, b) => {
      const sequence = order?.[b] ?? b;
      return batchFirst ? sequence * T + t : t * B + sequence;
    }),
  );
  const data = composed(() =>
    named(
      rowsAt(apply(reshape, [input], { shape: [T * B, ...input.shape.slice(2)] }), source),
      "PackPaddedSequenceBackward0",
    ),
  );
  return new PackedSequence(data, indices(sizes), order === undefined ? null : indices(order));
}

function checkLengths(lengths: readonly number[], batch: number): void {
  if (lengths.length !== batch) {
    throw new TensorError(
      "value",
      `Expected \`len(lengths)\` to be equal to batch_size, but got ${lengths.length} (batch_size=${batch})`,
    );
  }
  if (lengths.some((n, i) => i > 0 && n > lengths[i - 1]!)) {
    throw new TensorError(
      "value",
      "`lengths` array must be sorted in decreasing order when `enforce_sorted` is True. You can pass `enforce_sorted=False` to pack_padded_sequence and/or pack_sequence to sidestep this requirement if you do not need ONNX exportability.",
    );
  }
}

// PyTorch reads past the end of the tensor.
function tooLong(steps: number, length: number): never {
  throw new TensorError("value", `Expected lengths of at most ${steps} steps, but got ${length}`);
}

/**
 * The sequences of a batch that was packed, padded to one length, in their original order, and their lengths.
 *
 * ```ts
 * const [padded, lengths] = nn.utils.rnn.padPackedSequence(packed, { batchFirst: true });
 * ```
 * @throws TensorError "Expected total_length to be at least the length of the longest sequence in input, but got …"
 */
export function padPackedSequence(
  sequence: PackedSequence,
  options?: PadOptions & { totalLength?: number | null },
): [padded: Tensor, lengths: Tensor];
export function padPackedSequence(
  sequence: PackedSequence,
  batchFirst: boolean,
  paddingValue?: number | boolean,
  totalLength?: number | null,
): [padded: Tensor, lengths: Tensor];
export function padPackedSequence(
  sequence: PackedSequence,
  ...rest: unknown[]
): [padded: Tensor, lengths: Tensor] {
  const { batchFirst, paddingValue, totalLength } = bind<PadOptions & { totalLength?: number | null }>(
    "pad_packed_sequence",
    rest,
    { batchFirst: false, paddingValue: 0, totalLength: null },
  );
  const sizes = valuesOf(sequence.batchSizes.value);
  const longest = sizes.length;
  if (totalLength !== null && totalLength < longest) {
    throw new TensorError(
      "value",
      `Expected total_length to be at least the length of the longest sequence in input, but got total_length=${totalLength} and max sequence length being ${longest}`,
    );
  }
  const packed = lengthsOfSizes(sizes);
  const starts = rowStarts(sizes);
  const places = sequence.unsortedIndices === null ? undefined : valuesOf(sequence.unsortedIndices.value);
  const order = places === undefined ? packed.map((_, i) => i) : [...places];
  const padded = arranged(
    sequence.data,
    order.map((b) => starts.slice(0, packed[b]).map((start) => start + b)),
    totalLength ?? longest,
    { batchFirst, paddingValue, side: "right" },
  );
  return [
    named(padded, places === undefined ? "CopySlices" : "IndexSelectBackward0"),
    indices(order.map((b) => packed[b]!)),
  ];
}

/**
 * Sequences [L, *] of different lengths as one tensor [T, B, *] (or [B, T, *]), with padding after (or before) them.
 *
 * ```ts
 * nn.utils.rnn.padSequence([torch.ones(3), torch.ones(2)]).shape; // [3, 2]
 * ```
 * @throws TensorError "received an empty list of sequences"
 */
export function padSequence(
  sequences: Iterable<Tensor> | Tensor,
  options?: PadOptions & { paddingSide?: "left" | "right" },
): Tensor;
export function padSequence(
  sequences: Iterable<Tensor> | Tensor,
  batchFirst: boolean,
  paddingValue?: number | boolean,
  paddingSide?: "left" | "right",
): Tensor;
export function padSequence(sequences: Iterable<Tensor> | Tensor, ...rest: unknown[]): Tensor {
  const { batchFirst, paddingValue, paddingSide } = bind<PadOptions & { paddingSide?: "left" | "right" }>(
    "pad_sequence",
    rest,
    { batchFirst: false, paddingValue: 0, paddingSide: "right" },
  );
  const list =
    sequences instanceof Tensor ? [...sequences] : listTensors("pad_sequence", "sequences", sequences);
  const first = list[0];
  if (first === undefined) throw new TensorError("value", "received an empty list of sequences");
  if (paddingSide !== "left" && paddingSide !== "right") {
    throw new TensorError(
      "value",
      `Expected padding_side to be one of left or right, but got ${String(paddingSide)}.`,
    );
  }
  if (list.some((s) => s.ndim === 0))
    throw new TensorError("shape", "ArrayRef: invalid slice, N = 1; size = 0");
  const trailing = first.shape.slice(1);
  let at = 0;
  const rows = list.map((s) => Array.from({ length: s.shape[0]! }, () => at++));
  const longest = Math.max(...rows.map((r) => r.length));
  return composed(() => {
    const all = cat(list.map((s) => fitted(castTo(s, first.dtype), trailing)));
    const side = paddingSide;
    return named(arranged(all, rows, longest, { batchFirst, paddingValue, side }), "CopySlices");
  });
}

/** A sequence whose elements are of this shape, or broadcast to it. */
function fitted(s: Tensor, trailing: Shape): Tensor {
  const shape = [s.shape[0]!, ...trailing];
  broadcastShapes(shape, s.shape);
  return expand(s, shape);
}

/** The sequences of a padded batch, without their padding; the opposite of {@link padSequence}. */
export function unpadSequence(padded: Tensor, lengths: Lengths, options?: BatchOptions): Tensor[];
export function unpadSequence(padded: Tensor, lengths: Lengths, batchFirst?: boolean): Tensor[];
export function unpadSequence(padded: Tensor, ...rest: unknown[]): Tensor[] {
  const bound = bind<BatchOptions & { lengths: Lengths }>("unpad_sequence", rest, {
    lengths: REQUIRED,
    batchFirst: false,
  });
  const lengths = lengthsOf(bound.lengths);
  const batchDim = bound.batchFirst ? 0 : 1;
  const [B, T] = [padded.shape[batchDim]!, padded.shape[1 - batchDim]!];
  if (lengths.length !== B) {
    const than = lengths.length > B ? "longer" : "shorter";
    throw new TensorError("value", `zip() argument 2 is ${than} than argument 1`);
  }
  return lengths.map((length, b) => {
    const steps = Math.min(Math.max(length, 0), T);
    const begin = padded.shape.map((_, d) => (d === batchDim ? b : 0));
    const end = padded.shape.map((n, d) => (d === batchDim ? b + 1 : d === 1 - batchDim ? steps : n));
    return composed(() => {
      const one = apply(slice, [padded], { begin, end, step: begin.map(() => 1) });
      return named(apply(reshape, [one], { shape: [steps, ...padded.shape.slice(2)] }), "IndexBackward0");
    });
  });
}

/** Packs sequences [L, *]: {@link padSequence} and {@link packPaddedSequence} in one. */
export function packSequence(
  sequences: readonly Tensor[],
  options?: { enforceSorted?: boolean },
): PackedSequence;
export function packSequence(sequences: readonly Tensor[], enforceSorted?: boolean): PackedSequence;
export function packSequence(sequences: readonly Tensor[], ...rest: unknown[]): PackedSequence {
  const { enforceSorted } = bind<{ enforceSorted?: boolean }>("pack_sequence", rest, { enforceSorted: true });
  const lengths = sequences.map((s) => s.shape[0] ?? 0);
  return packPaddedSequence(padSequence(sequences), lengths, { enforceSorted });
}

/** The sequences [L, *] of a packed batch, in their original order. */
export function unpackSequence(packed: PackedSequence): Tensor[] {
  const [padded, lengths] = padPackedSequence(packed, { batchFirst: true });
  return unpadSequence(padded, lengths, { batchFirst: true });
}

const rowsAt = (x: Tensor, at: readonly number[]): Tensor => apply(indexSelect, [x, indices(at)], { dim: 0 });

/** A batch whose every sequence consists of these rows of x, padded to `length` steps. */
function arranged(
  x: Tensor,
  sequences: readonly (readonly number[])[],
  length: number,
  { batchFirst, paddingValue, side }: Required<PadOptions> & { side: "left" | "right" },
): Tensor {
  const trailing = x.shape.slice(1);
  const [B, padding] = [sequences.length, x.shape[0]!];
  demandMemory([B, length, ...trailing]);
  const at = Array.from<number>({ length: B * length }).fill(padding);
  sequences.forEach((rows, b) => {
    const from = side === "right" ? 0 : length - rows.length;
    rows.forEach((row, t) => (at[batchFirst ? b * length + from + t : (from + t) * B + b] = row));
  });
  return composed(() => {
    const value = x.dtype === "float32" ? Number(paddingValue) : Math.trunc(Number(paddingValue));
    const pad = new Tensor(
      fillValue(x.dtype === "bool" ? Number(value !== 0) : value, [1, ...trailing], x.dtype),
    );
    const rows = rowsAt(cat([x, pad]), at);
    const shape = [...(batchFirst ? [B, length] : [length, B]), ...trailing];
    return apply(reshape, [rows], { shape });
  });
}
