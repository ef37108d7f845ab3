/** The curves as text that other programs read: CSV, SVG, and pgfplots for LaTeX. */
import { csvCell } from "../../extension/protocol/text/csv.ts";
import { texText, xmlText } from "../../extension/protocol/text/markup.ts";
import { formatTick } from "../shared/format.ts";
import type { ChartLine, ChartModel } from "./chartModel.ts";
import type { Curve, MetricCurves } from "./curves.ts";

export interface NamedRun {
  name: string;
  metrics: readonly MetricCurves[];
}

/** One value a line, as it was recorded: neither smoothed nor thinned further. */
export function csvText(runs: readonly NamedRun[]): string {
  const lines = ["run,metric,kind,step,epoch,time,value"];
  for (const { name: run, metrics } of runs)
    for (const { name, steps, epochs, validation } of metrics)
      for (const [kind, curve] of Object.entries({ step: steps, epoch: epochs, validation }))
        if (curve) lines.push(...csvLines(`${csvCell(run)},${csvCell(name)},${kind}`, curve));
  return `${lines.join("\n")}\n`;
}

function csvLines(start: string, { step, epoch, time, value }: Curve): string[] {
  return value.map(
    (one, i) => `${start},${step[i]},${epoch[i]},${time[i]},${Number.isNaN(one) ? "nan" : one}`,
  );
}

export interface DrawnStyle {
  background: string;
  text: string;
  grid: string;
  colourOf: (line: ChartLine) => string;
}

const WIDTH = 640;
const HEIGHT = 320;
const MARGIN = { left: 64, right: 16, top: 34, bottom: 40 };

/** All charts below each other, at a size of their own. */
export function svgText(charts: readonly ChartModel[], axisTitle: string, style: DrawnStyle): string {
  const height = HEIGHT * Math.max(1, charts.length);
  const drawn = charts.map(
    (chart, index) =>
      `<g transform="translate(0 ${index * HEIGHT})">\n${chartSvg(chart, axisTitle, style)}\n</g>`,
  );
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" font-family="sans-serif" font-size="11">
<rect width="100%" height="100%" fill="${style.background}"/>
${drawn.join("\n")}
</svg>
`;
}

interface Extent {
  minimum: number;
  maximum: number;
}

function chartSvg(chart: ChartModel, axisTitle: string, style: DrawnStyle): string {
  const points = chart.lines.map((line) => visiblePoints(line, chart.logarithmic));
  const scale = chart.logarithmic ? Math.log10 : (value: number): number => value;
  const x = extent(points.flatMap((line) => line.map(([at]) => at)));
  const y = extent(points.flatMap((line) => line.map(([, value]) => scale(value))));
  const width = WIDTH - MARGIN.left - MARGIN.right;
  const height = HEIGHT - MARGIN.top - MARGIN.bottom;
  const left = (value: number): number =>
    MARGIN.left + ((value - x.minimum) / (x.maximum - x.minimum)) * width;
  const top = (value: number): number =>
    MARGIN.top + (1 - (scale(value) - y.minimum) / (y.maximum - y.minimum)) * height;
  const text = (at: number, down: number, anchor: string, content: string, more = ""): string =>
    `<text x="${at.toFixed(1)}" y="${down.toFixed(1)}" text-anchor="${anchor}" fill="${style.text}"${more}>${xmlText(content)}</text>`;
  const parts = [text(MARGIN.left, 16, "start", chart.name, ' font-weight="bold" font-size="13"')];
  for (const tick of ticks(y)) {
    const value = chart.logarithmic ? 10 ** tick : tick;
    const at = top(value);
    parts.push(
      `<line x1="${MARGIN.left}" x2="${WIDTH - MARGIN.right}" y1="${at.toFixed(1)}" y2="${at.toFixed(1)}" stroke="${style.grid}" stroke-opacity="0.25"/>`,
      text(MARGIN.left - 6, at + 4, "end", formatTick(value)),
    );
  }
  for (const tick of ticks(x)) parts.push(text(left(tick), HEIGHT - 22, "middle", formatTick(tick)));
  parts.push(text(MARGIN.left + width / 2, HEIGHT - 6, "middle", axisTitle));
  for (const { x: at, label } of chart.events)
    parts.push(
      `<line x1="${left(at).toFixed(1)}" x2="${left(at).toFixed(1)}" y1="${MARGIN.top}" y2="${MARGIN.top + height}" stroke="${style.text}" stroke-dasharray="2 3"/>`,
      text(left(at) + 4, MARGIN.top + 10, "start", label),
    );
  let legend = MARGIN.left + 90;
  for (const [index, line] of chart.lines.entries()) {
    const colour = style.colourOf(line);
    const places = (points[index] ?? []).map(
      ([at, value]) => `${left(at).toFixed(1)},${top(value).toFixed(1)}`,
    );
    const dash = line.slot !== undefined && line.style === "validation" ? ' stroke-dasharray="6 4"' : "";
    const faint = line.style === "raw" ? ' stroke-opacity="0.3"' : "";
    if (line.style === "mean")
      parts.push(
        ...places.map((place) => {
          const [cx, cy] = place.split(",");
          return `<circle cx="${cx}" cy="${cy}" r="3" fill="none" stroke="${colour}"/>`;
        }),
      );
    else
      parts.push(
        `<polyline fill="none" stroke="${colour}" stroke-width="1.5"${dash}${faint} points="${places.join(" ")}"/>`,
      );
    if (line.style === "raw") continue;
    parts.push(
      `<line x1="${legend}" x2="${legend + 14}" y1="12" y2="12" stroke="${colour}" stroke-width="2"${dash}/>`,
      text(legend + 18, 16, "start", line.label),
    );
    legend += 34 + 6.2 * line.label.length;
  }
  return parts.join("\n");
}

type Point = readonly [x: number, y: number];

/** A scale shows no value that isn't finite, and a logarithmic one none below zero. */
function visiblePoints({ x, y }: ChartLine, logarithmic: boolean): Point[] {
  return x
    .map((at, index): Point => [at, y[index] ?? Number.NaN])
    .filter(([, value]) => Number.isFinite(value) && (!logarithmic || value > 0));
}

function extent(values: readonly number[]): Extent {
  let minimum = Infinity;
  let maximum = -Infinity;
  for (const value of values) {
    minimum = Math.min(minimum, value);
    maximum = Math.max(maximum, value);
  }
  if (minimum > maximum) return { minimum: 0, maximum: 1 };
  const size = Math.max(Math.abs(minimum), Math.abs(maximum));
  // Smoothing leaves differences in the last digits of a constant: its scale is that of a constant, too.
  if (maximum - minimum > FLAT * size) return { minimum, maximum };
  const around = size === 0 ? 1 : size;
  return { minimum: minimum - around, maximum: maximum + around };
}

/** A range that is smaller, in proportion to its numbers, has no ticks that could be told apart. */
const FLAT = 1e-10;

/** About five round numbers: 1, 2 or 5 times a power of ten apart. */
export function ticks({ minimum, maximum }: Extent): number[] {
  const rough = (maximum - minimum) / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5].find((factor) => factor * power >= rough) ?? 10);
  const found: number[] = [];
  for (let at = Math.ceil(minimum / step); at * step <= maximum + step * 1e-9; at++)
    // 3 · 0.05 would be 0.15000000000000002.
    found.push(Number((at * step).toPrecision(12)));
  return found;
}

/** A document of its own; each `tikzpicture` can be taken out of it. */
export function pgfplotsText(charts: readonly ChartModel[], axisTitle: string): string {
  return `\\documentclass[border=4pt,varwidth]{standalone}
\\usepackage{pgfplots}
\\pgfplotsset{compat=1.18}
\\begin{document}
${charts.map((chart) => chartPgf(chart, axisTitle)).join("\n\n")}
\\end{document}
`;
}

function chartPgf(chart: ChartModel, axisTitle: string): string {
  const options = [
    "width=12cm, height=7cm, grid=major",
    `xlabel={${texText(axisTitle)}}, ylabel={${texText(chart.name)}}`,
    "legend pos=outer north east, legend cell align=left, unbounded coords=jump",
    ...(chart.logarithmic ? ["ymode=log"] : []),
  ];
  const plots = chart.lines.map((line) => {
    const marks = line.style === "mean" ? "only marks, mark=o" : "mark=none";
    const look = [
      marks,
      ...(line.style === "validation" ? ["dashed"] : []),
      ...(line.style === "raw" ? ["opacity=0.3, forget plot"] : ["thick"]),
    ].join(", ");
    const points = visiblePoints(line, chart.logarithmic).map(([x, y]) => `(${x},${y})`);
    const legend = line.style === "raw" ? "" : `\n\\addlegendentry{${texText(line.label)}}`;
    return `\\addplot+[${look}] coordinates {${points.join(" ")}};${legend}`;
  });
  return `\\begin{tikzpicture}
\\begin{axis}[${options.join(",\n  ")}]
${plots.join("\n")}
\\end{axis}
\\end{tikzpicture}`;
}

/** Encodes UTF-8 piece by piece: a call takes a limited number of arguments. */
export function base64(text: string): string {
  const bytes = new TextEncoder().encode(text);
  let binary = "";
  for (let at = 0; at < bytes.length; at += 0x8000)
    binary += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
  return btoa(binary);
}
