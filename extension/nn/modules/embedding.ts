import { TensorError } from "../../tensor/core/errors.ts";
import { normal } from "../../tensor/random/operations.ts";
import { defaultStream, type ReadyDraw } from "../../tensor/random/stream.ts";
import { noGrad } from "../../tensor/recording/scope.ts";
import { sameShape } from "../../tensor/core/shape.ts";
import { Parameter, type Tensor } from "../../tensor/core/tensor.ts";
import { bind, REQUIRED, type Arguments, type Call } from "../arguments.ts";
import { embedding, paddingRow, type EmbeddingOptions } from "../functional/embedding/embedding.ts";
import { embeddingBag, type EmbeddingBagOptions } from "../functional/embedding/embeddingBag.ts";
import { BuiltIn } from "../module/module.ts";
import { py, pyFloat } from "../module/repr.ts";
import { emptyParameter } from "./linear.ts";

interface Sizes {
  /** Number of rows. */
  numEmbeddings: number;
  /** Length of a row. */
  embeddingDim: number;
}

interface Given {
  /** @internal Existing rows, if any. */
  _weight?: Tensor | null;
}

/** Base class of both kinds of lookup tables. */
abstract class Table extends BuiltIn {
  numEmbeddings: number;
  embeddingDim: number;
  paddingIdx: number | null;
  declare weight: Parameter;

  constructor({ numEmbeddings, embeddingDim }: Sizes, paddingIdx: number | null, message: string) {
    super();
    this.numEmbeddings = numEmbeddings;
    this.embeddingDim = embeddingDim;
    this.paddingIdx = paddingIdx === null ? null : paddingRow(paddingIdx, numEmbeddings, message);
  }

  /** The given rows, or random ones. */
  protected fill(given: Tensor | null, requiresGrad: boolean): void {
    const shape = [this.numEmbeddings, this.embeddingDim];
    if (given === null) {
      this.weight = emptyParameter(shape, requiresGrad);
      this.resetParameters();
      return;
    }
    if (!sameShape(given.shape, shape)) {
      throw new TensorError("shape", "Shape of weight does not match num_embeddings and embedding_dim");
    }
    this.weight = new Parameter(given, requiresGrad);
  }

  /** Rows from N(0, std²), by default N(0, 1), the padding row zeros. */
  resetParameters(std = 1): void {
    const { weight, paddingIdx, embeddingDim } = this;
    const values = normal(weight.numel(), 0, std);
    const draw: ReadyDraw =
      paddingIdx === null
        ? values
        : {
            fill(generator, out) {
              values.fill(generator, out as Float32Array);
              out.fill(0, paddingIdx * embeddingDim, (paddingIdx + 1) * embeddingDim);
            },
            skip: (generator) => values.skip(generator),
          };
    noGrad(() => weight.write(defaultStream.tensor(draw, weight.shape, "float32")));
  }
}

type EmbeddingArguments = Sizes & EmbeddingOptions & Given & { _freeze?: boolean };

export interface PretrainedOptions extends EmbeddingOptions {
  /** Whether the rows are frozen; true by default. */
  freeze?: boolean;
}

/**
 * A table of learned rows, looked up by index.
 *
 * - weight [numEmbeddings, embeddingDim] from N(0, 1); the row `paddingIdx` is zeros and gets no gradient
 * - input [*] of indices, output [*, embeddingDim]
 * - `maxNorm` shortens, in place, rows that are looked up; `sparse` lets `optim.SparseAdam` train it
 *
 * https://docs.pytorch.org/docs/stable/generated/torch.nn.Embedding.html
 *
 * ```ts
 * new nn.Embedding(10, 3)(torch.tensor([[1, 2, 4, 5], [4, 3, 2, 9]])).shape; // [2, 4, 3]
 * ```
 * @throws TensorError "index out of range in self"
 */
export class Embedding extends Table {
  maxNorm: number | null;
  normType: number;
  scaleGradByFreq: boolean;
  sparse: boolean;

  constructor(numEmbeddings: number, embeddingDim: number, options?: EmbeddingOptions);
  constructor(
    numEmbeddings: number,
    embeddingDim: number,
    paddingIdx?: number | null,
    maxNorm?: number | null,
    normType?: number,
    scaleGradByFreq?: boolean,
    sparse?: boolean,
  );
  constructor(
    ...args: Arguments<
      EmbeddingArguments,
      "numEmbeddings embeddingDim paddingIdx maxNorm normType scaleGradByFreq sparse"
    >
  );
  constructor(...args: unknown[]) {
    const bound = bind<EmbeddingArguments>("Embedding", args, {
      numEmbeddings: REQUIRED,
      embeddingDim: REQUIRED,
      paddingIdx: null,
      maxNorm: null,
      normType: 2,
      scaleGradByFreq: false,
      sparse: false,
      _weight: null,
      _freeze: false,
    });
    super(bound, bound.paddingIdx, "Padding_idx must be within num_embeddings");
    this.maxNorm = bound.maxNorm;
    this.normType = bound.normType;
    this.scaleGradByFreq = bound.scaleGradByFreq;
    this.sparse = bound.sparse;
    this.fill(bound._weight, !bound._freeze);
  }

  /**
   * Returns a table of existing rows, which training leaves unchanged by default.
   *
   * ```ts
   * nn.Embedding.fromPretrained(torch.tensor([[1, 2.3, 3], [4, 5.1, 6.3]]))(torch.tensor([1])); // [[4, 5.1, 6.3]]
   * ```
   */
  static fromPretrained(embeddings: Tensor, options?: PretrainedOptions): Embedding;
  static fromPretrained(
    embeddings: Tensor,
    freeze?: boolean,
    paddingIdx?: number | null,
    maxNorm?: number | null,
    normType?: number,
    scaleGradByFreq?: boolean,
    sparse?: boolean,
  ): Embedding;
  static fromPretrained(embeddings: Tensor, ...rest: unknown[]): Embedding {
    const { freeze, ...options } = bind<PretrainedOptions>("from_pretrained", rest, {
      freeze: true,
      paddingIdx: null,
      maxNorm: null,
      normType: 2,
      scaleGradByFreq: false,
      sparse: false,
    });
    return new Embedding({ ...sizesOf(embeddings), ...options, _weight: embeddings, _freeze: freeze });
  }

  forward(input: Tensor): Tensor {
    return embedding(
      input,
      this.weight,
      this.paddingIdx,
      this.maxNorm,
      this.normType,
      this.scaleGradByFreq,
      this.sparse,
    );
  }

  override extraRepr(): string {
    const parts = [`${this.numEmbeddings}, ${this.embeddingDim}`];
    if (this.paddingIdx !== null) parts.push(`padding_idx=${this.paddingIdx}`);
    if (this.maxNorm !== null) parts.push(`max_norm=${pyFloat(this.maxNorm)}`);
    if (this.normType !== 2) parts.push(`norm_type=${pyFloat(this.normType)}`);
    if (this.scaleGradByFreq) parts.push("scale_grad_by_freq=True");
    if (this.sparse) parts.push("sparse=True");
    return parts.join(", ");
  }
}

function sizesOf({ ndim, shape }: Tensor): Sizes {
  if (ndim !== 2) {
    throw new TensorError("shape", "Embeddings parameter is expected to be 2-dimensional");
  }
  return { numEmbeddings: shape[0]!, embeddingDim: shape[1]! };
}

type BagOptions = Omit<EmbeddingBagOptions, "offsets" | "perSampleWeights">;
type BagArguments = Sizes & BagOptions & Given;

export interface PretrainedBagOptions extends BagOptions {
  /** Whether the rows are frozen; true by default. */
  freeze?: boolean;
}

/** Arguments of {@link EmbeddingBag} after its indices. */
export interface BagInputs {
  /** Where each bag starts in a vector of indices. */
  offsets?: Tensor | null;
  /** A factor of each row, of the indices' shape; for "sum" only. */
  perSampleWeights?: Tensor | null;
}

/**
 * Sums, means or largest values of bags of rows of a learned table.
 *
 * - weight [numEmbeddings, embeddingDim] from N(0, 1); the row `paddingIdx` is zeros and no part of any bag
 * - input [B, N], or a vector of indices and the `offsets` [B] at which the bags start; output [B, embeddingDim]
 * - `mode` is "mean" by default; an empty bag gives zeros
 *
 * https://docs.pytorch.org/docs/stable/generated/torch.nn.EmbeddingBag.html
 *
 * ```ts
 * const bag = new nn.EmbeddingBag(10, 3, { mode: "sum" });
 * bag(torch.tensor([1, 2, 4, 5, 4, 3, 2, 9]), torch.tensor([0, 4])).shape; // [2, 3]
 * ```
 * @throws TensorError "offsets has to be a 1D Tensor but got None"
 */
export class EmbeddingBag extends Table {
  maxNorm: number | null;
  normType: number;
  scaleGradByFreq: boolean;
  mode: "sum" | "mean" | "max";
  sparse: boolean;
  includeLastOffset: boolean;

  constructor(numEmbeddings: number, embeddingDim: number, options?: BagOptions);
  constructor(options: BagArguments);
  constructor(
    ...args: Arguments<
      BagArguments,
      "numEmbeddings embeddingDim maxNorm normType scaleGradByFreq mode sparse _weight includeLastOffset paddingIdx"
    >
  );
  constructor(...args: unknown[]) {
    const bound = bind<BagArguments>("EmbeddingBag", args, {
      numEmbeddings: REQUIRED,
      embeddingDim: REQUIRED,
      maxNorm: null,
      normType: 2,
      scaleGradByFreq: false,
      mode: "mean",
      sparse: false,
      _weight: null,
      includeLastOffset: false,
      paddingIdx: null,
    });
    super(bound, bound.paddingIdx, "padding_idx must be within num_embeddings");
    this.maxNorm = bound.maxNorm;
    this.normType = bound.normType;
    this.scaleGradByFreq = bound.scaleGradByFreq;
    this.fill(bound._weight, true);
    this.mode = bound.mode;
    this.sparse = bound.sparse;
    this.includeLastOffset = bound.includeLastOffset;
  }

  /** Returns bags of existing rows, which training leaves unchanged by default. */
  static fromPretrained(embeddings: Tensor, options?: PretrainedBagOptions): EmbeddingBag;
  static fromPretrained(embeddings: Tensor, freeze?: boolean, options?: BagOptions): EmbeddingBag;
  static fromPretrained(embeddings: Tensor, ...rest: unknown[]): EmbeddingBag {
    const { freeze, ...options } = bind<PretrainedBagOptions>("from_pretrained", rest, {
      freeze: true,
      maxNorm: null,
      normType: 2,
      scaleGradByFreq: false,
      mode: "mean",
      sparse: false,
      includeLastOffset: false,
      paddingIdx: null,
    });
    const bag = new EmbeddingBag({ ...sizesOf(embeddings), ...options, _weight: embeddings });
    bag.weight.requiresGrad_(!freeze);
    return bag;
  }

  forward(input: Tensor, ...rest: Call<BagInputs, "offsets perSampleWeights">): Tensor {
    const { offsets, perSampleWeights } = bind<BagInputs>("EmbeddingBag.forward", rest, {
      offsets: null,
      perSampleWeights: null,
    });
    return embeddingBag(
      input,
      this.weight,
      offsets,
      this.maxNorm,
      this.normType,
      this.scaleGradByFreq,
      this.mode,
      this.sparse,
      perSampleWeights,
      this.includeLastOffset,
      this.paddingIdx,
    );
  }

  override extraRepr(): string {
    const parts = [`${this.numEmbeddings}, ${this.embeddingDim}`];
    if (this.maxNorm !== null) parts.push(`max_norm=${pyFloat(this.maxNorm)}`);
    if (this.normType !== 2) parts.push(`norm_type=${pyFloat(this.normType)}`);
    if (this.scaleGradByFreq) parts.push("scale_grad_by_freq=True");
    parts.push(`mode=${py(this.mode)}`);
    if (this.paddingIdx !== null) parts.push(`padding_idx=${this.paddingIdx}`);
    return parts.join(", ");
  }
}
