/** A diagram as the text of an SVG whose classes the document it stands in colours. */
import { render } from "lit";
import type { RunDiagram } from "../../extension/protocol/history/report.ts";
import { layoutOf, sketchOf } from "../../extension/diagram/layout.ts";
import { canvas, type CanvasActions } from "./canvas.ts";
import type { Drawn } from "./diagramState.ts";
import { framed } from "./exportImage.ts";

const ignore = (): void => undefined;
const NO_ACTIONS: CanvasActions = {
  selectBox: ignore,
  openBox: ignore,
  revealBox: ignore,
  toggleBox: ignore,
  unfoldBox: ignore,
};

/** Undefined for a model without a flow. */
export function stillDiagram({ model, look, places }: RunDiagram, label: string): string | undefined {
  if (model.flow === undefined) return undefined;
  const rows = new Map(model.rows.map((row) => [row.path, row]));
  const drawn: Drawn = {
    ...sketchOf(model.flow, rows, look),
    model,
    layout: layoutOf(places),
    rows,
    diff: undefined,
    boxChanges: new Map(),
    edgeChanges: new Map(),
  };
  const marks = { selected: "", matches: new Set<string>(), searching: false, heat: "none" } as const;
  const place = document.createElement("div");
  render(canvas(drawn, { x: 0, y: 0, scale: 1 }, marks, NO_ACTIONS), place);
  const picture = place.querySelector("svg")!;
  picture.setAttribute("role", "img");
  picture.setAttribute("aria-label", label);
  // Hints on clicks.
  for (const part of picture.querySelectorAll("title, .opener > rect")) part.remove();
  return framed(picture, drawn.layout);
}
