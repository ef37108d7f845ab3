// Ops that work element by element: what their records have in common.
import type * as tfjs from "@tensorflow/tfjs-core";
import type { DType } from "../../core/dtype.ts";
import { attr, type TfBuilder, type TfRef } from "../../lowering/lowering.ts";
import { binaryLoop, unaryLoop } from "../../planning/plain.ts";
import {
  defineOp,
  type GradientRule,
  type Meta,
  type NoOnnx,
  type OnnxRule,
  type Op,
  type Tfjs,
} from "../../recording/op.ts";
import { broadcastShapes, numel } from "../../core/shape.ts";

export type NoGradient = { readonly none: string };
export const STEP: NoGradient = { none: "it is constant almost everywhere" };

type Kernel1 = (k: Tfjs, x: tfjs.Tensor) => tfjs.Tensor;
type Kernel2 = (k: Tfjs, x: tfjs.Tensor, y: tfjs.Tensor) => tfjs.Tensor;

/** Floats by a function of numbers: where tfjs's kernels are missing, or wrong by thousands of units in the last place. */
export function mapped(k: Tfjs, x: tfjs.Tensor, value: (x: number) => number): tfjs.Tensor {
  return k.tensor(Float32Array.from(x.dataSync<"float32">(), value), x.shape, "float32");
}

/** The ONNX op of that name, or what is written in its place. */
type Onnx = string | OnnxRule<object>;
const onnxOf = (onnx: Onnx): OnnxRule<object> =>
  typeof onnx === "string" ? (b, inputs) => b.node(onnx, inputs) : onnx;

/** Of whole numbers, what divides by zero is refused by TensorFlow's kernels alone. */
export const DIVIDES: Pick<Op<object>, "xla"> = { xla: ({ inputs }) => inputs[0]!.dtype === "float32" };

/**
 * An op of two tensors of one type, broadcast against each other. `f` is what it does to floats, where a loop may do it;
 * `result` is the output's type if not theirs.
 */
export function binary(
  name: string,
  tensorflow: string,
  onnx: Onnx | NoOnnx,
  kernel: Kernel2,
  f: ((x: number, y: number) => number) | undefined,
  gradient: GradientRule<object> | NoGradient,
  result?: DType,
  more: Pick<Op<object>, "xla"> & Partial<Pick<Op<object>, "tensorflow">> = {},
): Op<object> {
  return defineOp({
    name,
    layout: "elementwise",
    infer: ([a, b]) => ({ shape: broadcastShapes(a!.shape, b!.shape), dtype: result ?? a!.dtype }),
    gradient,
    onnx: typeof onnx === "object" ? onnx : onnxOf(onnx),
    tensorflow: (b, [x, y], _, { inputs }) => {
      const { dtype } = inputs[0]!;
      if (tensorflow.startsWith("Logical")) return b.node(tensorflow, [x!, y!], {});
      const T = { T: attr.type(dtype) };
      return b.node(
        tensorflow,
        [x!, y!],
        tensorflow.endsWith("qual") && !tensorflow.includes("Gr") && !tensorflow.includes("Le")
          ? { ...T, incompatible_shape_error: attr.bool(true) }
          : T,
      );
    },
    tfjs: (k, [x, y]) => kernel(k, x!, y!),
    ...(f === undefined ? {} : { plain: binaryLoop(f) }),
    ...more,
  });
}

/** All elements lie along one dimension of several. */
const isRow = ({ shape }: Meta): boolean => shape.length > 1 && numel(shape) === Math.max(...shape);

/**
 * A sum. Grappler fuses a matrix product (or convolution) and a row into a kernel with a bias, and the kernel then refuses
 * rows of two dimensions ("bias must be 1-dimensional[1,40]"). It fuses no difference, and x − (−y) is x + y exactly.
 */
export function addNode(b: TfBuilder, [x, y]: readonly TfRef[], inputs: readonly Meta[]): TfRef {
  const T = { T: attr.type(inputs[0]!.dtype) };
  if (b.optimized !== true || b.xla === true || b.portable === true || !inputs.some(isRow)) {
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

/** An op of one tensor, element by element: a node of TensorFlow or several. `f` and `result` as of {@link binary}. */
export function unary(
  name: string,
  tensorflow: string | ((b: TfBuilder, x: TfRef) => TfRef),
  onnx: Onnx,
  kernel: Kernel1,
  f: ((x: number) => number) | undefined,
  gradient: GradientRule<object> | NoGradient,
  result?: DType,
): Op<object> {
  return defineOp({
    name,
    layout: "elementwise",
    infer: ([x]) => ({ shape: x!.shape, dtype: result ?? x!.dtype }),
    gradient,
    onnx: onnxOf(onnx),
    tensorflow(b, [x], _, { inputs }) {
      if (typeof tensorflow === "function") return tensorflow(b, x!);
      const typed = tensorflow.startsWith("Logical") ? {} : { T: attr.type(inputs[0]!.dtype) };
      return b.node(tensorflow, [x!], typed);
    },
    tfjs: (k, [x]) => kernel(k, x!),
    ...(f === undefined ? {} : { plain: unaryLoop(f) }),
  });
}
