/**
 * Exponential moving average without the pull of its start (as TensorBoard smooths): `weight` 0 leaves the values, 1
 * would never move. Values that aren't finite stay as they are and don't enter the average.
 */
export function smooth(values: readonly number[], weight: number): readonly number[] {
  if (weight <= 0) return values;
  let average = 0;
  let bias = 1;
  return values.map((value) => {
    if (!Number.isFinite(value)) return value;
    average = average * weight + (1 - weight) * value;
    bias *= weight;
    return average / (1 - bias);
  });
}
