// Declares ops that work element by element, as records of their differences.
import { filled } from "../../core/dtype.ts";
import type * as tfjs from "@tensorflow/tfjs-core";
import type { DType } from "../../core/dtype.ts";
import { broadcastShapes, numel } from "../../core/shape.ts";
import { attr, type TfBuilder, type TfRef } from "../../lowering/lowering.ts";
import { broadcasting } from "../../recording/batchRules.ts";
import { binaryLoop, unaryLoop } from "../../planning/plain.ts";
import {
  defineOp,
  type BatchRule,
  type GradientRule,
  type Meta,
  type NoOnnx,
  type OnnxRule,
  type Op,
  type Signature,
  type Tfjs,
} from "../../recording/op.ts";

/** An op of one tensor, or of two of one type, which broadcast. */
export interface Elementwise {
  readonly name: string;
  readonly gradName?: string;
  /** The output's type; by default the inputs'. */
  readonly dtype?: DType;
  /** The gradients of the inputs in terms of other ops, or the reason why there are none. */
  readonly gradient: GradientRule<object> | { readonly none: string };
  /** The name of TensorFlow's op, or a function that writes several nodes. */
  readonly tensorflow: string | ((b: TfBuilder, inputs: readonly TfRef[], signature: Signature) => TfRef);
  /** The name of ONNX's op (by default TensorFlow's), a function that writes nodes, or the reason why there are none. */
  readonly onnx?: string | OnnxRule<object> | NoOnnx;
  /** tfjs's kernels; by default the one with the op's name. */
  readonly tfjs?: (k: Tfjs, x: tfjs.Tensor, y: tfjs.Tensor) => tfjs.Tensor;
  /** The value of one element, where a loop may compute the op. */
  readonly plain?: (x: number, y: number) => number;
  readonly saves?: Op<object>["saves"];
  /** Default: the rule of kernels that broadcast. */
  readonly batch?: BatchRule<object>;
}

/** Adds an op that works element by element to the table. */
export function elementwise({
  name,
  gradName,
  dtype,
  gradient,
  tensorflow,
  onnx = tensorflow as string,
  tfjs = (k, x, y) => (k as unknown as Record<string, typeof k.add>)[name]!(x, y),
  plain,
  saves,
  batch = broadcasting,
}: Elementwise): Op<object> {
  return defineOp({
    name,
    ...(gradName === undefined ? {} : { gradName }),
    ...(saves === undefined ? {} : { saves }),
    layout: "elementwise",
    infer: ([x, y]) => ({
      shape: y === undefined ? x!.shape : broadcastShapes(x!.shape, y.shape),
      dtype: dtype ?? x!.dtype,
    }),
    gradient,
    batch,
    onnx: typeof onnx === "string" ? (b, inputs) => b.node(onnx, inputs) : onnx,
    tensorflow: (b, inputs, _, signature) =>
      typeof tensorflow === "string"
        ? b.node(tensorflow, inputs, { T: attr.type(signature.inputs[0]!.dtype) })
        : tensorflow(b, inputs, signature),
    tfjs: (k, [x, y]) => tfjs(k, x!, y!),
    ...(plain === undefined ? {} : { plain: loopOf(plain) }),
  });
}

function loopOf(value: (x: number, y: number) => number): NonNullable<Op<object>["plain"]> {
  const [ofOne, ofTwo] = [unaryLoop(value as (x: number) => number), binaryLoop(value)];
  return (signature, attributes) => (signature.inputs.length === 1 ? ofOne : ofTwo)(signature, attributes);
}

/** Adds a comparison to the table. */
export const comparison = (record: Omit<Elementwise, "dtype" | "gradient">): Op<object> =>
  elementwise({ ...record, dtype: "bool", gradient: { none: "it is constant almost everywhere" } });

/** Adds an op of truth values to the table: TensorFlow's kernels of these have no type. */
export const logical = (name: string, tensorflow: string, onnx: string): Op<object> =>
  comparison({ name, tensorflow: (b, inputs) => b.node(tensorflow, inputs, {}), onnx });

/** Applies a function to each float, where tfjs has no kernel or one that is wrong by thousands of ulps. */
export function mapped(k: Tfjs, x: tfjs.Tensor, value: (x: number) => number): tfjs.Tensor {
  const data = x.dataSync<"float32">();
  return k.tensor(
    filled(new Float32Array(data.length), (i) => value(data[i]!)),
    x.shape,
    "float32",
  );
}

/** Like {@link mapped}, for pairs of numbers; shapes broadcast. */
export function mappedPairs(
  k: Tfjs,
  x: tfjs.Tensor,
  y: tfjs.Tensor,
  value: (x: number, y: number) => number,
): tfjs.Tensor {
  const shape = [...broadcastShapes(x.shape, y.shape)];
  const [left, right] = [x, y].map((t) => k.broadcastTo(t, shape).dataSync<"float32">()) as [
    Float32Array,
    Float32Array,
  ];
  return k.tensor(
    filled(new Float32Array(left.length), (i) => value(left[i]!, right[i]!)),
    shape,
    "float32",
  );
}

/** Whether a tensor of several dimensions has all elements along one of them. */
const isRow = ({ shape }: Meta): boolean => shape.length > 1 && numel(shape) === Math.max(...shape);

/**
 * Writes a sum. Grappler fuses a matrix product (or convolution) and a row into a kernel with bias, which then refuses
 * rows of two dimensions ("bias must be 1-dimensional[1,40]"). It fuses no difference, and x − (−y) is x + y exactly.
 */
export function addNode(b: TfBuilder, [x, y]: readonly TfRef[], { inputs }: Signature): TfRef {
  const T = { T: attr.type(inputs[0]!.dtype) };
  if (b.optimized !== true || b.portable === true || !inputs.some(isRow)) {
    return b.node("AddV2", [x!, y!], T);
  }
  const [other, row] = isRow(inputs[1]!) ? [x!, y!] : [y!, x!];
  return b.node("Sub", [other, b.node("Neg", [row], T)], T);
}

/** Division rounded down: ONNX divides whole numbers towards zero. */
export const onnxFloorDiv: OnnxRule<object> = (b, inputs, _, { outputs }) => {
  const whole = outputs[0]!.dtype !== "float32";
  const [x, y] = whole ? inputs.map((t) => b.node("Cast", [t], { to: attr.type("float32") })) : inputs;
  const quotient = b.node("Floor", [b.node("Div", [x!, y!])]);
  return whole ? b.node("Cast", [quotient], { to: attr.type("int64") }) : quotient;
};

/**
 * Returns the divisor of integers, checked: at 0, kernels in wasm trap or return some number.
 * @throws Error in TensorFlow's words (executors/errors.ts)
 */
export function divisor(x: tfjs.Tensor, y: tfjs.Tensor): tfjs.Tensor {
  if (y.dtype === "float32" || x.size === 0 || !y.dataSync().includes(0)) return y;
  throw new Error("Integer division by zero");
}
