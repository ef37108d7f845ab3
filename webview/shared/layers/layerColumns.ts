/** The figures of each layer over a training that the host has sent so far. */
import type {
  KnownColumns,
  LayerAdvice,
  LayerColumns,
  LayerSeries,
} from "../../../extension/protocol/layers/history.ts";

export const MEASURES = ["gradNorm", "updateRatio", "meanActivation", "deadUnits"] as const;
/** Of dead units, the share of all units. */
export type Measure = (typeof MEASURES)[number];

type Numbers = (number | undefined)[];
export type Layer = Record<Exclude<keyof LayerSeries, "path">, Numbers>;

export interface Scale {
  low: number;
  high: number;
  logarithmic: boolean;
}

export class LayerHistory {
  readonly steps: number[] = [];
  readonly epochs: number[] = [];
  readonly layers = new Map<string, Layer>();
  advice: readonly LayerAdvice[] = [];
  omitted = 0;
  known: KnownColumns = { generation: 0, kept: 0 };
  /** Increases with each change. */
  version = 0;
  readonly #scales = new Map<Measure, Scale>();

  /** Takes columns of the host; answers whether there is anything new. */
  add({ from, steps, epochs, layers, advice, omitted, generation, kept }: LayerColumns): boolean {
    const [last] = steps.slice(-1);
    const same =
      this.steps.length === from + steps.length && (last ?? this.steps.at(-1)) === this.steps.at(-1);
    const changed =
      !same ||
      (from === 0 && steps.length > 0) ||
      this.known.generation !== generation ||
      JSON.stringify(this.advice) !== JSON.stringify(advice);
    this.known = { generation, kept };
    if (!changed) return false;
    this.version++;
    this.#scales.clear();
    this.advice = advice;
    this.omitted = omitted;
    replaceFrom(this.steps, from, steps);
    replaceFrom(this.epochs, from, epochs);
    for (const { path, ...series } of layers) {
      let layer = this.layers.get(path);
      if (layer === undefined) this.layers.set(path, (layer = emptyLayer()));
      for (const name of SERIES) replaceFrom(layer[name], from, series[name]);
    }
    return true;
  }

  /** The column of the last step that isn't after this one; of undefined, the last column. */
  columnAt(step: number | undefined): number {
    if (step === undefined) return this.steps.length - 1;
    return Math.max(
      0,
      this.steps.findLastIndex((one) => one <= step),
    );
  }

  value(path: string, measure: Measure, column: number): number | undefined {
    const layer = this.layers.get(path);
    return layer && valueOf(layer, measure, column);
  }

  /** The value of a module together with those inside it. */
  total(path: string, measure: Measure, column: number): number | undefined {
    const inside = [...this.layers].flatMap(([one, layer]) =>
      path === "" || one === path || one.startsWith(`${path}.`) ? [layer] : [],
    );
    const values = inside.flatMap((layer) => valueOf(layer, measure, column) ?? []);
    if (values.length === 0) return undefined;
    switch (measure) {
      case "gradNorm":
        return Math.hypot(...values);
      case "updateRatio":
        return Math.max(...values);
      case "meanActivation":
        return values.reduce((sum, x) => sum + x, 0) / values.length;
      case "deadUnits": {
        const sum = (name: "deadUnits" | "units"): number =>
          inside.reduce((all, layer) => all + (layer[name][column] ?? 0), 0);
        return sum("deadUnits") / Math.max(1, sum("units"));
      }
    }
  }

  /** Whether a layer has this measure at all. */
  has(measure: Measure): boolean {
    return [...this.layers.values()].some((layer) => layer[measure].some((value) => value !== undefined));
  }

  /** The colours' scale: of all layers and columns, so that a colour means the same at each step. */
  scale(measure: Measure): Scale {
    let scale = this.#scales.get(measure);
    if (scale === undefined) this.#scales.set(measure, (scale = this.#scaleOf(measure)));
    return scale;
  }

  #scaleOf(measure: Measure): Scale {
    if (measure === "deadUnits") return { low: 0, high: 1, logarithmic: false };
    let [low, high] = [Infinity, -Infinity];
    for (const layer of this.layers.values())
      for (const x of layer[measure]) {
        if (x === undefined || x <= 0) continue;
        if (x < low) low = x;
        if (x > high) high = x;
      }
    if (!(high > 0)) return { low: 0, high: 1, logarithmic: false };
    // A layer that hardly learns must not take all colours for itself.
    return { low: Math.max(low, high * FAINTEST), high, logarithmic: true };
  }
}

/** A training's figures at one of its steps. */
export interface WatchedLayers {
  readonly history: LayerHistory;
  readonly column: number;
  /** Identifies the shown data, for redrawing. */
  readonly key: string;
}

/** Below this part of the largest value, colours don't tell values apart. */
const FAINTEST = 1e-8;
const SERIES = ["gradNorm", "updateRatio", "meanActivation", "deadUnits", "units"] as const;

const emptyLayer = (): Layer => ({
  gradNorm: [],
  updateRatio: [],
  meanActivation: [],
  deadUnits: [],
  units: [],
});

function replaceFrom<T>(list: (T | undefined)[], from: number, items: readonly (T | null)[]): void {
  // A layer that was met later has no earlier columns.
  list.length = from;
  for (const item of items) list.push(item ?? undefined);
}

function valueOf(layer: Layer, measure: Measure, column: number): number | undefined {
  const value = layer[measure][column];
  if (measure !== "deadUnits" || value === undefined) return value;
  const units = layer.units[column] ?? 0;
  return units > 0 ? value / units : undefined;
}

/** Where a value is on a scale, 0 to 1; undefined without one. */
export function shareOf(value: number | undefined, { low, high, logarithmic }: Scale): number | undefined {
  if (value === undefined) return undefined;
  if (!(high > low)) return value > 0 ? 1 : 0;
  const at = logarithmic
    ? Math.log(Math.max(value, low) / low) / Math.log(high / low)
    : (value - low) / (high - low);
  return Math.min(1, Math.max(0, at));
}

/** A value with no more digits than a table needs; dead units as a share. */
export function formatValue(value: number | undefined, measure: Measure): string {
  if (value === undefined) return "–";
  if (measure === "deadUnits") return `${Math.round(100 * value)} %`;
  return formatShort(value);
}

/** Three digits, scientific below 0.001 and from 10,000 on. */
export function formatShort(value: number): string {
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e4)) return value.toExponential(1).replace("e+", "e");
  return String(Number(value.toPrecision(3)));
}
