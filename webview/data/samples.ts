/** Pages of samples, the selected one under the experiment's random transforms, and pairs of equal samples. */
import { html, nothing, type TemplateResult } from "lit";
import { classMap } from "lit/directives/class-map.js";
import { repeat } from "lit/directives/repeat.js";
import type { DataSample } from "../../extension/protocol/data/data.ts";
import { foldable } from "../shared/components.ts";
import { button, dropdown, empty, section, segmented } from "../shared/widgets.ts";
import { strings } from "../shared/strings.ts";
import { failure } from "./failure.ts";
import { PAGE, shapeText, type Actions, type DataState } from "./state.ts";
import { sampleView } from "./values.ts";

const text = strings.data;
/** Numbers of the selected sample. */
const MOST_NUMBERS = 64;

export function samplesSection(state: DataState, actions: Actions): TemplateResult | typeof nothing {
  const { snapshot, ui, page } = state;
  const { splits = [], classes } = snapshot.summary ?? {};
  if (splits.length === 0) return nothing;
  const samples = page.answer?.samples ?? [];
  const choices = splits.map(({ name }) => ({ value: name, label: text.splits.names[name] }));
  const names = ["", ...(classes ?? [])].map((label, i) => ({
    value: String(i - 1),
    label: i === 0 ? text.samples.allClasses : label,
  }));
  const tools = html`<div class="tools">
    ${
      classes === undefined
        ? nothing
        : dropdown(text.samples.classes, names, String(ui.actual), (value) =>
            actions.setUi({ actual: Number(value), offset: 0 }),
          )
    }
    ${
      choices.length > 1
        ? segmented("split", text.samples.split, choices, ui.split, (split) =>
            actions.setUi({ split, offset: 0, index: -1 }),
          )
        : nothing
    }
  </div>`;
  return section(
    "samples",
    text.samples.title,
    html`${looked(state, actions)}
      ${failure(page.error, text.samples.failed, {
        openSource: actions.openSource,
        dismiss: () => actions.dismiss("page"),
      })}
      <ul class="cards" aria-busy=${page.loading === true}>
        ${repeat(
          samples,
          ({ split, index }) => `${split} ${index}`,
          (sample) => html`<li>${card(state, sample, actions)}</li>`,
        )}
      </ul>
      ${page.answer !== undefined && samples.length === 0 && page.loading !== true ? empty(text.samples.none) : nothing}
      ${paging(state, actions)}`,
    tools,
  );
}

function card({ ui }: DataState, sample: DataSample, actions: Actions): TemplateResult {
  const { index, split, error } = sample;
  const chosen = ui.index === index && ui.split === split;
  return html`<button
    class=${classMap({ card: true, "card-chosen": chosen, "card-failed": error !== undefined })}
    title=${text.samples.look(index)}
    aria-pressed=${chosen}
    @click=${() => actions.look(chosen ? undefined : { split, index })}
  >
    ${sampleView(sample)}<span class="card-facts">${text.samples.sample(index)}</span>
  </button>`;
}

function paging({ ui, page }: DataState, actions: Actions): TemplateResult {
  const total = page.answer?.total ?? 0;
  const shown = page.answer?.samples.length ?? 0;
  const last = Math.max(0, Math.floor((total - 1) / PAGE) * PAGE);
  const to = (label: string, symbol: string, offset: number, disabled: boolean): TemplateResult =>
    button({ label, icon: symbol, appearance: "icon", disabled, onClick: () => actions.setUi({ offset }) });
  const [begin, end] = [ui.offset <= 0, ui.offset >= last];
  return html`<div class="list-foot">
    <span class="secondary" role="status"
      >${
        page.loading === true
          ? text.samples.loading
          : shown === 0
            ? ""
            : text.samples.page(ui.offset + 1, ui.offset + shown, total)
      }</span
    >
    ${
      total <= PAGE
        ? nothing
        : html`<span class="pages"
            >${to(text.samples.first, "debug-reverse-continue", 0, begin)}
            ${to(text.samples.previous, "chevron-left", Math.max(0, ui.offset - PAGE), begin)}
            ${to(text.samples.next, "chevron-right", Math.min(last, ui.offset + PAGE), end)}
            ${to(text.samples.last, "debug-continue", last, end)}</span
          >`
    }
  </div>`;
}

/** The selected sample, with examples of its random transforms. */
function looked({ ui, draws }: DataState, actions: Actions): TemplateResult | typeof nothing {
  if (ui.index < 0) return nothing;
  const { answer, loading, error } = draws;
  const [first] = answer?.draws ?? [];
  return html`<div class="looked">
    <div class="sub-head">
      <h3>${text.look.title(ui.split, ui.index)}</h3>
      <span class="tools"
        >${
          answer?.fixed === false
            ? button({
                label: text.look.again,
                icon: "refresh",
                disabled: loading === true,
                onClick: () => actions.drawAgain(),
              })
            : nothing
        }${button({
          label: text.look.close,
          icon: "close",
          appearance: "icon",
          onClick: () => actions.look(undefined),
        })}</span
      >
    </div>
    ${failure(error, text.look.failed, {
      openSource: actions.openSource,
      dismiss: () => actions.look(undefined),
    })}
    ${loading === true && answer === undefined ? html`<p class="secondary" role="status">${text.look.loading}</p>` : nothing}
    ${first === undefined ? nothing : facts(first, actions)}
    ${
      answer?.original === undefined
        ? nothing
        : html`<figure class="original">
            <figcaption>${text.look.original}</figcaption>
            ${sampleView(answer.original, MOST_NUMBERS)}
          </figure>`
    }
    ${
      answer === undefined
        ? nothing
        : answer.fixed
          ? html`${first === undefined ? nothing : html`<div class="draw">${sampleView(first, MOST_NUMBERS)}</div>`}
              <p class="secondary">${text.look.fixed}</p>`
          : html`<figure>
              <figcaption>${text.look.draws}</figcaption>
              <ul class="draws" aria-busy=${loading === true}>
                ${answer.draws.map((draw, i) => html`<li aria-label=${text.look.draw(i + 1)}>${sampleView(draw)}</li>`)}
              </ul>
            </figure>`
    }
  </div>`;
}

const facts = ({ fields, split, index }: DataSample, actions: Actions): TemplateResult =>
  html`<ul class="facts tensors-of-sample">
    ${fields.map(
      ({ name, dtype, shape }) =>
        html`<li>
          ${name}: ${dtype} ${shapeText(shape)}
          ${
            dtype === "text"
              ? nothing
              : button({
                  label: text.look.view(name),
                  icon: "table",
                  appearance: "icon",
                  onClick: () => actions.viewTensor({ split, index }, name),
                })
          }
        </li>`,
    )}
  </ul>`;

export function pairsSection(state: DataState, actions: Actions): TemplateResult | typeof nothing {
  const { snapshot, ui, pairs } = state;
  const all = snapshot.summary?.pairs ?? [];
  if (all.length === 0) return nothing;
  const samples = pairs.answer ?? [];
  const content = (): TemplateResult =>
    html`${failure(pairs.error, text.samples.failed, {
        openSource: actions.openSource,
        dismiss: () => actions.setUi({ pairs: false }),
      })}
      ${pairs.loading === true ? html`<p class="secondary" role="status">${text.pairs.loading}</p>` : nothing}
      <ul class="pairs-of-samples">
        ${Array.from({ length: samples.length >> 1 }, (_, i) => samples.slice(2 * i, 2 * i + 2)).map(
          (pair) =>
            html`<li>
              ${pair.map(
                (sample) =>
                  html`<div class="card">
                    ${sampleView(sample)}<span class="card-facts"
                      >${text.look.title(sample.split, sample.index)}</span
                    >
                  </div>`,
              )}
            </li>`,
        )}
      </ul>`;
  return section(
    "pairs",
    text.pairs.title,
    html`<p class="secondary">${text.pairs.hint}</p>
      ${foldable({
        summary: text.pairs.show(Math.min(all.length, PAGE)),
        open: ui.pairs,
        onToggle: (open) => actions.setUi({ pairs: open }),
        content,
      })}`,
  );
}
