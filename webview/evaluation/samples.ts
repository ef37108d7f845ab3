/** Cards of samples: images, texts and rows, with the actual and the predicted class. */
import { html, nothing, type TemplateResult } from "lit";
import { classMap } from "lit/directives/class-map.js";
import { repeat } from "lit/directives/repeat.js";
import type { SampleView } from "../../extension/protocol/evaluation.ts";
import { errorBox } from "../shared/errorBox.ts";
import { formatMetric, formatShare } from "../shared/format.ts";
import { button, empty, section, segmented } from "../shared/widgets.ts";
import { strings } from "../shared/strings.ts";
import { tensorView } from "../shared/tensorView.ts";
import { classNames, nameOf, type Actions, type EvaluationState } from "./state.ts";

const text = strings.evaluation.samples;
/** Numbers of a row that a card has room for. */
const CARD_NUMBERS = 6;

export function samplesSection(state: EvaluationState, actions: Actions): TemplateResult | typeof nothing {
  const { report, listing, ui } = state;
  if (!report || report.task === "generation") return nothing;
  if (report.listed === 0) return section("samples", text.title, empty(text.stream));
  const { samples, total, loading, error } = listing;
  const classes = report.task === "classification";
  const orders = (["hardest", ...(classes ? (["wrong"] as const) : []), "index"] as const).map((value) => ({
    value,
    label: value === "index" ? text.inOrder : text[value],
  }));
  return section(
    "samples",
    text.title,
    html`${chosenCell(state, actions)}
      ${error ? errorBox({ error, title: text.title, open: actions.openSource }) : nothing}
      <ul class="cards" aria-busy=${loading}>
        ${repeat(
          samples,
          ({ index }) => index,
          (sample) => html`<li>${card(state, sample, actions)}</li>`,
        )}
      </ul>
      ${samples.length === 0 && !loading && !error ? empty(text.none) : nothing}
      <div class="list-foot">
        <span class="secondary" role="status"
          >${loading ? text.loading : text.shown(samples.length, total)}</span
        >
        ${
          samples.length < total && !loading
            ? button({ label: text.more, icon: "chevron-down", onClick: () => actions.more() })
            : nothing
        }
        ${
          state.result && report.listed < state.result.samples
            ? html`<span class="secondary">${text.capped(report.listed)}</span>`
            : nothing
        }
      </div>`,
    segmented("order", text.order, orders, ui.order, (order) => actions.order(order)),
  );
}

function chosenCell(state: EvaluationState, actions: Actions): TemplateResult | typeof nothing {
  const { actual, predicted } = state.ui;
  if (actual < 0 && predicted < 0) return nothing;
  const names = classNames(state);
  return html`<p class="chosen">
    <span class="badge">${text.of(nameOf(names, actual))}, ${text.as(nameOf(names, predicted))}</span>
    ${button({ label: text.all, icon: "close", onClick: () => actions.choose(-1, -1) })}
  </p>`;
}

function card(state: EvaluationState, sample: SampleView, actions: Actions): TemplateResult {
  const names = classNames(state);
  const { index, inputs, actual, predicted, loss, confidence } = sample;
  const known = predicted !== undefined && actual !== undefined;
  const verdict = known ? text.verdict(nameOf(names, predicted), nameOf(names, actual)) : "";
  const chosen = state.asked.subject?.kind === "sample" && state.asked.subject.index === index;
  return html`<button
    class=${classMap({ card: true, "card-wrong": known && actual !== predicted, "card-chosen": chosen })}
    title=${text.look(index, verdict)}
    aria-pressed=${chosen}
    @click=${() => actions.ask({ kind: "sample", index })}
  >
    ${inputs.map((input) => tensorView(input, text.sample(index), CARD_NUMBERS))}
    ${
      known
        ? html`<span class="card-verdict"
            ><b>${nameOf(names, predicted)}</b>
            ${actual === predicted ? nothing : html`<s>${nameOf(names, actual)}</s>`}</span
          >`
        : html`${sample.output?.kind === "numbers" || sample.output?.kind === "image" ? outputs(sample) : nothing}`
    }
    <span class="card-facts"
      >${confidence === undefined ? nothing : html`${formatShare(confidence)}<br />`}${
        loss === undefined ? text.sample(index) : `${text.loss} ${formatMetric(loss)}`
      }</span
    >
  </button>`;
}

function outputs({ index, output, target }: SampleView): TemplateResult {
  return html`${
    output
      ? html`<span class="card-output"
          ><span class="secondary">${text.output}</span>
          ${tensorView(output, `${text.output}, ${text.sample(index)}`, CARD_NUMBERS)}</span
        >`
      : nothing
  }
  ${
    target
      ? html`<span class="card-output"
          ><span class="secondary">${text.target}</span>
          ${tensorView(target, `${text.target}, ${text.sample(index)}`, CARD_NUMBERS)}</span
        >`
      : nothing
  }`;
}
