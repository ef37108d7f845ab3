// PyTorch's torch.utils.data, and data sets: the `data` that users import.
export {
  breastCancer,
  diabetes,
  digits,
  firstNames,
  globalTemperature,
  iris,
  LabelledDataset,
  speeches,
  weather,
  WeatherSeries,
  wine,
} from "./bundled.ts";
export { defaultCollate, defaultConvert, type Collated, type Converted } from "./collate.ts";
export { type ColumnType, type MissingPolicy, type Normalization } from "./columns.ts";
export {
  ConcatDataset,
  Dataset,
  randomSplit,
  StackDataset,
  Subset,
  TensorDataset,
  type Indexable,
  type SampleSource,
  type Stacked,
} from "./dataset.ts";
export { DistributedSampler, type DistributedSamplerOptions } from "./distributedSampler.ts";
export { fashionMnist, type FashionMnistOptions } from "./idx.ts";
export { ImageFolder, type ImageFolderOptions } from "./imageFolder.ts";
export { ChainDataset, IterableDataset } from "./iterable.ts";
export { makeGrid, readImage, saveImage, type GridOptions, type ImageReadMode } from "./images.ts";
export { getWorkerInfo } from "./workers.ts";
export { DataLoader, type DataLoaderOptions, type LoaderSource } from "./loader.ts";
export { parquet, ParquetDataset } from "./parquet/parquet.ts";
export type { ParquetOptions } from "./parquet/parquetOptions.ts";
export {
  BatchSampler,
  RandomSampler,
  SequentialSampler,
  SubsetRandomSampler,
  WeightedRandomSampler,
  Sampler,
} from "./sampler.ts";
export { Series, WindowDataset, type WindowOptions } from "./series.ts";
export { circles, sine, spirals, twoMoons, type SyntheticOptions } from "./synthetic.ts";
export { csv, TableDataset, type CsvOptions } from "./table.ts";
export { TarDataset, tarShards, type TarSample, type TarShardsOptions } from "./tarShards.ts";
export {
  characters,
  NextCharacterDataset,
  text,
  Vocabulary,
  words,
  type NextCharacterOptions,
  type VocabularyOptions,
} from "./text.ts";
export { TransformDataset, VisionDataset, type VisionOptions } from "./vision.ts";
export { accuracy } from "../metrics/functions.ts";
