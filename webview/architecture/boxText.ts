/** What is written in a box, and the room it takes. */
import type { SummaryRow } from "../../extension/protocol/preview.ts";
import { strings } from "../shared/strings.ts";
import type { ShownBox } from "./flow.ts";
import type { BoxText } from "./layout.ts";

const PADDING = 12;
const GAP = 8;
/** Of the button that opens a container, and of the "12 ×" before a name. */
const TWISTIE = 18;
const BADGE = 40;
const ONE_LINE = 28;
const TWO_LINES = 44;

let context: CanvasRenderingContext2D | null | undefined;

/** Width in pixels, in the editor's own font. */
function width(text: string, font: string): number {
  context ??= document.createElement("canvas").getContext("2d");
  if (context === null) return text.length * 7;
  const family = getComputedStyle(document.body).fontFamily;
  context.font = `${font} ${family}`;
  return context.measureText(text).width;
}

export const labelWidth = (text: string): number => Math.ceil(width(text, "11px")) + 6;

export function boxText(box: ShownBox, row: SummaryRow | undefined): BoxText {
  const { node, folded, repeat } = box;
  const title = folded ? `${node.name} … ${box.lastName ?? ""}` : node.name;
  const kind = node.kind === "module" ? (row?.className ?? node.className ?? "") : "";
  const badge = repeat > 1 ? strings.architecture.times(repeat) : undefined;
  const line = width(title, "600 13px") + (kind === "" ? 0 : GAP + width(kind, "13px"));
  const room = (box.expandable ? TWISTIE : 0) + (badge === undefined ? 0 : BADGE);
  const measured = node.kind === "module" ? 96 : 0;
  return {
    title,
    kind,
    badge,
    width: Math.ceil(Math.max(line + room, measured)) + 2 * PADDING,
    height: node.kind === "module" ? TWO_LINES : ONE_LINE,
  };
}
