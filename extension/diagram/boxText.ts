/** The text of a diagram's boxes, and their sizes. */
import type { TextWidths } from "../protocol/flow.ts";
import type { SummaryRow } from "../protocol/preview.ts";
import { plainLine } from "../protocol/text/plain.ts";
import type { ShownBox } from "./flow.ts";

/** Fonts of a diagram's text, without their family. */
export const FONTS = { title: "600 13px", kind: "13px", label: "11px" } as const;

/** Key of the width of characters that weren't measured. */
export const OTHERS = "";

const PADDING = 12;
const GAP = 8;
/** Widths of the button that opens a container, and of the "12 ×" badge before a name. */
const TWISTIE = 18;
const BADGE = 40;
const ONE_LINE = 28;
const TWO_LINES = 44;

/** A box's text, and its size. */
export interface BoxText {
  title: string;
  /** Class of a module; empty for other boxes. */
  kind: string;
  width: number;
  height: number;
  /** Space beneath the text, which the size includes. */
  room?: Room;
}

/** Size of the content beneath a box's text, in pixels. */
export interface Room {
  width: number;
  height: number;
}

export type Row = Pick<SummaryRow, "path" | "className" | "detail" | "parameters">;

/** Width in pixels, without kerning: a sum of measured widths, equal in the host and in the view. */
function width(text: string, widths: Readonly<Record<string, number>>): number {
  let sum = 0;
  for (const character of text) sum += widths[character] ?? widths[OTHERS] ?? 0;
  return sum;
}

export const labelWidth = (text: string, { label }: TextWidths): number => Math.ceil(width(text, label)) + 6;

export function boxText(box: ShownBox, row: Row | undefined, widths: TextWidths): BoxText {
  const { node, folded, repeat } = box;
  const title = plainLine(folded ? `${node.name} … ${box.lastName ?? ""}` : node.name);
  const kind = node.kind === "module" ? plainLine(row?.className ?? node.className ?? "") : "";
  const line = width(title, widths.title) + (kind === "" ? 0 : GAP + width(kind, widths.kind));
  const room = (box.expandable ? TWISTIE : 0) + (repeat > 1 ? BADGE : 0);
  const measured = node.kind === "module" ? 96 : 0;
  return {
    title,
    kind,
    width: Math.ceil(Math.max(line + room, measured)) + 2 * PADDING,
    height: node.kind === "module" ? TWO_LINES : ONE_LINE,
  };
}

/** Returns the size of a box with content beneath its text. */
export const withRoom = (text: BoxText, room: Room | undefined): BoxText =>
  room === undefined
    ? text
    : {
        ...text,
        width: Math.max(text.width, Math.ceil(room.width) + 2 * PADDING),
        height: text.height + room.height,
        room,
      };
