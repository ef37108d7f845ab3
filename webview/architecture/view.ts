/** Renders the panel from the host's snapshot and the user's settings. */
import { html, nothing, type TemplateResult } from "lit";
import { modelTitle } from "../../extension/protocol/modelForms.ts";
import type { UserError } from "../../extension/protocol/errors.ts";
import type { ModelReport, ValueReport } from "../../extension/protocol/preview.ts";
import type { ArchitectureSnapshot } from "../../extension/protocol/views.ts";
import { errorBox, sourceLink } from "../shared/errorBox.ts";
import { baseName, formatBytes, formatCompact, formatCount } from "../shared/format.ts";
import { button, dropdown, empty, icon, linkButton, loading, section, segmented } from "../shared/widgets.ts";
import { notice } from "../shared/components.ts";
import { strings } from "../shared/strings.ts";
import type { Actions } from "./actions.ts";
import { comparedModel, comparisonBar, compareTool } from "./comparison.ts";
import { diagram } from "./diagram.ts";
import type { ModelDiff } from "./diff.ts";
import { rootRow } from "./layerTree.ts";
import { printed } from "./printedModel.ts";
import { profileBar, profileTool } from "./profile.ts";
import { type ArchitectureState, drawnModel, shownModel, type ViewName } from "./state.ts";
import { summaryTable } from "./summary.ts";

const text = strings.architecture;
const VIEWS: readonly ViewName[] = ["summary", "diagram", "printed"];

export function panel(state: ArchitectureState, actions: Actions): TemplateResult {
  const { snapshot, round } = state;
  const { model, stale } = shownModel(snapshot);
  const diff = comparedModel(snapshot, drawnModel(snapshot).model);
  // A failed forward is shown with its model.
  const errors = snapshot.report?.errors ?? [];
  if (!model && errors.length === 0) {
    if (snapshot.unbuilt !== undefined) return unbuilt(state, snapshot.unbuilt, actions);
    return snapshot.busy || !snapshot.report ? loading(text.loading) : nothingHere(snapshot, actions);
  }
  return html`<div class="busy" ?hidden=${!snapshot.busy} role="status">
      <span class="visually-hidden">${snapshot.busy ? text.updating : ""}</span>
    </div>
    ${header(snapshot, model, stale, round, actions)} ${notice(state.notice, () => actions.dismissNotice())}
    ${snapshot.outdated === true && !snapshot.busy ? outdatedBar(actions) : nothing}
    ${comparisonBar(snapshot, model, diff, round, actions)} ${profileBar(snapshot, model, actions)}
    ${errors.map((error) => errorBox({ error, title: text.syntax, open: actions.openSource }))}
    ${model ? modelView(state, model, stale, diff, actions) : nothing}`;
}

/** Shown instead of a model that may not be built yet: building runs the file's code. */
function unbuilt(
  { snapshot: { file }, notice: problem }: ArchitectureState,
  why: "trust" | "request",
  actions: Actions,
): TemplateResult {
  const action =
    why === "trust"
      ? button({
          label: text.unbuilt.manageTrust,
          icon: "workspace-trusted",
          onClick: () => actions.manageTrust(),
        })
      : button({ label: text.unbuilt.build, icon: "type-hierarchy", onClick: () => actions.build() });
  return html`<div class="empty">
    ${notice(problem, () => actions.dismissNotice())}
    <p>${text.unbuilt[why](baseName(file))}</p>
    <p>${action}</p>
    <p>${linkButton(baseName(file), () => actions.openSource(file), file)}</p>
  </div>`;
}

const outdatedBar = (actions: Actions): TemplateResult =>
  html`<div class="outdated-bar" role="status">
    <span class="secondary">${icon("history")}${text.outdated}</span>
    ${button({ label: text.refresh, icon: "refresh", needsTrust: true, onClick: () => actions.build() })}
  </div>`;

function nothingHere({ file }: ArchitectureSnapshot, actions: Actions): TemplateResult {
  return html`<div class="empty">
    <p>${text.empty}</p>
    <p>${linkButton(baseName(file), () => actions.openSource(file), file)}</p>
  </div>`;
}

function header(
  snapshot: ArchitectureSnapshot,
  model: ModelReport | undefined,
  stale: boolean,
  round: number,
  actions: Actions,
): TemplateResult {
  const { file, report, locked = false } = snapshot;
  const names = [...(report?.models.map(modelTitle) ?? []), ...(snapshot.unbuiltModels ?? [])];
  const shown = model && !stale ? modelTitle(model) : snapshot.model;
  const experiments = model?.experiments ?? [];
  const usable = stale || (snapshot.comparison?.of ?? "working") !== "working" ? [] : experiments;
  return html`<header class="header">
    <div class="title-row">
      <h1>${model?.name ?? snapshot.model ?? baseName(file)}</h1>
      <div class="buttons">
        ${
          names.length > 1 && shown !== undefined
            ? dropdown(
                text.model,
                names.map((value) => ({ value, label: value })),
                shown,
                (name) => actions.select(name),
              )
            : nothing
        }
        ${model ? compareTool(snapshot, round, actions) : nothing}
        ${stale ? nothing : profileTool(snapshot, model, actions)}
        ${usable.map((name) =>
          button({
            label: experiments.length > 1 ? text.dataOf(name) : text.data,
            icon: "database",
            needsTrust: true,
            onClick: () => actions.showData(name),
          }),
        )}
        ${usable.map((name) =>
          button({
            label: experiments.length > 1 ? text.trainExport(name) : text.train,
            icon: "play",
            appearance: "primary",
            needsTrust: true,
            onClick: () => actions.train(name),
          }),
        )}
        ${button({
          label: locked ? text.unlock : text.lock(baseName(file)),
          icon: locked ? "lock" : "unlock",
          appearance: "icon",
          onClick: () => actions.lock(!locked),
        })}
      </div>
    </div>
    <ul class="facts">
      <li>${linkButton(baseName(file), () => actions.openSource(file), file)}</li>
      ${experiments.map((name) => html`<li>${name}</li>`)}
    </ul>
  </header>`;
}

function modelView(
  state: ArchitectureState,
  model: ModelReport,
  stale: boolean,
  diff: ModelDiff | undefined,
  actions: Actions,
): TemplateResult {
  const { ui } = state;
  const tools = segmented(
    "view",
    text.view,
    VIEWS.map((value) => ({ value, label: text.views[value] })),
    ui.view,
    (view) => actions.setView(view),
  );
  const hasShapes = model.rows.some((row) => row.outputShape !== undefined);
  return html`${stale ? html`<p class="secondary stale-note">${icon("history")}${text.stale}</p>` : nothing}
    ${model.error ? forwardError(model.error, actions) : nothing}
    ${model.reads ? valueReads(model.reads, actions) : nothing}
    <div class=${stale ? "stale" : ""}>
      ${figures(model)}
      ${!hasShapes && !model.error && model.experiments.length === 0 ? empty(text.noShapes) : nothing}
      ${section("layers", text.layers, content(state, model, diff, actions), tools)}
    </div>`;
}

const valueReads = ({ places, complete }: ValueReport, actions: Actions): TemplateResult =>
  html`<p class="secondary stale-note">
    ${icon("info")}<span
      >${text.reads.at}
      ${places.map((place, i) => html`${i === 0 ? "" : ", "}${sourceLink(place, actions.openSource)}`)}.
      ${complete ? text.reads.assumed : text.reads.incomplete}</span
    >
  </p>`;

const forwardError = (error: UserError, actions: Actions): TemplateResult =>
  errorBox({ error, title: text.forward, open: actions.openSource });

function content(
  state: ArchitectureState,
  model: ModelReport,
  diff: ModelDiff | undefined,
  actions: Actions,
): TemplateResult {
  const { ui, snapshot } = state;
  switch (ui.view) {
    case "summary":
      return summaryTable(diff?.model ?? model, new Set(ui.collapsed), diff, actions);
    case "diagram": {
      const drawn = drawnModel(snapshot);
      const dimmed = drawn.stale && !shownModel(snapshot).stale;
      return html`<div class=${dimmed ? "stale" : ""}>
        ${diagram(diff?.model ?? drawn.model ?? model, state.diagram, state, actions)}
      </div>`;
    }
    case "printed":
      return printed(model.text);
  }
}

function figures(model: ModelReport): TemplateResult {
  const { total, trainable } = model.parameters;
  const root = rootRow(model);
  const pairs: [name: string, value: string][] = [[text.total, formatCount(total)]];
  if (trainable !== total) {
    pairs.push([text.trainable, formatCount(trainable)]);
    pairs.push([text.nonTrainable, formatCount(total - trainable)]);
  }
  if (model.multiplyAdds !== undefined) pairs.push([text.multiplyAdds, formatCompact(model.multiplyAdds)]);
  pairs.push([text.parameterSize, formatBytes(model.parameterBytes)]);
  if (model.activationBytes !== undefined)
    pairs.push([text.activationSize, formatBytes(model.activationBytes)]);
  if (root?.inputShape) pairs.push([text.input, root.inputShape]);
  if (root?.outputShape) pairs.push([text.output, root.outputShape]);
  return html`<dl class="figures">
    ${pairs.map(
      ([name, value]) =>
        html`<div>
          <dt>${name}</dt>
          <dd>${value}</dd>
        </div>`,
    )}
  </dl>`;
}
