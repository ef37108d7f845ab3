/**
 * Exponential moving average without the pull of its start (as TensorBoard smooths): `weight` 0 leaves the values, 1
 * would never move. Values that aren't finite stay as they are and don't enter the average.
 */
export class Smoother {
  readonly values: number[] = [];
  readonly #weight: number;
  #average = 0;
  #bias = 1;

  constructor(weight: number) {
    this.#weight = weight;
  }

  /** Continues with the new end of `values`. */
  add(values: readonly number[]): readonly number[] {
    for (let index = this.values.length; index < values.length; index++) {
      const value = values[index] ?? Number.NaN;
      if (!Number.isFinite(value)) {
        this.values.push(value);
        continue;
      }
      this.#average = this.#average * this.#weight + (1 - this.#weight) * value;
      this.#bias *= this.#weight;
      this.values.push(this.#average / (1 - this.#bias));
    }
    return this.values;
  }
}

export const smooth = (values: readonly number[], weight: number): readonly number[] =>
  weight <= 0 ? values : new Smoother(weight).add(values);
