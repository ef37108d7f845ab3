import { randomInt } from "node:crypto";
import { statisticsOfValues } from "../../formats/tensorWindow.ts";
import type { HostArray } from "../../tensor/core/dtype.ts";
import { EngineError } from "../../protocol/errors.ts";
import type {
  OpenTensor,
  TensorStatistics,
  TensorValues,
  TensorWindow,
} from "../../protocol/tensorValues.ts";
import { windowOf } from "../../protocol/tensorWindow.ts";

/** Tensors that are kept. */
const MOST_OPEN = 8;
/** Ids are below this, the most that randomInt takes: a process that starts later repeats none. */
const ID_LIMIT = 2 ** 48 - 1;

/** The last tensors that were opened in the viewer: another reading may give other values. */
export class KeptTensors {
  readonly #tensors = new Map<number, { shape: readonly number[]; values: HostArray }>();

  /** @param axes What its dimensions are, where that is known */
  keep(dtype: string, shape: readonly number[], values: HostArray, axes?: readonly string[]): OpenTensor {
    const id = randomInt(ID_LIMIT);
    this.#tensors.set(id, { shape, values });
    for (const old of this.#tensors.keys()) if (this.#tensors.size > MOST_OPEN) this.#tensors.delete(old);
    return { id, dtype, shape: [...shape], ...(axes === undefined ? {} : { axes: [...axes] }) };
  }

  statistics(id: number): TensorStatistics {
    return statisticsOfValues(this.#tensor(id).values);
  }

  window(id: number, window: TensorWindow): TensorValues {
    const { shape, values } = this.#tensor(id);
    return windowOf(shape, window, (from, count) => values.subarray(from, from + count));
  }

  #tensor(id: number): { shape: readonly number[]; values: HostArray } {
    const found = this.#tensors.get(id);
    if (found !== undefined) return found;
    throw new EngineError({
      code: "index",
      message: "The tensor is no longer kept: view it again from the sample.",
    });
  }
}
