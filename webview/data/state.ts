/** The complete state of the data panel; its views are functions of it. */
import type {
  DataDraws,
  DataPage,
  DataSample,
  DataSnapshot,
  DataSummary,
  SamplePlace,
  SplitName,
} from "../../extension/protocol/data/data.ts";
import type { UserError } from "../../extension/protocol/errors.ts";

/** Samples on a page. */
export const PAGE = 24;

/** The user's settings; saved when the panel is hidden. */
export interface DataUi {
  split: SplitName;
  /** Number of the first sample on the page. */
  offset: number;
  /** Class of the samples; -1 for all. */
  actual: number;
  /** Number of the selected sample; -1 for none. */
  index: number;
  /** Whether equal samples are shown. */
  pairs: boolean;
}

export const defaultUi: DataUi = { split: "train", offset: 0, actual: -1, index: -1, pairs: false };

/** The host's answers to requests, or why there are none. */
export interface Asked<T> {
  answer?: T | undefined;
  loading?: boolean;
  error?: UserError | undefined;
}

export type Question = "page" | "pairs" | "draws";

export interface DataState {
  snapshot: DataSnapshot;
  ui: DataUi;
  page: Asked<DataPage>;
  pairs: Asked<DataSample[]>;
  draws: Asked<DataDraws>;
  /** Why the last command failed. */
  error: UserError | undefined;
}

/** Actions of the panel's controls. */
export interface Actions {
  setUi(change: Partial<DataUi>): void;
  look(place: SamplePlace | undefined): void;
  drawAgain(): void;
  read(): void;
  cancel(): void;
  train(): void;
  viewTensor(place: SamplePlace, name: string): void;
  /** Hides the error of a question; by default, that of the last command. */
  dismiss(question?: Question): void;
  /** Connects again after a failure. */
  retry(): void;
  openSource: (file: string, line?: number, column?: number) => void;
}

/** The settings that the summary allows: those of an older file may not. */
export function fitting(ui: DataUi, { splits, classes }: DataSummary): DataUi {
  const there = splits.some(({ name }) => name === ui.split);
  const known = ui.actual < (classes?.length ?? 0);
  return {
    ...ui,
    ...(there ? {} : { split: splits[0]?.name ?? "train", offset: 0, index: -1 }),
    ...(known ? {} : { actual: -1, offset: 0 }),
  };
}

/** Nothing for a scalar. */
export const shapeText = (shape: readonly number[], largest?: readonly number[]): string =>
  shape.length === 0
    ? ""
    : `[${shape.map((extent, i) => ((largest?.[i] ?? extent) === extent ? extent : `${extent}–${largest![i]}`)).join(", ")}]`;
