import { apply, applyAll } from "../../recording/apply.ts";
import { attr, scalar, type TfBuilder, type TfRef } from "../../lowering/lowering.ts";
import { productNode, reduceNode, reshapeNode, T } from "../../lowering/nodes.ts";
import { TRAINING_ONLY } from "../../lowering/onnx.ts";
import { defineOp, type BatchContext, type Op } from "../../recording/op.ts";
import { rowwise } from "../../planning/parts.ts";
import { numel, range, type Shape } from "../../core/shape.ts";
import type { Tensor } from "../../core/tensor.ts";
import { scope } from "../../recording/scope.ts";
import { biasGrad } from "../matrix/matmul.ts";
import { add, mul } from "../elementwise/elementwise.ts";
import { sum } from "../movement/movement.ts";
import { layerNormGradOnHost, layerNormOnHost } from "./hostNorms.ts";
import { columnSum, meanOver } from "../reduction/sums.ts";
import { centered, normalizedGradient } from "./standardized.ts";
import { call } from "../expressions.ts";

const two = (b: TfBuilder, op: string, x: TfRef, y: TfRef): TfRef => b.node(op, [x, y], { T });
/** Mean over the last dimension, which stays as 1. */
const rowMean = (b: TfBuilder, x: TfRef, shape: Shape): TfRef =>
  meanOver(b, x, shape, [shape.length - 1], true);

/**
 * The last dimension normalised by its mean and biased variance. Inputs x and, where there are, the weight it is
 * multiplied with and the bias it is added to, of that dimension's length. Outputs y, the normalised x, and
 * 1 / √(variance + ε): the latter two are for the gradient.
 */
export const layerNorm: Op<{ eps: number }> = defineOp<{ eps: number }>({
  name: "layerNorm",
  gradName: "NativeLayerNormBackward0",
  infer: ([x]) => [x!, x!, { shape: [...x!.shape.slice(0, -1), 1], dtype: "float32" }],
  gradient({ grad, inputs: [x, weight, bias], outputs: [, unit, root], attributes: { eps }, needs }) {
    const weights = weight === undefined ? [] : [weight];
    const biases = bias === undefined ? [] : [needs[2] ? call(biasGrad, grad) : null];
    if (!scope.gradients) {
      return [...applyAll(layerNormGrad, [grad, unit!, root!, ...weights], {}), ...biases];
    }
    // Gradients that are differentiated again: written out, with statistics that depend on x.
    const last = [x!.ndim - 1];
    const again = centered(x!, last, eps);
    const scaled = weight === undefined ? grad : call(mul, grad, weight);
    return [
      needs[0] ? normalizedGradient(scaled, again.unit, again.root, last) : null,
      ...weights.map(() => (needs[1] ? call(biasGrad, call(mul, grad, again.unit)) : null)),
      ...biases,
    ];
  },
  batch(c) {
    const [, weight, bias] = c.inputs;
    const rows = c.whole(0);
    if (!c.batched[1] && !c.batched[2]) return c.applyAll([rows, ...c.inputs.slice(1)]);
    const [y, ...statistics] = c.applyAll([rows]);
    const rank = rows.ndim - 1;
    const scaled = weight === undefined ? y! : call(mul, y!, c.aligned(1, rank));
    return [bias === undefined ? scaled : call(add, scaled, c.aligned(2, rank)), ...statistics];
  },
  onnx(b, [x, weight, bias], { eps }, { inputs }) {
    const width = inputs[0]!.shape.at(-1)!;
    const scale = weight ?? b.constant(new Float32Array(width).fill(1), [width], "float32");
    const attributes = { axis: attr.int(-1), epsilon: attr.float(eps) };
    return [b.node("LayerNormalization", [x!, scale, bias ?? null], attributes)];
  },
  tensorflow(b, [x, weight, bias], { eps }, { inputs: [input] }) {
    if (b.exact === true) {
      const given = [weight, bias].filter((one) => one !== undefined);
      return b.nodes("LayerNorm", [x!, ...given], { epsilon: attr.float(eps) }, 3);
    }
    const { shape } = input!;
    const distance = two(b, "Sub", x!, rowMean(b, x!, shape));
    const variance = rowMean(b, b.node("Square", [distance], { T }), shape);
    const root = b.node("Rsqrt", [two(b, "AddV2", variance, scalar(b, eps, "float32"))], { T });
    const unit = two(b, "Mul", distance, root);
    const scaled = weight === undefined ? unit : two(b, "Mul", unit, weight);
    const y =
      bias === undefined
        ? scaled
        : b.node("BiasAdd", [scaled, bias], { T, data_format: attr.string("NHWC") });
    return [y, unit, root];
  },
  tfjs: (k, [x, weight, bias], { eps }) => layerNormOnHost(k, x!, weight, bias, eps),
  cost: ({ inputs }) => (inputs.length - 1) * numel(inputs[0]!.shape),
  parts: rowwise(1),
});

/**
 * Gradient of {@link layerNorm}: inputs the gradient of y, the normalised x, 1 / √(variance + ε) and the weight if there
 * is one; outputs the gradients of x and the weight.
 */
export const layerNormGrad: Op<object> = defineOp<object>({
  name: "layerNormGrad",
  infer: ([g, , , weight]) => (weight === undefined ? [g!] : [g!, weight]),
  gradient: { none: "gradients that are to be differentiated again are made of simpler ops" },
  batch: gradientsOfRows,
  onnx: TRAINING_ONLY,
  tensorflow(b, inputs, _, signature) {
    const { shape } = signature.inputs[0]!;
    if (b.exact === true) {
      const [xGrad, weights] = b.nodes("LayerNormGrad", inputs, {}, 2);
      return inputs.length < 4 ? [xGrad!] : [xGrad!, reduceNode(b, "Sum", weights!, [0])];
    }
    const width = shape[shape.length - 1]!;
    const rows = numel(shape) / width;
    const flat = shape.length === 2;
    const matrix = (x: TfRef, columns: number): TfRef => (flat ? x : reshapeNode(b, x, [rows, columns]));
    const [g, unit, root] = [matrix(inputs[0]!, width), matrix(inputs[1]!, width), matrix(inputs[2]!, 1)];
    const weight = inputs[3];
    const product = two(b, "Mul", g, unit);
    // Means of rows times the weight are products with the weight: no row is written for them.
    const average = (x: TfRef): TfRef => {
      if (weight === undefined) return rowMean(b, x, [rows, width]);
      const share = two(b, "Mul", weight, scalar(b, 1 / width, "float32"));
      return productNode(b, x, reshapeNode(b, share, [width, 1]));
    };
    const scaled = weight === undefined ? g : two(b, "Mul", g, weight);
    const along = two(b, "Mul", unit, average(product));
    const rest = two(b, "Sub", two(b, "Sub", scaled, average(g)), along);
    const xGrad = two(b, "Mul", rest, root);
    const whole = flat ? xGrad : reshapeNode(b, xGrad, shape);
    if (weight === undefined) return [whole];
    return [whole, columnSum(b, product, [rows, width])];
  },
  tfjs: (k, inputs) => layerNormGradOnHost(k, inputs),
  cost: ({ inputs }) => (inputs.length - 2) * numel(inputs[0]!.shape),
  parts: rowwise(3, "rows", "sum"),
});

/** The gradient of the weight is a sum over the rows of each sample. */
function gradientsOfRows(c: BatchContext<object>): Tensor[] {
  const [g, unit, root] = [c.whole(0), c.whole(1), c.whole(2)];
  const weight = c.inputs[3];
  if (weight === undefined) return c.applyAll([g, unit, root]);
  const rank = g.ndim - 1;
  const [x] = c.applyAll([call(mul, g, c.aligned(3, rank)), unit, root]);
  const product = call(mul, g, unit);
  const dims = range(rank).slice(1);
  return [x!, dims.length === 0 ? product : apply(sum, [product], { dims, keepdim: false })];
}
