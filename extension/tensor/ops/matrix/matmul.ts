import type * as tfjs from "@tensorflow/tfjs-core";
import { apply } from "../../recording/apply.ts";
import { TensorError } from "../../core/errors.ts";
import { attr } from "../../lowering/lowering.ts";
import { productNode } from "../../lowering/nodes.ts";
import { TRAINING_ONLY, type OnnxRef } from "../../lowering/onnx.ts";
import { defineOp, type BatchContext, type Meta, type Op, type Tfjs } from "../../recording/op.ts";
import { elementwise, rowwise } from "../../planning/parts.ts";
import { expand, sum } from "../movement/movement.ts";
import { add, mul } from "../elementwise/elementwise.ts";
import { binaryLoop, broadcastPlaces, matrixLayout, multiply, sums } from "../../planning/plain.ts";
import { matrixProduct } from "../wasmKernels.ts";
import { broadcastShapes, formatDims, numel, range, sameShape, type Shape } from "../../core/shape.ts";
import { columnSum, hostSum } from "../reduction/sums.ts";
import type { Tensor } from "../../core/tensor.ts";
import { call } from "../expressions.ts";

interface Transposes {
  readonly transposeA: boolean;
  readonly transposeB: boolean;
}

/**
 * Matrix product of the last two dimensions, either transposed first; leading dimensions broadcast.
 * @throws TensorError "mat1 and mat2 shapes cannot be multiplied (32x100 and 784x128)"
 */
export const matmul: Op<Transposes> = defineOp<Transposes>({
  name: "matmul",
  infer([a, b], { transposeA, transposeB }) {
    if (a!.dtype === "bool" || b!.dtype === "bool") {
      const kernel = a!.shape.length > 2 ? "bmm" : "addmm_impl_cpu_";
      throw new TensorError("dtype", `"${kernel}" not implemented for 'Bool'`);
    }
    const [m, k1] = matrix(a!, transposeA);
    const [k2, n] = matrix(b!, transposeB);
    if (k1 !== k2) {
      throw new TensorError(
        "shape",
        `mat1 and mat2 shapes cannot be multiplied (${formatDims([numel(a!.shape) / Math.max(k1, 1), k1])} and ${formatDims([k2, n])})`,
      );
    }
    if (a!.shape.length === 2 && b!.shape.length === 2) return { shape: [m, n], dtype: a!.dtype };
    return {
      shape: [...broadcastShapes(a!.shape.slice(0, -2), b!.shape.slice(0, -2)), m, n],
      dtype: a!.dtype,
    };
  },
  gradient({ grad, inputs: [a, b], attributes: { transposeA: ta, transposeB: tb }, needs }) {
    const product = (x: typeof grad, y: typeof grad, transposeA: boolean, transposeB: boolean): typeof grad =>
      apply(matmul, [x, y], { transposeA, transposeB });
    return [
      needs[0] ? (ta ? product(b!, grad, tb, true) : product(grad, b!, false, !tb)) : null,
      needs[1] ? (tb ? product(grad, a!, true, ta) : product(a!, grad, !ta, false)) : null,
    ];
  },
  batch: productsOf,
  onnx(b, [x, y], { transposeA, transposeB }, { inputs }) {
    if (inputs.every((m) => m.shape.length === 2 && m.dtype === "float32")) {
      return b.node("Gemm", [x!, y!], {
        transA: attr.int(Number(transposeA)),
        transB: attr.int(Number(transposeB)),
      });
    }
    const turned = (t: OnnxRef, { shape }: Meta, transpose: boolean): OnnxRef => {
      const order = range(shape.length - 2).concat(shape.length - 1, shape.length - 2);
      return transpose ? b.node("Transpose", [t], { perm: attr.ints(order) }) : t;
    };
    return b.node("MatMul", [turned(x!, inputs[0]!, transposeA), turned(y!, inputs[1]!, transposeB)]);
  },
  tensorflow(b, inputs, { transposeA, transposeB }, signature) {
    const T = attr.type(signature.inputs[0]!.dtype);
    return signature.inputs.every((m) => m.shape.length === 2)
      ? productNode(b, inputs[0]!, inputs[1]!, transposeA, transposeB, T)
      : b.node("BatchMatMulV2", inputs, { T, adj_x: attr.bool(transposeA), adj_y: attr.bool(transposeB) });
  },
  tfjs(k, [a, b], { transposeA, transposeB }, { outputs }) {
    if (a!.size === 0 || b!.size === 0) return k.zeros([...outputs[0]!.shape], a!.dtype);
    // The wasm kernel knows floats only: integers up to 2²⁴ come out exact.
    // Of what is floats already, a cast would be a copy.
    const floats = (t: tfjs.Tensor): tfjs.Tensor => (t.dtype === "float32" ? t : k.cast(t, "float32"));
    if (a!.rank > 2 && b!.rank === 2 && !transposeA) {
      const rows = k.reshape<tfjs.Rank.R2>(floats(a!), [-1, a!.shape[a!.rank - 1]!]);
      const product = matrixProduct(k, rows, floats(b!), false, transposeB);
      return k.reshape(a!.dtype === "float32" ? product : k.cast(product, "int32"), [...outputs[0]!.shape]);
    }
    const batch = broadcastShapes(a!.shape.slice(0, -2), b!.shape.slice(0, -2));
    const [x, y] = [a!, b!].map((t) => batched(k, floats(t), batch));
    const result = matrixProduct(k, x!, y!, transposeA, transposeB);
    return a!.dtype === "float32" ? result : k.cast(result, "int32");
  },
  plain({ inputs, outputs: [y] }, { transposeA, transposeB }) {
    if (inputs.some(({ dtype }) => dtype !== "float32")) return undefined;
    const [a, b] = inputs as [Meta, Meta];
    const [[m, k], [, n]] = [matrix(a, transposeA), matrix(b, transposeB)];
    const batch = y!.shape.slice(0, -2);
    // Where each matrix of a batch begins, in both.
    const [starts, others] = [a, b].map(({ shape }) => broadcastPlaces(shape.slice(0, -2), batch)) as [
      Int32Array,
      Int32Array,
    ];
    const [columnsA, columnsB] = [transposeA ? m : k, transposeB ? k : n];
    return ([x, w], [z]) => {
      for (let i = 0; i < starts.length; i++)
        multiply(
          x as Float32Array,
          matrixLayout(columnsA, transposeA, starts[i]! * m * k),
          w as Float32Array,
          matrixLayout(columnsB, transposeB, others[i]! * k * n),
          z as Float32Array,
          i * m * n,
          [m, k, n],
        );
    };
  },
  calls: (_, { transposeA, transposeB }) => 1 + Number(transposeA) + Number(transposeB),
  cost({ inputs, outputs }, { transposeA }) {
    return numel(outputs[0]!.shape) * matrix(inputs[0]!, transposeA)[1];
  },
  parts([ca, cb], { inputs: [a, b], outputs: [y] }, { transposeA, transposeB }) {
    const [ra, rb, ry] = [a!.shape.length, b!.shape.length, y!.shape.length];
    // Dimensions that are summed over, and those of rows and columns.
    const [ka, kb] = [transposeA ? ra - 2 : ra - 1, transposeB ? rb - 1 : rb - 2];
    const [rows, columns] = [transposeA ? ra - 1 : ra - 2, transposeB ? rb - 2 : rb - 1];
    if (ca?.dim === ka || cb?.dim === kb) {
      const outer = (ca?.dim === ka ? ca : cb!).outer;
      return {
        inputs: [
          { dim: ka, outer },
          { dim: kb, outer },
        ],
        outputs: ["sum"],
      };
    }
    if (ca?.dim === rows) {
      return cb === undefined ? { inputs: [ca, undefined], outputs: [{ ...ca, dim: ry - 2 }] } : undefined;
    }
    if (cb?.dim === columns) {
      return ca === undefined ? { inputs: [undefined, cb], outputs: [{ ...cb, dim: ry - 1 }] } : undefined;
    }
    return elementwise([ca, cb], { inputs: [a!, b!], outputs: [y!] }, {}, 1);
  },
});

/** Products of all samples: with a shared matrix, one large product. */
function productsOf(c: BatchContext<Transposes>): Tensor {
  const { transposeA, transposeB } = c.attributes;
  const [a, b] = c.signature.inputs as [Meta, Meta];
  const [y] = c.signature.outputs as [Meta];
  const [[m, k], [, n]] = [matrix(a, transposeA), matrix(b, transposeB)];
  const shape = [c.size, ...y.shape];
  const rank = y.shape.length;
  const [x, w] = [c.aligned(0, rank), c.aligned(1, rank)];
  const lead = (t: Tensor): Shape => t.shape.slice(0, -2);
  if (!c.batched[1] && b.shape.length === 2 && (!transposeA || m === 1 || k === 1)) {
    const rows = c.reshaped(x, [numel(lead(x)) * m, k]);
    return c.reshaped(c.apply([rows, w], { transposeA: false, transposeB }), shape);
  }
  if (!c.batched[0] && a.shape.length === 2 && n === 1) {
    const rows = c.reshaped(w, [numel(lead(w)), k]);
    return c.reshaped(c.apply([rows, x], { transposeA: false, transposeB: !transposeA }), shape);
  }
  if (k !== 1) return c.apply([x, w]);
  // A column times a row, such as the gradient of a weight of one sample: no sum.
  return call(mul, c.reshaped(x, [...lead(x), m, 1]), c.reshaped(w, [...lead(w), 1, n]));
}

/** Matrices repeated over a batch: tfjs broadcasts only from one. */
function batched(k: Tfjs, x: tfjs.Tensor, batch: Shape): tfjs.Tensor {
  if (x.rank === 2 && batch.length === 0) return x;
  return sameShape(x.shape.slice(0, -2), batch) ? x : k.broadcastTo(x, [...batch, ...x.shape.slice(-2)]);
}

function matrix(m: Meta, transpose: boolean): [rows: number, columns: number] {
  const rows = m.shape[m.shape.length - 2]!;
  const columns = m.shape[m.shape.length - 1]!;
  return transpose ? [columns, rows] : [rows, columns];
}

/** Adds a vector to the last dimension. */
export const addBias = defineOp({
  name: "addBias",
  infer: ([x]) => x!,
  gradient: ({ grad, needs }) => [grad, needs[1] ? call(biasGrad, grad) : null],
  batch(c) {
    if (!c.batched[1]) return c.apply(c.inputs);
    const rank = c.signature.outputs[0]!.shape.length;
    return call(add, c.aligned(0, rank), c.aligned(1, rank));
  },
  onnx: (b, inputs) => b.node("Add", inputs),
  tensorflow: (b, inputs) =>
    b.node("BiasAdd", inputs, { T: attr.type("float32"), data_format: attr.string("NHWC") }),
  tfjs: (k, [x, bias]) => k.add(x!, bias!),
  plain: binaryLoop((x, bias) => x + bias),
  parts: rowwise(1),
  cost: ({ outputs }) => numel(outputs[0]!.shape),
});

/** Sum over all dimensions but the last. */
export const biasGrad = defineOp({
  name: "biasGrad",
  infer: ([x]) => ({ shape: x!.shape.slice(-1), dtype: x!.dtype }),
  gradient: ({ grad, inputs }) => [apply(expand, [grad], { shape: inputs[0]!.shape })],
  batch(c) {
    const [x] = c.inputs as [Tensor];
    const dims = range(x.ndim - 1).slice(1);
    const width = x.shape[x.ndim - 1]!;
    if (dims.every((d) => x.shape[d] === 1)) return c.reshaped(x, [c.size, width]);
    return apply(sum, [x], { dims, keepdim: false });
  },
  onnx: TRAINING_ONLY,
  tensorflow: (b, [x], _, { inputs: [rows] }) => columnSum(b, x!, rows!.shape),
  tfjs: (k, [x], _, { outputs }) => hostSum(k, x!, range(x!.rank - 1), outputs[0]!),
  plain: (signature) => sums(signature, range(signature.inputs[0]!.shape.length - 1)),
  cost: ({ inputs }) => numel(inputs[0]!.shape),
  parts: rowwise(1, "sum"),
});
