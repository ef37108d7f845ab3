/** Statistics of a layer's tensors in a checkpoint. */
import { html, nothing, svg, type TemplateResult } from "lit";
import { keyed } from "lit/directives/keyed.js";
import type { SummaryRow } from "../../extension/protocol/preview.ts";
import type { ArchitectureSnapshot } from "../../extension/protocol/views.ts";
import type { WeightStatistics } from "../../extension/protocol/tensorValues.ts";
import { formatCount } from "../shared/format.ts";
import { dropdown } from "../shared/widgets.ts";
import { strings } from "../shared/strings.ts";
import type { Actions } from "./actions.ts";

const text = strings.architecture.values;

export function values(
  row: SummaryRow,
  { weightFiles = [], weights }: ArchitectureSnapshot,
  round: number,
  actions: Actions,
): TemplateResult | typeof nothing {
  if (weightFiles.length === 0) return nothing;
  const files = weightFiles.map(({ id, label }) => ({ value: id, label }));
  return html`<h4>${text.title}</h4>
    ${keyed(
      round,
      dropdown(text.choose, [{ value: "", label: text.none }, ...files], weights?.id ?? "", (id) =>
        actions.chooseWeights(id),
      ),
    )}
    ${
      weights === undefined
        ? nothing
        : weights.error !== undefined
          ? html`<p class="value-note" role="alert">${weights.error}</p>`
          : weights.tensors === undefined
            ? html`<p class="secondary" role="status">${text.reading}</p>`
            : ofLayer(row, weights.tensors)
    }`;
}

/** The layer's own parameters, and its buffers in the checkpoint, such as running means. */
function ofLayer({ path, weights = [] }: SummaryRow, tensors: readonly WeightStatistics[]): TemplateResult[] {
  const prefix = path === "" ? "" : `${path}.`;
  const byName = new Map(
    tensors.flatMap((tensor) => {
      const name = tensor.name.startsWith(prefix) ? tensor.name.slice(prefix.length) : undefined;
      return name === undefined || name.includes(".") ? [] : [[name, tensor] as const];
    }),
  );
  const expected = new Map(weights.map(({ name, shape }) => [name, shape]));
  return [...new Set([...expected.keys(), ...byName.keys()])].map((name) => {
    const tensor = byName.get(name);
    if (tensor === undefined) return html`<p class="value-note">${text.missing(name)}</p>`;
    const shape = `[${tensor.shape.join(", ")}]`;
    const wanted = expected.get(name);
    return html`${
      wanted === undefined || wanted === shape
        ? nothing
        : html`<p class="value-note">${text.other(name, shape)}</p>`
    }${ofTensor(name, tensor)}`;
  });
}

const short = (value: number | null | undefined): string =>
  value === null || value === undefined ? "–" : String(Number(value.toPrecision(3)));

function ofTensor(name: string, tensor: WeightStatistics): TemplateResult {
  const { count = 0, min, max, mean, std, zeros = 0, nans = 0, infinities = 0, histogram = [] } = tensor;
  const odd = nans + infinities;
  const pairs: [string, string][] =
    count === 0
      ? []
      : [
          [text.range, `${short(min)}, ${short(max)}`],
          [text.mean, `${short(mean)} ± ${short(std)}`],
        ];
  if (zeros > 0) pairs.push([text.zeros, formatCount(zeros)]);
  return html`<figure class="values">
    <figcaption><b>${name}</b> <span class="secondary">${tensor.dtype}</span></figcaption>
    ${count === 0 ? html`<p class="secondary">${text.empty}</p>` : bars(name, histogram, short(min), short(max))}
    <dl class="pairs">
      ${pairs.map(
        ([term, value]) =>
          html`<div>
            <dt>${term}</dt>
            <dd>${value}</dd>
          </div>`,
      )}
      ${
        odd === 0
          ? nothing
          : html`<div class="odd">
              <dt>${text.nans}</dt>
              <dd>${nans}, ${infinities}</dd>
            </div>`
      }
    </dl>
  </figure>`;
}

const HEIGHT = 36;

function bars(name: string, histogram: readonly number[], min: string, max: string): TemplateResult {
  const largest = Math.max(1, ...histogram);
  return html`<svg
      class="histogram"
      role="img"
      aria-label=${text.histogram(name, min, max)}
      viewBox="0 0 ${histogram.length * 10} ${HEIGHT}"
      preserveAspectRatio="none"
    >
      ${histogram.map((count, i) => {
        const height = count === 0 ? 0 : Math.max(1, (count / largest) * HEIGHT);
        return svg`<rect x=${i * 10 + 0.5} y=${HEIGHT - height} width="9" height=${height}></rect>`;
      })}
    </svg>
    <div class="histogram-range secondary" aria-hidden="true"><span>${min}</span><span>${max}</span></div>`;
}
