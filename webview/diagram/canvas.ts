/** Draws the diagram as SVG. */
import { html, nothing, svg, type SVGTemplateResult, type TemplateResult } from "lit";
import { classMap } from "lit/directives/class-map.js";
import { guard } from "lit/directives/guard.js";
import { ref } from "lit/directives/ref.js";
import { repeat } from "lit/directives/repeat.js";
import { edgeKey, SIGNS } from "../architecture/diff.ts";
import { strings } from "../shared/strings.ts";
import type { Camera, Point, Rectangle } from "./camera.ts";
import type { Drawn } from "./diagramState.ts";
import type { ShownBox } from "../../extension/diagram/flow.ts";
import {
  boxHeat,
  formatMeasure,
  type Heat,
  type HeatSources,
  isWatched,
  measure,
} from "../architecture/heat.ts";
import { LABEL_HEIGHT, type PlacedEdge } from "../../extension/diagram/layout.ts";

const text = strings.architecture;
const CORNER = 6;
/** Fill opacity of the hottest box; a higher one would make its text illegible in some theme. */
const HOTTEST = 0.65;
/** Fill opacity for numbers of a training, whose colour is opaque. See layers.css. */
const STRONGEST = 0.5;
/** Window width in pixels below which the minimap is hidden: it would cover the diagram. */
const SMALLEST_WITH_MAP = 440;

export interface CanvasActions {
  /** "" selects nothing. */
  selectBox(id: string): void;
  /** Goes to the source of a box, or shows more of it. */
  openBox(id: string): void;
  /** Shows the source of a box beside the panel, which keeps the focus. */
  revealBox(id: string): void;
  toggleBox(id: string): void;
  unfoldBox(id: string): void;
}

/** Picture of a box, beneath its text. */
export interface BoxPicture {
  width: number;
  height: number;
  /** A data URL of a canvas. */
  href: string;
  /** Note on the parts that aren't drawn; "" for none. */
  note: string;
}

/** The pictures of all boxes. */
export interface ShownPictures {
  /** Changes with the pictures. */
  readonly key: string;
  of(box: ShownBox): BoxPicture | undefined;
}

export interface Marks extends HeatSources {
  selected: string;
  pictures?: ShownPictures | undefined;
  matches: ReadonlySet<string>;
  searching: boolean;
  heat: Heat;
}

export function canvas(drawn: Drawn, camera: Camera, marks: Marks, actions: CanvasActions): TemplateResult {
  const { selected, searching, matches, heat, measured, watched, pictures } = marks;
  return html`<svg class="picture" aria-hidden="true" focusable="false">
    <defs>
      <marker
        id="arrow"
        viewBox="0 0 8 8"
        refX="7"
        refY="4"
        markerWidth="7"
        markerHeight="7"
        markerUnits="userSpaceOnUse"
        orient="auto-start-reverse"
      >
        <path class="arrow" d="M0.5 0.5 L7.5 4 L0.5 7.5 Z" />
      </marker>
    </defs>
    <g class="world" transform="translate(${camera.x} ${camera.y}) scale(${camera.scale})">
      ${guard([drawn, selected, searching && [...matches].join(), heat, measured, watched?.key, pictures?.key], () => scene(drawn, marks, actions))}
    </g>
  </svg>`;
}

/** The part that pans and zooms as a whole; panning doesn't redraw it. */
function scene(drawn: Drawn, marks: Marks, actions: CanvasActions): SVGTemplateResult {
  const { layout, boxes } = drawn;
  const shown = [...boxes.values()];
  const leaves = shown.filter((box) => box.node.kind === "module" && !box.open);
  const largest = Math.max(
    0,
    ...leaves.map(({ node }) => measure(drawn.rows.get(node.path), marks.heat, marks) ?? 0),
  );
  return svg`
      ${repeat(
        shown.filter(({ open }) => open),
        ({ id }) => id,
        (box) => group(box, drawn, marks, actions),
      )}
      ${repeat(layout.edges, edgeKey, (edge) =>
        line(edge, marks.selected, drawn.edgeChanges.get(edgeKey(edge))),
      )}
      ${repeat(
        shown.filter(({ open }) => !open),
        ({ id }) => id,
        (box) => leaf(box, drawn, marks, largest, actions),
      )}
      ${layout.edges.map(shape)}
      ${repeat(
        shown.filter(({ open }) => open),
        ({ id }) => id,
        (box) => groupHead(box, drawn, actions),
      )}`;
}

const classes = (box: ShownBox, { selected, matches, searching }: Marks, change: string | undefined) =>
  classMap({
    ...(change === undefined ? {} : { [`change-${change}`]: true }),
    box: true,
    [`box-${box.node.kind}`]: true,
    open: box.open,
    selected: box.id === selected,
    match: matches.has(box.id),
    faded: searching && !matches.has(box.id) && !box.open,
  });

/** A click selects a box and shows its source. A double click opens a container, or goes to the source of a leaf. */
const handlers = (box: ShownBox, actions: CanvasActions) => ({
  click: (event: Event): void => {
    event.stopPropagation();
    actions.selectBox(box.id);
    actions.revealBox(box.id);
  },
  double: (event: Event): void => {
    event.stopPropagation();
    if (box.expandable) actions.toggleBox(box.id);
    else actions.openBox(box.id);
  },
});

function group(box: ShownBox, drawn: Drawn, marks: Marks, actions: CanvasActions): SVGTemplateResult {
  const { x, y, width, height } = drawn.layout.boxes.get(box.id)!;
  const on = handlers(box, actions);
  return svg`<g class=${classes(box, marks, drawn.boxChanges.get(box.id))} data-id=${box.id} transform="translate(${x} ${y})"
      @click=${on.click} @dblclick=${on.double}>
    <rect class="frame" width=${width} height=${height} rx=${CORNER}></rect>
  </g>`;
}

/** The head of an open container, drawn over the edges that pass it, with a halo. */
function groupHead(box: ShownBox, drawn: Drawn, actions: CanvasActions): SVGTemplateResult {
  const { x, y } = drawn.layout.boxes.get(box.id)!;
  const on = handlers(box, actions);
  return svg`<g class="group-head" transform="translate(${x} ${y})" @click=${on.click} @dblclick=${on.double}>
    ${head(box, drawn, 19, actions)}
  </g>`;
}

function leaf(
  box: ShownBox,
  drawn: Drawn,
  marks: Marks,
  largest: number,
  actions: CanvasActions,
): SVGTemplateResult {
  const { x, y, width, height } = drawn.layout.boxes.get(box.id)!;
  const on = handlers(box, actions);
  const isModule = box.node.kind === "module";
  const row = isModule ? drawn.rows.get(box.node.path) : undefined;
  const value = measure(row, marks.heat, marks);
  const heat = boxHeat(value, marks.heat, largest, marks.watched);
  const second =
    marks.heat === "none"
      ? row === undefined || row.parameters === 0
        ? ""
        : text.count(row.parameters)
      : value === undefined
        ? ""
        : `${formatMeasure(value, marks.heat)}${box.folded ? ` ${text.each}` : ""}`;
  const { room } = drawn.texts.get(box.id)!;
  const picture = room === undefined ? undefined : marks.pictures?.of(box);
  // The text stays where it is without pictures.
  const own = height - (room?.height ?? 0);
  return svg`<g class=${classes(box, marks, drawn.boxChanges.get(box.id))} data-id=${box.id} transform="translate(${x} ${y})"
      @click=${on.click} @dblclick=${on.double}>
    ${
      box.folded
        ? svg`<rect class="frame behind" x="5" y="5" width=${width} height=${height} rx=${CORNER}></rect>`
        : nothing
    }
    <rect class="frame" width=${width} height=${height} rx=${isModule || room !== undefined ? CORNER : height / 2}></rect>
    ${
      heat > 0
        ? svg`<rect class=${isWatched(marks.heat) ? "heat heat-training" : "heat"} width=${width} height=${height} rx=${CORNER} fill-opacity=${(heat * (isWatched(marks.heat) ? STRONGEST : HOTTEST)).toFixed(3)}></rect>`
        : nothing
    }
    ${head(box, drawn, isModule && second !== "" ? 18 : own / 2 + 4.5, actions)}
    ${second === "" ? nothing : svg`<text class="detail" x="12" y="35">${second}</text>`}
    ${picture === undefined ? nothing : pictureIn(picture, own)}
  </g>`;
}

const pictureIn = ({ width, height, href, note }: BoxPicture, y: number): SVGTemplateResult =>
  svg`<image class="box-picture" x="12" y=${y} width=${width} height=${height} ${ref((image) => image?.setAttribute("href", href))}></image>
    ${note === "" ? nothing : svg`<text class="detail picture-note" x="12" y=${y + height + 15}>${note}</text>`}`;

function head(box: ShownBox, drawn: Drawn, baseline: number, actions: CanvasActions): SVGTemplateResult {
  const { title, kind } = drawn.texts.get(box.id)!;
  const stop = (act: (id: string) => void) => (event: Event) => {
    event.stopPropagation();
    act(box.id);
  };
  const left = box.expandable ? 28 : 12;
  const centre = baseline - 4.5;
  const { width } = drawn.layout.boxes.get(box.id)!;
  return svg`${
    box.expandable
      ? svg`<g class="opener" data-opens=${box.id} @click=${stop((id) => actions.toggleBox(id))}>
          <rect x="4" y=${centre - 11} width="22" height="22" fill="transparent"></rect>
          <path class="chevron" d=${box.open ? `M11 ${centre - 2.5} l4 5 l4 -5` : `M13 ${centre - 4} l5 4 l-5 4`}></path>
        </g>`
      : nothing
  }
    <text x=${left} y=${baseline}><tspan class="name">${title}</tspan>${
      kind === "" ? nothing : svg`<tspan class="kind" dx="8">${kind}</tspan>`
    }</text>
    ${
      box.repeat === 1
        ? nothing
        : svg`<g class="badge" data-unfolds=${box.id} @click=${stop((id) => actions.unfoldBox(id))}>
          <title>${box.folded ? text.unfold : text.fold}</title>
          <rect x=${width - 46} y=${centre - 9} width="38" height="18" rx="9"></rect>
          <text x=${width - 27} y=${centre + 4} text-anchor="middle">${text.times(box.repeat)}</text>
        </g>`
    }
    ${changeSign(box, drawn)}`;
}

/** The sign on the corner of a box that differs from the other version. */
function changeSign({ id }: ShownBox, { boxChanges }: Drawn): SVGTemplateResult | typeof nothing {
  const change = boxChanges.get(id);
  if (change === undefined) return nothing;
  return svg`<g class="change-sign sign-${change}">
    <title>${text.diff.marks[change]}</title>
    <circle r="8"></circle>
    <text text-anchor="middle" y="4.5">${SIGNS[change]}</text>
  </g>`;
}

function line(
  { from, to, points }: PlacedEdge,
  selected: string,
  change: "added" | "removed" | undefined,
): SVGTemplateResult {
  const near = selected !== "" && (from === selected || to === selected);
  return svg`<path class="edge ${near ? "near" : ""} ${change === undefined ? "" : `edge-${change}`}" data-from=${from} data-to=${to} d=${rounded(points)}
    marker-end="url(#arrow)"></path>`;
}

function shape({ label, shape: written }: PlacedEdge): SVGTemplateResult | typeof nothing {
  if (label === undefined) return nothing;
  return svg`<text class="edge-shape" x=${label.x + 3} y=${label.y + LABEL_HEIGHT - 3}>${written}</text>`;
}

/** An SVG path along the points, with rounded corners. */
export function rounded(points: readonly Point[], radius = 6): string {
  const [start, ...rest] = points;
  if (start === undefined) return "";
  let path = `M${start.x} ${start.y}`;
  rest.forEach((corner, i) => {
    const before = points[i]!;
    const after = rest[i + 1];
    if (after === undefined) {
      path += ` L${corner.x} ${corner.y}`;
      return;
    }
    const toward = (other: Point): Point => {
      const length = Math.hypot(other.x - corner.x, other.y - corner.y);
      const part = length === 0 ? 0 : Math.min(radius, length / 2) / length;
      return { x: corner.x + (other.x - corner.x) * part, y: corner.y + (other.y - corner.y) * part };
    };
    const [into, out] = [toward(before), toward(after)];
    path += ` L${into.x} ${into.y} Q${corner.x} ${corner.y} ${out.x} ${out.y}`;
  });
  return path;
}

/** The minimap: the whole diagram, and the visible part; hidden while nearly all is visible. */
export function minimap(
  { layout, boxes }: Drawn,
  camera: Camera,
  window: { width: number; height: number },
  go: (at: Point) => void,
): TemplateResult | typeof nothing {
  const seen: Rectangle = {
    x: -camera.x / camera.scale,
    y: -camera.y / camera.scale,
    width: window.width / camera.scale,
    height: window.height / camera.scale,
  };
  if (window.width < SMALLEST_WITH_MAP) return nothing;
  if (layout.width <= seen.width * 1.15 && layout.height <= seen.height * 1.15) return nothing;
  const scale = Math.min(150 / layout.width, 180 / layout.height);
  const move = (event: PointerEvent): void => {
    if (event.buttons === 0) return;
    event.stopPropagation();
    const place = (event.currentTarget as Element).getBoundingClientRect();
    go({ x: (event.clientX - place.left) / scale, y: (event.clientY - place.top) / scale });
  };
  return html`<svg
    class="minimap"
    aria-hidden="true"
    width=${layout.width * scale}
    height=${layout.height * scale}
    viewBox="0 0 ${layout.width} ${layout.height}"
    @pointerdown=${move}
    @pointermove=${move}
  >
    ${guard([layout], () =>
      [...boxes.values()].map((box) => {
        const { x, y, width, height } = layout.boxes.get(box.id)!;
        return svg`<rect class=${box.open ? "mini open" : "mini"} x=${x} y=${y} width=${width} height=${height} rx="8"></rect>`;
      }),
    )}
    <rect class="seen" x=${seen.x} y=${seen.y} width=${seen.width} height=${seen.height}></rect>
  </svg>`;
}
