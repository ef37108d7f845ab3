/** How a chart looks, in the theme's colours. */
import type uPlot from "uplot";
import { formatDuration, formatTick } from "../shared/format.ts";
import { strings } from "../shared/strings.ts";
import { isHighContrast, themeValue, translucent } from "../shared/theme.ts";
import type { ChartLine, ChartModel } from "./chartModel.ts";
import type { Range } from "./decimate.ts";

export interface Palette {
  background: string;
  text: string;
  grid: string;
  train: string;
  validation: string;
  /** Of the runs that are compared, by their slots. */
  others: string[];
  font: string;
  highContrast: boolean;
}

/** Charts have no more colours that are opaque in every theme; the terminal's are made to be told apart. */
export const OTHER_COLOURS = [
  "--vscode-charts-green",
  "--vscode-charts-red",
  "--vscode-charts-purple",
  "--vscode-terminal-ansiCyan",
  "--vscode-terminal-ansiMagenta",
  "--vscode-terminal-ansiBrightGreen",
  "--vscode-terminal-ansiBrightYellow",
  "--vscode-terminal-ansiBrightBlack",
  "--vscode-foreground",
] as const;

/** Blue and yellow: the pair of chart colours that stays apart for colour-blind eyes. VS Code's orange is translucent. */
export function readPalette(): Palette {
  const foreground = themeValue("--vscode-foreground", "--vscode-editor-foreground");
  const highContrast = isHighContrast();
  return {
    background: themeValue("--vscode-editor-background"),
    text: themeValue("--vscode-descriptionForeground", "--vscode-foreground"),
    grid: translucent(foreground, highContrast ? 0.2 : 0.1),
    train: themeValue("--vscode-charts-blue", "--vscode-foreground"),
    validation: themeValue("--vscode-charts-yellow", "--vscode-foreground"),
    others: OTHER_COLOURS.map((name) => themeValue(name, "--vscode-foreground")),
    font: `11px ${themeValue("--vscode-font-family") || "sans-serif"}`,
    highContrast,
  };
}

export interface PlotHooks {
  range(): Range | undefined;
  best(): { x: number; y: number } | undefined;
  events(): readonly { x: number; label: string }[];
  onCursor(x: number | undefined): void;
  onSelect(range: Range): void;
}

/** uPlot names it in an ambient const enum, which isolated modules can't read. */
const LOGARITHMIC: object = { distr: 3 };

export function plotOptions(
  model: ChartModel,
  palette: Palette,
  hooks: PlotHooks,
): Omit<uPlot.Options, "width" | "height"> {
  const axis: uPlot.Axis = {
    stroke: palette.text,
    font: palette.font,
    grid: { stroke: palette.grid, width: 1 },
    ticks: { show: false },
    gap: 6,
  };
  return {
    legend: { show: false },
    padding: [10, 14, 0, 0],
    series: [{}, ...model.lines.map((line) => series(line, palette))],
    scales: {
      x: {
        time: false,
        range: (_plot, low, high) => {
          const zoom = hooks.range();
          return zoom ? [zoom.minimum, zoom.maximum] : low === high ? [low - 1, high + 1] : [low, high];
        },
      },
      y: model.logarithmic ? LOGARITHMIC : {},
    },
    axes: [
      {
        ...axis,
        size: 26,
        grid: { show: false },
        space: 60,
        values: (_plot, ticks) => ticks.map(model.axis === "time" ? formatDuration : formatTick),
      },
      {
        ...axis,
        grid: { ...axis.grid, ...(model.logarithmic ? { filter: powersOfTen } : {}) },
        size: (_plot, values) => Math.max(34, 14 + 6.6 * Math.max(0, ...(values ?? []).map((v) => v.length))),
        space: 34,
        values: (_plot, ticks) => ticks.map((tick: number | null) => (tick === null ? "" : formatTick(tick))),
      },
    ],
    cursor: {
      y: false,
      drag: { setScale: false, x: true, y: false, dist: 5 },
      points: {
        size: (_plot, index) => (model.lines[index - 1]?.style === "raw" ? 0 : 7),
        width: 0,
        fill: (_plot, index) => colourOf(model.lines[index - 1], palette),
      },
      dataIdx: nearestValue,
      bind: {
        dblclick: () => null,
      },
    },
    hooks: {
      setCursor: [
        (plot) => {
          const left = plot.cursor.left ?? -1;
          hooks.onCursor(left < 0 ? undefined : plot.posToVal(left, "x"));
        },
      ],
      setSelect: [
        (plot) => {
          const { left, width } = plot.select;
          if (width === 0) return;
          hooks.onSelect({ minimum: plot.posToVal(left, "x"), maximum: plot.posToVal(left + width, "x") });
          plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
        },
      ],
      draw: [
        (plot) => drawEvents(plot, hooks.events(), palette),
        (plot) => drawBest(plot, hooks.best(), palette),
      ],
    },
  };
}

/** A logarithmic axis has a tick for each digit; lines for all of them would be a wall. */
const powersOfTen = (_plot: uPlot, ticks: number[]): (number | null)[] =>
  ticks.map((tick) => (Number.isInteger(Math.log10(tick)) ? tick : null));

export function colourOf(line: Pick<ChartLine, "style" | "slot"> | undefined, palette: Palette): string {
  if (line?.slot !== undefined) return palette.others[line.slot % palette.others.length] ?? palette.text;
  return line?.style === "validation" ? palette.validation : palette.train;
}

function series(line: ChartLine, palette: Palette): uPlot.Series {
  const { style, slot } = line;
  const stroke = colourOf(line, palette);
  switch (style) {
    case "raw":
      return {
        stroke: translucent(stroke, palette.highContrast ? 0.5 : 0.3),
        width: 1,
        points: { show: false },
      };
    case "train":
      return { stroke, width: 1.75, points: { size: 5, fill: stroke, space: 14 } };
    case "mean":
      return {
        stroke,
        width: 0,
        paths: () => null,
        points: { show: true, size: 6, width: 1.5, stroke, fill: palette.background },
      };
    case "validation":
      return {
        stroke,
        width: 1.75,
        // Not by colour alone.
        ...(palette.highContrast || slot !== undefined ? { dash: [6, 4] } : {}),
        points: { size: 6, fill: stroke, space: 14 },
      };
  }
}

/** Lines have points at different x: each shows its own nearest one. */
function nearestValue(plot: uPlot, seriesIndex: number, hovered: number): number {
  const values = plot.data[seriesIndex];
  if (!values) return hovered;
  for (let distance = 0; distance < values.length; distance++) {
    if (typeof values[hovered - distance] === "number") return hovered - distance;
    if (typeof values[hovered + distance] === "number") return hovered + distance;
  }
  return hovered;
}

/** A dashed line across the chart for each event, with a word at its top. */
function drawEvents(plot: uPlot, events: readonly { x: number; label: string }[], palette: Palette): void {
  const { min = 0, max = 0 } = plot.scales["x"] ?? {};
  const ratio = devicePixelRatio;
  const { ctx, bbox } = plot;
  ctx.save();
  ctx.strokeStyle = ctx.fillStyle = palette.text;
  ctx.lineWidth = ratio;
  ctx.font = palette.font.replace("11px", `${11 * ratio}px`);
  let free = Number.NEGATIVE_INFINITY;
  for (const { x, label } of events.filter((event) => event.x >= min && event.x <= max)) {
    const left = Math.round(plot.valToPos(x, "x", true));
    ctx.setLineDash([2 * ratio, 3 * ratio]);
    ctx.beginPath();
    ctx.moveTo(left, bbox.top);
    ctx.lineTo(left, bbox.top + bbox.height);
    ctx.stroke();
    // On its left where there is no place on its right; not over the word before it.
    const { width } = ctx.measureText(label);
    const right = left + 4 * ratio + width <= bbox.left + bbox.width;
    const start = right ? left + 4 * ratio : left - 4 * ratio - width;
    if (start < free) continue;
    ctx.fillText(label, start, bbox.top + 10 * ratio);
    free = start + width;
  }
  ctx.restore();
}

/** A ring around the best epoch's value, with a word above it. */
function drawBest(plot: uPlot, best: { x: number; y: number } | undefined, palette: Palette): void {
  if (!best) return;
  const { min = 0, max = 0 } = plot.scales["x"] ?? {};
  if (best.x < min || best.x > max) return;
  const ratio = devicePixelRatio;
  const { ctx } = plot;
  const x = plot.valToPos(best.x, "x", true);
  const y = plot.valToPos(best.y, "y", true);
  ctx.save();
  ctx.beginPath();
  ctx.arc(x, y, 6.5 * ratio, 0, 2 * Math.PI);
  ctx.lineWidth = 1.5 * ratio;
  ctx.strokeStyle = palette.validation;
  ctx.stroke();
  ctx.font = palette.font.replace("11px", `${11 * ratio}px`);
  ctx.textAlign = "center";
  ctx.fillStyle = palette.text;
  ctx.fillText(strings.training.charts.best, x, y - 12 * ratio);
  ctx.restore();
}
