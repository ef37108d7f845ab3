import type { Signature } from "../core/meta.ts";
import { numel, type Shape } from "../core/shape.ts";

// An op over a batch is the same op over each of its parts, in parallel: each op of the table defines how, if it can.

/** Where a tensor is cut into equal parts: along a dimension, in each of `outer` equal blocks of that dimension. */
export interface Cut {
  readonly dim: number;
  readonly outer: number;
}

/** Output of an op that runs in parts: the output's parts, or terms whose sum or mean is the output. */
export type PartOutput = Cut | "sum" | "mean";

/** An op over each part. */
export interface Parts {
  /** How each input is cut; undefined for those that every part sees whole. */
  readonly inputs: readonly (Cut | undefined)[];
  readonly outputs: readonly PartOutput[];
  /** Attributes for one part, where they differ. */
  readonly attributes?: object;
}

/**
 * @param cuts how the inputs are cut; at least one is
 * @returns undefined where the op needs its inputs whole
 */
export type PartRule<A> = (
  cuts: readonly (Cut | undefined)[],
  signature: Signature,
  attributes: A,
  parts: number,
) => Parts | undefined;

/** The shape of one part. */
export const partOf = (shape: Shape, { dim }: Cut, parts: number): Shape =>
  shape.map((n, d) => (d === dim ? n / parts : n));

/** Whether every part has the same shape. */
export const divides = (shape: Shape, { dim, outer }: Cut, parts: number): boolean =>
  dim < shape.length && shape[dim]! % (outer * parts) === 0;

const first = (cuts: readonly (Cut | undefined)[]): Cut => cuts.find((c) => c !== undefined)!;

/** Element by element, broadcast: inputs that have the dimension are cut, the others are the same for all parts. */
export const elementwise: PartRule<object> = (cuts, { inputs, outputs }) => {
  const at = cuts.findIndex((c) => c !== undefined);
  const { shape } = outputs[0]!;
  const cut = { ...cuts[at]!, dim: cuts[at]!.dim + shape.length - inputs[at]!.shape.length };
  const own = inputs.map((m): Cut | undefined => {
    const dim = cut.dim - shape.length + m.shape.length;
    return dim < 0 || m.shape[dim] === 1 ? undefined : { ...cut, dim };
  });
  return { inputs: own, outputs: outputs.map(() => cut) };
};

/**
 * Row by row of the last dimension: the first `count` inputs are cut, the rest (weights) are whole. Outputs are cut
 * like the inputs, or are sums where `outputs` says so.
 */
export const rowwise =
  (count: number, ...outputs: ("rows" | "sum")[]): PartRule<object> =>
  (cuts, signature) => {
    const cut = first(cuts);
    if (cuts.slice(count).some((c) => c !== undefined)) return undefined;
    const { inputs } = signature;
    if (inputs.slice(0, count).some((m) => cut.dim >= m.shape.length - 1)) return undefined;
    return {
      inputs: inputs.map((_, i) => (i < count ? cut : undefined)),
      outputs: signature.outputs.map((_, i) => (outputs[i] === "sum" ? "sum" : cut)),
    };
  };

/** Image by image: dimension 0 of the inputs named is the batch; the rest are whole. */
export const imagewise =
  <A extends object>(
    images: readonly number[],
    output: "images" | "sum" | readonly ("images" | "sum")[],
    part?: (attributes: A, cut: Cut, parts: number) => A,
  ): PartRule<A> =>
  (cuts, { inputs }, attributes, parts) => {
    const cut = first(cuts);
    if (cut.dim !== 0 || cuts.some((c, i) => c !== undefined && !images.includes(i))) return undefined;
    return {
      inputs: inputs.map((_, i) => (images.includes(i) ? cut : undefined)),
      outputs: [output].flat().map((one) => (one === "sum" ? "sum" : cut)),
      ...(part === undefined ? {} : { attributes: part(attributes, cut, parts) }),
    };
  };

/** The cut in a tensor of another shape with the same elements in the same order. */
export function reshaped(from: Shape, cut: Cut, to: Shape, parts: number): Cut | undefined {
  // Blocks before the cut, whatever the shape.
  const blocks = numel(from.slice(0, cut.dim)) * cut.outer;
  let before = 1;
  for (let dim = 0; dim < to.length; before *= to[dim++]!) {
    if (blocks % before !== 0) return undefined;
    const found = { dim, outer: blocks / before };
    if (to[dim]! > 1 && divides(to, found, parts)) return found;
  }
  return undefined;
}

/** A reduction over `dims`: over the cut dimension, the parts' results add up (or average) to the result. */
export const reducing =
  (whole: "sum" | "mean") =>
  (
    cuts: readonly (Cut | undefined)[],
    _: Signature,
    { dims, keepdim }: { readonly dims: readonly number[]; readonly keepdim: boolean },
  ): Parts => {
    const cut = first(cuts);
    if (dims.includes(cut.dim)) return { inputs: cuts, outputs: [whole] };
    const dim = keepdim ? cut.dim : cut.dim - dims.filter((d) => d < cut.dim).length;
    return { inputs: cuts, outputs: [{ ...cut, dim }] };
  };
