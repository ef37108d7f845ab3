import { TensorError } from "../../tensor/core/errors.ts";
import { formatSize } from "../../tensor/core/shape.ts";
import type { Tensor } from "../../tensor/core/tensor.ts";
import { gather } from "../../tensor/functions/indexing/gathering.ts";
import { add, clamp, sub } from "../../tensor/functions/pointwise/arithmetic.ts";
import { ge, logicalAnd, lt, neg, where } from "../../tensor/functions/pointwise/elementwise.ts";
import { argmax } from "../../tensor/functions/reduction/extremes.ts";
import { mean } from "../../tensor/functions/reduction/reduction.ts";
import { narrow } from "../../tensor/functions/shape/parts.ts";
import { cat, squeeze, unsqueeze } from "../../tensor/functions/shape/shape.ts";
import { valuesOf } from "../../tensor/planning/barrier.ts";
import { bind, REQUIRED, type Arguments } from "../arguments.ts";
import { logSoftmax } from "../functional/activation/softmax.ts";
import { BuiltIn } from "../module/module.ts";
import { ModuleList, Sequential } from "./containers/containers.ts";
import { Linear } from "./linear.ts";

interface AdaptiveArguments {
  inFeatures: number;
  nClasses: number;
  cutoffs: readonly number[];
  divValue?: number;
  headBias?: boolean;
}

/** A projection to fewer features, and the scores of a cluster's classes. */
type Cluster = Sequential;

/**
 * Softmax over many classes, of which few are frequent (Grave et al., https://arxiv.org/abs/1609.04309). Classes are ordered by
 * frequency; those below `cutoffs[0]` and each of the clusters behind it are scored by `head`, and cluster i's classes, from
 * cutoffs[i] up to cutoffs[i + 1], by `tail[i]`, which first projects to inFeatures / divValueⁱ⁺¹ features.
 *
 * - `divValue` is 4, `headBias` false by default
 * - input [N, inFeatures] or [inFeatures], target [N] or []
 * - result: `output` [N] or [], the log probability of each target, and `loss`, their negative mean
 *
 * All clusters are computed for the whole batch, so that a step has the same graph whatever its targets are. A cluster without a
 * target gets a gradient of zeros, where PyTorch leaves `grad` as it was.
 *
 * ```ts
 * const model = new nn.AdaptiveLogSoftmaxWithLoss(16, 1000, { cutoffs: [10, 100] });
 * model(torch.randn(8, 16), torch.randint(0, 1000, [8])).output.shape; // [8]
 * model.logProb(torch.randn(8, 16)).shape; // [8, 1000]
 * ```
 * @throws TensorError "cutoffs should be a sequence of unique, positive integers sorted in an increasing order, …"
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.AdaptiveLogSoftmaxWithLoss.html
 */
export class AdaptiveLogSoftmaxWithLoss extends BuiltIn {
  inFeatures: number;
  nClasses: number;
  /** The given ones, and the number of classes. */
  cutoffs: readonly number[];
  divValue: number;
  headBias: boolean;
  shortlistSize: number;
  nClusters: number;
  headSize: number;
  head: Linear;
  tail: ModuleList<Cluster>;

  constructor(...args: Arguments<AdaptiveArguments, "inFeatures nClasses cutoffs divValue headBias">) {
    super();
    const bound = bind<AdaptiveArguments>("AdaptiveLogSoftmaxWithLoss", args, {
      inFeatures: REQUIRED,
      nClasses: REQUIRED,
      cutoffs: REQUIRED,
      divValue: 4,
      headBias: false,
    });
    const { inFeatures, nClasses, divValue, headBias } = bound;
    checkCutoffs(bound.cutoffs, nClasses);
    this.inFeatures = inFeatures;
    this.nClasses = nClasses;
    this.cutoffs = [...bound.cutoffs, nClasses];
    this.divValue = divValue;
    this.headBias = headBias;
    this.shortlistSize = this.cutoffs[0]!;
    this.nClusters = bound.cutoffs.length;
    this.headSize = this.shortlistSize + this.nClusters;
    this.head = new Linear(inFeatures, this.headSize, headBias);
    this.tail = new ModuleList(
      bound.cutoffs.map((from, i) => {
        const features = Math.floor(inFeatures / divValue ** (i + 1));
        return new Sequential(
          new Linear(inFeatures, features, false),
          new Linear(features, this.cutoffs[i + 1]! - from, false),
        );
      }),
    );
  }

  resetParameters(): void {
    this.head.resetParameters();
    for (const cluster of this.tail) for (const layer of cluster) (layer as Linear).resetParameters();
  }

  /** The log probability of each target, and the loss. */
  forward(input: Tensor, target: Tensor): { output: Tensor; loss: Tensor } {
    check(input, target, this.nClasses);
    const batched = target.ndim > 0;
    const x = batched ? input : unsqueeze(input, 0);
    const classes = batched ? target : unsqueeze(target, 0);
    const head = logSoftmax(this.head(x), 1);
    const column = (at: Tensor, scores: Tensor): Tensor => squeeze(gather(scores, 1, unsqueeze(at, 1)), 1);
    let place = clamp(classes, 0, this.shortlistSize - 1);
    let inside: Tensor | undefined;
    for (const [i, cluster] of [...this.tail].entries()) {
      const [from, to] = [this.cutoffs[i]!, this.cutoffs[i + 1]!];
      const own = logicalAnd(ge(classes, from), lt(classes, to));
      place = where(own, this.shortlistSize + i, place);
      const scores = logSoftmax(cluster(x), 1);
      const local = column(clamp(sub(classes, from), 0, to - from - 1), scores);
      const part = where(own, local, 0);
      inside = inside === undefined ? part : add(inside, part);
    }
    const output = add(inside!, column(place, head));
    const loss = mean(neg(output));
    return { output: batched ? output : squeeze(output, 0), loss };
  }

  /** Log probabilities of all classes [N, nClasses], for inputs [N, inFeatures]. */
  logProb(input: Tensor): Tensor {
    const head = logSoftmax(this.head(input), 1);
    const parts = [...this.tail].map((cluster, i) =>
      add(logSoftmax(cluster(input), 1), narrow(head, 1, this.shortlistSize + i, 1)),
    );
    return cat([narrow(head, 1, 0, this.shortlistSize), ...parts], 1);
  }

  /** The likeliest class of each input: that of the largest score of the head, looked up in its cluster if it is one. */
  predict(input: Tensor): Tensor {
    const best = argmax(this.head(input), 1);
    return where(ge(best, this.shortlistSize), argmax(this.logProb(input), 1), best);
  }
}

function checkCutoffs(cutoffs: readonly number[], nClasses: number): void {
  if (cutoffs.length === 0) {
    throw new TensorError("value", "cutoffs should be a sequence of length larger than 0");
  }
  const fits = cutoffs.every(
    (c, i) => Number.isInteger(c) && c > (i === 0 ? 0 : cutoffs[i - 1]!) && c <= nClasses - 1,
  );
  if (fits) return;
  throw new TensorError(
    "value",
    "cutoffs should be a sequence of unique, positive integers sorted in an increasing order, where each value is between 1 and n_classes-1",
  );
}

function check(input: Tensor, target: Tensor, nClasses: number): void {
  if (target.ndim > 1) {
    throw new TensorError("shape", "0D or 1D target tensor expected, multi-target not supported");
  }
  if (target.ndim === 1 && input.size(0) !== target.size(0)) {
    throw new TensorError("shape", "Input and target should have the same size in the batch dimension.");
  }
  if (input.ndim !== target.ndim + 1) {
    throw new TensorError(
      "shape",
      `${target.ndim}D target tensor expects ${target.ndim + 1}D input tensors, but found inputs with size ${formatSize(input.shape)}`,
    );
  }
  // Only targets whose values are known already are checked: to read others would compute the graph here.
  const { value } = target;
  if (value.data === undefined && value.producer.kind !== "random") return;
  const known = valuesOf(value);
  let [least, most] = [Infinity, -Infinity];
  for (const t of known) [least, most] = [Math.min(least, t), Math.max(most, t)];
  if (known.length === 0 || (least >= 0 && most < nClasses)) return;
  throw new TensorError(
    "index",
    `Target values should be in [0, ${nClasses - 1}], but values in range [${least}, ${most}] were found. `,
  );
}
