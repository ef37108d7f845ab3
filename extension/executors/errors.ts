import { TensorError } from "../tensor/errors.ts";

/** The backends' messages about the user's values, in PyTorch's words. */
const MESSAGES: readonly [RegExp, (m: RegExpMatchArray) => TensorError][] = [
  [
    /Received a label value of (-?\d+) which is outside the valid range/,
    (m) => new TensorError("index", `Target ${m[1]} is out of bounds.`),
  ],
  [
    /indices\[[\d,]*\] = (-?\d+) is not in \[0, (\d+)\)/,
    (m) => new TensorError("index", `index ${m[1]} is out of bounds for dimension with size ${m[2]}`),
  ],
  [
    /the index value (-?\d+) is not in \[0, (\d+)\]/,
    (m) =>
      new TensorError("index", `index ${m[1]} is out of bounds for dimension with size ${Number(m[2]) + 1}`),
  ],
  [/Integer division by zero/, () => new TensorError("value", "ZeroDivisionError")],
  [
    /OOM when allocating tensor with shape\s*(\[[\d,]*\])/,
    (m) => new TensorError("value", `not enough memory for a tensor of size ${m[1]}`),
  ],
];

/** The error as PyTorch words it, if it is about the user's values; else as it is. */
export function translated(error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof TensorError) return error;
  for (const [pattern, make] of MESSAGES) {
    const match = error.message.match(pattern);
    if (match !== null) return Object.assign(make(match), { cause: error });
  }
  return error;
}
