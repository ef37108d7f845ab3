// PyTorch's torch.testing.
import { asTensor, type TensorData } from "./functions/creation/creation.ts";
import { TensorError } from "./core/errors.ts";
import { formatSize, sameShape } from "./core/shape.ts";
import { valuesOf } from "./planning/barrier.ts";

export interface CloseOptions {
  /** Relative tolerance: 1.3e-6 for floats by default, 0 for others. */
  rtol?: number;
  /** Absolute tolerance: 1e-5 for floats by default, 0 for others. */
  atol?: number;
  /** Whether NaN is close to NaN; false by default. */
  equalNan?: boolean;
  /** Whether the types have to be equal, too; true by default. */
  checkDtype?: boolean;
}

/**
 * Compares values: |actual − expected| ≤ atol + rtol · |expected|.
 *
 * ```ts
 * torch.testing.assertClose(torch.tensor([1, 2]).div(3), torch.tensor([1 / 3, 2 / 3]));
 * ```
 * @throws TensorError "Tensor-likes are not close!" with how many elements differ, and how much
 * @see https://docs.pytorch.org/docs/stable/testing.html#torch.testing.assert_close
 */
export function assertClose(actual: TensorData, expected: TensorData, options: CloseOptions = {}): void {
  const [a, b] = [asTensor(actual), asTensor(expected)];
  const refuse = (message: string): never => {
    throw new TensorError("value", message);
  };
  if (!sameShape(a.shape, b.shape)) {
    refuse(
      `The values for attribute 'shape' do not match: ${formatSize(a.shape)} != ${formatSize(b.shape)}.`,
    );
  }
  if (options.checkDtype !== false && a.dtype !== b.dtype) {
    refuse(`The values for attribute 'dtype' do not match: torch.${a.dtype} != torch.${b.dtype}.`);
  }
  const floats = a.dtype === "float32" || b.dtype === "float32";
  const { rtol = floats ? 1.3e-6 : 0, atol = floats ? 1e-5 : 0, equalNan = false } = options;
  const [x, y] = [valuesOf(a.value), valuesOf(b.value)];
  let [differing, absolute, relative] = [0, 0, 0];
  let [absoluteAt, relativeAt] = [0, 0];
  for (let i = 0; i < x.length; i++) {
    const [one, other] = [Number(x[i]), Number(y[i])];
    const difference = Math.abs(one - other);
    const isClose =
      one === other ||
      (equalNan && Number.isNaN(one) && Number.isNaN(other)) ||
      (Number.isFinite(difference) && difference <= atol + rtol * Math.abs(other));
    if (isClose) continue;
    differing++;
    if (!(difference <= absolute)) [absolute, absoluteAt] = [difference, i];
    const share = difference / Math.abs(other);
    if (!(share <= relative)) [relative, relativeAt] = [share, i];
  }
  if (differing === 0) return;
  const percent = ((100 * differing) / x.length).toFixed(1);
  const place = (at: number): string => {
    const index: number[] = [];
    for (const size of a.shape.toReversed()) {
      index.unshift(at % size);
      at = Math.floor(at / size);
    }
    return `(${index.join(", ")}${index.length === 1 ? "," : ""})`;
  };
  refuse(
    a.ndim === 0
      ? `Scalars are not close!\n\nExpected ${String(y[0])} but got ${String(x[0])}.\n` +
          `Absolute difference: ${absolute} (up to ${atol} allowed)\nRelative difference: ${relative} (up to ${rtol} allowed)`
      : `Tensor-likes are not close!\n\nMismatched elements: ${differing} / ${x.length} (${percent}%)\n` +
          `Greatest absolute difference: ${absolute} at index ${place(absoluteAt)} (up to ${atol} allowed)\n` +
          `Greatest relative difference: ${relative} at index ${place(relativeAt)} (up to ${rtol} allowed)`,
  );
}
