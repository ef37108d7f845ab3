import { pictureValues, type LayerPicture } from "../../protocol/layers/pictures.ts";
import type { TensorSnapshot } from "../../protocol/tensorFile.ts";
import type { TensorStatistics, TensorValues, TensorWindow } from "../../protocol/tensorValues.ts";
import { windowOf } from "../../protocol/tensorWindow.ts";
import type { ViewedTensor } from "./tensorPanel.ts";

const BINS = 20;

/** The numbers of a layer's pictures, which are few. */
export class PictureTensor implements ViewedTensor {
  readonly #snapshot: TensorSnapshot;
  readonly #values: Float32Array;

  constructor(picture: LayerPicture, { name, from }: Pick<TensorSnapshot, "name" | "from">) {
    const { drawn, height, width } = picture;
    const shape = [drawn, height, width];
    this.#values = pictureValues(picture) ?? new Float32Array(drawn * height * width).fill(NaN);
    this.#snapshot = { name, from, dtype: "F32", shape };
  }

  snapshot(): Promise<TensorSnapshot> {
    return Promise.resolve(this.#snapshot);
  }

  statistics(): Promise<TensorStatistics> {
    const all = this.#values;
    const finite = all.filter(Number.isFinite);
    const count = finite.length;
    const nans = all.length - count;
    const histogram = Array.from({ length: BINS }, () => 0);
    const none = { count, zeros: 0, nans, infinities: 0, histogram };
    if (count === 0) return Promise.resolve({ ...none, min: NaN, max: NaN, mean: NaN, std: NaN });
    const [min, max] = [Math.min(...finite), Math.max(...finite)];
    const mean = finite.reduce((sum, x) => sum + x, 0) / count;
    const std = Math.sqrt(finite.reduce((sum, x) => sum + (x - mean) ** 2, 0) / count);
    for (const x of finite)
      histogram[max > min ? Math.min(BINS - 1, Math.floor(((x - min) / (max - min)) * BINS)) : 0]!++;
    const zeros = finite.filter((x) => x === 0).length;
    return Promise.resolve({ ...none, min, max, mean, std, zeros });
  }

  window(window: TensorWindow): Promise<TensorValues> {
    const { shape } = this.#snapshot;
    return Promise.resolve(
      windowOf(shape, window, (from, count) => this.#values.subarray(from, from + count)),
    );
  }
}
