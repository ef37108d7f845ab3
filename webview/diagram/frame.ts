/** The frame of a diagram: its toolbar, the viewport with its keys and pointer, and the part beside it. */
import { html, nothing, type TemplateResult } from "lit";
import { ref } from "lit/directives/ref.js";
import type { ImageFormat } from "../../extension/protocol/views.ts";
import { strings } from "../shared/strings.ts";
import { button, icon } from "../shared/widgets.ts";
import type { Camera } from "./camera.ts";
import { canvas, type CanvasActions, type Marks, minimap } from "./canvas.ts";
import type { DiagramState } from "./diagramState.ts";

const text = strings.architecture;
/** Camera before the viewport is measured. */
const UNSEEN: Camera = { x: 0, y: 0, scale: 1 };
const ZOOM = 1.25;
const STEP = 60;

export interface DiagramActions extends CanvasActions {
  openAll(open: boolean): void;
  search(text: string): void;
  nextMatch(step: number): void;
  focusSearch(): void;
  exportImage(format: ImageFormat): void;
  /** Receives the diagram's element. */
  viewport: (element: Element | undefined) => void;
}

export interface Frame extends Pick<Marks, "heat" | "measured" | "watched" | "pictures"> {
  /** Accessible name of the diagram. */
  label: string;
  /** Id of the selected box; "" for none. */
  selected: string;
  /** Label of the search field. */
  searchLabel: string;
  /** Help on the diagram's keys. */
  keys: string;
  /** More tools beside the search. */
  tools?: TemplateResult | typeof nothing;
  /** Between toolbar and diagram. */
  bar?: TemplateResult | typeof nothing;
  /** Beside the diagram, once it is drawn. */
  side: TemplateResult | typeof nothing;
}

export function diagramFrame(state: DiagramState, frame: Frame, actions: DiagramActions): TemplateResult {
  const { drawn, camera } = state;
  const { label, selected, heat, measured, watched, pictures } = frame;
  const matches = state.matches();
  const searching = state.search.trim() !== "";
  return html`<div class="diagram-view">
    ${tools(state, frame, matches.size, actions)} ${frame.bar ?? nothing}
    <div class="diagram-body">
      <div
        class="viewport"
        tabindex="0"
        role="application"
        aria-label=${label}
        aria-describedby="diagram-keys"
        ${ref(actions.viewport)}
        @keydown=${(event: KeyboardEvent) => keys(event, state, selected, actions)}
        @click=${() => actions.selectBox("")}
        @wheel=${(event: WheelEvent) => wheel(event, state)}
        @pointerdown=${(event: PointerEvent) => drag(event, state)}
      >
        ${
          drawn === undefined
            ? html`<p class="secondary viewport-note">${state.error ?? text.layingOut}</p>`
            : html`${canvas(drawn, camera ?? UNSEEN, { selected, matches, searching, heat, measured, watched, pictures }, actions)}
              ${minimap(drawn, camera ?? UNSEEN, state.window, (at) => state.centre(at))}`
        }
      </div>
      <aside class="diagram-side" aria-label=${text.details}>
        ${drawn === undefined ? nothing : frame.side}
      </aside>
    </div>
    <p class="secondary" id="diagram-keys">${frame.keys}</p>
  </div>`;
}

function tools(
  state: DiagramState,
  { tools: more = nothing, searchLabel }: Frame,
  found: number,
  actions: DiagramActions,
): TemplateResult {
  const tool = (label: string, name: string, onClick: () => void): TemplateResult =>
    button({ label, icon: name, appearance: "icon", onClick });
  return html`<div class="diagram-tools">
    <label class="search">
      ${icon("search")}
      <input
        type="search"
        placeholder=${searchLabel}
        aria-label=${searchLabel}
        .value=${state.search}
        @input=${(event: Event) => actions.search((event.target as HTMLInputElement).value)}
        @keydown=${(event: KeyboardEvent) => {
          if (event.key === "Enter") actions.nextMatch(event.shiftKey ? -1 : 1);
          if (event.key === "Escape") actions.search("");
        }}
      />
      <span class="secondary" role="status">${state.search.trim() === "" ? "" : text.found(found)}</span>
    </label>
    ${more}
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

function keys(event: KeyboardEvent, state: DiagramState, selected: string, actions: DiagramActions): void {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const arrow = Object.hasOwn(ARROWS, event.key) ? ARROWS[event.key as keyof typeof ARROWS] : undefined;
  if (arrow !== undefined) {
    if (event.shiftKey) state.pan(arrow.x * STEP, arrow.y * STEP);
    else {
      const next = state.neighbour(selected, arrow.way);
      if (next !== undefined) actions.selectBox(next);
    }
  } else if (event.key === "+" || event.key === "=") state.zoom(ZOOM);
  else if (event.key === "-") state.zoom(1 / ZOOM);
  else if (event.key === "0") state.fit();
  else if (event.key === "Enter") {
    if (state.drawn?.boxes.get(selected)?.expandable === true) actions.toggleBox(selected);
    else actions.openBox(selected);
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
