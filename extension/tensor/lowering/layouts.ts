// How ops whose attributes name dimensions work on images with their channels last.
import type { Along } from "../recording/nodeOp.ts";
import type { Signature } from "../core/meta.ts";
import type { Shape } from "../core/shape.ts";

type Changed = ReturnType<Along<object>["along"]>;

/** Values of dimensions in another order of these. */
export const reordered = <T>(values: readonly T[], order: readonly number[]): T[] =>
  order.map((d) => values[d]!);

/** Attributes of an op along a dimension `dim`, whose output has the same dimensions in the same order. */
export const alongDim = (attributes: { readonly dim: number }, order: readonly number[]): Changed => ({
  attributes: { ...attributes, dim: order.indexOf(attributes.dim) },
  images: true,
});

/** Attributes of a reduction. */
export function reducedAlong(
  attributes: { readonly dims: readonly number[]; readonly keepdim: boolean },
  order: readonly number[],
): Changed {
  const { dims, keepdim } = attributes;
  const [samples, channels] = [dims.includes(0), dims.includes(1)];
  // Without samples, channels would have to come first.
  if (!keepdim && samples && !channels && order.length - dims.length > 1) return undefined;
  return {
    attributes: { ...attributes, dims: dims.map((d) => order.indexOf(d)).sort((a, b) => a - b) },
    images: keepdim || (!samples && !channels),
  };
}

/** Attributes of a change of shape that leaves samples and channels as they are. */
export function reshapedAlong(
  { shape }: { readonly shape: Shape },
  _: readonly number[],
  { inputs: [x] }: Signature,
): Changed {
  const [n, c, ...spatial] = shape;
  if (shape.length < 3 || shape.length > 5 || n !== x!.shape[0] || c !== x!.shape[1]) return undefined;
  return { attributes: { shape: [n!, ...spatial, c!] }, images: true };
}
