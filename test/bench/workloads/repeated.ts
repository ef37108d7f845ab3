import { data, torch, type Tensor } from "layerwise";

/** The same batch over and over, so that what is measured is the step. */
export class Repeated extends data.IterableDataset {
  private readonly batch: readonly Tensor[];

  constructor(...batch: Tensor[]) {
    super();
    this.batch = batch;
  }

  override *[Symbol.iterator](): Iterator<readonly Tensor[]> {
    for (;;) yield this.batch;
  }
}

/** One endless epoch of {@link Repeated}. The loader's own seed is not one of the global generator's numbers. */
export const repeated = (...batch: Tensor[]): data.DataLoader<readonly Tensor[], readonly Tensor[]> =>
  new data.DataLoader(new Repeated(...batch), { batchSize: null, generator: new torch.Generator() });

/** Settings that all workloads share. */
export const SETTINGS = { seed: 0, epochs: 1, checkpoints: false, metrics: [] } as const;
