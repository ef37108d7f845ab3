import { apply } from "../../../tensor/recording/apply.ts";
import { SCALAR_TYPE } from "../../../tensor/core/dtype.ts";
import { TensorError } from "../../../tensor/core/errors.ts";
import { fillValue } from "../../../tensor/recording/graph.ts";
import { composed, constant, inRange, named } from "../../../tensor/functions/pointwise/operands.ts";
import { narrow } from "../../../tensor/functions/shape/parts.ts";
import { cumsum } from "../../../tensor/functions/reduction/reduction.ts";
import { reshaped } from "../../../tensor/functions/shape/views.ts";
import { div, eq, maximum, mul, sub, where } from "../../../tensor/ops/elementwise/elementwise.ts";
import * as ops from "../../../tensor/ops/movement/embedding.ts";
import { indexAdd } from "../../../tensor/ops/movement/indexing.ts";
import { formatShape } from "../../../tensor/core/shape.ts";
import { fromHost, Tensor } from "../../../tensor/core/tensor.ts";
import { bind } from "../../arguments.ts";
import { checkIndexType, paddingRow, renormalize } from "./embedding.ts";
import { noteSparse } from "./sparseTables.ts";

export type BagMode = "sum" | "mean" | "max";

export interface EmbeddingBagOptions {
  /** Where each bag starts in a vector of indices. */
  offsets?: Tensor | null;
  /** Looked-up rows longer than this are shortened to it, in place. */
  maxNorm?: number | null;
  /** Exponent of that length's norm; 2 by default. */
  normType?: number;
  /** Divides a row's gradient by the number of times it is looked up; false by default. */
  scaleGradByFreq?: boolean;
  /** How the rows of a bag are reduced; "mean" by default. */
  mode?: BagMode;
  /** Lets `optim.SparseAdam` train the weight; its gradient is dense here, with the same values. */
  sparse?: boolean;
  /** A factor of each row, of the indices' shape; for "sum" only. */
  perSampleWeights?: Tensor | null;
  /** Whether the last offset is the end of the last bag; false by default. */
  includeLastOffset?: boolean;
  /** The row that is no part of any bag and gets no gradient. Negative ones count from the end. */
  paddingIdx?: number | null;
}

/**
 * Sums, means or largest values of bags of rows of a weight [V, D]: [B, D], zeros for an empty bag.
 * @param input [B, N], B bags of N indices each, or a vector of all bags' indices with `offsets`
 * @throws TensorError "offsets has to be a 1D Tensor but got None"
 */
export function embeddingBag(input: Tensor, weight: Tensor, options?: EmbeddingBagOptions): Tensor;
export function embeddingBag(
  input: Tensor,
  weight: Tensor,
  offsets?: Tensor | null,
  options?: Omit<EmbeddingBagOptions, "offsets">,
): Tensor;
export function embeddingBag(
  input: Tensor,
  weight: Tensor,
  offsets?: Tensor | null,
  maxNorm?: number | null,
  normType?: number,
  scaleGradByFreq?: boolean,
  mode?: BagMode,
  sparse?: boolean,
  perSampleWeights?: Tensor | null,
  includeLastOffset?: boolean,
  paddingIdx?: number | null,
): Tensor;
export function embeddingBag(input: Tensor, weight: Tensor, ...rest: unknown[]): Tensor {
  const options = bind<EmbeddingBagOptions>("embedding_bag", rest, {
    offsets: null,
    maxNorm: null,
    normType: 2,
    scaleGradByFreq: false,
    mode: "mean",
    sparse: false,
    perSampleWeights: null,
    includeLastOffset: false,
    paddingIdx: null,
  });
  const { maxNorm, normType, scaleGradByFreq, mode, perSampleWeights } = options;
  checkShapes(input, weight, options);
  checkMode(options);
  if (options.sparse) noteSparse(weight);
  const count = input.numel();
  const flat = reshaped(input, [count]);
  if (maxNorm !== null) renormalize(weight, flat, maxNorm, normType);
  if (perSampleWeights !== null && mode !== "sum") {
    throw new TensorError(
      "unsupported",
      `embedding_bag: per_sample_weights was not None. per_sample_weights is only supported for mode='sum' (got mode='${mode}'). Please open a feature request on GitHub.`,
    );
  }
  const [rows, width] = weight.shape as [number, number];
  const padding = paddingRow(
    options.paddingIdx,
    rows,
    `padding_idx must be within the number of embeddings, ${-rows} through ${rows - 1}, but got ${options.paddingIdx}`,
  );
  checkIndexType(input, "#1", "embedding_bag");
  const offsets = options.offsets ?? evenOffsets(input);
  checkIndexType(offsets, "#1", "embedding_bag");
  checkOffsets(offsets, count, options.includeLastOffset && options.offsets !== null);
  inRange(input, rows, (i, at) =>
    mode === "max"
      ? `embedding_bag: Expected idx >= 0 && idx < num_embeddings but found idx to be ${i}`
      : `Index ${at} of input takes value ${i} which is not in the valid range [0, ${rows})`,
  );
  const starts = offsets.shape[0]!;
  const bags = options.includeLastOffset && options.offsets !== null ? starts - 1 : starts;
  if (bags === 0 || count === 0) return new Tensor(fillValue(0, [bags, width], "float32"));
  return composed(() => {
    let bag = bagNumbers(offsets, count);
    let length = starts;
    if (padding >= 0) {
      // Padding goes into a bag of its own, behind all others.
      const isPadding = apply(eq, [flat, constant(padding, "int64")], {});
      bag = apply(where, [isPadding, constant(length, "int64"), bag], {});
      length++;
    }
    let looked = apply(ops.embedding, [weight, flat], { paddingIdx: padding, scaleGradByFreq });
    if (perSampleWeights !== null) {
      looked = apply(mul, [looked, reshaped(perSampleWeights, [count, 1])], {});
    }
    const all = gathered(looked, bag, length, mode);
    return named(length === bags ? all : narrow(all, 0, 0, bags), "EmbeddingBagBackward0");
  });
}

/** Reduces the rows of each bag to one. */
function gathered(rows: Tensor, bag: Tensor, length: number, mode: BagMode): Tensor {
  if (mode === "max") return apply(ops.segmentMax, [rows, bag], { length });
  const total = apply(indexAdd, [rows, bag], { dim: 0, length });
  if (mode === "sum") return total;
  const ones = new Tensor(fillValue(1, [rows.shape[0]!], "float32"));
  const sizes = apply(indexAdd, [ones, bag], { dim: 0, length });
  return apply(div, [total, reshaped(apply(maximum, [sizes, constant(1)], {}), [length, 1])], {});
}

/** The number of the bag of each index: how many bags have started by then, less one. */
function bagNumbers(offsets: Tensor, count: number): Tensor {
  const ones = new Tensor(fillValue(1, offsets.shape, "int64"));
  // Empty bags at the end start behind the last index.
  const started = apply(indexAdd, [ones, offsets], { dim: 0, length: count + 1 });
  return apply(sub, [cumsum(narrow(started, 0, 0, count), 0), constant(1, "int64")], {});
}

function evenOffsets(input: Tensor): Tensor {
  const [bags, each] = input.shape as [number, number];
  return fromHost(
    Int32Array.from({ length: bags }, (_, i) => i * each),
    [bags],
    "int64",
  );
}

type Bound = { [K in keyof EmbeddingBagOptions]-?: Exclude<EmbeddingBagOptions[K], undefined> };

function checkShapes(input: Tensor, weight: Tensor, { perSampleWeights, offsets }: Bound): void {
  const wrong = (message: string): never => {
    throw new TensorError("shape", message);
  };
  if (perSampleWeights !== null && formatShape(perSampleWeights.shape) !== formatShape(input.shape)) {
    wrong(
      `embedding_bag: If per_sample_weights (torch.Size(${formatShape(perSampleWeights.shape)})) is not None, then it must have the same shape as the input (torch.Size(${formatShape(input.shape)}))`,
    );
  }
  if (weight.ndim !== 2) {
    wrong(`weight has to be a 2D Tensor, but got Tensor of dimension ${weight.ndim}`);
  }
  if (input.ndim === 2) {
    if (offsets !== null) {
      wrong(
        "if input is 2D, then offsets has to be None, as input is treated is a mini-batch of fixed length sequences. However, found offsets of type <class 'torch.Tensor'>",
      );
    }
  } else if (input.ndim === 1) {
    if (offsets === null) wrong("offsets has to be a 1D Tensor but got None");
    else if (offsets.ndim !== 1) wrong("offsets has to be a 1D Tensor");
  } else {
    wrong(`input has to be 1D or 2D Tensor, but got Tensor of dimension ${input.ndim}`);
  }
  if (weight.dtype !== "float32") {
    throw new TensorError(
      "dtype",
      `Expected tensor for argument #1 'weight' to have one of the following scalar types: Half, BFloat16, Float, Double; but got torch.${SCALAR_TYPE[weight.dtype]}Tensor instead (while checking arguments for embedding_bag)`,
    );
  }
}

function checkMode({ mode, scaleGradByFreq, sparse }: Bound): void {
  if (mode === "max") {
    if (scaleGradByFreq) {
      throw new TensorError("value", "max mode does not support scaling the gradient by the frequency");
    }
    if (sparse) throw new TensorError("value", "max mode does not support sparse weights");
  } else if (mode !== "sum" && mode !== "mean") {
    throw new TensorError("value", "mode has to be one of sum, mean or max");
  }
}

function checkOffsets(offsets: Tensor, count: number, includeLast: boolean): void {
  const starts = offsets.shape[0]!;
  if (includeLast && starts < 1) {
    throw new TensorError("shape", "include_last_offset: number of offset should be at least 1");
  }
  const { data } = offsets.value;
  if (data === undefined || starts === 0) return;
  for (let i = 1; i < starts; i++)
    if (data[i]! < data[i - 1]!)
      throw new TensorError(
        "value",
        `offsets have to be in ascending order, but offsets[${i - 1}] is ${data[i - 1]} and offsets[${i}] is ${data[i]}`,
      );
  if (data[0] !== 0) {
    throw new TensorError(
      "value",
      `offsets[0] has to be 0, i.e., the first sequence in the mini-batch has to start from position 0. However, got ${data[0]}`,
    );
  }
  if (data[starts - 1]! > count) {
    throw new TensorError(
      "value",
      `offsets[-1] can not be greater than input's length ${count} but got offsets[-1] of ${data[starts - 1]}`,
    );
  }
}
