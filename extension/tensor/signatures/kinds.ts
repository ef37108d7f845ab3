// Which parameters of the tables take tensors or whole numbers, and checks of these: JavaScript checks no types.

import { Tensor } from "../core/tensor.ts";
import { valuesOf } from "../planning/barrier.ts";

/** Kind of arguments that a parameter takes, where its name implies one. */
export type Kind = "tensor" | "tensors" | "int";

/**
 * Names that imply the same kind in every function, unless a table marks them. Many that take a tensor also take a
 * number.
 */
const NAMES: Readonly<Record<Kind, string>> = {
  tensor:
    "A B L LU LUData LUPivots a abs anchor angle b batch1 batch2 bias boundaries condition elements exponent grid imag " +
    "inProjBias inProjWeight index input input1 input2 key linearWeight logProbs logits mask mat mat1 mat2 negative other " +
    "outProjBias outProjWeight pivots positive query real sortedSequence source src target targets tau tensor tensor1 tensor2 " +
    "testElements theta value values var vec vec1 vec2 weight x x1 x2 y",
  tensors: "matrices operands tensors",
  int:
    "bins chunks diagonal dilation dim0 dim1 dim2 dimFeedforward dimension dModel downscaleFactor embedDim embeddingDim " +
    "groups hiddenSize inChannels inFeatures inputSize kernelSize length m minlength n nhead " +
    "normalizedShape numChannels numClasses numEmbeddings numFeatures numGroups numHeads numLayers numSamples offset " +
    "outChannels outFeatures outputPadding outputSize padding r sections shape shifts size sizes splitSize splitSizeOrSections " +
    "steps stride upscaleFactor windowLength",
};

/** Required parameters that may be null. */
const MAY_BE_NULL: ReadonlySet<string> = new Set(["inProjBias", "inProjWeight", "outProjBias"]);

const KINDS = new Map(
  (Object.keys(NAMES) as Kind[]).flatMap((kind) =>
    NAMES[kind].split(" ").map((name) => [name, kind] as const),
  ),
);

/** Returns the kind of arguments that a parameter of that name takes; undefined for any. */
export const kindFor = (name: string): Kind | undefined => KINDS.get(name);

/** Whether an argument is None, and the parameter allows that. */
export const isNone = (x: unknown, { name, optional }: { name: string; optional: boolean }): boolean =>
  (x === null || x === undefined) && (optional || MAY_BE_NULL.has(name));

/** Whether an argument has no fraction: a number, or each number of a list. Not yet of a tensor: see {@link asWhole}. */
export function isWhole(x: unknown): boolean {
  if (typeof x === "number") return Number.isInteger(x);
  if (Array.isArray(x)) for (const one of x) if (!isWhole(one)) return false;
  return !isCount(x);
}

const isCount = (x: unknown): x is Tensor => x instanceof Tensor && x.ndim === 0 && x.dtype === "int64";

/** A whole number where PyTorch takes a tensor without dimensions for one, and lists of these; all else unchanged. */
export function asWhole(x: unknown): unknown {
  if (Array.isArray(x)) return x.some(isCount) ? x.map(asWhole) : x;
  return isCount(x) ? Number(valuesOf(x.value)[0]) : x;
}
