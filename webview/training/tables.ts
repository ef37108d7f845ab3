/** Metrics, settings and checkpoints as tables. */
import { html, nothing, type TemplateResult } from "lit";
import type { CheckpointRecord } from "../../extension/protocol/run.ts";
import {
  baseName,
  formatBytes,
  formatCount,
  formatDuration,
  formatMetric,
  formatMoment,
} from "../shared/format.ts";
import { foldable } from "../shared/components.ts";
import { button, empty, icon, scroller, section, pairs } from "../shared/widgets.ts";
import { strings } from "../shared/strings.ts";
import type { Actions } from "./actions.ts";
import { bestIndex, type Curve, type MetricCurves, metricName, VALIDATION_PREFIX } from "./curves.ts";
import { latestMetrics, type TrainingState } from "./state.ts";

const text = strings.training;

export function metricsSection(state: TrainingState, actions: Actions): TemplateResult {
  const latest = latestMetrics(state);
  const curves = new Map(state.curves.metrics().map((metric) => [metric.name, metric]));
  const names = new Set([...curves.keys(), ...Object.keys(latest).map(metricName)]);
  if (names.size === 0) return section("metrics", text.metrics.title, empty(text.metrics.empty));
  const table = html`<table class="table">
    <thead>
      <tr>
        <th scope="col">${text.metrics.metric}</th>
        <th scope="col" class="number">${text.metrics.train}</th>
        <th scope="col" class="number">${text.metrics.validation}</th>
        <th scope="col" class="number">${text.metrics.best}</th>
      </tr>
    </thead>
    <tbody>
      ${[...names].map(
        (name) =>
          html`<tr>
            <th scope="row" class="long-name">${name}</th>
            <td class="number">${formatMetric(latest[name])}</td>
            <td class="number">${formatMetric(latest[VALIDATION_PREFIX + name])}</td>
            <td class="number">${best(state, name, curves.get(name))}</td>
          </tr>`,
      )}
    </tbody>
  </table>`;
  return section(
    "metrics",
    text.metrics.title,
    html`${scroller(text.metrics.title, table)}${byEpoch(state, actions)}`,
  );
}

/** The record's best is the engine's own; for other metrics it is read from the validation curve, else the training one. */
function best(
  { run }: TrainingState,
  name: string,
  metric: MetricCurves | undefined,
): TemplateResult | string {
  const show = (value: number, epoch: number): TemplateResult =>
    html`${formatMetric(value)} <span class="secondary">${text.metrics.atEpoch(Math.round(epoch))}</span>`;
  if (run.best && metricName(run.best.metric) === name) return show(run.best.value, run.best.epoch);
  const curve = metric?.validation ?? metric?.epochs;
  const index = curve && bestIndex(name, curve.value);
  const value = index === undefined ? undefined : curve?.value[index];
  if (index === undefined || value === undefined) return "–";
  return show(value, curve?.epoch[index] ?? 0);
}

/** More rows than anyone reads would only slow the panel. */
const MAX_EPOCH_ROWS = 200;

/** The curves in numbers, newest epoch first. */
function byEpoch({ curves, ui }: TrainingState, actions: Actions): TemplateResult | typeof nothing {
  const columns: { name: string; curve: Curve }[] = curves
    .metrics()
    .flatMap(({ name, epochs, validation }) => [
      ...(epochs ? [{ name, curve: epochs }] : []),
      ...(validation ? [{ name: VALIDATION_PREFIX + name, curve: validation }] : []),
    ]);
  const longest = columns.reduce<Curve | undefined>(
    (found, { curve }) => (found && found.length >= curve.length ? found : curve),
    undefined,
  );
  if (!longest) return nothing;
  return foldable({
    summary: text.metrics.byEpoch,
    open: ui.byEpochOpen,
    onToggle: (byEpochOpen) => actions.setUi({ byEpochOpen }),
    content: () => scroller(text.metrics.byEpoch, epochTable(columns, longest)),
    className: "by-epoch",
  });
}

function epochTable(columns: { name: string; curve: Curve }[], longest: Curve): TemplateResult {
  const from = Math.max(0, longest.length - MAX_EPOCH_ROWS);
  const steps = longest.step.slice(from).reverse();
  return html`<table class="table">
      <thead>
        <tr>
          <th scope="col" class="number">${text.metrics.epoch}</th>
          ${columns.map(({ name }) => html`<th scope="col" class="number">${name}</th>`)}
          <th scope="col" class="number">${text.metrics.time}</th>
        </tr>
      </thead>
      <tbody>
        ${steps.map((step, back) => {
          const index = longest.length - 1 - back;
          return html`<tr>
            <th scope="row" class="number">${Math.round(longest.epoch[index] ?? 0)}</th>
            ${columns.map(({ curve }) => {
              const at = curve === longest ? index : curve.step.indexOf(step);
              return html`<td class="number">${formatMetric(curve.value[at])}</td>`;
            })}
            <td class="number">${formatDuration(longest.time[index] ?? 0)}</td>
          </tr>`;
        })}
      </tbody>
    </table>
    ${from > 0 ? html`<p class="secondary">${text.metrics.lastEpochs(MAX_EPOCH_ROWS, longest.length)}</p>` : nothing}`;
}

export function settingsSection({ run }: TrainingState): TemplateResult | typeof nothing {
  const rows: [string, string][] = Object.entries(run.settings).map(([name, value]) => [name, String(value)]);
  if (run.seed !== undefined && !("seed" in run.settings)) rows.push([text.settings.seed, String(run.seed)]);
  if (run.parameters) {
    const { total, trainable } = run.parameters;
    rows.push([text.settings.parameters, formatCount(total)]);
    if (trainable !== total) rows.push([text.settings.trainable, formatCount(trainable)]);
  }
  if (rows.length === 0) return nothing;
  return section("settings", text.settings.title, pairs("pairs", rows));
}

const CHECKPOINT_ICONS: Record<CheckpointRecord["kind"], string> = {
  last: "history",
  best: "star-full",
  manual: "save",
  final: "pass",
};

export function checkpointsSection({ run, live }: TrainingState, actions: Actions): TemplateResult {
  const title = text.checkpoints.title;
  if (run.checkpoints.length === 0) return section("checkpoints", title, empty(text.checkpoints.empty));
  const newestFirst = run.checkpoints.toSorted((a, b) => b.savedAt.localeCompare(a.savedAt));
  const table = html`<table class="table">
    <thead>
      <tr>
        <th scope="col">${text.checkpoints.kind}</th>
        <th scope="col" class="number">${text.checkpoints.epoch}</th>
        <th scope="col" class="number">${text.checkpoints.step}</th>
        <th scope="col" class="number optional">${text.checkpoints.size}</th>
        <th scope="col" class="number optional">${text.checkpoints.saved}</th>
        <th scope="col"><span class="visually-hidden">${text.checkpoints.actions}</span></th>
      </tr>
    </thead>
    <tbody>
      ${newestFirst.map((checkpoint) => {
        const name = baseName(checkpoint.file);
        const metrics = Object.entries(checkpoint.metrics).map(
          ([key, value]) => `${key} ${formatMetric(value)}`,
        );
        return html`<tr title=${[checkpoint.file, ...metrics].join("\n")}>
          <th scope="row">
            <span class="checkpoint-kind checkpoint-${checkpoint.kind}"
              >${icon(CHECKPOINT_ICONS[checkpoint.kind])}${text.checkpoints.kinds[checkpoint.kind]}</span
            >
          </th>
          <td class="number">${checkpoint.epoch > 0 ? checkpoint.epoch : "–"}</td>
          <td class="number">${formatCount(checkpoint.step)}</td>
          <td class="number optional">${formatBytes(checkpoint.bytes)}</td>
          <td class="number optional">${formatMoment(checkpoint.savedAt)}</td>
          <td class="row-actions">
            ${button({
              label: text.checkpoints.evaluate,
              description: `${text.checkpoints.evaluate} ${name}`,
              icon: "beaker",
              appearance: "icon",
              disabled: live,
              needsTrust: true,
              onClick: () => actions.evaluate(checkpoint),
            })}
            ${button({
              label: text.checkpoints.reveal,
              description: `${text.checkpoints.reveal} ${name}`,
              icon: "folder-opened",
              appearance: "icon",
              onClick: () => actions.reveal(checkpoint),
            })}
          </td>
        </tr>`;
      })}
    </tbody>
  </table>`;
  return section("checkpoints", title, scroller(title, table));
}
