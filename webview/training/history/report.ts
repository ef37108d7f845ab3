/** A run as one HTML file: no script, nothing from elsewhere, all text escaped. */
import { xmlText } from "../../../extension/protocol/text/markup.ts";
import type { LayerAdvice } from "../../../extension/protocol/layers/history.ts";
import type { RunHistory } from "../../../extension/protocol/views.ts";
import { historyStrings as text } from "../../shared/historyStrings.ts";
import { strings } from "../../shared/strings.ts";
import { formatBytes, formatCount, formatDuration, formatMetric } from "../../shared/format.ts";
import type { ChartModel } from "../chartModel.ts";
import type { MetricCurves } from "../curves.ts";
import { svgText } from "../exports.ts";
import { originRows } from "./changes.ts";

export interface ReportParts {
  name: string;
  history: RunHistory;
  charts: readonly ChartModel[];
  axis: string;
  metrics: readonly MetricCurves[];
  events: readonly { step: number; text: string }[];
  advice: readonly LayerAdvice[];
}

const { checkpoints: columns } = strings.training;

/** Epochs whose values are listed: more would be a file of their own. */
const MOST_EPOCHS = 500;
/** Colours that print well; charts have one for training and one for validation. */
const COLOURS = { train: "#1f6feb", validation: "#bf8700" };

const STYLE = `body{margin:2rem auto;max-width:960px;padding:0 1rem;font:14px/1.5 system-ui,sans-serif;color:#1f2328;background:#fff}
h1{font-size:1.6rem;margin:0 0 .2rem}h2{margin:2rem 0 .5rem;font-size:1.15rem;border-bottom:1px solid #d0d7de}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}th,td{text-align:left;padding:3px 10px;border-bottom:1px solid #d0d7de;vertical-align:top;overflow-wrap:anywhere}
th{font-weight:600}td.n,th.n{text-align:right}pre{overflow:auto;max-height:40rem;padding:.8rem;background:#f6f8fa;border:1px solid #d0d7de;border-radius:6px;font-size:12px}
svg{max-width:100%;height:auto}.s{color:#59636e}summary{cursor:pointer;margin:.5rem 0}
@media print{details>*{display:block}pre{max-height:none}}`;

export function reportHtml(parts: ReportParts): string {
  const { name, history } = parts;
  const { run } = history;
  const title = `${run.model || run.exportName}: ${name}`;
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
<h1>${xmlText(run.model || run.exportName)}</h1>
<p class="s">${xmlText([name, run.state, ...(run.imported ? [] : [text.report.epochs(run.epoch, run.epochs)]), text.report.step(formatCount(run.step))].join(" · "))}</p>
${section(text.metrics, metricsTable(parts))}
${parts.charts.length === 0 ? "" : section(text.report.curves, svgText(parts.charts, parts.axis, { background: "#ffffff", text: "#1f2328", grid: "#1f2328", colourOf: ({ style }) => (style === "validation" ? COLOURS.validation : COLOURS.train) }))}
${parts.events.length === 0 ? "" : section(text.report.events, list(parts.events.map(({ step, text: what }) => text.report.at(formatCount(step), what))))}
${parts.advice.length === 0 ? "" : section(text.report.layers, list(parts.advice.map(({ step, text: what }) => text.report.at(formatCount(step), what))))}
${history.provenance?.model === undefined ? "" : section(text.architecture, pre(history.provenance.model))}
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

/** Text that keeps its lines. */
const pre = (content: string): string =>
  `<pre>${content.replaceAll("\t", "  ").split("\n").map(xmlText).join("\n")}</pre>`;

const list = (items: readonly string[]): string =>
  `<ul>${items.map((item) => `<li>${xmlText(item)}</li>`).join("")}</ul>`;

const table = (rows: readonly (readonly [string, string])[]): string =>
  rows.length === 0
    ? ""
    : `<table>${rows.map(([key, value]) => `<tr><th scope="row">${xmlText(key)}</th><td>${xmlText(value)}</td></tr>`).join("")}</table>`;

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
