// Recurrent layers in ONNX, which has one node for each: https://onnx.ai/onnx/operators/onnx__LSTM.html
import { TensorError } from "../../core/errors.ts";
import { attr } from "../../lowering/lowering.ts";
import { ints, type OnnxAttribute, type OnnxBuilder, type OnnxRef } from "../../lowering/onnx.ts";
import type { OnnxRule } from "../../recording/op.ts";
import { numel } from "../../core/shape.ts";
import type { RnnAttributes, Sequences } from "./attributes.ts";

interface Cell {
  readonly op: "RNN" | "GRU" | "LSTM";
  readonly width: number;
  readonly sizes: readonly number[];
  /** [rows, features] */
  readonly x: OnnxRef;
  readonly features: number;
  readonly weights: readonly OnnxRef[];
  /** [batch, width] */
  readonly state: readonly OnnxRef[];
  readonly attributes?: Record<string, OnnxAttribute>;
}

/** The node of a layer: what it gives for every row, and the state that it ends with. */
function sequence(b: OnnxBuilder, cell: Cell): OnnxRef[] {
  const { op, width, sizes, x, features, weights, state, attributes } = cell;
  const batch = sizes[0]!;
  if (sizes.some((size) => size !== batch))
    throw new TensorError("unsupported", "sequences of different lengths can't be exported to ONNX");
  const front = (t: OnnxRef): OnnxRef => b.node("Unsqueeze", [t, ints(b, [0])]);
  const steps = b.node("Reshape", [x, b.sizes([sizes.length, batch, features])]);
  const [w, r, bias] = weights.map(front);
  const inputs = [steps, w!, r!, bias ?? null, null, ...state.map(front)];
  const [y, ...ends] = b.nodes(op, inputs, { ...attributes, hidden_size: attr.int(width) }, 1 + state.length);
  return [
    b.node("Reshape", [y!, b.sizes([numel([sizes.length, batch]), width])]),
    ...ends.map((t) => b.node("Squeeze", [t, ints(b, [0])])),
  ];
}

/** Blocks of `width` rows in another order. */
function blocks(b: OnnxBuilder, x: OnnxRef, width: number, order: readonly number[]): OnnxRef {
  const parts = order.map((at) =>
    b.node("Slice", [x, ints(b, [at * width]), ints(b, [(at + 1) * width]), ints(b, [0])]),
  );
  return b.node("Concat", parts, { axis: attr.int(0) });
}

/** Our op gets its input projected, ONNX's projects it itself: by this matrix, the identity. */
function unit(b: OnnxBuilder, size: number): OnnxRef {
  const data = new Float32Array(size * size);
  for (let i = 0; i < size; i++) data[i * (size + 1)] = 1;
  return b.constant(data, [size, size], "float32");
}

export const onnxRnn: OnnxRule<RnnAttributes> = (b, [x, h0, w], { sizes, nonlinearity }, { inputs }) => {
  const width = inputs[1]!.shape[1]!;
  const activations = { kind: "strings", value: [nonlinearity === "tanh" ? "Tanh" : "Relu"] } as const;
  const weights = [unit(b, width), w!];
  return sequence(b, {
    op: "RNN",
    width,
    sizes,
    x: x!,
    features: width,
    weights,
    state: [h0!],
    attributes: { activations },
  });
};

export const onnxGru: OnnxRule<Sequences> = (b, [x, h0, w, bias], { sizes }, { inputs }) => {
  const width = inputs[1]!.shape[1]!;
  // PyTorch's r, z, n are z, r, h there.
  const order = (t: OnnxRef): OnnxRef => blocks(b, t, width, [1, 0, 2]);
  const none = b.constant(new Float32Array(3 * width), [3 * width], "float32");
  const both = b.node("Concat", [none, order(bias!)], { axis: attr.int(0) });
  return sequence(b, {
    op: "GRU",
    width,
    sizes,
    x: x!,
    features: 3 * width,
    weights: [order(unit(b, 3 * width)), order(w!), both],
    state: [h0!],
    attributes: { linear_before_reset: attr.int(1) },
  });
};

export const onnxLstm: OnnxRule<Sequences> = (b, inputs, { sizes }, { inputs: metas }) => {
  const [x, h0, c0, v, w, bias, projection] = inputs;
  if (projection !== undefined)
    throw new TensorError("unsupported", "an LSTM with a projection (projSize) can't be exported to ONNX");
  const width = metas[2]!.shape[1]!;
  // PyTorch's i, f, g, o are i, o, f, c there.
  const order = (t: OnnxRef): OnnxRef => blocks(b, t, width, [0, 3, 1, 2]);
  const none = b.constant(new Float32Array(4 * width), [4 * width], "float32");
  const both = b.node("Concat", [order(bias!), none], { axis: attr.int(0) });
  return sequence(b, {
    op: "LSTM",
    width,
    sizes,
    x: x!,
    features: metas[0]!.shape[1]!,
    weights: [order(v!), order(w!), both],
    state: [h0!, c0!],
  });
};
