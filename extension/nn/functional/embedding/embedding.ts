import { apply } from "../../../tensor/recording/apply.ts";
import { SCALAR_TYPE } from "../../../tensor/core/dtype.ts";
import { TensorError } from "../../../tensor/core/errors.ts";
import { fillValue } from "../../../tensor/recording/graph.ts";
import { arange } from "../../../tensor/functions/creation/creation.ts";
import { castTo, composed, constant, inRange } from "../../../tensor/functions/pointwise/operands.ts";
import { norm } from "../../../tensor/functions/reduction/reduction.ts";
import { reshaped } from "../../../tensor/functions/shape/views.ts";
import { add, div, eq, gt, mul, where } from "../../../tensor/ops/elementwise/elementwise.ts";
import * as ops from "../../../tensor/ops/movement/embedding.ts";
import { indexSelect, rowsUpdate } from "../../../tensor/ops/movement/indexing.ts";
import { valuesOf } from "../../../tensor/planning/barrier.ts";
import { hidden, noGrad, scope } from "../../../tensor/recording/scope.ts";
import { demandMemory } from "../../../tensor/core/memory.ts";
import { Tensor } from "../../../tensor/core/tensor.ts";
import { bind } from "../../arguments.ts";
import { noteSparse } from "./sparseTables.ts";

export interface EmbeddingOptions {
  /** The row of the weight that is not learned: it gets no gradient. Negative ones count from the end. */
  paddingIdx?: number | null;
  /** Rows that are looked up and longer than this are shortened to it, in place. */
  maxNorm?: number | null;
  /** Exponent of that length's norm; 2 by default. */
  normType?: number;
  /** Divides a row's gradient by the number of times it is looked up; false by default. */
  scaleGradByFreq?: boolean;
  /** Lets `optim.SparseAdam` train the weight; its gradient is dense here, with the same values. */
  sparse?: boolean;
}

/**
 * Rows of a weight [V, D] at indices [*]: [*, D].
 * @throws TensorError "index out of range in self"
 */
export function embedding(input: Tensor, weight: Tensor, options?: EmbeddingOptions): Tensor;
export function embedding(
  input: Tensor,
  weight: Tensor,
  paddingIdx?: number | null,
  maxNorm?: number | null,
  normType?: number,
  scaleGradByFreq?: boolean,
  sparse?: boolean,
): Tensor;
export function embedding(input: Tensor, weight: Tensor, ...rest: unknown[]): Tensor {
  const { paddingIdx, maxNorm, normType, scaleGradByFreq, sparse } = bind<EmbeddingOptions>(
    "embedding",
    rest,
    {
      paddingIdx: null,
      maxNorm: null,
      normType: 2,
      scaleGradByFreq: false,
      sparse: false,
    },
  );
  const padding = paddingRow(paddingIdx, weight.shape[0] ?? 0, "Padding_idx must be within num_embeddings");
  if (maxNorm !== null) {
    checkIndexType(input, "#2", "embedding_renorm_");
    checkRows(weight);
    checkInRange(input, weight);
    renormalize(weight, input, maxNorm, normType);
  }
  checkRows(weight);
  checkIndexType(input, "#1", "embedding");
  checkInRange(input, weight);
  if (sparse) noteSparse(weight);
  return apply(ops.embedding, [weight, input], { paddingIdx: padding, scaleGradByFreq });
}

/**
 * The row of a padding index; −1 for none.
 * @throws TensorError with `message` when there is no such row
 */
export function paddingRow(index: number | null, rows: number, message: string): number {
  if (index === null) return -1;
  if (index > 0 ? index >= rows : index < -rows) throw new TensorError("value", message);
  return index < 0 ? rows + index : index;
}

function checkRows(weight: Tensor): void {
  if (weight.ndim !== 2) throw new TensorError("shape", "'weight' must be 2-D");
}

/** @throws TensorError when indices are not integers */
export function checkIndexType({ dtype }: Tensor, position: string, callee: string): void {
  if (dtype === "int64") return;
  const got = dtype === "bool" ? "CPUBoolType" : `torch.${SCALAR_TYPE[dtype]}Tensor`;
  throw new TensorError(
    "dtype",
    `Expected tensor for argument ${position} 'indices' to have one of the following scalar types: Long, Int; but got ${got} instead (while checking arguments for ${callee})`,
  );
}

const checkInRange = (indices: Tensor, weight: Tensor): void =>
  inRange(indices, weight.shape[0]!, () => "index out of range in self");

/** Shortens, in place, the rows that are looked up to a norm. */
export function renormalize(weight: Tensor, indices: Tensor, maxNorm: number, normType: number): void {
  hidden(() =>
    noGrad(() => {
      const flat = reshaped(indices, [indices.numel()]);
      const rows = apply(indexSelect, [weight, flat], { dim: 0 });
      const length = norm(rows, normType, 1, true);
      const limit = constant(maxNorm);
      const shrink = apply(div, [limit, apply(add, [length, constant(1e-7)], {})], {});
      const factor = apply(where, [apply(gt, [length, limit], {}), shrink, constant(1)], {});
      // A row that is looked up twice is written twice, with equal values.
      weight.write(apply(rowsUpdate, [weight, flat, apply(mul, [rows, factor], {})], {}));
    }),
  );
}

/**
 * 1 at each index, 0 elsewhere: [*] to [*, numClasses].
 * @param numClasses one more than the largest index by default, which reads the tensor
 * @throws TensorError "Class values must be smaller than num_classes."
 */
export function oneHot(tensor: Tensor, numClasses: number | { numClasses?: number } = -1): Tensor {
  const given = typeof numClasses === "number" ? numClasses : (numClasses.numClasses ?? -1);
  if (tensor.dtype !== "int64") {
    throw new TensorError("dtype", "one_hot is only applicable to index tensor of type LongTensor.");
  }
  if (tensor.numel() === 0) {
    if (given > 0) return new Tensor(fillValue(0, [...tensor.shape, given], "int64"));
    throw new TensorError("value", "Can not infer total number of classes from empty tensor.");
  }
  // The number of classes is a shape, and wrong classes would be rows of zeros: both are known now.
  // Inside vmap they aren't, and PyTorch doesn't check classes there.
  const isMapped = given !== -1 && scope.sample?.includes(tensor.value) === true;
  let largest = 0;
  for (const value of isMapped ? [] : valuesOf(tensor.value)) {
    if (value < 0) throw new TensorError("index", "Class values must be non-negative.");
    largest = Math.max(largest, value);
  }
  const classes = given === -1 ? largest + 1 : given;
  if (largest >= classes) throw new TensorError("index", "Class values must be smaller than num_classes.");
  demandMemory([...tensor.shape, classes]);
  return composed(() => {
    const column = reshaped(tensor, [...tensor.shape, 1]);
    return castTo(apply(eq, [column, arange(classes)], {}), "int64");
  });
}
