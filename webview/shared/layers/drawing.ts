/** Draws histograms over a training, and one measure of all layers, on canvases. */
import type { ShownHistogram } from "../../../extension/protocol/layers/history.ts";
import { isHighContrast, themeValue, translucent } from "../theme.ts";
import { type LayerHistory, type Measure, shareOf } from "./layerColumns.ts";
import { channelsOf } from "./pictures.ts";

export interface LayerColours {
  background: string;
  text: string;
  mark: string;
  /** Red, green and blue of what a colour's strength shows. */
  tint: readonly [number, number, number];
  line: string;
  font: string;
  highContrast: boolean;
}

export function readLayerColours(): LayerColours {
  const blue = themeValue("--vscode-charts-blue", "--vscode-foreground");
  const highContrast = isHighContrast();
  return {
    background: themeValue("--vscode-editor-background"),
    text: themeValue("--vscode-descriptionForeground", "--vscode-foreground"),
    mark: themeValue("--vscode-charts-yellow", "--vscode-foreground"),
    tint: channelsOf(blue),
    line: blue,
    font: themeValue("--vscode-font-family") || "sans-serif",
    highContrast,
  };
}

/** Sets a canvas to the device's pixels; answers its context in CSS pixels, cleared. */
export function prepared(
  canvas: HTMLCanvasElement,
  width: number,
  height: number,
): CanvasRenderingContext2D | undefined {
  const ratio = devicePixelRatio;
  const [wide, high] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== wide || canvas.height !== high) [canvas.width, canvas.height] = [wide, high];
  const context = canvas.getContext("2d");
  if (context === null) return undefined;
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return context;
}

/** `columns` × `rows` colours by their strength, 0 to 1; undefined ones stay empty. */
function coloured(
  columns: number,
  rows: number,
  [red, green, blue]: LayerColours["tint"],
  strength: (column: number, row: number) => number | undefined,
): ImageData {
  const image = new ImageData(columns, rows);
  const { data } = image;
  for (let row = 0, at = 0; row < rows; row++)
    for (let column = 0; column < columns; column++, at += 4) {
      const share = strength(column, row);
      if (share === undefined) continue;
      data[at] = red;
      data[at + 1] = green;
      data[at + 2] = blue;
      data[at + 3] = 255 * share;
    }
  return image;
}

/** The least strength of a value that there is: an empty place means that there is none. */
const FAINT = 0.06;
const visible = (share: number): number => FAINT + (1 - FAINT) * share;

/** Places of a picture from the first step to the last. */
const PLACES = 240;

/** The checks at evenly spaced steps: those of a file are not evenly spaced where a long training is thinned out. */
export function checksOverTime(steps: readonly number[], places: number): number[] {
  const [first = 0, last = 0] = [steps[0], steps.at(-1)];
  let check = 0;
  return Array.from({ length: places }, (_, place) => {
    const step = places === 1 ? last : first + ((last - first) * place) / (places - 1);
    // The nearest one: a check stands for the steps around it.
    while (check + 1 < steps.length && steps[check + 1]! - step <= step - steps[check]!) check++;
    return check;
  });
}

/** Where a step is from the first to the last, 0 to 1. */
export function placeOf(steps: readonly number[], step: number | undefined): number {
  const [first = 0, last = 0] = [steps[0], steps.at(-1)];
  return last > first ? ((step ?? last) - first) / (last - first) : 1;
}

/** Draws a row of one pixel for each layer over the steps: style sheets enlarge it. */
export function drawOverview(
  canvas: HTMLCanvasElement,
  history: LayerHistory,
  measure: Measure,
  { tint }: LayerColours,
): void {
  const layers = [...history.layers.keys()];
  const checks = checksOverTime(history.steps, PLACES);
  [canvas.width, canvas.height] = [PLACES, Math.max(1, layers.length)];
  if (history.steps.length === 0 || layers.length === 0) return;
  const scale = history.scale(measure);
  const image = coloured(PLACES, layers.length, tint, (place, row) => {
    const share = shareOf(history.value(layers[row]!, measure, checks[place]!), scale);
    return share === undefined ? undefined : visible(share);
  });
  canvas.getContext("2d")?.putImageData(image, 0, 0);
}

/** Pixels around a picture of values: for numbers on its left, and below it. */
const MARGIN = { left: 52, right: 8, top: 8, bottom: 18 };
/** Rows of a heat picture. */
const HEAT_ROWS = 64;
/** Pixels between two ridges. */
const RIDGE_GAP = 7;
/** A ridge's height, relative to the distance of two. */
const RIDGE_HEIGHT = 4;

export interface ValuesPicture {
  steps: readonly number[];
  histograms: readonly (ShownHistogram | null)[];
  /** The selected column. */
  column: number;
  width: number;
  height: number;
  colours: LayerColours;
  format: (value: number) => string;
}

interface Range {
  low: number;
  high: number;
}

/** The range of all histograms. */
export function rangeOf(histograms: readonly (ShownHistogram | null)[]): Range | undefined {
  let [low, high] = [Infinity, -Infinity];
  for (const one of histograms) {
    if (one === null) continue;
    low = Math.min(low, one.low);
    high = Math.max(high, one.high);
  }
  if (low > high) return undefined;
  // All values are equal: a picture needs some room.
  const pad = high > low ? 0 : Math.max(Math.abs(low), 1e-6) * 0.5;
  return { low: low - pad, high: high + pad };
}

/** The frequency of values between two bounds, relative to the histogram's largest bin: 0 to 1. */
export function density({ low, high, bins }: ShownHistogram, from: number, to: number): number {
  if (!(high > low)) return low >= from && low <= to ? 1 : 0;
  if (to < low || from > high) return 0;
  const width = (high - low) / bins.length;
  const first = Math.max(0, Math.floor((from - low) / width));
  const last = Math.min(bins.length - 1, Math.floor((to - low) / width));
  let largest = 0;
  for (let bin = first; bin <= last; bin++) largest = Math.max(largest, bins[bin]!);
  return largest / 255;
}

/** All histograms as colours: time to the right, values upwards. It stays the same while the position moves. */
export function heatImage(
  { steps, histograms }: Pick<ValuesPicture, "steps" | "histograms">,
  { tint }: LayerColours,
): OffscreenCanvas | undefined {
  const range = rangeOf(histograms);
  if (range === undefined) return undefined;
  const part = (range.high - range.low) / HEAT_ROWS;
  const checks = checksOverTime(steps, PLACES);
  const image = coloured(PLACES, HEAT_ROWS, tint, (place, row) => {
    const histogram = histograms[checks[place]!];
    if (histogram === null || histogram === undefined) return undefined;
    const top = range.high - row * part;
    const share = density(histogram, top - part, top);
    // A square root, so that the tails are seen.
    return share === 0 ? undefined : visible(Math.sqrt(share));
  });
  const canvas = new OffscreenCanvas(image.width, image.height);
  canvas.getContext("2d")?.putImageData(image, 0, 0);
  return canvas;
}

/** Draws a {@link heatImage} with its axes and the position. */
export function drawHeat(
  canvas: HTMLCanvasElement,
  image: OffscreenCanvas | undefined,
  shown: ValuesPicture,
): void {
  const { steps, histograms, column, width, height, colours, format } = shown;
  const context = prepared(canvas, width, height);
  const range = rangeOf(histograms);
  if (context === undefined || range === undefined || image === undefined) return;
  const inner = innerOf(width, height);
  context.imageSmoothingEnabled = false;
  context.drawImage(image, inner.left, inner.top, inner.width, inner.height);
  context.font = `11px ${colours.font}`;
  context.fillStyle = colours.text;
  context.textAlign = "right";
  context.textBaseline = "middle";
  context.fillText(format(range.high), inner.left - 6, inner.top + 5);
  context.fillText(format(range.low), inner.left - 6, inner.top + inner.height - 5);
  if (range.low < 0 && range.high > 0) {
    const zero = inner.top + (inner.height * range.high) / (range.high - range.low);
    context.fillStyle = translucent(colours.text, 0.5);
    context.fillRect(inner.left, Math.round(zero), inner.width, 1);
  }
  stepLabels(context, steps, inner, colours);
  const x = inner.left + placeOf(steps, steps[column]) * inner.width;
  context.fillStyle = colours.mark;
  context.fillRect(Math.round(x) - 1, inner.top - 3, 2, inner.height + 6);
}

/** Draws values to the right, and a ridge for each of some columns: the newest is in front. */
export function drawRidges(canvas: HTMLCanvasElement, shown: ValuesPicture): void {
  const { histograms, column, width, height, colours, format } = shown;
  const context = prepared(canvas, width, height);
  const range = rangeOf(histograms);
  if (context === undefined || range === undefined) return;
  const inner = innerOf(width, height, RIDGE_HEIGHT * RIDGE_GAP);
  const columns = ridgeColumns(shown.steps, Math.floor(inner.height / RIDGE_GAP), column);
  const gap = columns.length > 1 ? inner.height / (columns.length - 1) : 0;
  columns.forEach((at, row) => {
    const histogram = histograms[at];
    if (histogram === null || histogram === undefined) return;
    const base = columns.length > 1 ? inner.top + row * gap : inner.top + inner.height;
    const looked = at === column;
    ridge(context, histogram, range, { ...inner, base, rise: RIDGE_HEIGHT * RIDGE_GAP });
    context.fillStyle = colours.background;
    context.fill();
    const [red, green, blue] = colours.tint;
    const age = columns.length > 1 ? row / (columns.length - 1) : 1;
    context.fillStyle = looked
      ? translucent(colours.mark, 0.6)
      : `rgba(${red}, ${green}, ${blue}, ${colours.highContrast ? 0.15 : 0.12 + 0.3 * age})`;
    context.fill();
    context.strokeStyle = looked ? colours.mark : colours.line;
    context.lineWidth = looked ? 2 : 1;
    context.stroke();
  });
  context.font = `11px ${colours.font}`;
  context.fillStyle = colours.text;
  context.textBaseline = "alphabetic";
  const bottom = height - 4;
  context.textAlign = "left";
  context.fillText(format(range.low), inner.left, bottom);
  context.textAlign = "right";
  context.fillText(format(range.high), inner.left + inner.width, bottom);
  context.textBaseline = "middle";
  const first = shown.steps[columns[0]!];
  const last = shown.steps[columns.at(-1)!];
  if (first !== undefined && columns.length > 1)
    context.fillText(first.toLocaleString("en-US"), inner.left - 6, inner.top - 4);
  if (last !== undefined)
    context.fillText(last.toLocaleString("en-US"), inner.left - 6, inner.top + inner.height - 4);
}

/** Some of the checks, evenly spaced, the first and the last among them; `looked`, the selected one, replaces its nearest. */
export function ridgeColumns(steps: readonly number[], most: number, looked: number): number[] {
  if (steps.length === 0) return [];
  const columns =
    steps.length <= most ? [...steps.keys()] : [...new Set(checksOverTime(steps, Math.max(1, most)))];
  if (looked < 0 || looked >= steps.length || columns.includes(looked)) return columns;
  let nearest = 0;
  columns.forEach((one, i) => {
    if (Math.abs(one - looked) < Math.abs(columns[nearest]! - looked)) nearest = i;
  });
  columns[nearest] = looked;
  return columns;
}

/** Draws one histogram as bars, `0` to its largest bin, above the values of a ridge picture. */
export function drawBars(
  canvas: HTMLCanvasElement,
  histogram: ShownHistogram | null | undefined,
  range: Range | undefined,
  { width, height, colours }: Pick<ValuesPicture, "width" | "height" | "colours">,
): void {
  const context = prepared(canvas, width, height);
  if (context === undefined || !histogram || range === undefined) return;
  const scale = Math.max(1, width - MARGIN.left - MARGIN.right) / (range.high - range.low);
  const { low, high, bins } = histogram;
  const part = (high - low) / bins.length;
  context.fillStyle = colours.line;
  bins.forEach((bin, i) => {
    if (bin === 0) return;
    const tall = Math.max(1, (bin / 255) * height);
    const left = MARGIN.left + (low + part * i - range.low) * scale;
    context.fillRect(left, height - tall, Math.max(1, part * scale - 0.5), tall);
  });
}

function innerOf(
  width: number,
  height: number,
  above = 0,
): { left: number; top: number; width: number; height: number } {
  const { left, right, top, bottom } = MARGIN;
  return {
    left,
    top: top + above,
    width: Math.max(1, width - left - right),
    height: Math.max(1, height - top - above - bottom),
  };
}

function stepLabels(
  context: CanvasRenderingContext2D,
  steps: readonly number[],
  inner: ReturnType<typeof innerOf>,
  { text }: LayerColours,
): void {
  const y = inner.top + inner.height + 12;
  context.fillStyle = text;
  context.textBaseline = "middle";
  context.textAlign = "left";
  context.fillText((steps[0] ?? 0).toLocaleString("en-US"), inner.left, y);
  if (steps.length < 2) return;
  context.textAlign = "right";
  context.fillText((steps.at(-1) ?? 0).toLocaleString("en-US"), inner.left + inner.width, y);
}

function ridge(
  context: CanvasRenderingContext2D,
  { low, high, bins }: ShownHistogram,
  range: Range,
  { left, width, base, rise }: { left: number; width: number; base: number; rise: number },
): void {
  const x = (value: number): number => left + ((value - range.low) / (range.high - range.low)) * width;
  context.beginPath();
  context.moveTo(left, base);
  context.lineTo(Math.max(left, x(low) - 1), base);
  bins.forEach((bin, i) => {
    const middle = low + ((high - low) * (i + 0.5)) / bins.length;
    context.lineTo(x(middle), base - (bin / 255) * rise);
  });
  context.lineTo(Math.min(left + width, x(high) + 1), base);
  context.lineTo(left + width, base);
}
