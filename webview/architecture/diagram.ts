/** The diagram of a model with its toolbar, details and list of layers. */
import { html, nothing, type TemplateResult } from "lit";
import { guard } from "lit/directives/guard.js";
import { keyed } from "lit/directives/keyed.js";
import type { ModelReport } from "../../extension/protocol/preview.ts";
import type { DiagramState } from "../diagram/diagramState.ts";
import { diagramFrame } from "../diagram/frame.ts";
import { dropdown } from "../shared/widgets.ts";
import { strings } from "../shared/strings.ts";
import type { Actions } from "./actions.ts";
import { details, outline } from "./details.ts";
import { type Heat, HEATS, type HeatSources, isWatched, measure } from "./heat.ts";
import { layerList } from "./layerList.ts";
import { measuredLayers } from "./profile.ts";
import type { ArchitectureState } from "./state.ts";

const text = strings.architecture;

export function diagram(
  model: ModelReport,
  state: DiagramState<ModelReport>,
  { ui, snapshot, round, training }: Pick<ArchitectureState, "ui" | "snapshot" | "round" | "training">,
  actions: Actions,
): TemplateResult {
  if (model.flow === undefined) return layerList(model, actions);
  const { drawn } = state;
  const measured = measuredLayers(snapshot, model);
  const { watched } = training;
  const heats = heatsOf(model, { measured, watched });
  const known = HEATS.find((one) => one === ui.heat) ?? "none";
  // Without a profile or a training, their heats are not available.
  const heat = heats.includes(known) ? known : "none";
  const side =
    drawn === undefined
      ? nothing
      : html`<div class="details">
            ${details(drawn, ui.selected, { snapshot, round, measured, training }, actions)}
          </div>
          <div class="outline-place" tabindex="0" role="region" aria-label=${text.layers}>
            ${guard([drawn, ui.selected, ui.collapsed], () =>
              outline(drawn, ui.selected, new Set(ui.collapsed), actions),
            )}
          </div>`;
  return diagramFrame(
    state,
    {
      label: text.diagramLabel(model.name),
      selected: ui.selected,
      searchLabel: text.search,
      keys: text.diagramKeys,
      heat,
      measured,
      watched,
      tools: heatTool(heats, heat, actions),
      pictures: ui.pictures ? training.boxPictures : undefined,
      bar: training.bar(snapshot, round, { heat, pictures: ui.pictures }, actions),
      side,
    },
    actions,
  );
}

const heatsOf = (model: ModelReport, sources: HeatSources): readonly Heat[] =>
  HEATS.filter((one) =>
    isWatched(one)
      ? sources.watched?.history.has(one) === true
      : one === "none" || model.rows.some((row) => (measure(row, one, sources) ?? 0) > 0),
  );

const heatTool = (heats: readonly Heat[], heat: Heat, actions: Actions): TemplateResult =>
  html`${keyed(
    // Recreated when the choices change: a new one can't be selected in the same turn.
    heats.join(),
    dropdown(
      text.heat,
      heats.map((value) => ({ value, label: text.heats[value] })),
      heat,
      (value) => actions.setHeat(value),
    ),
  )}`;
