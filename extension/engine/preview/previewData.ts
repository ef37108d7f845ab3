import { loadExecutor } from "../../executors/index.ts";
import { ConcatDataset, Dataset, Subset, TensorDataset } from "../../nn/data/dataset.ts";
import { DataLoader } from "../../nn/data/loader.ts";
import type { Batch, DataSource, ExperimentOptions } from "../../nn/experiment/experiment.ts";
import { TensorError } from "../../tensor/core/errors.ts";
import { fillValue } from "../../tensor/recording/graph.ts";
import { setExecutor } from "../../tensor/planning/barrier.ts";
import { Tensor } from "../../tensor/core/tensor.ts";
import { Batches, datasetOf, demandSamples, firstSample } from "../training/batches.ts";
import { asSplits } from "../training/prepare.ts";
import type { SampleCounts } from "../reporting/settings.ts";

/** Shapes of a training batch, as zeros, and how much data there is. */
export interface PreviewData {
  batch: Batch;
  samples: SampleCounts;
}

/**
 * The first batch of an experiment's data as far as its shape goes. Nothing is drawn and nothing is split.
 * @throws whatever the data function throws; TensorError when it gives no data set
 */
export async function previewBatch({ data, validation, batchSize }: ExperimentOptions): Promise<PreviewData> {
  const given = typeof data === "function" ? await withValues(data) : data;
  const parts = asSplits(given);
  const all = lengthOf(parts.train);
  const held = typeof validation === "number" ? Math.floor((all ?? 0) * validation) : 0;
  const heldOut = typeof validation === "object" ? validation : parts.validation;
  const samples: SampleCounts = {
    train: all === undefined ? undefined : all - held,
    validation: held > 0 ? held : lengthOf(heldOut),
    test: lengthOf(parts.test),
    ...(parts.train instanceof DataLoader ? { loaderBatch: parts.train.batchSize ?? 0 } : {}),
  };
  demandSamples(all);
  const own = parts.train instanceof DataLoader ? parts.train.batchSize : batchSize;
  const size = Math.min(own ?? samples.train ?? 1, samples.train ?? Infinity);
  const sample = await withValues(() => sampleOf(parts.train));
  const batch = sample.map(({ shape, dtype }) => new Tensor(fillValue(0, [size, ...shape], dtype)));
  return { batch, samples };
}

function lengthOf(source: DataSource | undefined): number | undefined {
  return source === undefined ? undefined : datasetOf(source).length;
}

/** A sample's tensors, or what is known of them without their values. */
function sampleOf(source: DataSource): readonly Pick<Tensor, "shape" | "dtype">[] {
  if (!(source instanceof Dataset)) return new Batches(source, { batchSize: 1, shuffle: false }).sample();
  const dataset: Dataset = source;
  if (dataset instanceof Subset) return sampleOf(dataset.dataset);
  if (dataset instanceof ConcatDataset) return sampleOf(dataset.datasets[0]!);
  if (dataset instanceof TensorDataset) {
    const { tensors }: { tensors: readonly Tensor[] } = dataset;
    return tensors.map(({ shape, dtype }) => ({ shape: shape.slice(1), dtype }));
  }
  return firstSample(dataset);
}

/** Runs user code that may ask for values, such as a mean to normalise by: they are computed when it does. */
async function withValues<T>(body: () => T | Promise<T>): Promise<T> {
  try {
    return await body();
  } catch (error) {
    if (!(error instanceof TensorError && error.code === "preview")) throw error;
  }
  await loadExecutor("cpu");
  try {
    return await body();
  } finally {
    setExecutor(undefined);
  }
}
