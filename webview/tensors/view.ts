/** Renders the editor from its state. */
import { html, nothing, type TemplateResult } from "lit";
import { retryBox } from "../shared/errorBox.ts";
import { baseName, formatBytes } from "../shared/format.ts";
import { button, section } from "../shared/widgets.ts";
import { notice, progressBar } from "../shared/components.ts";
import { strings } from "../shared/strings.ts";
import type { Actions } from "./actions.ts";
import { comparisonSection } from "./comparison.ts";
import { elementsOf, type TensorsState } from "./state.ts";
import { tensorTable } from "./table.ts";

const text = strings.tensors;

export function editor(state: TensorsState, actions: Actions): TemplateResult {
  return html`${header(state, actions)} ${progress(state, actions)}
  ${notice(state.error?.message, () => actions.dismiss())} ${comparisonSection(state, actions)}
  ${tensorTable(state, actions)} ${metadata(state)}`;
}

function header(state: TensorsState, actions: Actions): TemplateResult {
  const { tensors } = state;
  const elements = tensors.tensors.reduce((sum, tensor) => sum + elementsOf(tensor), 0);
  return html`<header class="header">
    <div class="title-row">
      <h1>${baseName(tensors.file)}</h1>
      ${fileTools(state, actions)}
    </div>
    <ul class="facts">
      <li>${tensors.format}</li>
      <li>${text.count(tensors.tensors.length)}</li>
      <li>${text.elements(elements)}</li>
      <li>${formatBytes(tensors.bytes)}</li>
    </ul>
  </header>`;
}

/** Buttons for the whole file. */
export function fileTools({ tensors, checkpoint, work }: TensorsState, actions: Actions): TemplateResult {
  return html`<div class="buttons" role="toolbar" aria-label=${baseName(tensors.file)}>
    ${
      checkpoint
        ? html`${button({
            label: text.evaluate,
            icon: "beaker",
            appearance: "primary",
            needsTrust: true,
            onClick: () => actions.evaluate(),
          })}${button({ label: text.trainOn, icon: "run-all", needsTrust: true, onClick: () => actions.trainOn() })}`
        : nothing
    }
    ${button({
      label: text.lookAtAll,
      icon: "graph",
      disabled: work !== undefined || tensors.tensors.length === 0,
      onClick: () => actions.lookAtAll(),
    })}
    ${button({
      label: text.compare,
      icon: "diff",
      disabled: work !== undefined,
      onClick: () => actions.compare(),
    })}
  </div>`;
}

export function progress({ work }: TensorsState, actions: Actions): TemplateResult | typeof nothing {
  if (work === undefined) return nothing;
  const { share } = work;
  return html`<div class="work">
    <span class="work-text" role="status">${work.text}</span>
    ${progressBar({ label: text.progress, share })}
    ${button({ label: text.cancel, icon: "close", onClick: () => actions.cancel() })}
  </div>`;
}

export function metadata({ tensors }: TensorsState): TemplateResult | typeof nothing {
  if (tensors.metadata.length === 0) return nothing;
  return section(
    "metadata",
    text.metadata,
    html`<dl class="metadata">
      ${tensors.metadata.map(
        ([key, value]) =>
          html`<div>
            <dt>${key}</dt>
            <dd>${value}</dd>
          </div>`,
      )}
    </dl>`,
  );
}

/** Shown for a file that can't be read. */
export function unreadable(error: { code: string; message: string }, actions: Actions): TemplateResult {
  return html`<div class="unreadable">
    ${retryBox({ error, title: text.failed }, text.retry, () => actions.retry())}
  </div>`;
}
