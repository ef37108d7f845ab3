// Recurrent layers in TypeScript, one direction each: https://onnx.ai/onnx/operators/onnx__LSTM.html
import { internal } from "../../tensor/core/errors.ts";
import type { Numbers, TypeScriptWriter } from "./typescriptWriter.ts";

type Inputs = readonly (Numbers | undefined)[];

/** Projects the inputs of every step for all gates. */
function projected(w: TypeScriptWriter, x: Numbers, weight: Numbers): Numbers {
  const [steps, batch, features] = x.shape as [number, number, number];
  const rows = weight.shape[1]!;
  if (isUnit(weight)) return x;
  return w.call("linear", [steps, batch, rows], x, weight, steps * batch, features, rows);
}

/** Whether a matrix is the identity. */
function isUnit({ data, shape }: Numbers): boolean {
  const size = shape.at(-1)!;
  return (
    data !== undefined &&
    data.length === size * size &&
    data.every((x, i) => x === (i % (size + 1) === 0 ? 1 : 0))
  );
}

/** Calls a helper, and returns its outputs in ONNX's shapes, with a dimension of directions. */
function layer(
  w: TypeScriptWriter,
  [x, weight, own, bias, , ...state]: Inputs,
  helper: string,
  more: readonly string[] = [],
): Numbers[] {
  const [steps, batch] = x!.shape as [number, number];
  const width = own!.shape.at(-1)!;
  const given = projected(w, x!, weight!);
  const biases = bias === undefined ? [] : [bias];
  const args = [given, own!, ...biases, ...(state as Numbers[]), batch, width, ...more];
  const shapes = [[steps, 1, batch, width], ...state.map(() => [1, batch, width])];
  return w.parts(shapes, w.expression(helper, args));
}

export function rnn(w: TypeScriptWriter, inputs: Inputs, activation: string): Numbers[] {
  return layer(w, inputs, "rnn", [activation === "Relu" ? "(x) => Math.max(x, 0)" : "Math.tanh"]);
}

/** Splits the biases: first those of the inputs, then those of the state. */
function halves(bias: Numbers | undefined): [Float32Array, Float32Array] {
  const data = Float32Array.from(bias?.data ?? internal("biases that are computed on the way"));
  return [data.subarray(0, data.length / 2), data.subarray(data.length / 2)];
}

/** Ignores the inputs' biases: our export has added them to the inputs already. */
export function gru(w: TypeScriptWriter, inputs: Inputs): Numbers[] {
  const [, own] = halves(inputs[3]);
  const name = inputs[3]!.name ?? "bias";
  return layer(w, inputs.with(3, { shape: [own.length], data: own, name }), "gru");
}

export function lstm(w: TypeScriptWriter, inputs: Inputs): Numbers[] {
  const [first, second] = halves(inputs[3]);
  const name = inputs[3]!.name ?? "bias";
  const both = first.map((x, i) => x + second[i]!);
  return layer(w, inputs.with(3, { shape: [both.length], data: both, name }), "lstm");
}
