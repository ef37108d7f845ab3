/** The slider that moves through a training, by its checks. */
import { html, nothing, type TemplateResult } from "lit";
import { button } from "../widgets.ts";
import { styles } from "../styles.ts";
import type { LayerHistory } from "./layerColumns.ts";
import { layerStrings } from "../strings/layer.ts";

/** @param at The selected step; undefined to follow the end */
export function scrubber(
  history: LayerHistory,
  at: number | undefined,
  onMove: (step: number | undefined) => void,
): TemplateResult {
  const last = history.steps.length - 1;
  const column = history.columnAt(at);
  const text = columnText(history, column);
  const move = (event: Event): void => {
    const to = (event.target as HTMLInputElement).valueAsNumber;
    // At its end, it follows a training that runs.
    onMove(to >= last ? undefined : history.steps[to]);
  };
  return html`<div class="scrubber">
    <label class="slider"
      ><span>${layerStrings.overTime}</span
      ><input
        type="range"
        min="0"
        max=${Math.max(1, last)}
        step="1"
        aria-label=${layerStrings.position}
        aria-valuetext=${text}
        .value=${String(column)}
        ?disabled=${last < 1}
        ${styles({ "--fill": `${last < 1 ? 100 : (100 * column) / last}%` })}
        @input=${move}
      /><output>${text}</output></label
    >
    ${
      at === undefined
        ? nothing
        : button({ label: layerStrings.latest, icon: "debug-continue", onClick: () => onMove(undefined) })
    }
  </div>`;
}

/** A column in words: "Step 1,200, epoch 4". */
export function columnText({ steps, epochs }: LayerHistory, column: number): string {
  return layerStrings.at(steps[column] ?? 0, epochs[column] ?? 0);
}
