/** Measures the characters of the view's font. */
import type { DiagramLook, TextWidths } from "../../extension/protocol/flow.ts";
import { FONTS, OTHERS } from "../../extension/diagram/boxText.ts";

const CHARACTERS = [...Array.from({ length: 95 }, (_, i) => String.fromCharCode(32 + i)), "…", "×"];
/** A character as wide as any, for those that aren't measured. */
const WIDE = "國";
/** Width in pixels if measuring fails. */
const GUESS = 7;

type Measured = Pick<DiagramLook, "font" | "widths">;
let last: (Measured & { family: string }) | undefined;

export function measuredWidths(): Measured {
  const family = getComputedStyle(document.body).fontFamily;
  if (last?.family === family) return { font: last.font, widths: last.widths };
  const context = document.createElement("canvas").getContext("2d");
  const measured = (font: keyof typeof FONTS): Record<string, number> => {
    if (context !== null) context.font = `${FONTS[font]} ${family}`;
    const width = (text: string): number =>
      context === null ? GUESS : Math.round(context.measureText(text).width * 100) / 100;
    return Object.fromEntries([
      [OTHERS, width(WIDE)],
      ...CHARACTERS.map((character) => [character, width(character)]),
    ]) as Record<string, number>;
  };
  const widths: TextWidths = { title: measured("title"), kind: measured("kind"), label: measured("label") };
  const sums = Object.values(widths).map((one) => Object.values(one).reduce((a, b) => a + b));
  const font = [family, ...sums.map((sum) => sum.toFixed(1))].join(" ");
  last = { family, font, widths };
  return { font, widths };
}
