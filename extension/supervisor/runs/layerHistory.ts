import * as v from "valibot";
import { checkedLine } from "../../files/json.ts";
import { Finding, FINDING_NAMES, FINDINGS_FILE } from "../../protocol/findings.ts";
import {
  VALUE_KINDS,
  type KnownColumns,
  type LayerAdvice,
  type LayerColumns,
  type LayerSeries,
  type LayerValues,
  type ShownHistogram,
  type ValueKind,
} from "../../protocol/layers/history.ts";
import { LAYER_NAMES, LAYERS_FILE, LayerRow, type ValueHistogram } from "../../protocol/run.ts";
import { LineSample } from "./lineSample.ts";
import { readLastRecords } from "./recordLines.ts";
import { Sample } from "./sampledRows.ts";

/** Columns kept, between this and twice as many: more than a diagram's slider or a heat map can show apart. */
const COLUMNS = 120;
/** Layers of a model that are shown, and characters of a path. */
const MOST_LAYERS = 1000;
const LONGEST_PATH = 500;
const MOST_ADVICE = 50;
const NAMES = ["gradNorm", "updateRatio", "meanActivation", "deadUnits", "units"] as const;

/** A row with the layers that can be shown, and how many others it has: checking tens of thousands would hold up VS Code. */
const FewLayers = v.pipe(
  v.object({
    ...LayerRow.entries,
    layers: v.custom<object>((one) => typeof one === "object" && one !== null),
  }),
  v.transform(({ layers, ...row }) => {
    const all = Object.entries(layers);
    const few = Object.fromEntries(all.slice(0, MOST_LAYERS));
    return { ...row, layers: few, omitted: Math.max(0, all.length - MOST_LAYERS) };
  }),
  v.object({ ...LayerRow.entries, omitted: v.number() }),
);

type Figures = LayerRow["layers"][string];

/** A histogram in few bytes: a run of a thousand layers has half a million of them. */
interface PackedHistogram {
  numbers: Float32Array;
  bins: Uint8Array;
}

interface Column {
  step: number;
  epoch: number;
  layers: Map<string, { figures: Pick<Figures, (typeof NAMES)[number]>; values: Packed }>;
}
type Packed = Partial<Record<ValueKind, PackedHistogram>>;

/** History of a run's layers, read from its directory in bounded time and memory. */
export class LayerHistory {
  readonly #directory: string;
  readonly #lines: LineSample;
  #columns = new Sample<Column>(COLUMNS);
  /** Column of the file's last row, if the sample doesn't have it. */
  #last: Column | undefined;
  /** Counts samples that were replaced. */
  #replaced = 0;
  /** Paths of all layers, in the order in which they were met. */
  readonly #paths = new Set<string>();
  #omitted = 0;
  #newest = -Infinity;
  #advice: LayerAdvice[] = [];
  #reading: Promise<void> | undefined;

  constructor(directory: string) {
    this.#directory = directory;
    this.#lines = new LineSample(directory, LAYERS_FILE);
  }

  /** The columns that a view doesn't have, and advice; null if there is neither. */
  async columns(known: KnownColumns): Promise<LayerColumns | null> {
    await this.#refresh();
    const all = this.#all;
    if (all.length === 0 && this.#advice.length === 0) return null;
    const from =
      known.generation === this.#generation ? Math.max(0, Math.min(known.kept, this.#columns.kept)) : 0;
    const shown = all.slice(from);
    return {
      ...this.#known,
      from,
      steps: shown.map(({ step }) => step),
      epochs: shown.map(({ epoch }) => epoch),
      layers: [...this.#paths].map((path) => seriesOf(path, shown)),
      omitted: this.#omitted,
      advice: this.#advice,
    };
  }

  /** The histograms of one layer; null if it is unknown. */
  async values(path: string): Promise<LayerValues | null> {
    await this.#refresh();
    if (!this.#paths.has(path)) return null;
    const all = this.#all;
    const histograms = Object.fromEntries(
      VALUE_KINDS.map((kind) => [kind, all.map(({ layers }) => unpacked(layers.get(path)?.values[kind]))]),
    ) as LayerValues["histograms"];
    return { ...this.#known, path, steps: all.map(({ step }) => step), histograms };
  }

  get #all(): Column[] {
    return this.#last === undefined ? this.#columns.rows : [...this.#columns.rows, this.#last];
  }

  get #generation(): number {
    return this.#replaced + this.#columns.generation;
  }

  get #known(): KnownColumns {
    return { generation: this.#generation, kept: this.#columns.kept };
  }

  /** Reads what is new; calls at the same time share one reading. */
  #refresh(): Promise<void> {
    this.#reading ??= this.#read().finally(() => (this.#reading = undefined));
    return this.#reading;
  }

  async #read(): Promise<void> {
    await this.#lines.read(
      (line, sampled) => this.#take(line, sampled),
      () => this.#forget(),
    );
    // Unreadable advice is left out: the layers can still be read.
    const findings = await readLastRecords(this.#directory, FINDINGS_FILE, Finding, {
      most: 2 * MOST_ADVICE,
      names: FINDING_NAMES,
    }).catch(() => []);
    // A resumed run may have found the same again.
    const known = new Map(
      findings.map(({ kind, layer, step, text }) => [
        `${kind} ${layer ?? `: ${text}`}`,
        { text, ...(layer === undefined ? {} : { layer }), ...(step === undefined ? {} : { step }) },
      ]),
    );
    const isOfLayer = ({ layer }: LayerAdvice): number => (layer === undefined ? 0 : 1);
    this.#advice = [...known.values()].slice(-MOST_ADVICE).sort((a, b) => isOfLayer(a) - isOfLayer(b));
  }

  #forget(): void {
    this.#replaced += this.#columns.generation + 1;
    this.#columns = new Sample(COLUMNS);
    this.#last = undefined;
    this.#newest = -Infinity;
  }

  #take(line: string, sampled: boolean): void {
    const row = checkedLine(line, FewLayers, LAYER_NAMES);
    if (row === undefined) return;
    // The training was resumed from an earlier step, or rolled back to one: later rows don't count.
    if (row.step <= this.#newest) this.#columns.cut(row.step - 1);
    this.#newest = row.step;
    const column = this.#column(row);
    this.#last = sampled ? undefined : column;
    if (sampled) this.#columns.push(column);
  }

  #column({ step, epoch, layers, omitted: before }: v.InferOutput<typeof FewLayers>): Column {
    const column: Column = { step, epoch, layers: new Map() };
    let omitted = before;
    for (const [path, figures] of Object.entries(layers)) {
      if (!this.#knows(path)) {
        omitted++;
        continue;
      }
      const values: Packed = {};
      for (const kind of VALUE_KINDS) {
        const histogram = figures[kind];
        const kept = histogram && packed(histogram);
        if (kept !== undefined) values[kind] = kept;
      }
      const kept = Object.fromEntries(NAMES.map((name) => [name, short(figures[name])]));
      column.layers.set(path, { figures: kept, values });
    }
    this.#omitted = Math.max(this.#omitted, omitted);
    return column;
  }

  /** Whether a layer is shown. */
  #knows(path: string): boolean {
    if (this.#paths.size < MOST_LAYERS && path.length <= LONGEST_PATH) this.#paths.add(path);
    return this.#paths.has(path);
  }
}

function seriesOf(path: string, columns: readonly Column[]): LayerSeries {
  const series = (name: (typeof NAMES)[number]): (number | null)[] =>
    columns.map(({ layers }) => finite(layers.get(path)?.figures[name]));
  return {
    path,
    gradNorm: series("gradNorm"),
    updateRatio: series("updateRatio"),
    meanActivation: series("meanActivation"),
    deadUnits: series("deadUnits"),
    units: series("units"),
  };
}

const finite = (x: number | undefined): number | null => (x !== undefined && Number.isFinite(x) ? x : null);

/** Four digits: a message of a thousand layers has a million numbers. */
const short = (x: number | undefined): number | undefined =>
  x === undefined ? undefined : Number(x.toPrecision(4));

/** Undefined if it can't be drawn: the file may be anyone's. */
function packed({ low, high, mean, std, counts }: ValueHistogram): PackedHistogram | undefined {
  const largest = Math.max(...counts);
  const numbers = Float32Array.of(low, high, mean, std);
  if (!numbers.every(Number.isFinite) || high < low || !(largest > 0)) return undefined;
  return {
    numbers,
    // A bin that isn't empty is never shown as if it were.
    bins: Uint8Array.from(counts, (count) => (count > 0 ? Math.max(1, (255 * count) / largest) : 0)),
  };
}

function unpacked(histogram: PackedHistogram | undefined): ShownHistogram | null {
  if (histogram === undefined) return null;
  const [low, high, mean, std] = Array.from(histogram.numbers, (x) => Number(x.toPrecision(5)));
  return { low: low!, high: high!, mean: mean!, std: std!, bins: [...histogram.bins] };
}
