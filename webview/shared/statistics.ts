/** Statistics of a tensor: its facts and the distribution of its values. */
import { html, nothing, type TemplateResult } from "lit";
import type { TensorStatistics } from "../../extension/protocol/tensorValues.ts";
import { formatCount, formatMetric } from "./format.ts";
import { strings } from "./strings.ts";
import { styles } from "./styles.ts";
import { empty, pairs } from "./widgets.ts";

const text = strings.tensors;

/** Whether a tensor has no element at all. */
export const isEmpty = ({ count, nans, infinities }: TensorStatistics): boolean =>
  count + nans + infinities === 0;

export function statisticsView(name: string, statistics: TensorStatistics): TemplateResult {
  const { min, max, mean, std, zeros, nans, infinities, count } = statistics;
  if (isEmpty(statistics)) return empty(text.noElements);
  const share = (part: number): string =>
    part === 0 ? "0" : `${formatCount(part)} (${((100 * part) / (count + nans + infinities)).toFixed(1)} %)`;
  const facts: [string, string][] = [
    [text.statistics.min, formatMetric(min)],
    [text.statistics.max, formatMetric(max)],
    [text.statistics.mean, formatMetric(mean)],
    [text.statistics.std, formatMetric(std)],
    [text.statistics.zeros, share(zeros)],
    [text.statistics.nans, share(nans)],
    [text.statistics.infinities, share(infinities)],
  ];
  return html`<div class="tensor-statistics">
    ${pairs("pairs", facts)} ${count > 0 ? histogram(name, statistics) : nothing}
  </div>`;
}

function histogram(name: string, { min, max, histogram }: TensorStatistics): TemplateResult {
  const highest = Math.max(...histogram, 1);
  const width = (max - min) / histogram.length;
  const label = text.histogram(name, formatMetric(min), formatMetric(max));
  return html`<figure class="histogram">
    <div class="bars" role="img" aria-label=${label}>
      ${histogram.map((count, bin) => {
        const [from, to] = [min + bin * width, min + (bin + 1) * width].map((value) => formatMetric(value));
        return html`<div class="bar-place" title=${text.bin(from!, to!, count)}>
          <div
            class="bar"
            ${styles({ height: `${count === 0 ? 0 : Math.max(2, (100 * count) / highest)}%` })}
          ></div>
        </div>`;
      })}
    </div>
    <figcaption><span>${formatMetric(min)}</span><span>${formatMetric(max)}</span></figcaption>
  </figure>`;
}
