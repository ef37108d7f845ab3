/** The comparison of two versions: the choice of versions, the differences in words, and their marks. */
import { html, nothing, type TemplateResult } from "lit";
import { keyed } from "lit/directives/keyed.js";
import { findModel, modelTitle } from "../../extension/protocol/modelForms.ts";
import type { ModelReport } from "../../extension/protocol/preview.ts";
import type { ArchitectureSnapshot, ModelSide } from "../../extension/protocol/views.ts";
import { errorBox } from "../shared/errorBox.ts";
import { formatCompact, formatCount } from "../shared/format.ts";
import { button, dropdown, icon } from "../shared/widgets.ts";
import { strings } from "../shared/strings.ts";
import { type Change, diffOf, type ModelDiff, parentOf, type RowChange, SIGNS } from "./diff.ts";
import type { Actions } from "./actions.ts";

const text = strings.architecture.diff;
const WORKING = "working";

export const mark = (change: Change | undefined): TemplateResult | typeof nothing =>
  change === undefined
    ? nothing
    : html`<span class="mark mark-${change}" title=${text.marks[change]}
        ><span aria-hidden="true">${SIGNS[change]}</span
        ><span class="visually-hidden">${text.marks[change]}</span></span
      >`;

/** "+1,024"; empty for 0. */
export const signed = (count: number, format: (count: number) => string = formatCount): string =>
  count === 0 ? "" : `${count > 0 ? "+" : "−"}${format(Math.abs(count))}`;

const overlap = (a: readonly string[], b: readonly string[]): boolean => a.some((one) => b.includes(one));

/** Finds the other version of a model: by class and experiments, else by class, else the file's first model. */
function baseOf({ comparison }: ArchitectureSnapshot, now: ModelReport): ModelReport | undefined {
  const models = comparison?.report?.models ?? [];
  const built = models.find(
    ({ experiments }) => now.form !== undefined && overlap(experiments, now.experiments),
  );
  return (
    findModel(models, modelTitle(now)) ?? built ?? models.find(({ name }) => name === now.name) ?? models[0]
  );
}

let known: { before: ModelReport; now: ModelReport; diff: ModelDiff } | undefined;

/** Computes the difference of two versions of a model; cached for the same pair. */
export function comparedModel(
  snapshot: ArchitectureSnapshot,
  now: ModelReport | undefined,
): ModelDiff | undefined {
  const before = now && baseOf(snapshot, now);
  if (now === undefined || before === undefined) return undefined;
  if (known?.before !== before || known.now !== now) {
    const sameFile = snapshot.comparison?.report?.file === snapshot.file;
    known = { before, now, diff: diffOf(before, now, sameFile) };
  }
  return known.diff;
}

/** The list of versions to compare with, shown while nothing is compared. */
export function compareTool(
  { sides = [], comparison }: ArchitectureSnapshot,
  round: number,
  actions: Actions,
): TemplateResult | typeof nothing {
  const others = sides.filter(({ id }) => id !== WORKING);
  if (comparison !== undefined || others.length === 0) return nothing;
  // Recreated after each choice, so that a cancelled one doesn't stay selected.
  return html`${keyed(
    round,
    dropdown(text.compareWith, [{ value: "", label: text.none }, ...choices(others)], "", (base) =>
      actions.compare(base, WORKING),
    ),
  )}`;
}

const choices = (sides: readonly ModelSide[]) => sides.map(({ id, label }) => ({ value: id, label }));

/** The bar above the model with the compared versions and their differences. */
export function comparisonBar(
  { sides = [], comparison }: ArchitectureSnapshot,
  model: ModelReport | undefined,
  diff: ModelDiff | undefined,
  round: number,
  actions: Actions,
): TemplateResult | typeof nothing {
  if (comparison === undefined) return nothing;
  const { base, of, report } = comparison;
  const [error] = report?.errors ?? [];
  return html`<section class="comparison" aria-label=${text.changes}>
    <div class="comparison-head">
      ${keyed(
        round,
        html`<label>${text.from}</label
          >${dropdown(text.from, choices(sides), base, (side) => actions.compare(side, of))}
          <label>${text.to}</label
          >${dropdown(text.to, choices(sides), of, (side) => actions.compare(base, side))}`,
      )}
      ${button({ label: text.exit, icon: "close", onClick: () => actions.endComparison() })}
    </div>
    ${
      report === undefined
        ? html`<p class="secondary" role="status">${text.loading}</p>`
        : diff !== undefined
          ? outcome(diff, actions)
          : error !== undefined
            ? errorBox({ error, title: text.cannot, open: actions.openSource })
            : html`<p class="secondary">${text.noModel(model?.name ?? "")}</p>`
    }
  </section>`;
}

const isFrozen = ({ parameters }: ModelReport): boolean => parameters.trainable !== parameters.total;

function outcome(diff: ModelDiff, actions: Actions): TemplateResult {
  const { before, model, counts, rows } = diff;
  // A module that was added or removed as a whole is listed once.
  const listed = [...rows].filter(
    ([path, { change }]) => change !== "inside" && rows.get(parentOf(path) ?? " ")?.change !== change,
  );
  const totals = [
    text.parameters(
      formatCount(before.parameters.total),
      formatCount(model.parameters.total),
      signed(diff.parameters),
    ),
    ...(isFrozen(before) || isFrozen(model)
      ? [text.trainable(formatCount(before.parameters.trainable), formatCount(model.parameters.trainable))]
      : []),
    ...(before.multiplyAdds === undefined || model.multiplyAdds === undefined
      ? []
      : [text.multiplyAdds(formatCompact(before.multiplyAdds), formatCompact(model.multiplyAdds))]),
  ];
  return html`<p class="comparison-counts" role="status">
      ${
        rows.size === 0
          ? html`<span>${icon("check")} ${text.same}</span>`
          : (["added", "removed", "changed"] as const).map(
              (kind) => html`<span>${mark(kind)} ${text[kind](counts[kind])}</span>`,
            )
      }
      ${totals.map((total) => html`<span class="secondary">${total}</span>`)}
    </p>
    ${before.name === model.name ? nothing : html`<p class="secondary">${text.renamed(before.name, model.name)}</p>`}
    ${
      listed.length === 0
        ? nothing
        : html`<ul class="changes" tabindex="0" aria-label=${text.changes}>
            ${listed.map(([path, change]) => item(path, change, diff, actions))}
          </ul>`
    }`;
}

function item(
  path: string,
  { change, notes, parameters }: RowChange,
  diff: ModelDiff,
  actions: Actions,
): TemplateResult {
  const row = diff.model.rows.find((one) => one.path === path);
  const what = notes.length > 0 ? notes.join(", ") : (row?.detail ?? "");
  return html`<li>
    ${mark(change)}
    <button class="link" @click=${() => actions.selectPath(path)}>${path || diff.model.name}</button>
    <span class="class-name">${row?.className}</span>
    <span class="change-notes">${what}</span>
    <span class="number">${signed(parameters)}</span>
  </li>`;
}
