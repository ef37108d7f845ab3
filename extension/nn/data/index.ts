// PyTorch's torch.utils.data, and data sets: the `data` that users import.
export {
  breastCancer,
  diabetes,
  digits,
  firstNames,
  globalTemperature,
  iris,
  LabelledDataset,
  weather,
  WeatherSeries,
  wine,
} from "./bundled.ts";
export { defaultCollate, type Collated } from "./collate.ts";
export { type ColumnType, type MissingPolicy, type Normalization } from "./columns.ts";
export {
  ConcatDataset,
  Dataset,
  randomSplit,
  StackDataset,
  Subset,
  TensorDataset,
  type Stacked,
} from "./dataset.ts";
export { ChainDataset, IterableDataset } from "./iterable.ts";
export { makeGrid, saveImage, type GridOptions } from "./images.ts";
export { DataLoader, type DataLoaderOptions } from "./loader.ts";
export {
  BatchSampler,
  RandomSampler,
  SequentialSampler,
  SubsetRandomSampler,
  WeightedRandomSampler,
  type Sampler,
} from "./sampler.ts";
export { Series, WindowDataset, type WindowOptions } from "./series.ts";
export { csv, TableDataset, type CsvOptions } from "./table.ts";
export { accuracy } from "../metrics/functions.ts";
