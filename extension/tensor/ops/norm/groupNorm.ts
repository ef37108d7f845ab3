import { apply, applyAll } from "../../recording/apply.ts";
import { attr, scalar, type TfBuilder, type TfRef } from "../../lowering/lowering.ts";
import { reduceNode, reshapeNode, T } from "../../lowering/nodes.ts";
import { ints, TRAINING_ONLY } from "../../lowering/onnx.ts";
import { defineOp, type BatchContext, type Meta, type Op } from "../../recording/op.ts";
import { imagewise } from "../../planning/parts.ts";
import { numel, type Shape } from "../../core/shape.ts";
import { scope } from "../../recording/scope.ts";
import type { Tensor } from "../../core/tensor.ts";
import { call } from "../expressions.ts";
import { channelBiasGrad } from "../spatial/convolution.ts";
import { mul } from "../elementwise/elementwise.ts";
import { reshape } from "../movement/movement.ts";
import { meanOver, sumOver } from "../reduction/sums.ts";
import { groupNormGradOnHost, groupNormOnHost } from "./hostNorms.ts";
import { centered, normalizedGradient } from "./standardized.ts";

export interface GroupNorm {
  readonly groups: number;
  readonly eps: number;
  /** How many of weight and bias are learned: others are ones and zeros. */
  readonly learned: number;
}

const two = (b: TfBuilder, op: string, x: TfRef, y: TfRef): TfRef => b.node(op, [x, y], { T });

const attributesOf = ({ groups, eps }: GroupNorm) => ({ groups: attr.int(groups), epsilon: attr.float(eps) });

/** Sizes of what lies in memory, channels last and divided into groups. */
const divided = ({ shape: [n, c, ...spatial] }: Meta, groups: number): [number, number, number, number] => [
  n!,
  numel(spatial),
  groups,
  c! / groups,
];
const lyingAs = ({ shape: [n, c, ...spatial] }: Meta): Shape => [n!, ...spatial, c!];

/** The dimensions that statistics are taken over, of such sizes. */
const OVER = [1, 3];

/** Samples become groups of channels: see {@link merging}. */
const channelwise =
  (inputs: readonly number[], outputs: readonly number[]) =>
  (c: BatchContext<GroupNorm>): readonly Tensor[] =>
    c
      .applyAll(
        c.inputs.map((_, i) => c.merged(c.whole(i), inputs[i]!)),
        { ...c.attributes, groups: c.attributes.groups * c.size },
      )
      .map((y, i) => c.split(y, outputs[i]!));

/**
 * Groups of channels of each sample normalised by their mean and biased variance, then times `weight` plus `bias` of the
 * channels. Inputs x [N, C, *] of 3 to 5 dimensions, weight, bias; outputs y, and for the gradient the groups' means and
 * 1 / √(variance + ε).
 */
export const groupNorm: Op<GroupNorm> = defineOp<GroupNorm>({
  name: "groupNorm",
  gradName: "NativeGroupNormBackward0",
  layout: { images: [0], output: true },
  batch(c) {
    if (c.batched[1] || c.batched[2]) return channelwise([1, 0, 0], [1, 1, 1])(c);
    const [x, weight, bias] = c.inputs;
    return c.applyAll([c.merged(x!, 0), weight!, bias!]).map((y) => c.split(y, 0));
  },
  infer([x], { groups }) {
    const each: Meta = { shape: [x!.shape[0]!, groups], dtype: "float32" };
    return [x!, each, each];
  },
  gradient({ grad, inputs: [x, weight], outputs: [, mean, root], attributes: a, needs }) {
    if (!scope.gradients) return applyAll(groupNormGrad, [grad, x!, weight!, mean!, root!], a);
    // Gradients that are differentiated again: written out, with statistics that depend on x.
    const { shape } = x!;
    const rows = (t: Tensor): Tensor =>
      apply(reshape, [t], { shape: [shape[0]! * a.groups, t.numel() / shape[0]! / a.groups] });
    const { unit, root: again } = centered(rows(x!), [1], a.eps);
    const along = apply(reshape, [weight!], { shape: shape.map((n, d) => (d === 1 ? n : 1)) });
    const scaled = rows(call(mul, grad, along));
    const inner = (t: Tensor): Tensor => apply(reshape, [t], { shape });
    return [
      needs[0] ? inner(normalizedGradient(scaled, unit, again, [1])) : null,
      needs[1] ? call(channelBiasGrad, call(mul, grad, inner(unit))) : null,
      needs[2] ? call(channelBiasGrad, grad) : null,
    ];
  },
  onnx(b, [x, weight, bias], { groups, eps }, { inputs: [images] }) {
    const { shape } = images!;
    const ones = b.constant(new Float32Array(groups).fill(1), [groups], "float32");
    const zeros = b.constant(new Float32Array(groups), [groups], "float32");
    const rows = b.node("Reshape", [x!, ints(b, [0, groups, -1])]);
    const unit = b.node("InstanceNormalization", [rows, ones, zeros], { epsilon: attr.float(eps) });
    const along = (t: typeof unit): typeof unit =>
      b.node("Unsqueeze", [
        t,
        ints(
          b,
          shape.slice(2).map((_, d) => d + 1),
        ),
      ]);
    const whole = b.node("Reshape", [unit, b.sizes(shape)]);
    return [b.node("Add", [b.node("Mul", [whole, along(weight!)]), along(bias!)])];
  },
  tensorflow(b, [x, weight, bias], a, { inputs: [images] }) {
    if (b.exact === true) return b.nodes("GroupNorm", [x!, weight!, bias!], attributesOf(a), 3);
    const sizes = divided(images!, a.groups);
    const [n, , groups, each] = sizes;
    const parts = reshapeNode(b, x!, sizes);
    const mean = meanOver(b, parts, sizes, OVER, true);
    const distance = two(b, "Sub", parts, mean);
    const variance = meanOver(b, b.node("Square", [distance], { T }), sizes, OVER, true);
    const root = b.node("Rsqrt", [two(b, "AddV2", variance, scalar(b, a.eps, "float32"))], { T });
    const scaled = two(b, "Mul", two(b, "Mul", distance, root), reshapeNode(b, weight!, [groups, each]));
    const y = two(b, "AddV2", scaled, reshapeNode(b, bias!, [groups, each]));
    const flat = (t: TfRef): TfRef => reshapeNode(b, t, [n, groups]);
    return [reshapeNode(b, y, lyingAs(images!)), flat(mean), flat(root)];
  },
  tfjs: (k, [x, weight, bias], { groups, eps }) => groupNormOnHost(k, [x!, weight!, bias!], groups, eps),
  cost: ({ inputs }, { learned }) => learned * numel(inputs[0]!.shape),
  parts: imagewise([0], ["images", "images", "images"]),
});

/**
 * Gradient of {@link groupNorm}: inputs the gradient of y, x, weight, the groups' means and 1 / √(variance + ε); outputs
 * the gradients of x, weight and bias.
 */
export const groupNormGrad: Op<GroupNorm> = defineOp<GroupNorm>({
  name: "groupNormGrad",
  layout: { images: [0, 1], output: true },
  batch: channelwise([1, 1, 0, 1, 1], [1, 0, 0]),
  infer: ([, x, weight]) => [x!, weight!, weight!],
  gradient: { none: "gradients that are to be differentiated again are made of simpler ops" },
  onnx: TRAINING_ONLY,
  tensorflow(b, [g, x, weight, mean, root], a, { inputs: [images] }) {
    if (b.exact === true) {
      const inputs = [g!, x!, weight!, mean!, root!];
      const [xGrad, weights, biases] = b.nodes("GroupNormGrad", inputs, attributesOf(a), 3);
      return [xGrad!, reduceNode(b, "Sum", weights!, [0]), reduceNode(b, "Sum", biases!, [0])];
    }
    const sizes = divided(images!, a.groups);
    const [n, , groups, each] = sizes;
    const [onto, parts] = [reshapeNode(b, g!, sizes), reshapeNode(b, x!, sizes)];
    const alone = (t: TfRef): TfRef => reshapeNode(b, t, [n, 1, groups, 1]);
    const unit = two(b, "Mul", two(b, "Sub", parts, alone(mean!)), alone(root!));
    const scaled = two(b, "Mul", onto, reshapeNode(b, weight!, [groups, each]));
    const along = two(b, "Mul", unit, meanOver(b, two(b, "Mul", scaled, unit), sizes, OVER, true));
    const rest = two(b, "Sub", two(b, "Sub", scaled, meanOver(b, scaled, sizes, OVER, true)), along);
    const xGrad = reshapeNode(b, two(b, "Mul", rest, alone(root!)), lyingAs(images!));
    const total = (t: TfRef): TfRef => reshapeNode(b, sumOver(b, t, sizes, [0, 1]), [groups * each]);
    return [xGrad, total(two(b, "Mul", onto, unit)), total(onto)];
  },
  tfjs: (k, inputs, { groups }) => groupNormGradOnHost(k, inputs, groups),
  cost: ({ inputs }, { learned }) => learned * numel(inputs[0]!.shape),
  parts: imagewise([0, 1, 3, 4], ["images", "sum", "sum"]),
});
