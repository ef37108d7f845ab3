import { TensorError } from "../../tensor/errors.ts";
import { valuesOf } from "../../tensor/runtime.ts";
import { formatShape } from "../../tensor/shape.ts";
import type { Tensor } from "../../tensor/tensor.ts";

/**
 * The classes that scores [N, C] say: the index of each row's largest, the first of equal ones. Computed on the host,
 * where the scores have to go anyway for their class to be read.
 */
export function predictedClasses(output: Tensor): Int32Array {
  const [samples = 0, classes = 0] = output.shape;
  const scores = valuesOf(output.value);
  const predicted = new Int32Array(samples);
  for (let n = 0; n < samples; n++) {
    const first = n * classes;
    let best = first;
    for (let i = first + 1; i < first + classes; i++) if (scores[i]! > scores[best]!) best = i;
    predicted[n] = best - first;
  }
  return predicted;
}

/**
 * How many of the classes are the largest of their scores: 0 to 1.
 * @param output scores [N, C]
 * @param target classes [N]
 * @throws TensorError when the shapes are others
 */
export function accuracy(output: Tensor, target: Tensor): number {
  if (output.ndim !== 2 || target.ndim !== 1 || output.shape[0] !== target.shape[0]) {
    throw new TensorError(
      "shape",
      `accuracy(): expected outputs [N, C] and classes [N], got ${formatShape(output.shape)} and ${formatShape(target.shape)}`,
    );
  }
  const actual = valuesOf(target.value);
  const predicted = predictedClasses(output);
  return predicted.reduce((hits, label, n) => hits + (label === actual[n] ? 1 : 0), 0) / predicted.length;
}
