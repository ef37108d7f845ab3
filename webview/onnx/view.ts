/** Renders the editor from its state. */
import { html, nothing, type TemplateResult } from "lit";
import { notice } from "../shared/components.ts";
import { diagramFrame, type DiagramActions } from "../diagram/frame.ts";
import { baseName, formatBytes, formatCompact, formatCount } from "../shared/format.ts";
import { pairs, segmented } from "../shared/widgets.ts";
import { strings } from "../shared/strings.ts";
import type { Actions as TensorActions } from "../tensors/actions.ts";
import { comparisonSection } from "../tensors/comparison.ts";
import type { TensorsState } from "../tensors/state.ts";
import { tensorTable } from "../tensors/table.ts";
import { fileTools, metadata, progress } from "../tensors/view.ts";
import { details } from "./details.ts";
import type { OnnxState, ViewName } from "./state.ts";

const text = strings.onnx;
const VIEWS: readonly ViewName[] = ["diagram", "tensors"];

export interface Actions extends DiagramActions {
  setView(view: ViewName): void;
}

export function editor(
  state: OnnxState,
  tensors: TensorsState,
  actions: Actions,
  tensorActions: TensorActions,
): TemplateResult {
  const fileActions: TensorActions = {
    ...tensorActions,
    // The values stand in the table.
    lookAtAll: () => {
      actions.setView("tensors");
      tensorActions.lookAtAll();
    },
  };
  return html`${header(state, tensors, fileActions)} ${progress(tensors, tensorActions)}
    ${notice(tensors.error?.message, () => tensorActions.dismiss())} ${figures(state, tensors)}
    ${comparisonSection(tensors, tensorActions)}
    <div class="onnx-views">
      ${segmented(
        "view",
        text.view,
        VIEWS.map((value) => ({ value, label: text.views[value] })),
        state.ui.view,
        (view) => actions.setView(view),
      )}
    </div>
    ${
      state.ui.view === "diagram"
        ? graph(state, tensorActions, actions)
        : html`${tensorTable(tensors, tensorActions)} ${metadata(tensors)}`
    }`;
}

function header({ model }: OnnxState, tensors: TensorsState, actions: TensorActions): TemplateResult {
  const { producer, opsets, irVersion } = model;
  return html`<header class="header">
    <div class="title-row">
      <h1>${baseName(tensors.tensors.file)}</h1>
      ${fileTools(tensors, actions)}
    </div>
    <ul class="facts">
      ${producer === "" ? nothing : html`<li>${producer}</li>`}
      ${opsets.map(([domain, version]) => html`<li>${text.opset(domain, version)}</li>`)}
      <li>${text.ir(irVersion)}</li>
      ${model.name === "" ? nothing : html`<li>${model.name}</li>`}
    </ul>
  </header>`;
}

function figures({ model }: OnnxState, { tensors }: TensorsState): TemplateResult {
  return pairs("figures", [
    [text.parameters, formatCompact(model.parameters)],
    [text.nodes, formatCount(model.nodes)],
    [text.tensors, formatCount(tensors.tensors.length)],
    [text.size, formatBytes(tensors.bytes)],
  ]);
}

const graph = (state: OnnxState, tensorActions: TensorActions, actions: Actions): TemplateResult =>
  diagramFrame(
    state.diagram,
    {
      label: text.diagramLabel(state.drawn.name),
      selected: state.ui.selected,
      searchLabel: text.search,
      keys: text.keys,
      heat: "none",
      side: html`<div class="details" tabindex="0" role="region" aria-label=${strings.architecture.details}>
        ${details(state, (tensor) => tensorActions.view(tensor))}
      </div>`,
    },
    actions,
  );
