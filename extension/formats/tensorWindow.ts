import type { TensorStatistics, TensorValues, TensorWindow } from "../protocol/tensorValues.ts";
import type { HostArray } from "../tensor/core/dtype.ts";
import { windowOf } from "../protocol/tensorWindow.ts";
import { lastOf, statisticsSteps } from "./statistics.ts";
import { DTYPE_BYTES, elements, encodeElements } from "./tensorData.ts";
import type { SourceTensor } from "./sourceTensor.ts";

/**
 * A part of a stored tensor, of which nothing else is read.
 * @throws RangeError for types that are no real numbers, and for a part that it doesn't have
 */
export function windowOfSource(
  { name, dtype, shape, read }: SourceTensor,
  window: TensorWindow,
): TensorValues {
  const size = DTYPE_BYTES[dtype];
  return windowOf(shape, window, (from, count) => {
    const data = read(from * size, (from + count) * size);
    return elements({ name, dtype, shape: [count], data });
  });
}

/** Statistics of values in memory. */
export function statisticsOfValues(values: HostArray): TensorStatistics {
  const data = encodeElements(
    values instanceof Float32Array ? values : Float64Array.from(values),
    storedAs(values),
  );
  const found = lastOf(
    statisticsSteps({
      name: "",
      dtype: storedAs(values),
      shape: [values.length],
      byteLength: data.byteLength,
      parts: () => [data],
      finish: function* () {},
    }),
  );
  return found!;
}

const storedAs = (values: HostArray): "F32" | "F64" => (values instanceof Float32Array ? "F32" : "F64");
