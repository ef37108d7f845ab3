// Records of TensorBoard's event files. The engine knows the format: formats/tensorboard.ts.

/** Counts of values between edges. */
export interface EventHistogram {
  readonly min: number;
  readonly max: number;
  /** Number of values. */
  readonly num: number;
  readonly sum: number;
  readonly sumSquares: number;
  /** Right edge of each bucket. */
  readonly limits: readonly number[];
  readonly counts: readonly number[];
}

/** An image of 8 bits a channel, pixel by pixel. */
export interface EventImage {
  readonly width: number;
  readonly height: number;
  readonly channels: 3 | 4;
  readonly data: Uint8Array;
}

export type Hyperparameter = number | string | boolean;

/** One part of what TensorBoard's page of hyperparameters shows of a run. */
export type HparamsPart =
  | {
      readonly kind: "experiment";
      readonly parameters: Readonly<Record<string, Hyperparameter>>;
      /** All values that a parameter has in the experiment. */
      readonly domains: Readonly<Record<string, readonly Hyperparameter[]>>;
      readonly metrics: readonly string[];
    }
  | { readonly kind: "start"; readonly parameters: Readonly<Record<string, Hyperparameter>> }
  | { readonly kind: "end" };

/** A value under a tag. */
export type SummaryValue = { readonly tag: string } & (
  | { readonly scalar: number; readonly style?: "float" | "double" | undefined }
  | { readonly text: string }
  | { readonly histogram: EventHistogram }
  | { readonly image: EventImage }
);

/** A record of an event file. */
export interface SummaryEvent {
  /** Seconds since 1970. */
  readonly wallTime: number;
  readonly step?: number | undefined;
  readonly values?: readonly SummaryValue[];
  readonly hparams?: HparamsPart;
  /** Values of this step and later ones, in older files, are void. */
  readonly restart?: boolean;
}

/** When pending events are written. */
export interface EventFileOptions {
  /** Appended to the file's name. */
  readonly suffix: string;
  /** Most events that wait. */
  readonly queue: number;
  /** Longest time in seconds that an event waits. */
  readonly seconds: number;
}

/** An event file that is open. */
export interface EventSink {
  /** @throws TensorError if the file can't be written */
  write(event: SummaryEvent): void;
  /** Writes what is pending. @throws TensorError if the file can't be written */
  flush(): void;
  /** Writes what is pending, and closes the file. @throws TensorError if the file can't be written */
  close(): void;
}
