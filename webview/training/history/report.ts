/** A run as one HTML file: no script, nothing from elsewhere, all text escaped. */
import { modelName } from "../../../extension/protocol/runs/title.ts";
import { xmlText } from "../../../extension/protocol/text/markup.ts";
import type { RunSamples } from "../../../extension/protocol/history/report.ts";
import type { LayerAdvice } from "../../../extension/protocol/layers/history.ts";
import type { RunHistory } from "../../../extension/protocol/views.ts";
import { historyStrings as text } from "../../shared/strings/history.ts";
import { strings } from "../../shared/strings.ts";
import { formatBytes, formatCount, formatDuration, formatMetric } from "../../shared/format.ts";
import type { ChartModel } from "../chartModel.ts";
import type { MetricCurves } from "../curves.ts";
import { svgText, type DrawnStyle } from "../exports.ts";
import { originRows } from "./changes.ts";
import { picturesHtml, samplesHtml, type DrawnPicture } from "./reportSamples.ts";

export interface ReportParts {
  name: string;
  history: RunHistory;
  charts: readonly ChartModel[];
  axis: string;
  metrics: readonly MetricCurves[];
  events: readonly { step: number; text: string }[];
  advice: readonly LayerAdvice[];
  /** An SVG that is safe in HTML, as `stillDiagram` writes it. */
  diagram?: string | undefined;
  /** The training's pictures, or some of its `drawn` pictures. */
  pictures: readonly DrawnPicture[];
  drawn: number;
  samples?: RunSamples | undefined;
}

const { checkpoints: columns } = strings.training;

/** Epochs whose values are listed: more would be a file of their own. */
const MOST_EPOCHS = 500;
/** Characters of the diagram: a larger one would be unreadable, and the printed model says the same. */
const DIAGRAM_LIMIT = 2 * 2 ** 20;

/** Dark where the reader's system is, light in print. Of the diagram, the classes that webview/diagram/canvas.ts gives. */
const STYLE = `:root{color-scheme:light;--text:#1f2328;--muted:#59636e;--ground:#fff;--line:#d0d7de;--soft:#f6f8fa;--op:#ddf4ff;--train:#0969da;--validation:#9a6700}
@media screen and (prefers-color-scheme:dark){:root{color-scheme:dark;--text:#f0f6fc;--muted:#9198a1;--ground:#0d1117;--line:#3d444d;--soft:#151b23;--op:#13233a;--train:#58a6ff;--validation:#d29922}}
body{margin:2rem auto;max-width:960px;padding:0 1rem;font:14px/1.5 system-ui,sans-serif;color:var(--text);background:var(--ground);overflow-wrap:anywhere}
h1{font-size:1.6rem;margin:0 0 .2rem}h2{margin:2rem 0 .5rem;font-size:1.15rem;border-bottom:1px solid var(--line)}h3{margin:1rem 0 .3rem;font-size:1rem}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}th,td{text-align:left;padding:3px 10px;border-bottom:1px solid var(--line);vertical-align:top;overflow-wrap:anywhere}
th{font-weight:600}td.n,th.n{text-align:right}pre{overflow:auto;max-height:40rem;padding:.8rem;background:var(--soft);border:1px solid var(--line);border-radius:6px;font-size:12px}
svg{display:block;max-width:100%;height:auto}.s{color:var(--muted)}summary{cursor:pointer;margin:.5rem 0}
.figures{display:flex;flex-wrap:wrap;gap:12px;align-items:flex-start}figure{margin:0;padding:8px;max-width:280px;box-sizing:border-box;border:1px solid var(--line);border-radius:6px;break-inside:avoid}
figure img{max-width:100%;height:auto;image-rendering:pixelated}figure p{margin:0}figcaption{color:var(--muted);font-size:12px}
.picture{margin:0 auto}.picture text{fill:var(--text);font:13px system-ui,sans-serif}.picture .name{font-weight:600}.picture .box-op .name{font-weight:400}
.picture .kind,.picture .detail,.picture .edge-shape{fill:var(--muted)}.picture .detail,.picture .edge-shape,.picture .badge text{font-size:11px}
.box .frame{fill:var(--soft);stroke:var(--muted)}.box.open .frame{fill:none;stroke-dasharray:4 3}.box-input .frame,.box-output .frame{fill:var(--ground)}.box-op .frame{fill:var(--op)}
.picture .group-head>text{stroke:var(--ground);stroke-width:4px;paint-order:stroke}.chevron,.edge{fill:none;stroke:var(--muted);stroke-width:1.2px}.arrow{fill:var(--muted)}.badge rect{fill:var(--line)}
@media print{details>*{display:block}pre{max-height:none}svg{break-inside:avoid}.picture{max-height:24cm}}`;

/** Of the curves, which stand in a page with {@link STYLE}. */
const CURVES: DrawnStyle = {
  background: "none",
  text: "currentColor",
  grid: "currentColor",
  colourOf: ({ style }) => (style === "validation" ? "var(--validation)" : "var(--train)"),
};

export function reportHtml(parts: ReportParts): string {
  const { name, history } = parts;
  const { run } = history;
  const title = `${modelName(run) || run.exportName}: ${name}`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${xmlText(title)}</title>
<style>${STYLE}</style>
</head>
<body>
<h1>${xmlText(modelName(run) || run.exportName)}</h1>
<p class="s">${xmlText([name, run.state, ...(run.imported ? [] : [text.report.epochs(run.epoch, run.epochs)]), text.report.step(formatCount(run.step))].join(" · "))}</p>
${section(text.metrics, metricsTable(parts))}
${parts.charts.length === 0 ? "" : section(text.report.curves, svgText(parts.charts, parts.axis, CURVES))}
${parts.events.length === 0 ? "" : section(text.report.events, list(parts.events.map(({ step, text: what }) => text.report.at(formatCount(step), what))))}
${parts.advice.length === 0 ? "" : section(text.report.advice, list(parts.advice.map(({ step, text: what }) => (step === undefined ? what : text.report.at(formatCount(step), what)))))}
${section(text.report.pictureTitle, picturesHtml(parts.pictures, parts.drawn))}
${section(text.report.samples, parts.samples === undefined ? "" : samplesHtml(parts.samples))}
${section(text.architecture, architecture(parts))}
${section(text.settings, table(Object.entries(run.settings).map(([key, value]) => [key, String(value)])))}
${section(text.report.checkpoints, checkpoints(history))}
${section(text.report.environment, environment(history))}
${section(text.report.byEpoch, epochs(parts))}
${code(history)}
</body>
</html>
`;
}

const section = (title: string, content: string): string =>
  content === "" ? "" : `<section><h2>${xmlText(title)}</h2>\n${content}\n</section>`;

/** Text that keeps its line breaks. */
const pre = (content: string): string =>
  `<pre>${content.replaceAll("\t", "  ").split("\n").map(xmlText).join("\n")}</pre>`;

const list = (items: readonly string[]): string =>
  `<ul>${items.map((item) => `<li>${xmlText(item)}</li>`).join("")}</ul>`;

const table = (rows: readonly (readonly [string, string])[]): string =>
  rows.length === 0
    ? ""
    : `<table>${rows.map(([key, value]) => `<tr><th scope="row">${xmlText(key)}</th><td>${xmlText(value)}</td></tr>`).join("")}</table>`;

function architecture({ diagram, history: { provenance } }: ReportParts): string {
  const drawn = diagram === undefined || diagram.length > DIAGRAM_LIMIT ? "" : diagram;
  return drawn + (provenance?.model === undefined ? "" : pre(provenance.model));
}

/** Cells after the first are numbers. */
function grid(head: readonly string[], rows: readonly (readonly string[])[]): string {
  if (rows.length === 0) return "";
  const row = (cells: readonly string[], tag: string): string =>
    `<tr>${cells.map((cell, i) => `<${i === 0 ? "th" : tag}${i === 0 ? "" : ' class="n"'}>${xmlText(cell)}</${i === 0 ? "th" : tag}>`).join("")}</tr>`;
  return `<table><thead>${row(head, "th")}</thead><tbody>${rows.map((cells) => row(cells, "td")).join("")}</tbody></table>`;
}

function metricsTable({ history: { run } }: ReportParts): string {
  const rows = Object.entries(run.metrics).map(([key, value]) => [key, formatMetric(value)]);
  if (run.best !== undefined)
    rows.push([text.report.best(run.best.metric, run.best.epoch), formatMetric(run.best.value)]);
  return grid([text.metric, text.report.last], rows);
}

const checkpoints = ({ run }: RunHistory): string =>
  grid(
    [columns.kind, columns.epoch, columns.step, columns.size],
    run.checkpoints
      .slice(0, 100)
      .map(({ file, epoch, step, bytes }) => [file, String(epoch), formatCount(step), formatBytes(bytes)]),
  );

function environment(history: RunHistory): string {
  const { run } = history;
  const rows: [string, string | undefined][] = [
    [text.file, run.file],
    [text.experiment, run.exportName],
    [text.started, run.createdAt],
    [text.ended, run.endedAt],
    [text.seed, run.seed === undefined ? undefined : String(run.seed)],
    [text.backend, history.provenance === undefined ? run.executor?.version : undefined],
    ...originRows(history),
  ];
  return table(rows.flatMap(([key, value]) => (value === undefined ? [] : [[key, value] as const])));
}

/** The newest last. */
function epochs({ metrics }: ReportParts): string {
  const curves = metrics.flatMap(({ name, epochs: train, validation }) => [
    ...(train ? [{ name, curve: train }] : []),
    ...(validation ? [{ name: `val_${name}`, curve: validation }] : []),
  ]);
  const longest = curves.reduce(
    (found, { curve }) => (curve.length > found.length ? curve : found),
    curves[0]?.curve ?? { length: 0, step: [], epoch: [], time: [] },
  );
  const from = Math.max(0, longest.length - MOST_EPOCHS);
  return grid(
    [strings.training.metrics.epoch, ...curves.map(({ name }) => name), strings.training.metrics.time],
    longest.step
      .slice(from)
      .map((step, i) => [
        String(Math.round(longest.epoch[from + i] ?? 0)),
        ...curves.map(({ curve }) => formatMetric(curve.value[curve.step.indexOf(step)])),
        formatDuration(longest.time[from + i] ?? 0),
      ]),
  );
}

function code({ file, source, imports, provenance }: RunHistory): string {
  const files = [...(source === undefined ? [] : [[file, source] as const]), ...Object.entries(imports)];
  const patch = provenance?.git?.patch ?? "";
  const folded = (title: string, text: string): string =>
    `<details><summary>${xmlText(title)}</summary>${pre(text)}</details>`;
  return [
    files.length === 0 ? "" : section(text.code, files.map(([name, text]) => folded(name, text)).join("\n")),
    patch === "" ? "" : section(text.report.patch, folded(text.report.patch, patch)),
  ].join("\n");
}
