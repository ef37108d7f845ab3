/** The "Try It" section: the user draws, types, edits or picks an input and sees the model's prediction. */
import { html, nothing, type TemplateResult } from "lit";
import type { Answer, InputForm } from "../../extension/protocol/evaluation.ts";
import { errorBox } from "../shared/errorBox.ts";
import { formatMetric, formatShare, formatTick } from "../shared/format.ts";
import { button, checkbox, empty, section } from "../shared/widgets.ts";
import { strings } from "../shared/strings.ts";
import { styles } from "../shared/styles.ts";
import type { Pad } from "./pad.ts";
import { tensorView } from "../shared/tensorView.ts";
import { classNames, nameOf, type Actions, type EvaluationState } from "./state.ts";

const text = strings.evaluation.ask;
/** Most classes whose probabilities are shown. */
export const MAX_BARS = 10;

export function tryItSection(
  state: EvaluationState,
  pad: Pad,
  actions: Actions,
): TemplateResult | typeof nothing {
  const { report, asked, ui, model } = state;
  // A generator turns noise into samples; it has no input to choose.
  if (!report || report.task === "generation") return nothing;
  const { input } = report;
  if (input.kind === "none" && report.listed === 0) return nothing;
  const tools = html`<span class="ask-tools"
    >${
      asked.asking
        ? html`<span class="secondary" role="status">${model === "ready" ? text.asking : text.starting}</span>
            ${model === "ready" ? nothing : button({ label: strings.evaluation.cancel, icon: "close", onClick: () => actions.cancel() })}`
        : nothing
    }
    ${
      report.listed > 0
        ? button({
            label: text.random,
            icon: "sparkle",
            needsTrust: true,
            onClick: () => actions.ask({ kind: "sample", index: Math.floor(Math.random() * report.listed) }),
          })
        : nothing
    }
    ${checkbox(text.explain, ui.explain, (explain) => actions.setUi({ explain }))}</span
  >`;
  return section(
    "ask",
    text.title,
    html`<div class="ask">
      ${form(state, input, pad, actions)}
      <div class="answer" aria-busy=${asked.asking}>
        ${asked.error ? errorBox({ error: asked.error, title: text.title, open: actions.openSource }) : nothing}
        ${asked.answer ? answerView(state, asked.answer) : empty(text.empty[input.kind])}
      </div>
    </div>`,
    tools,
  );
}

function form(state: EvaluationState, input: InputForm, pad: Pad, actions: Actions): TemplateResult {
  if (input.kind === "image")
    return html`<div class="ask-form">
      <h3>${text.draw}</h3>
      ${pad.canvas} ${button({ label: text.clear, icon: "clear-all", onClick: () => pad.clear() })}
      <p class="secondary">${text.drawHint(input.height, input.width, input.ink !== undefined)}</p>
    </div>`;
  if (input.kind === "text")
    return html`<div class="ask-form">
      <h3><label for="ask-text">${text.text}</label></h3>
      <textarea
        id="ask-text"
        rows="4"
        .value=${state.text}
        @input=${(event: Event) => actions.setText((event.target as HTMLTextAreaElement).value)}
      ></textarea>
    </div>`;
  if (input.kind === "row")
    return html`<div class="ask-form">
      <h3>${text.row}</h3>
      <div class="row-form">
        ${input.columns.map(({ name, minimum, maximum }, i) => {
          const change = (event: Event): void => {
            const { valueAsNumber } = event.target as HTMLInputElement;
            if (Number.isFinite(valueAsNumber)) actions.setRow(i, valueAsNumber);
          };
          const value = state.row[i] ?? 0;
          const step = ((maximum - minimum) / 100).toPrecision(1);
          return html`<label
            ><span>${name}</span
            ><input
              type="range"
              aria-label=${name}
              min=${Math.min(minimum, value)}
              max=${Math.max(maximum, value)}
              step="any"
              .value=${String(value)}
              @input=${change} /><input
              type="number"
              aria-label=${name}
              step=${Number(step) > 0 ? step : "any"}
              .value=${String(Number(value.toPrecision(6)))}
              @change=${change}
          /></label>`;
        })}
      </div>
    </div>`;
  return html`<p class="ask-form secondary">${input.reason}</p>`;
}

function answerView(state: EvaluationState, answer: Answer): TemplateResult {
  const { sample, probabilities, saliency, features } = answer;
  const names = answer.labels ?? classNames(state);
  const [first] = sample.inputs;
  return html`${probabilities ? bars(probabilities, names, sample.actual) : numbersView(answer)}
    <div class="seen">
      ${
        first
          ? html`<figure>
              <figcaption>${text.sees}</figcaption>
              ${sample.inputs.map((view) => tensorView(view, text.sees))}
            </figure>`
          : nothing
      }
      ${
        saliency?.kind === "image" && first?.kind === "image"
          ? html`<figure>
              <figcaption title=${text.saliencyHint}>${text.saliency}</figcaption>
              <div class="saliency" role="img" aria-label=${text.saliencyHint}>
                ${tensorView(first, "")}
                <span ${styles(maskOf(saliency.png))}></span>
              </div>
            </figure>`
          : nothing
      }
      ${saliency?.kind === "values" ? valueSaliency(answer, saliency.values) : nothing}
    </div>
    ${
      features
        ? html`<figure class="features">
            <figcaption>
              <b>${text.features}</b>
              <span class="secondary"
                >${text.featuresHint(features.layer, features.maps.length, features.channels)}</span
              >
            </figcaption>
            <div class="maps">
              ${features.maps.map(
                (png, index) =>
                  html`<img
                    class="picture"
                    src="data:image/png;base64,${png}"
                    alt=${text.channel(index)}
                    title=${text.channel(index)}
                  />`,
              )}
            </div>
          </figure>`
        : nothing
    }`;
}

const maskOf = (png: string): Record<string, string> => {
  const image = `url(data:image/png;base64,${png})`;
  return { "mask-image": image, "-webkit-mask-image": image };
};

/** The indices of the most probable classes. */
export function likeliest(probabilities: readonly number[], most = MAX_BARS): number[] {
  return probabilities
    .map((_, index) => index)
    .sort((a, b) => (probabilities[b] ?? 0) - (probabilities[a] ?? 0) || a - b)
    .slice(0, most);
}

function bars(
  probabilities: readonly number[],
  names: readonly string[],
  actual: number | undefined,
): TemplateResult {
  const shown = likeliest(probabilities);
  // A few classes keep their order, so that bars don't jump while drawing.
  const order = probabilities.length <= MAX_BARS ? probabilities.map((_, index) => index) : shown;
  const [best = 0] = shown;
  return html`<div>
    <p class="prediction">
      <span class="secondary">${text.prediction}</span> <b>${classLabel(names, best)}</b>
      <span>${formatShare(probabilities[best] ?? 0)}</span>
      ${
        actual === undefined
          ? nothing
          : html`<span class="secondary"
              >${strings.evaluation.confusion.actual.toLowerCase()} ${classLabel(names, actual)}</span
            >`
      }
    </p>
    <table class="bars">
      <caption class="visually-hidden">
        ${text.probabilities}
      </caption>
      <tbody>
        ${order.map((index) => {
          const share = probabilities[index] ?? 0;
          return html`<tr class=${index === best ? "best" : ""}>
            <th scope="row">${classLabel(names, index)}</th>
            <td class="bar-cell"><span ${styles({ width: `${share * 100}%` })}></span></td>
            <td class="number">${formatShare(share)}</td>
          </tr>`;
        })}
      </tbody>
    </table>
    ${
      probabilities.length > order.length
        ? html`<p class="secondary">${text.others(probabilities.length - order.length)}</p>`
        : nothing
    }
  </div>`;
}

/** A class's name, or a token with its spaces shown. */
export const classLabel = (names: readonly string[], index: number): string =>
  nameOf(names, index).replaceAll("\n", "↵").replaceAll(" ", "␣");

function numbersView({ sample: { output, target, loss } }: Answer): TemplateResult {
  return html`<div class="seen">
    ${
      output
        ? html`<figure>
            <figcaption>${strings.evaluation.samples.output}</figcaption>
            ${tensorView(output, strings.evaluation.samples.output)}
          </figure>`
        : nothing
    }
    ${
      target
        ? html`<figure>
            <figcaption>${strings.evaluation.samples.target}</figcaption>
            ${tensorView(target, strings.evaluation.samples.target)}
          </figure>`
        : nothing
    }
    ${loss === undefined ? nothing : html`<p class="secondary">${strings.evaluation.samples.loss} ${formatMetric(loss)}</p>`}
  </div>`;
}

/** Saliency of an input's values: signed for columns, absolute for tokens. */
function valueSaliency({ sample }: Answer, values: readonly number[]): TemplateResult {
  const largest = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0) || 1;
  const [first] = sample.inputs;
  if (first?.kind === "text")
    return html`<figure class="wide">
      <figcaption title=${text.saliencyHint}>${text.saliency}</figcaption>
      <p class="tokens">
        ${first.tokens.map(
          (token, i) =>
            html`<span
              title=${formatTick(Number((values[i] ?? 0).toPrecision(3)))}
              ${styles({ "--weight": `${Math.round((60 * (values[i] ?? 0)) / largest)}%` })}
              >${token.replaceAll("\n", "↵")}</span
            > `,
        )}
      </p>
    </figure>`;
  const names = first?.kind === "numbers" ? first.names : undefined;
  if (names === undefined) return html``;
  return html`<figure class="wide">
    <figcaption title=${text.saliencyHint}>${text.saliency}</figcaption>
    <table class="bars">
      <tbody>
        ${names.map(
          (name, i) =>
            html`<tr>
              <th scope="row">${name}</th>
              <td class="bar-cell">
                <span ${styles({ width: `${(100 * Math.abs(values[i] ?? 0)) / largest}%` })}></span>
              </td>
              <td class="number">${formatTick(Number((values[i] ?? 0).toPrecision(3)))}</td>
            </tr>`,
        )}
      </tbody>
    </table>
  </figure>`;
}
