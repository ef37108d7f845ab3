// PyTorch's torch.utils.data, bundled sets and metrics: the `data` that users import.
export { digits, iris, LabelledDataset } from "./bundled.ts";
export { defaultCollate, type Collated } from "./collate.ts";
export { ConcatDataset, Dataset, randomSplit, Subset, TensorDataset } from "./dataset.ts";
export { makeGrid, saveImage, type GridOptions } from "./images.ts";
export { DataLoader, type DataLoaderOptions } from "./loader.ts";
export { accuracy } from "./metrics.ts";
export {
  RandomSampler,
  SequentialSampler,
  SubsetRandomSampler,
  WeightedRandomSampler,
  type Sampler,
} from "./sampler.ts";
