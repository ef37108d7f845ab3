/** The table of trials: sorted by any column, filtered by the selection. */
import { clipped } from "../../extension/protocol/text/clip.ts";
import { html, nothing, type TemplateResult } from "lit";
import { repeat } from "lit/directives/repeat.js";
import type { Setting } from "../../extension/protocol/sweeps/sweep.ts";
import type { ShownTrial } from "../../extension/protocol/sweeps/views.ts";
import { formatDuration, formatMetric } from "../shared/format.ts";
import { button, empty, icon, linkButton, scroller, section } from "../shared/widgets.ts";
import { sortHead } from "../shared/components.ts";
import { strings } from "../shared/strings.ts";
import type { Actions } from "./actions.ts";
import { valueOf } from "./axes.ts";
import { secondsOf, sortedTrials, type Derived, type SweepState } from "./state.ts";

const text = strings.sweep;

/** Rows that are drawn; sorting brings others up. */
const MOST_ROWS = 500;

const ICONS: Record<ShownTrial["state"], { symbol: string; className: string }> = {
  running: { symbol: "loading", className: "badge-busy" },
  complete: { symbol: "pass", className: "badge-good" },
  pruned: { symbol: "circle-slash", className: "" },
  failed: { symbol: "error", className: "badge-bad" },
  interrupted: { symbol: "debug-pause", className: "badge-paused" },
};

export function tableSection(state: SweepState, derived: Derived, actions: Actions): TemplateResult {
  const { snapshot, ui } = state;
  const names = Object.keys(snapshot.sweep.space);
  const chosen = snapshot.trials.filter(({ number }) => derived.selected.has(number));
  const rows = sortedTrials(chosen, ui).slice(0, MOST_ROWS);
  const head = (id: string, label: string, className = ""): TemplateResult =>
    sortHead({
      label,
      className,
      descending: ui.sort === id ? ui.descending : undefined,
      onClick: () =>
        actions.setUi({
          sort: id,
          descending: ui.sort === id ? !ui.descending : id === "value" && snapshot.sweep.mode === "max",
        }),
    });
  const table = html`<table class="table trials-table">
    <thead>
      <tr>
        ${head("number", text.table.number)} ${head("state", text.table.state)}
        ${head("value", derived.metric, "number")} ${head("epoch", text.table.epoch, "number optional")}
        ${names.map((name) => head(`setting:${name}`, name, "number"))}
        ${head("time", text.table.time, "number optional")}
        <th scope="col"><span class="visually-hidden">${text.table.actions}</span></th>
      </tr>
    </thead>
    <tbody>
      ${repeat(
        rows,
        ({ number }) => number,
        (trial) => row(trial, names, state, actions),
      )}
    </tbody>
  </table>`;
  return section(
    "trials",
    text.table.title,
    rows.length === 0 ? empty(text.table.empty) : scroller(text.table.title, table),
  );
}

function row(
  trial: ShownTrial,
  names: readonly string[],
  state: SweepState,
  actions: Actions,
): TemplateResult {
  const { number, settings, epoch, live, error, run } = trial;
  const best = state.snapshot.best === number;
  const { symbol, className } = ICONS[trial.state];
  const seconds = secondsOf(trial);
  const label =
    run === ""
      ? html`${number}`
      : linkButton(String(number), () => actions.openTrial(number), text.actions.openTrial(number));
  return html`<tr
    class=${state.hovered === number ? "hovered" : ""}
    aria-current=${best ? "true" : nothing}
    @pointerenter=${() => actions.hover(number)}
    @pointerleave=${() => actions.hover(undefined)}
  >
    <th scope="row">${best ? icon("star-full", "best") : nothing}${label}</th>
    <td title=${error ?? nothing}>
      <span class="badge ${className}">${icon(symbol)}${text.trialStates[trial.state]}</span>
    </td>
    <td class="number">${formatMetric(valueOf(trial))}</td>
    <td class="number optional">${live === undefined ? (epoch ?? "–") : `${live.epoch} / ${live.epochs}`}</td>
    ${names.map((name) => html`<td class="number">${settingText(settings[name])}</td>`)}
    <td class="number optional">${seconds === undefined ? "–" : formatDuration(seconds)}</td>
    <td class="row-actions">
      ${button({
        label: text.actions.applyTrial(number),
        icon: "check",
        appearance: "icon",
        needsTrust: true,
        onClick: () => actions.apply(number),
      })}
    </td>
  </tr>`;
}

function settingText(value: Setting | undefined): string {
  if (value === undefined) return "–";
  if (typeof value === "number" && !Number.isInteger(value)) return String(Number(value.toPrecision(4)));
  return clipped(String(value), 40);
}
