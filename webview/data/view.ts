/** Renders the panel from its state. */
import { html, nothing, type TemplateResult } from "lit";
import { errorBox, retryBox } from "../shared/errorBox.ts";
import { baseName, formatCount } from "../shared/format.ts";
import { button, icon } from "../shared/widgets.ts";
import { progressBar } from "../shared/components.ts";
import { strings } from "../shared/strings.ts";
import type { UserError } from "../../extension/protocol/errors.ts";
import { failure } from "./failure.ts";
import { pairsSection, samplesSection } from "./samples.ts";
import { shapeText, type Actions, type DataState } from "./state.ts";
import { batchSection, classesSection, columnsSection, findingsSection, splitsSection } from "./tables.ts";

const text = strings.data;

export function panel(state: DataState, actions: Actions): TemplateResult {
  const { snapshot } = state;
  return html`${header(state, actions)}
  ${failure(state.error, text.commandFailed, {
    openSource: actions.openSource,
    dismiss: () => actions.dismiss(),
  })}
  ${progress(state, actions)}
  ${
    snapshot.outdated === true
      ? html`<div class="outdated-bar" role="status">
          <span class="secondary">${icon("history")}${text.outdated}</span>
          ${button({ label: text.refresh, icon: "refresh", needsTrust: true, onClick: () => actions.read() })}
        </div>`
      : nothing
  }
  ${body(state, actions)}`;
}

function body(state: DataState, actions: Actions): TemplateResult | typeof nothing {
  const { summary, reading, error } = state.snapshot;
  if (error !== undefined)
    return errorBox({
      error,
      title: text.failed,
      open: actions.openSource,
      extra: button({ label: text.retry, icon: "refresh", needsTrust: true, onClick: () => actions.read() }),
    });
  if (summary === undefined)
    return reading !== undefined
      ? nothing
      : html`<div class="empty">
          <p>${text.unread}</p>
          ${button({ label: text.read, icon: "database", appearance: "primary", needsTrust: true, onClick: () => actions.read() })}
        </div>`;
  return html`${
      summary.problem === undefined
        ? nothing
        : errorBox({ error: summary.problem, title: text.noModel, open: actions.openSource })
    }
    ${findingsSection(summary.findings)}
    <div class="facts-of-data">
      ${splitsSection(summary.splits, actions)} ${batchSection(summary, actions)}
    </div>
    ${samplesSection(state, actions)} ${classesSection(summary, actions)} ${pairsSection(state, actions)}
    ${columnsSection(summary)}`;
}

/** Shown instead of the panel when the host doesn't answer. */
export const unusable = (error: UserError, actions: Actions): TemplateResult =>
  retryBox({ error, title: text.failed, open: actions.openSource }, text.retry, () => actions.retry());

function header({ snapshot }: DataState, actions: Actions): TemplateResult {
  const { file, exportName, summary, reading } = snapshot;
  const title = text.title(baseName(file));
  const facts = [
    ...(exportName === "default" ? [] : [`${text.exportName} ${exportName}`]),
    ...(summary?.splits ?? []).map(
      ({ name, samples }) =>
        `${text.splits.names[name]}: ${samples === undefined ? text.splits.stream : formatCount(samples)}`,
    ),
    ...(summary?.tensors ?? []).map(({ name, shape, largest }) => `${name} ${shapeText(shape, largest)}`),
  ];
  return html`<header class="header">
    <div class="title-row">
      <h1>${title}</h1>
      <div class="buttons" role="toolbar" aria-label=${title}>
        ${
          summary === undefined || reading !== undefined
            ? nothing
            : html`${button({ label: text.refresh, icon: "refresh", needsTrust: true, onClick: () => actions.read() })}
              ${button({ label: text.train, icon: "play", appearance: "primary", needsTrust: true, onClick: () => actions.train() })}`
        }
      </div>
    </div>
    <ul class="facts">
      ${facts.map((fact) => html`<li>${fact}</li>`)}
    </ul>
  </header>`;
}

function progress({ snapshot: { reading } }: DataState, actions: Actions): TemplateResult | typeof nothing {
  if (reading === undefined) return nothing;
  const { progress: now } = reading;
  const what = now === undefined ? text.starting : text.progress(now.split, now.read, now.of);
  return html`<div class="work">
    <span class="work-text" role="status">${what}</span>
    ${progressBar({
      label: text.reading,
      share: now?.of === undefined ? undefined : now.read / now.of,
      moves: true,
    })}
    ${button({ label: text.cancel, icon: "close", onClick: () => actions.cancel() })}
  </div>`;
}
