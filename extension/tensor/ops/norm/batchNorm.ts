import { apply, applyAll } from "../../recording/apply.ts";
import { attr, vector, type TfAttribute, type TfBuilder, type TfRef } from "../../lowering/lowering.ts";
import { INDEX, reshapeNode, T } from "../../lowering/nodes.ts";
import { ints, number, TRAINING_ONLY, type OnnxRef } from "../../lowering/onnx.ts";
import { merging } from "../../recording/batchRules.ts";
import type { ShardWriter, SummedRule } from "../../recording/nodeOp.ts";
import { defineOp, type Meta, type Op } from "../../recording/op.ts";
import type { Cut } from "../../planning/parts.ts";
import { numel, range } from "../../core/shape.ts";
import { scope } from "../../recording/scope.ts";
import type { Tensor } from "../../core/tensor.ts";
import { call, constant } from "../expressions.ts";
import { channelBiasGrad } from "../spatial/convolution.ts";
import { add, mul, rsqrt, sub } from "../elementwise/elementwise.ts";
import { reshape } from "../movement/movement.ts";
import { batchNormGradOnHost, batchNormOnHost } from "./hostNorms.ts";
import { centered, normalizedGradient } from "./standardized.ts";
import { mean as meanOp } from "../reduction/reduction.ts";
import { columnSum, meanOver } from "../reduction/sums.ts";

export interface BatchNorm {
  readonly eps: number;
}

/** Number of a channel's gradients from which on their mean is subtracted first. */
const MANY = 2 ** 14;
/** All dimensions but the channels. */
const others = (rank: number): number[] => range(rank).filter((d) => d !== 1);

const channelsOf = (x: Meta): Meta => ({ shape: [x.shape[1]!], dtype: "float32" });
/** Reshapes a value per channel, so that it broadcasts against images (or volumes) `x` in their memory layout. */
const perChannel = (t: Tensor, x: Tensor): Tensor =>
  apply(reshape, [t], { shape: x.shape.map((_, d) => (d === 1 ? t.shape[0]! : 1)) });

function attributes({ eps }: BatchNorm, training: boolean): Record<string, TfAttribute> {
  return {
    T,
    U: T,
    epsilon: attr.float(eps),
    data_format: attr.string("NHWC"),
    is_training: attr.bool(training),
  };
}

/** Forward attributes: with this factor, the kernel returns the batch's own statistics. */
const forward = (a: BatchNorm, training: boolean): Record<string, TfAttribute> => ({
  ...attributes(a, training),
  exponential_avg_factor: attr.float(1),
});

/** The shape in memory: channels last. */
const lyingAs = ({ shape: [n, c, ...spatial] }: Meta): number[] => [n!, ...spatial, c!];

/** Reshapes volumes in memory to higher images, since the kernels take images only. */
function asImages(b: TfBuilder, x: TfRef, { shape: [n, c, ...spatial] }: Meta): TfRef {
  if (spatial.length === 2) return x;
  const [depth, height, width] = spatial as [number, number, number];
  return reshapeNode(b, x, [n!, depth * height, width, c!]);
}

/** The kernel's result in its memory layout. */
function asGiven(b: TfBuilder, y: TfRef, { shape: [n, c, ...spatial] }: Meta): TfRef {
  return spatial.length === 2 ? y : reshapeNode(b, y, [n!, ...spatial, c!]);
}

/** The same without the fused kernel. */
function spelledOut(
  b: TfBuilder,
  [x, weight, bias]: readonly [TfRef, TfRef, TfRef],
  { eps }: BatchNorm,
  { shape }: Meta,
): TfRef[] {
  const two = (op: string, u: TfRef, v: TfRef): TfRef => b.node(op, [u, v], { T });
  const dims = vector(b, range(shape.length - 1));
  const average = (t: TfRef): TfRef =>
    b.node("Mean", [t, dims], { T, Tidx: INDEX, keep_dims: attr.bool(false) });
  const mean = average(x);
  const distance = two("Sub", x, mean);
  const variance = average(b.node("Square", [distance], { T }));
  const root = b.node("Rsqrt", [two("AddV2", variance, b.constant([eps], [], "float32"))], { T });
  return [two("AddV2", two("Mul", distance, two("Mul", weight, root)), bias), mean, variance];
}

/** Mean and biased variance of each channel, which comes last. */
function moments(b: TfBuilder, x: TfRef, sizes: readonly number[]): [mean: TfRef, variance: TfRef] {
  if (b.exact === true) return b.nodes("ChannelMoments", [x], {}, 2) as [TfRef, TfRef];
  const average = (t: TfRef): TfRef => meanOver(b, t, sizes, range(sizes.length - 1));
  const mean = average(x);
  return [mean, average(b.node("SquaredDifference", [x, mean], { T }))];
}

/** One gradient kernel serves both ops; the last input is of the GPU alone. */
const reserved = (b: TfBuilder): TfRef => b.constant([0], [1], "float32");

/** Returns the cut of the first inputs, if it is along the batch and weights and statistics are whole. */
const alongBatch = (cuts: readonly (Cut | undefined)[], images: number): Cut | undefined => {
  const cut = cuts.find((c) => c !== undefined);
  const fits = cut?.dim === 0 && cut.outer === 1 && cuts.slice(images).every((c) => c === undefined);
  return fits ? cut : undefined;
};

/** {@link batchNorm} of one process's images, with the statistics of all. */
function normalizedAcross(cuts: readonly (Cut | undefined)[], { eps }: BatchNorm): SummedRule | undefined {
  const cut = alongBatch(cuts, 1);
  return (
    cut && {
      inputs: [cut, undefined, undefined],
      write<V extends Meta>(w: ShardWriter<V>, [x, weight, bias]: readonly V[]) {
        const { shape } = x!;
        const dims = others(shape.length);
        const mean = (of: V): V => {
          const own = w.make(meanOp, [of], { dims, keepdim: false });
          return w.sums([w.make(mul, [own, w.constant(1 / w.size)], {})])[0]!;
        };
        const average = mean(x!);
        const wide = shape.map((_, d) => (d === 1 ? shape[1]! : 1));
        const distance = w.make(sub, [x!, w.make(reshape, [average], { shape: wide })], {});
        const variance = mean(w.make(mul, [distance, distance], {}));
        const shard = w.make(fixedBatchNorm, [x!, weight!, bias!, average, variance], { eps });
        return [{ shard, cut }, { whole: average }, { whole: variance }];
      },
    }
  );
}

/** {@link batchNormGrad} of one process's images. */
function gradientAcross(cuts: readonly (Cut | undefined)[], { eps }: BatchNorm): SummedRule | undefined {
  const cut = alongBatch(cuts, 2);
  return (
    cut && {
      inputs: [cut, cut, undefined, undefined, undefined],
      write<V extends Meta>(w: ShardWriter<V>, [g, x, weight, mean, variance]: readonly V[]) {
        const { shape } = x!;
        const count = (w.size * numel(shape)) / shape[1]!;
        const wide = (of: V): V =>
          w.make(reshape, [of], { shape: shape.map((_, d) => (d === 1 ? shape[1]! : 1)) });
        const root = w.make(rsqrt, [w.make(add, [variance!, w.constant(eps)], {})], {});
        const unit = w.make(mul, [w.make(sub, [x!, wide(mean!)], {}), wide(root)], {});
        const own = [w.make(mul, [g!, unit], {}), g!].map((of) => w.make(channelBiasGrad, [of], {}));
        const [onWeight, onBias] = w.sums(own) as [V, V];
        const share = (of: V): V => wide(w.make(mul, [of, w.constant(1 / count)], {}));
        const rest = w.make(sub, [g!, share(onBias)], {});
        const centred = w.make(sub, [rest, w.make(mul, [unit, share(onWeight)], {})], {});
        const shard = w.make(mul, [centred, wide(w.make(mul, [weight!, root], {}))], {});
        return [{ shard, cut }, { whole: onWeight }, { whole: onBias }];
      },
    }
  );
}

/**
 * Images or volumes normalised by the mean and the biased variance of each channel, then times `weight` plus `bias`. Inputs x,
 * weight, bias; outputs y, mean and biased variance. The statistics are for running averages: no gradient passes them.
 */
export const batchNorm: Op<BatchNorm> = defineOp<BatchNorm>({
  name: "batchNorm",
  gradName: "NativeBatchNormBackward0",
  layout: { images: [0], output: true },
  infer: ([x]) => [x!, channelsOf(x!), channelsOf(x!)],
  gradient({ grad, inputs: [x, weight], outputs: [, mean, variance], attributes: a, needs }) {
    if (!scope.gradients) return applyAll(batchNormGrad, [grad, x!, weight!, mean!, variance!], a);
    // Gradients that are differentiated again: written out, with statistics that depend on x.
    const dims = others(x!.ndim);
    const { unit, root } = centered(x!, dims, a.eps);
    const scaled = call(mul, grad, perChannel(weight!, x!));
    return [
      needs[0] ? normalizedGradient(scaled, unit, root, dims) : null,
      needs[1] ? call(channelBiasGrad, call(mul, grad, unit)) : null,
      needs[2] ? call(channelBiasGrad, grad) : null,
    ];
  },
  batch: merging([1, 0, 0], [1, 0, 0]),
  onnx(b, [x, weight, bias], { eps }, { inputs }) {
    const rank = inputs[0]!.shape.length;
    const average = (t: OnnxRef): OnnxRef => b.node("ReduceMean", [t], { axes: attr.ints(others(rank)) });
    const along = (t: OnnxRef): OnnxRef => b.node("Unsqueeze", [t, ints(b, range(rank - 1).slice(1))]);
    const distance = b.node("Sub", [x!, average(x!)]);
    const variance = average(b.node("Mul", [distance, distance]));
    const unit = b.node("Div", [distance, b.node("Sqrt", [b.node("Add", [variance, number(b, eps)])])]);
    // The statistics are for running averages, which only training updates.
    return [b.node("Add", [b.node("Mul", [unit, along(weight!)]), along(bias!)])];
  },
  tensorflow(b, [x, weight, bias], a, { inputs: [images] }) {
    if (b.portable === true) return spelledOut(b, [x!, weight!, bias!], a, images!);
    // The kernel's own statistics are sums in float32, one value after the other.
    const [mean, variance] = moments(b, x!, lyingAs(images!));
    const inputs = [asImages(b, x!, images!), weight!, bias!, mean, variance];
    const y = b.nodes("FusedBatchNormV3", inputs, forward(a, false), 6)[0]!;
    return [asGiven(b, y, images!), mean, variance];
  },
  tfjs: (k, [x, weight, bias], { eps }) => batchNormOnHost(k, [x!, weight!, bias!], eps),
  acrossProcesses: normalizedAcross,
  cost: ({ inputs }) => 2 * numel(inputs[0]!.shape),
});

/**
 * Gradient of {@link batchNorm}: inputs the gradient of y, x, weight, mean and biased variance; outputs the gradients of
 * x, weight and bias.
 */
export const batchNormGrad: Op<BatchNorm> = defineOp<BatchNorm>({
  name: "batchNormGrad",
  layout: { images: [0, 1], output: true },
  infer: ([, x, weight]) => [x!, weight!, weight!],
  gradient: { none: "gradients that are to be differentiated again are made of simpler ops" },
  batch: merging([1, 1, 0, 0, 0], [1, 0, 0]),
  onnx: TRAINING_ONLY,
  tensorflow(b, [g, x, weight, mean, variance], a, { inputs: [images] }) {
    const kernel = (grad: TfRef): TfRef[] => {
      const [onto, from] = [asImages(b, grad, images!), asImages(b, x!, images!)];
      const inputs = [onto, from, weight!, mean!, variance!, reserved(b)];
      const [xGrad, ...others] = b.nodes("FusedBatchNormGradV3", inputs, attributes(a, true), 5);
      return [asGiven(b, xGrad!, images!), others[0]!, others[1]!];
    };
    if (b.exact === true) return kernel(g!);
    const total = columnSum(b, g!, lyingAs(images!));
    const count = numel(images!.shape) / images!.shape[1]!;
    // The kernel sums gradients one by one. Only their distances from the mean matter to it, and their sum stays small.
    const centre = (): TfRef => b.node("RealDiv", [total, b.constant([count], [], "float32")], { T });
    const [xGrad, weightGrad] = kernel(count > MANY ? b.node("Sub", [g!, centre()], { T }) : g!);
    return [xGrad!, weightGrad!, total];
  },
  tfjs: (k, inputs, { eps }) => batchNormGradOnHost(k, inputs, eps),
  acrossProcesses: gradientAcross,
  cost: ({ inputs }) => 2 * numel(inputs[0]!.shape),
});

/**
 * Images or volumes normalised by given statistics: inputs x, weight, bias, mean, variance. Only the first three have
 * gradients: the statistics are not learned.
 */
export const fixedBatchNorm: Op<BatchNorm> = defineOp<BatchNorm>({
  name: "fixedBatchNorm",
  gradName: "NativeBatchNormBackward0",
  layout: { images: [0], output: true },
  infer: ([x]) => x!,
  gradient({ grad, inputs: [x, weight, , mean, variance], attributes: { eps }, needs }) {
    const root = call(rsqrt, call(add, variance!, constant(eps)));
    const unit = (): Tensor => call(mul, call(sub, x!, perChannel(mean!, x!)), perChannel(root, x!));
    return [
      needs[0] ? call(mul, grad, perChannel(call(mul, weight!, root), x!)) : null,
      needs[1] ? call(channelBiasGrad, call(mul, grad, unit())) : null,
      needs[2] ? call(channelBiasGrad, grad) : null,
      null,
      null,
    ];
  },
  batch(c) {
    if (c.batched.slice(1).some(Boolean)) return merging([1, 0, 0, 0, 0], [1])(c);
    const [x, ...given] = c.inputs;
    return c.split(c.apply([c.merged(x!, 0), ...given]), 0);
  },
  onnx: (b, inputs, { eps }) => b.node("BatchNormalization", inputs, { epsilon: attr.float(eps) }),
  tensorflow(b, [x, ...rest], a, { inputs: [images] }) {
    const inputs = [asImages(b, x!, images!), ...rest];
    return asGiven(b, b.nodes("FusedBatchNormV3", inputs, forward(a, false), 6)[0]!, images!);
  },
  tfjs(k, [x, weight, bias, mean, variance], { eps }) {
    const scale = k.mul(weight!, k.rsqrt(k.add(variance!, eps)));
    return k.add(k.mul(k.sub(x!, mean!), scale), bias!);
  },
  cost: ({ inputs }) => 2 * numel(inputs[0]!.shape),
});
