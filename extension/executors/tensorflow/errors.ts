import { TensorError } from "../../tensor/errors.ts";

/** TensorFlow's messages about the user's values, in PyTorch's words. Anything else is passed on as it is. */
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
    /OOM when allocating tensor with shape\s*(\[[\d,]*\])/,
    (m) => new TensorError("value", `not enough memory for a tensor of size ${m[1]}`),
  ],
];

export function translated(error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof TensorError) return error;
  for (const [pattern, make] of MESSAGES) {
    const match = error.message.match(pattern);
    if (match !== null) return Object.assign(make(match), { cause: error });
  }
  return error;
}
