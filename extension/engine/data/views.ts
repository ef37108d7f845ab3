import type { Codes } from "../../nn/data/tokenizers.ts";
import { Vocabulary } from "../../nn/data/text.ts";
import { WindowDataset } from "../../nn/data/series.ts";
import type { DataField, DataSample, DataView, SamplePlace } from "../../protocol/data/data.ts";
import { toHostArray } from "../../tensor/core/dtype.ts";
import { fromHost, type Tensor } from "../../tensor/core/tensor.ts";
import { formOf, LOOKED_AT, type Form } from "../evaluation/inputForm.ts";
import { picture } from "../evaluation/pictures.ts";
import { viewOf } from "../evaluation/samples.ts";
import { classesOf } from "../findings/dataRules.ts";
import type { Prepared } from "../training/prepare.ts";
import { valueAt, type Field, type Part, type Row } from "./rows.ts";
import type { Split } from "./splits.ts";
import { className, columnNames } from "./summary.ts";

/** Characters and tokens of a text, and points of a series, that are shown. */
const MAX_TEXT = 600;
const MAX_TOKENS = 200;
const MAX_POINTS = 200;
/** Lines of a series, and the fewest points that make one. */
const MAX_LINES = 16;
const LEAST_POINTS = 8;
/** Squares of fewer numbers a side are rather tables. */
const LEAST_SIDE = 8;

/** Shows samples of an experiment: as pictures, texts, series or numbers. */
export class SampleViewer {
  readonly #form: Form;
  readonly #prepared: Prepared;
  readonly #classified: boolean;

  /** @param codes What the file made to code texts with */
  constructor(prepared: Prepared, splits: readonly Split[], codes: readonly Codes[]) {
    this.#prepared = prepared;
    const split = splits.find(({ name }) => name === "train") ?? splits[0];
    this.#form = split === undefined ? NONE : formFor(prepared, split, codes);
    this.#classified = split !== undefined && classesOf(split, prepared.loss) !== undefined;
  }

  /** A sample, with what its data set has under each name. */
  sample(place: SamplePlace, fields: readonly Field[], at: number): DataSample {
    return { ...place, fields: fields.flatMap((field) => this.#field(field, valueAt(field, at)) ?? []) };
  }

  #field({ name, role, dtype }: Field, value: Row | string | undefined): DataField | undefined {
    if (value === undefined) return undefined;
    if (dtype === "text" || typeof value === "string") {
      const text = typeof value === "string" ? value : "";
      return {
        name,
        role,
        dtype,
        shape: [],
        view: { kind: "string", text: text.slice(0, MAX_TEXT), length: text.length },
      };
    }
    const view = role === "target" ? this.#target(value, dtype) : this.#view(value, dtype);
    return { name, role, dtype, shape: [...value.shape], view };
  }

  #target(row: Row, dtype: Tensor["dtype"]): DataView {
    const [index] = row.values;
    if (!this.#classified || row.values.length !== 1 || index === undefined) return this.#view(row, dtype);
    return { kind: "class", index, name: className(this.#prepared, index) };
  }

  #view({ values, shape }: Row, dtype: Tensor["dtype"]): DataView {
    const form = this.#form;
    const series = form.kind === "image" ? undefined : seriesOf({ values, shape }, dtype, this.#prepared);
    if (series !== undefined) return series;
    if (form.kind !== "text" && shape.length === 2 && shape.every((extent) => extent >= LEAST_SIDE)) {
      const [height, width] = shape as [number, number];
      return plane(values, [1, height, width]);
    }
    if (form.kind !== "image" && shape.length === 3 && dtype === "float32" && shape[0]! <= 4)
      return plane(values, shape as [number, number, number]);
    const view = viewOf(values, shape, dtype, form);
    return view.kind === "text" ? { ...view, tokens: view.tokens.slice(0, MAX_TOKENS) } : view;
  }
}

const NONE: Form = { kind: "none", reason: "" };

/** A picture that is black at its least number and white at its largest. */
function plane(values: Row["values"], [channels, height, width]: [number, number, number]): DataView {
  let [least, largest] = [Infinity, -Infinity];
  for (const x of values) {
    if (!Number.isFinite(x)) continue;
    least = Math.min(least, x);
    largest = Math.max(largest, x);
  }
  const all = (value: number): number[] => Array.from({ length: channels }, () => value);
  return picture({ values, channels, height, width, low: all(least), high: all(largest) });
}

/** Windows [T, F] and [C, T] of a series, and [T] where the data set says so. */
function seriesOf({ values, shape }: Row, dtype: Tensor["dtype"], prepared: Prepared): DataView | undefined {
  if (dtype !== "float32" || shape.length === 0 || shape.length > 2) return undefined;
  const [first, second] = shape as [number, number | undefined];
  if (second === undefined)
    return prepared.train.source instanceof WindowDataset && first >= LEAST_POINTS
      ? lines(values, shape, { points: first, count: 1, at: (_, t) => t })
      : undefined;
  if (first >= LEAST_POINTS && second <= MAX_LINES && second < first)
    return lines(values, shape, { points: first, count: second, at: (line, t) => t * second + line });
  return second >= LEAST_POINTS && first <= MAX_LINES && first < second
    ? lines(values, shape, { points: second, count: first, at: (line, t) => line * second + t })
    : undefined;
}

function lines(
  values: Row["values"],
  shape: Row["shape"],
  { points, count, at }: { points: number; count: number; at: (line: number, point: number) => number },
): DataView {
  const step = Math.ceil(points / MAX_POINTS);
  const shown = Math.ceil(points / step);
  return {
    kind: "series",
    shape: [...shape],
    lines: Array.from({ length: count }, (_, line) =>
      Array.from({ length: shown }, (_none, i) => values[at(line, i * step)]!),
    ),
  };
}

/** How the first input is shown, learned from some samples. */
function formFor(prepared: Prepared, split: Split, codes: readonly Codes[]): Form {
  const { inputs, read, target } = split;
  if (inputs.length === 0 || inputs.length !== split.fields.filter(({ role }) => role === "input").length)
    return NONE;
  const count = Math.min(read, LOOKED_AT);
  const rows = Array.from({ length: count }, (_, i) => Math.floor((i * read) / count));
  const batch = [...inputs, target ?? inputs[0]!].map((part) => batchOf(part, rows));
  const own: unknown = Reflect.get(prepared.train.source, "vocabulary");
  try {
    return formOf(batch, {
      model: prepared.model,
      codes: own instanceof Vocabulary ? [own, ...codes] : codes,
      names: columnNames(prepared),
      encodeRow: (row) => prepared.train.encodeRow(row),
    });
  } catch {
    // Such as a transform of the user's that takes no rows.
    return NONE;
  }
}

function batchOf({ values, size, shape, dtype }: Part, rows: readonly number[]): Tensor {
  const some = rows.flatMap((row) => Array.from(values.subarray(row * size, (row + 1) * size)));
  return fromHost(toHostArray(some, dtype), [rows.length, ...shape], dtype);
}
