// Checks of the inputs of multi-head attention, and the merging of its masks into one bias.
import { apply } from "../../../tensor/recording/apply.ts";
import { TensorError } from "../../../tensor/core/errors.ts";
import type { DType } from "../../../tensor/core/dtype.ts";
import { add } from "../../../tensor/ops/elementwise/elementwise.ts";
import { pad, reshape } from "../../../tensor/ops/movement/movement.ts";
import { formatShape, sameShape, type Shape } from "../../../tensor/core/shape.ts";
import type { Tensor } from "../../../tensor/core/tensor.ts";
import { py } from "../../module/repr.ts";
import { warnOnce } from "../../warnings.ts";
import { additive } from "./attention.ts";
import type { MultiHead } from "./multiHeadArguments.ts";

export function refuse(message: string): never {
  throw new TensorError("value", message);
}

function misfit(message: string): never {
  throw new TensorError("shape", message);
}

const size = (shape: Shape): string => `torch.Size(${formatShape(shape)})`;

/** Whether the inputs are batches. */
export function checkRanks(query: Tensor, key: Tensor, value: Tensor, m: MultiHead): boolean {
  const { keyPaddingMask, attnMask, numHeads } = m;
  const rank = query.ndim;
  if (rank !== 2 && rank !== 3) {
    misfit(`query should be unbatched 2D or batched 3D tensor but received ${rank}-D query tensor`);
  }
  const what = rank === 3 ? "batched (3-D)" : "unbatched (2-D)";
  if (key.ndim !== rank || value.ndim !== rank) {
    misfit(
      `For ${what} \`query\`, expected \`key\` and \`value\` to be ${rank}-D but found ${key.ndim}-D and ${value.ndim}-D tensors respectively`,
    );
  }
  if (keyPaddingMask !== null && keyPaddingMask.ndim !== rank - 1) {
    misfit(
      `For ${what} \`query\`, expected \`key_padding_mask\` to be \`None\` or ${rank - 1}-D but found ${keyPaddingMask.ndim}-D tensor instead`,
    );
  }
  if (attnMask !== null && attnMask.ndim !== 2 && attnMask.ndim !== 3) {
    misfit(
      `For ${what} \`query\`, expected \`attn_mask\` to be \`None\`, 2-D or 3-D but found ${attnMask.ndim}-D tensor instead`,
    );
  }
  if (rank === 2 && attnMask?.ndim === 3) {
    const expected = [numHeads, query.shape[0]!, key.shape[0]!];
    if (!sameShape(attnMask.shape, expected)) {
      misfit(`Expected \`attn_mask\` shape to be ${py(expected)} but got ${size(attnMask.shape)}`);
    }
  }
  return rank === 3;
}

export interface Sizes {
  readonly batch: number;
  /** Lengths of the queries' and the keys' sequences. */
  readonly targets: number;
  readonly sources: number;
  readonly embedDim: number;
  readonly headDim: number;
}

/** Checks batches of inputs against each other and against the layer. */
export function inputsFit(
  query: Tensor,
  key: Tensor,
  value: Tensor,
  m: MultiHead,
  batchFirst: boolean,
): Sizes {
  const ordered = ({ shape: [a, b, width] }: Tensor): number[] =>
    batchFirst ? [b!, a!, width!] : [a!, b!, width!];
  const [targets, batch, embedDim] = ordered(query) as [number, number, number];
  const [keys, values] = [ordered(key), ordered(value)];
  if (embedDim !== m.embedDimToCheck) {
    misfit(`was expecting embedding dimension of ${m.embedDimToCheck}, but got ${embedDim}`);
  }
  const headDim = Math.floor(embedDim / m.numHeads);
  if (headDim * m.numHeads !== embedDim)
    refuse(`embed_dim ${embedDim} not divisible by num_heads ${m.numHeads}`);
  if (m.useSeparateProjWeight) {
    if (!sameShape(keys.slice(0, 2), values.slice(0, 2))) {
      misfit(
        `key's sequence and batch dims ${size(keys.slice(0, 2))} do not match value's ${size(values.slice(0, 2))}`,
      );
    }
  } else if (!sameShape(keys, values)) {
    misfit(`key shape ${size(keys)} does not match value shape ${size(values)}`);
  }
  const [sources, own] = keys as [number, number];
  if (own !== batch && m.staticK === null) {
    misfit(
      `shape '${formatShape([sources, batch * m.numHeads, headDim])}' is invalid for input of size ${sources * own * embedDim}`,
    );
  }
  return { batch, targets, sources, embedDim, headDim };
}

/** The three separate weights, checked. */
export function checkWeights(query: Tensor, key: Tensor, value: Tensor, m: MultiHead): Tensor[] {
  const width = query.shape[2]!;
  const given: [name: string, letter: string, weight: Tensor | null, input: Tensor][] = [
    ["query", "q", m.qProjWeight, query],
    ["key", "k", m.kProjWeight, key],
    ["value", "v", m.vProjWeight, value],
  ];
  for (const [, letter, weight] of given)
    if (weight === null) refuse(`use_separate_proj_weight is True but ${letter}_proj_weight is None`);
  return given.map(([name, , weight, input]) => {
    const expected = [width, input.shape[2]!];
    if (sameShape(weight!.shape, expected)) return weight!;
    return misfit(`expecting ${name} weights shape of ${py(expected)}, but got ${size(weight!.shape)}`);
  });
}

export function checkStatic({ staticK, staticV, numHeads }: MultiHead, { batch, headDim }: Sizes): void {
  const given: [name: string, tensor: Tensor | null][] = [
    ["static_k", staticK],
    ["static_v", staticV],
  ];
  for (const [name, t] of given) {
    if (t === null) continue;
    if (t.shape[0] !== batch * numHeads)
      misfit(`expecting ${name}.size(0) of ${batch * numHeads}, but got ${t.shape[0]}`);
    if (t.shape[2] !== headDim) misfit(`expecting ${name}.size(2) of ${headDim}, but got ${t.shape[2]}`);
  }
}

/**
 * A mask as numbers to add to scores: booleans become −∞ where they are true.
 * @param other the type of the mask it goes with, which should be the same
 */
export function canonicalMask(
  mask: Tensor | null,
  name: string,
  other?: { readonly dtype: DType | undefined; readonly name: string },
): Tensor | null {
  if (mask === null) return null;
  if (mask.dtype === "int64") {
    throw new TensorError("dtype", `only bool and floating types of ${name} are supported`);
  }
  if (other?.dtype !== undefined && other.dtype !== mask.dtype) {
    warnOnce(
      `Support for mismatched ${name} and ${other.name} is deprecated. Use same type for both instead.`,
    );
  }
  return mask.dtype === "bool" ? additive(mask, false) : mask;
}

/** The masks of a call as one bias, for a number of keys. */
export interface Bias {
  readonly causal: boolean;
  of(keys: number): Tensor | null;
}

/** Checks both masks and merges them, when the number of keys is known, into [N or 1, heads or 1, L or 1, S]. */
export function attentionBias(m: MultiHead, { batch, targets, sources }: Sizes): Bias {
  const { numHeads, needWeights } = m;
  const padding = canonicalMask(m.keyPaddingMask, "key_padding_mask", {
    dtype: m.attnMask?.dtype,
    name: "attn_mask",
  });
  if (m.isCausal && m.attnMask === null) {
    refuse(
      "Need attn_mask if specifying the is_causal hint. You may use the Transformer module method `generate_square_subsequent_mask` to create this mask.",
    );
  }
  // The values of a causal mask are known without reading it.
  const causal = m.isCausal && padding === null && !needWeights;
  const given = causal ? null : canonicalMask(m.attnMask, "attn_mask");
  const mask = given === null ? null : attentionMask(given, numHeads, { batch, targets, sources });
  const added = Number(m.biasK !== null) + Number(m.addZeroAttn);
  return {
    causal,
    of(keys) {
      const parts = mask === null ? [] : [mask];
      if (padding !== null) {
        const [n, own] = padding.shape as [number, number];
        if (n !== batch) misfit(`Expected key_padded_mask.shape[0] to be ${batch}, but got ${n}`);
        if (own + added !== keys)
          misfit(`Expected key_padded_mask.shape[1] to be ${keys}, but got ${own + added}`);
        parts.push(apply(reshape, [padding], { shape: [batch, 1, 1, own] }));
      }
      const merged = parts.length === 2 ? apply(add, parts, {}) : parts[0];
      return merged === undefined ? null : widened(merged, added);
    },
  };
}

/** Adds zeros for keys that the layer added, which all places may attend to. */
function widened(bias: Tensor, added: number): Tensor {
  if (added === 0) return bias;
  return apply(pad, [bias], { before: [0, 0, 0, 0], after: [0, 0, 0, added], value: 0 });
}

/** A mask [L, S] or [N · heads, L, S] as one of four dimensions. */
function attentionMask(
  mask: Tensor,
  heads: number,
  { batch, targets, sources }: Omit<Sizes, "embedDim" | "headDim">,
): Tensor {
  const expected = mask.ndim === 2 ? [targets, sources] : [batch * heads, targets, sources];
  if (!sameShape(mask.shape, expected)) {
    misfit(`The shape of the ${mask.ndim}D attn_mask is ${size(mask.shape)}, but should be ${py(expected)}.`);
  }
  const leading = mask.ndim === 2 ? [1, 1] : [batch, heads];
  return apply(reshape, [mask], { shape: [...leading, targets, sources] });
}
