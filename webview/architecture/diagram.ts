/** The diagram with its toolbar, details and list of layers. */
import { html, nothing, type TemplateResult } from "lit";
import { guard } from "lit/directives/guard.js";
import { keyed } from "lit/directives/keyed.js";
import { ref } from "lit/directives/ref.js";
import type { ModelReport } from "../../extension/protocol/preview.ts";
import { button, dropdown, icon } from "../shared/widgets.ts";
import { strings } from "../shared/strings.ts";
import type { Actions } from "./actions.ts";
import type { Camera } from "./camera.ts";
import { canvas, minimap } from "./canvas.ts";
import { details, outline } from "./details.ts";
import type { DiagramState } from "./diagramState.ts";
import { type Heat, HEATS, type HeatSources, isWatched, measure } from "./heat.ts";
import { layerList } from "./layerList.ts";
import { measuredLayers } from "./profile.ts";
import type { ArchitectureState, ArchitectureUi } from "./state.ts";

const text = strings.architecture;
/** Size of the viewport before it is measured. */
const UNSEEN: Camera = { x: 0, y: 0, scale: 1 };
const ZOOM = 1.25;
const STEP = 60;

export function diagram(
  model: ModelReport,
  state: DiagramState,
  { ui, snapshot, round, training }: Pick<ArchitectureState, "ui" | "snapshot" | "round" | "training">,
  actions: Actions,
): TemplateResult {
  if (model.flow === undefined) return layerList(model, actions);
  const { drawn, camera } = state;
  const matches = state.matches();
  const searching = state.search.trim() !== "";
  const measured = measuredLayers(snapshot, model);
  const { watched } = training;
  const heats = heatsOf(model, { measured, watched });
  const known = HEATS.find((one) => one === ui.heat) ?? "none";
  // Without a profile or a training, their heats are not available.
  const heat = heats.includes(known) ? known : "none";
  return html`<div class="diagram-view">
    ${tools(heats, state, heat, matches.size, actions)} ${training.bar(snapshot, round, heat, actions)}
    <div class="diagram-body">
      <div
        class="viewport"
        tabindex="0"
        role="application"
        aria-label=${text.diagramLabel(model.name)}
        aria-describedby="diagram-keys"
        ${ref(actions.viewport)}
        @keydown=${(event: KeyboardEvent) => keys(event, state, ui, actions)}
        @click=${() => actions.selectBox("")}
        @wheel=${(event: WheelEvent) => wheel(event, state)}
        @pointerdown=${(event: PointerEvent) => drag(event, state)}
      >
        ${
          drawn === undefined
            ? html`<p class="secondary viewport-note">${state.error ?? text.layingOut}</p>`
            : html`${canvas(drawn, camera ?? UNSEEN, { selected: ui.selected, matches, searching, heat, measured, watched }, actions)}
              ${minimap(drawn, camera ?? UNSEEN, state.window, (at) => state.centre(at))}`
        }
      </div>
      <aside class="diagram-side" aria-label=${text.details}>
        ${
          drawn === undefined
            ? nothing
            : html`<div class="details">
                  ${details(drawn, ui.selected, { snapshot, round, measured, training }, actions)}
                </div>
                <div class="outline-place" tabindex="0" role="region" aria-label=${text.layers}>
                  ${guard([drawn, ui.selected, ui.collapsed], () =>
                    outline(drawn, ui.selected, new Set(ui.collapsed), actions),
                  )}
                </div>`
        }
      </aside>
    </div>
    <p class="secondary" id="diagram-keys">${text.diagramKeys}</p>
  </div>`;
}

const heatsOf = (model: ModelReport, sources: HeatSources): readonly Heat[] =>
  HEATS.filter((one) =>
    isWatched(one)
      ? sources.watched?.history.has(one) === true
      : one === "none" || model.rows.some((row) => (measure(row, one, sources) ?? 0) > 0),
  );

function tools(
  heats: readonly Heat[],
  state: DiagramState,
  heat: Heat,
  found: number,
  actions: Actions,
): TemplateResult {
  const tool = (label: string, name: string, onClick: () => void): TemplateResult =>
    button({ label, icon: name, appearance: "icon", onClick });
  return html`<div class="diagram-tools">
    <label class="search">
      ${icon("search")}
      <input
        type="search"
        placeholder=${text.search}
        aria-label=${text.search}
        .value=${state.search}
        @input=${(event: Event) => actions.search((event.target as HTMLInputElement).value)}
        @keydown=${(event: KeyboardEvent) => {
          if (event.key === "Enter") actions.nextMatch(event.shiftKey ? -1 : 1);
          if (event.key === "Escape") actions.search("");
        }}
      />
      <span class="secondary" role="status">${state.search.trim() === "" ? "" : text.found(found)}</span>
    </label>
    ${keyed(
      // Recreated when the choices change: a new one can't be selected in the same turn.
      heats.join(),
      dropdown(
        text.heat,
        heats.map((value) => ({ value, label: text.heats[value] })),
        heat,
        (value) => actions.setHeat(value),
      ),
    )}
    <div class="tool-group">
      ${tool(text.expandAll, "expand-all", () => actions.openAll(true))}
      ${tool(text.collapseAll, "collapse-all", () => actions.openAll(false))}
    </div>
    <div class="tool-group">
      ${tool(text.zoomOut, "zoom-out", () => state.zoom(1 / ZOOM))}
      ${tool(text.zoomIn, "zoom-in", () => state.zoom(ZOOM))}
      ${tool(text.fit, "screen-full", () => state.fit())}
    </div>
    <div class="tool-group">
      ${button({ label: "SVG", icon: "export", description: text.exportAs("SVG"), onClick: () => actions.exportImage("svg") })}
      ${button({ label: "PNG", icon: "export", description: text.exportAs("PNG"), onClick: () => actions.exportImage("png") })}
    </div>
  </div>`;
}

const ARROWS = {
  ArrowUp: { way: "up", x: 0, y: 1 },
  ArrowDown: { way: "down", x: 0, y: -1 },
  ArrowLeft: { way: "left", x: 1, y: 0 },
  ArrowRight: { way: "right", x: -1, y: 0 },
} as const;

function keys(event: KeyboardEvent, state: DiagramState, ui: ArchitectureUi, actions: Actions): void {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const arrow = Object.hasOwn(ARROWS, event.key) ? ARROWS[event.key as keyof typeof ARROWS] : undefined;
  if (arrow !== undefined) {
    if (event.shiftKey) state.pan(arrow.x * STEP, arrow.y * STEP);
    else {
      const next = state.neighbour(ui.selected, arrow.way);
      if (next !== undefined) actions.selectBox(next);
    }
  } else if (event.key === "+" || event.key === "=") state.zoom(ZOOM);
  else if (event.key === "-") state.zoom(1 / ZOOM);
  else if (event.key === "0") state.fit();
  else if (event.key === "Enter") {
    if (state.drawn?.boxes.get(ui.selected)?.expandable === true) actions.toggleBox(ui.selected);
    else actions.openBox(ui.selected);
  } else if (event.key === "/") actions.focusSearch();
  else if (event.key === "Escape") {
    actions.search("");
    actions.selectBox("");
  } else return;
  event.preventDefault();
}

function wheel(event: WheelEvent, state: DiagramState): void {
  event.preventDefault();
  const place = (event.currentTarget as Element).getBoundingClientRect();
  const at = { x: event.clientX - place.left, y: event.clientY - place.top };
  if (event.ctrlKey || event.metaKey) state.zoom(Math.exp(-event.deltaY * 0.005), at);
  else state.pan(-event.deltaX, -event.deltaY);
}

/** Pans the diagram with the pointer, and suppresses the click at the end of a drag. */
function drag(event: PointerEvent, state: DiagramState): void {
  if (event.button !== 0) return;
  const place = event.currentTarget as HTMLElement;
  const far = 4;
  let [x, y, moved] = [event.clientX, event.clientY, 0];
  const ended = new AbortController();
  const { signal } = ended;
  const move = (now: PointerEvent): void => {
    const [dx, dy] = [now.clientX - x, now.clientY - y];
    moved += Math.abs(dx) + Math.abs(dy);
    [x, y] = [now.clientX, now.clientY];
    if (moved > far) state.pan(dx, dy);
  };
  const end = (): void => {
    ended.abort();
    if (moved <= far) return;
    const swallow = (click: Event): void => click.stopPropagation();
    place.addEventListener("click", swallow, { capture: true, once: true });
    setTimeout(() => place.removeEventListener("click", swallow, { capture: true }));
  };
  globalThis.addEventListener("pointermove", move, { signal });
  globalThis.addEventListener("pointerup", end, { signal });
  globalThis.addEventListener("pointercancel", end, { signal });
}
