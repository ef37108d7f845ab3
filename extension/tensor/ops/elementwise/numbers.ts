// Floats next to others.
import type { Op } from "../../recording/op.ts";
import { call, constant } from "../expressions.ts";
import { elementwise, mappedPairs } from "./declare.ts";
import { eq, mul, where } from "./elementwise.ts";

const FLOAT = new Float32Array(1);
const BITS = new Int32Array(FLOAT.buffer);

/** The float after x in the direction of y. */
function after(x: number, y: number): number {
  if (Number.isNaN(x) || Number.isNaN(y)) return NaN;
  if (x === y) return y;
  if (x === 0) return Math.sign(y) * 2 ** -149;
  FLOAT[0] = x;
  // The bits of floats count upwards from 0 in both directions.
  BITS[0] = BITS[0]! + (y > x === x > 0 ? 1 : -1);
  return FLOAT[0];
}

/** The next float after the first input in the direction of the second. */
export const nextafter: Op<object> = elementwise({
  name: "nextafter",
  tensorflow: "NextAfter",
  onnx: { none: "ONNX has no such function" },
  tfjs: (k, x, y) => mappedPairs(k, x, y, after),
  plain: after,
  gradient: ({ grad, inputs: [x, y] }) => [
    call(where, call(eq, x!, y!), constant(0), grad),
    call(mul, grad, constant(0)),
  ],
});
