/**
 * Statistics of each layer over a training, as views show them: a sample of the rows of `layers.jsonl`, a column for
 * each. Numbers that are missing, NaN or infinite are null.
 */

/** Which columns a view has. */
export interface KnownColumns {
  /** Of the sample: a new generation has other columns. */
  generation: number;
  /** Columns that stay. */
  kept: number;
}

/** The columns that a view doesn't have yet. */
export interface LayerColumns extends KnownColumns {
  /** Index of the first column here; a view drops its own columns from there on. The last one may not stay. */
  from: number;
  steps: number[];
  epochs: number[];
  layers: LayerSeries[];
  /** Layers beyond the most that are shown. */
  omitted: number;
  advice: LayerAdvice[];
}

/** One layer's numbers in each of the columns. */
export interface LayerSeries {
  /** Dotted path in the model; "" is the model itself. */
  path: string;
  gradNorm: (number | null)[];
  updateRatio: (number | null)[];
  meanActivation: (number | null)[];
  deadUnits: (number | null)[];
  units: (number | null)[];
}

/** A finding of a rule, with its fix. */
export interface LayerAdvice {
  /** Absent where it is about the data or the whole training; those come first. */
  layer?: string;
  step?: number;
  text: string;
}

export const VALUE_KINDS = ["weights", "gradients", "activations"] as const;
export type ValueKind = (typeof VALUE_KINDS)[number];

/** The histograms of a layer's values, one for each column; null where a column has none. */
export interface LayerValues extends KnownColumns {
  path: string;
  steps: number[];
  histograms: Record<ValueKind, (ShownHistogram | null)[]>;
}

/** A histogram by the share of its largest bin: see ValueHistogram of protocol/run.ts. */
export interface ShownHistogram {
  low: number;
  high: number;
  mean: number;
  std: number;
  /** 0 to 255. */
  bins: number[];
}

export interface LayerHistoryMethods {
  /** New columns; null if the run has none. */
  layers(known: KnownColumns): Promise<LayerColumns | null>;
  /** Values of one layer; null if there are none. */
  layerValues(path: string): Promise<LayerValues | null>;
}
