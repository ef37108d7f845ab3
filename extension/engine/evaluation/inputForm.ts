import { Embedding } from "../../nn/modules/embedding.ts";
import type { Module } from "../../nn/module/module.ts";
import type { Codes, TextCoder } from "../../nn/data/tokenizers.ts";
import type { Batch } from "../../nn/experiment/experiment.ts";
import type { InputForm } from "../../protocol/evaluation.ts";
import { valuesOf } from "../../tensor/planning/barrier.ts";
import type { DType, HostArray } from "../../tensor/core/dtype.ts";
import { numel, type Shape } from "../../tensor/core/shape.ts";

/** Samples from which the form of inputs is learned. */
export const LOOKED_AT = 64;
/** More columns than this are not edited by hand. */
const MAX_COLUMNS = 200;
/** Fewest pixels along a side of an image: smaller squares are probably tables. */
const LEAST_SIDE = 8;

/** How a sample's first input is shown and made. */
export type Form =
  | {
      kind: "image";
      channels: number;
      height: number;
      width: number;
      /** Of each channel: the value of the ground and of ink; for photographs, the least and the largest. */
      low: number[];
      high: number[];
      ink: { extent: number; x: number; y: number } | undefined;
    }
  | {
      kind: "row";
      names: string[];
      /** All numbers of a sample, as the model has them and as a person reads them. */
      decode: (values: readonly number[]) => number[];
      encode: (values: readonly number[]) => readonly number[];
      columns: Column[];
      /** The inputs that the numbers are of, one after another. */
      parts: Part[];
    }
  | {
      kind: "text";
      coder: TextCoder;
      /** Tokens of each sample. */
      length: number;
      /** Padding token after the end of a short text; undefined without padding. */
      pad: number | undefined;
      /** Token that every sample begins with; undefined if they differ. */
      lead: number | undefined;
    }
  | { kind: "none"; reason: string };

interface Part {
  shape: Shape;
  dtype: DType;
  /** Numbers of a sample. */
  size: number;
}

interface Column {
  name: string;
  minimum: number;
  maximum: number;
  start: number;
}

export interface FormSources {
  model: Module;
  codes: readonly Codes[];
  /** Names of the columns, where the data set has some. */
  names: readonly string[] | undefined;
  /** A row of the file as the model's input. */
  encodeRow: (row: readonly number[]) => readonly number[];
}

/** Infers the form of inputs from some samples. */
export function formOf(samples: Batch, sources: FormSources): Form {
  const inputs = samples.length === 1 ? samples : samples.slice(0, -1);
  const [input] = inputs;
  if (input === undefined) return { kind: "none", reason: "The data set's samples have no tensors." };
  const shape = input.shape.slice(1);
  const values = valuesOf(input.value);
  if (inputs.length > 1) return rowForm(inputs, sources);
  if (input.dtype === "int64") return textForm(values, shape, sources);
  const image = imageShape(values, shape, sources.names);
  return image === undefined ? rowForm(inputs, sources) : imageForm(values, image);
}

/** Describes a form for a view. */
export function describeForm(form: Form): InputForm {
  if (form.kind === "image") {
    const { channels, height, width, ink } = form;
    return { kind: "image", channels, height, width, ...(ink === undefined ? {} : { ink }) };
  }
  if (form.kind === "row") return { kind: "row", columns: form.columns };
  if (form.kind === "text") return { kind: "text", unit: form.coder.unit, length: form.length };
  return form;
}

function textForm(values: HostArray, shape: Shape, { model, codes }: FormSources): Form {
  const [length] = shape;
  if (shape.length !== 1 || length === undefined)
    return { kind: "none", reason: "Inputs like this can't be made by hand: choose a sample of the data." };
  const embedding = model.modules().find((one) => one instanceof Embedding);
  const coders = codes.map((one) => one.coder());
  const coder = coders.find(({ size }) => size === embedding?.numEmbeddings);
  if (coder === undefined)
    return {
      kind: "none",
      reason: "No vocabulary of the file has as many tokens as the model's embedding: choose a sample.",
    };
  const samples = values.length / length;
  const column = (at: number): number[] =>
    Array.from({ length: samples }, (_, n) => values[n * length + at]!);
  const first = column(0);
  const lead = samples > 1 && first.every((id) => id === first[0]) ? first[0] : undefined;
  const pad = mostFrequent(column(length - 1));
  const padded = samples > 1 && pad.share > 0.3 && length > 1;
  return { kind: "text", coder, length, pad: padded ? pad.value : undefined, lead };
}

function mostFrequent(values: readonly number[]): { value: number; share: number } {
  const counts = new Map<number, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  const [value = 0, count = 0] = [...counts].sort(([, a], [, b]) => b - a)[0] ?? [];
  return { value, share: count / Math.max(values.length, 1) };
}

/** [C, H, W] of grey or coloured images, and rows of pixels that make a square. */
function imageShape(
  values: HostArray,
  shape: Shape,
  names: readonly string[] | undefined,
): [channels: number, height: number, width: number] | undefined {
  const [channels, height, width] = shape;
  if (shape.length === 3 && [1, 3, 4].includes(channels!)) return [channels!, height!, width!];
  const side = Math.sqrt(channels ?? 0);
  const square = shape.length === 1 && Number.isInteger(side) && side >= LEAST_SIDE && names === undefined;
  const within = square && Array.prototype.every.call(values, (x: number) => x >= 0 && x <= 1);
  return within ? [1, side, side] : undefined;
}

function imageForm(values: HostArray, [channels, height, width]: [number, number, number]): Form {
  const size = height * width;
  const low = Array.from({ length: channels }, () => Infinity);
  const high = low.map(() => -Infinity);
  values.forEach((value, at) => {
    const c = Math.floor(at / size) % channels;
    if (value < low[c]!) low[c] = value;
    if (value > high[c]!) high[c] = value;
  });
  // Pixels range from 0 to 1 even if none of these few samples is quite black or white.
  if (low.every((x) => x >= 0) && high.every((x) => x <= 1)) {
    low.fill(0);
    high.fill(1);
  }
  const ink = channels === 1 ? inkOf(values, height, width, low[0]!, high[0]!) : undefined;
  return { kind: "image", channels, height, width, low, high, ink };
}

/** Size and place of the ink in images; undefined if they are not ink on a plain ground. */
function inkOf(
  values: HostArray,
  height: number,
  width: number,
  low: number,
  high: number,
): { extent: number; x: number; y: number } | undefined {
  const size = height * width;
  const samples = values.length / size;
  const share = (n: number, y: number, x: number): number =>
    (values[n * size + y * width + x]! - low) / (high - low);
  const found = { extent: 0, x: 0, y: 0, mean: 0, corners: 0 };
  for (let n = 0; n < samples; n++) {
    const box = { left: width, right: -1, top: height, bottom: -1 };
    const mass = { all: 0, x: 0, y: 0 };
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++) {
        const here = share(n, y, x);
        mass.all += here;
        mass.x += here * (x + 0.5);
        mass.y += here * (y + 0.5);
        if (here < 0.3) continue;
        box.left = Math.min(box.left, x);
        box.right = Math.max(box.right, x);
        box.top = Math.min(box.top, y);
        box.bottom = Math.max(box.bottom, y);
      }
    const [right, bottom] = [width - 1, height - 1];
    const corners = [share(n, 0, 0), share(n, 0, right), share(n, bottom, 0), share(n, bottom, right)];
    found.corners += corners.filter((one) => one < 0.2).length / 4;
    found.mean += mass.all / size;
    found.extent += Math.max(box.right - box.left + 1, box.bottom - box.top + 1, 1) / Math.max(width, height);
    found.x += mass.all > 0 ? mass.x / mass.all / width : 0.5;
    found.y += mass.all > 0 ? mass.y / mass.all / height : 0.5;
  }
  if (!(found.corners / samples > 0.85 && found.mean / samples < 0.45)) return undefined;
  return { extent: found.extent / samples, x: found.x / samples, y: found.y / samples };
}

/** A number for each of the inputs' columns. */
function rowForm(inputs: Batch, { names, encodeRow }: FormSources): Form {
  const parts = inputs.map(({ shape: [, ...shape], dtype }): Part => ({ shape, dtype, size: numel(shape) }));
  const width = parts.reduce((sum, { size }) => sum + size, 0);
  if (width > MAX_COLUMNS || width === 0)
    return { kind: "none", reason: "Inputs like this can't be made by hand: choose a sample of the data." };
  // The scaling is known only for a table's rows.
  const table = parts.length === 1 && parts[0]!.shape.length === 1;
  const encode = table ? encodeRow : (row: readonly number[]) => row;
  const decode = decoderOf(width, encode);
  if (decode === undefined)
    return { kind: "none", reason: "The table has columns of categories: choose a sample of the data." };
  const titles = parts.flatMap((part, at) =>
    titlesOf(part, names).map((title) => (parts.length === 1 ? title : `input ${at + 1}: ${title}`)),
  );
  const values = inputs.map(({ value }) => valuesOf(value));
  const samples = inputs[0]!.shape[0]!;
  const decoded = Array.from({ length: samples }, (_, n) =>
    decode(values.flatMap((all, at) => Array.from(rowOf(all, n, parts[at]!.size)))),
  );
  const columns = titles.map((name, i): Column => {
    const sorted = decoded.map((row) => row[i]!).sort((a, b) => a - b);
    const start = sorted[Math.floor(samples / 2)] ?? 0;
    return { name, minimum: sorted[0] ?? 0, maximum: sorted.at(-1) ?? 0, start };
  });
  return { kind: "row", names: titles, decode, encode, columns, parts };
}

const rowOf = (all: HostArray, n: number, size: number): HostArray => all.subarray(n * size, (n + 1) * size);

/** Titles of the columns; of a series [steps, features], one for each feature at each step. */
function titlesOf({ shape, size }: Part, names: readonly string[] | undefined): string[] {
  const features = shape.at(-1) ?? 1;
  return Array.from({ length: size }, (_, i) => {
    const name = names?.[i % features] ?? (features === 1 ? "x" : `x${(i % features) + 1}`);
    return shape.length < 2 ? name : `${name}, step ${Math.floor(i / features) + 1}`;
  });
}

/** Undoes the scaling of a table, column by column: it is linear, so two rows determine it. */
function decoderOf(
  width: number,
  encodeRow: FormSources["encodeRow"],
): ((values: readonly number[]) => number[]) | undefined {
  try {
    const zero = encodeRow(Array.from({ length: width }, () => 0));
    const one = encodeRow(Array.from({ length: width }, () => 1));
    // Rounded to what a float32 of a scaled number can tell.
    return (values) =>
      values.map((value, i) => Number(((value - zero[i]!) / (one[i]! - zero[i]!)).toPrecision(6)));
  } catch {
    return undefined;
  }
}

/** Elements of a sample of this form. */
export function formSize(form: Form): number | undefined {
  if (form.kind === "image") return numel([form.channels, form.height, form.width]);
  if (form.kind === "row") return form.names.length;
  return undefined;
}
