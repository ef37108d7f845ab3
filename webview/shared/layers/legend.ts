/** The legend of a measure's colours. */
import { html, type TemplateResult } from "lit";
import { formatShort, formatValue, type LayerHistory, type Measure } from "./layerColumns.ts";
import { layerStrings } from "../strings/layer.ts";

export function legend(history: LayerHistory, measure: Measure): TemplateResult {
  const { low, high } = history.scale(measure);
  const format = (value: number): string =>
    measure === "deadUnits" ? formatValue(value, measure) : formatShort(value);
  const name = layerStrings.measures[measure];
  return html`<span
    class="layers-legend"
    role="img"
    aria-label="${name}: ${layerStrings.scale(format(low), format(high))}"
    ><span class="optional" aria-hidden="true">${name}</span><span aria-hidden="true">${format(low)}</span
    ><i aria-hidden="true"></i><span aria-hidden="true">${format(high)}</span></span
  >`;
}
