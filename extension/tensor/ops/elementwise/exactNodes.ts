// Nodes for functions whose float kernels in TensorFlow are off by several units in the last place.
import { attr, scalar, type TfBuilder, type TfRef } from "../../lowering/lowering.ts";
import { castNode } from "../../lowering/nodes.ts";

const DOUBLE = attr.type("double");
const T = { T: attr.type("float32") };

const one = (b: TfBuilder): TfRef => scalar(b, 1, "float32");

/** Whether the kernel of a function's name is used without corrections. */
const direct = (b: TfBuilder): boolean => b.portable === true || b.exact === true;

/**
 * A kernel on doubles, rounded once. On floats Tanh, Log1p, Erf and Erfc are off by 3 to 60 units in the last place, and
 * take 40% of the time. Spelling a better formula out in floats takes longer than this.
 */
export function inDouble(b: TfBuilder, op: string, ...inputs: readonly TfRef[]): TfRef {
  if (direct(b)) return b.node(op, inputs, T);
  const doubles = inputs.map((x) => castNode(b, x, "float32", "double"));
  return castNode(b, b.node(op, doubles, { T: DOUBLE }), "double", "float32");
}

/** tanh(x): the float kernel is exactly 1 from 7.91 on, and log(1 − tanh²) of a squashed policy needs better. */
export const tanhNode = (b: TfBuilder, x: TfRef): TfRef => inDouble(b, "Tanh", x);

/** erf(x), which is ±1 from 4 on. The kernel on doubles has no value at infinity. */
export function erfNode(b: TfBuilder, x: TfRef): TfRef {
  if (direct(b)) return b.node("Erf", [x], T);
  const bound = (value: number): TfRef => scalar(b, value, "float32");
  return inDouble(b, "Erf", b.node("ClipByValue", [x, bound(-8), bound(8)], T));
}

/** 1 / x: the kernel of that name is off by 2 units, a division by half a one. */
export const reciprocalNode = (b: TfBuilder, x: TfRef): TfRef =>
  direct(b) ? b.node("Reciprocal", [x], T) : b.node("RealDiv", [one(b), x], T);

/** 1 / (1 + exp(−x)), as PyTorch computes it: off by 3 units at most, the kernel by 6. */
export function sigmoidNode(b: TfBuilder, x: TfRef): TfRef {
  if (direct(b)) return b.node("Sigmoid", [x], T);
  const grown = b.node("Exp", [b.node("Neg", [x], T)], T);
  return reciprocalNode(b, b.node("AddV2", [grown, one(b)], T));
}

/** max(x, 0) + log1p(exp(−|x|)): off by 2 units at most, the kernel by 7. */
export function softplusNode(b: TfBuilder, x: TfRef): TfRef {
  if (direct(b)) return b.node("Softplus", [x], T);
  const shrunk = b.node("Exp", [b.node("Neg", [b.node("Abs", [x], T)], T)], T);
  return b.node("AddV2", [b.node("Relu", [x], T), inDouble(b, "Log1p", shrunk)], T);
}
