/** Renders the panel from its state. */
import { html, nothing, type TemplateResult } from "lit";
import { errorBox, retryBox } from "../shared/errorBox.ts";
import { baseName, formatMetric } from "../shared/format.ts";
import { button, icon } from "../shared/widgets.ts";
import { notice, progressBar } from "../shared/components.ts";
import { strings } from "../shared/strings.ts";
import type { Actions } from "./actions.ts";
import { parallelSection } from "./parallel.ts";
import { importanceSection, scatterSection } from "./scatter.ts";
import { derived, type Derived, type SweepState } from "./state.ts";
import { tableSection } from "./table.ts";

const text = strings.sweep;

export function panel(state: SweepState, actions: Actions): TemplateResult {
  const shared = derived(state);
  return html`${header(state, shared, actions)} ${notice(state.error, () => actions.dismiss())}
  ${failure(state)} ${parallelSection(state, shared, actions)} ${tableSection(state, shared, actions)}
  ${scatterSection(state, shared, actions)} ${importanceSection(state)}`;
}

const BADGES = {
  running: { symbol: "loading", className: "badge-busy" },
  stopped: { symbol: "debug-pause", className: "badge-paused" },
  finished: { symbol: "pass", className: "badge-good" },
  failed: { symbol: "error", className: "badge-bad" },
  interrupted: { symbol: "debug-disconnect", className: "badge-paused" },
} as const;

function header({ snapshot }: SweepState, { metric }: Derived, actions: Actions): TemplateResult {
  const { sweep, trials, best, live, stoppable } = snapshot;
  // Its process was killed.
  const shown = sweep.state === "running" && !live ? "interrupted" : sweep.state;
  const { symbol, className } = BADGES[shown];
  const done = trials.filter(({ state }) => state !== "running" && state !== "interrupted").length;
  const value = trials.find(({ number }) => number === best)?.value;
  const facts = [
    text.searches[sweep.search],
    text.pruners[sweep.pruner],
    sweep.mode === "min" ? text.minimized(metric) : text.maximized(metric),
    text.seed(sweep.seed),
    sweep.on === undefined ? "" : strings.elsewhere.place(sweep.on.name, live),
    text.trials(done, sweep.trials),
    value === undefined || best === undefined ? "" : text.best(formatMetric(value), best),
  ].filter((fact) => fact !== "");
  const title = text.title(baseName(sweep.file));
  return html`<header class="header">
    <div class="title-row">
      <h1>${title}</h1>
      <span class="badge ${className}" role="status">${icon(symbol)}${text.states[shown]}</span>
      <div class="buttons" role="toolbar" aria-label=${title}>
        ${best === undefined ? nothing : bestButtons(best, actions)}
        ${
          live
            ? button({
                label: text.actions.stop,
                icon: "debug-stop",
                disabled: !stoppable,
                needsTrust: true,
                onClick: () => actions.stop(),
              })
            : sweep.state === "finished"
              ? nothing
              : button({
                  label: text.actions.resume,
                  icon: "debug-continue",
                  needsTrust: true,
                  onClick: () => actions.resume(),
                })
        }
        ${button({ label: text.actions.source, icon: "go-to-file", onClick: () => actions.openSource() })}
      </div>
    </div>
    <ul class="facts">
      ${facts.map((fact) => html`<li>${fact}</li>`)}
    </ul>
    ${progressBar({ label: text.progress, share: done / sweep.trials, done: `progress-${shown}` })}
  </header>`;
}

function bestButtons(best: number, actions: Actions): TemplateResult {
  return html`${button({
    label: text.actions.apply,
    description: text.actions.applyHint,
    icon: "check",
    appearance: "primary",
    needsTrust: true,
    onClick: () => actions.apply(best),
  })}${button({ label: text.actions.openBest, icon: "graph-line", onClick: () => actions.openTrial(best) })}`;
}

function failure({ snapshot }: SweepState): TemplateResult | typeof nothing {
  const { error } = snapshot.sweep;
  if (error === undefined) return nothing;
  const { position: _, stack: __, ...shown } = error;
  return errorBox({ error: shown, title: text.states.failed, open: () => undefined });
}

/** Shown for a sweep that can't be read. */
export function unreadable(message: string, actions: Actions): TemplateResult {
  return retryBox({ error: { code: "sweep", message }, title: text.failed }, text.retry, () =>
    actions.retry(),
  );
}
