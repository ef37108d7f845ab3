/** The runs of the folder: their names, and the choice of those drawn beside this one. */
import { html, nothing, type TemplateResult } from "lit";
import { repeat } from "lit/directives/repeat.js";
import type { LabelChanges } from "../../extension/protocol/run.ts";
import type { ListedRun } from "../../extension/protocol/views.ts";
import { formatMetric, formatMoment } from "../shared/format.ts";
import { button, checkbox, empty, linkButton, scroller, section } from "../shared/widgets.ts";
import { foldable, sortHead } from "../shared/components.ts";
import { strings } from "../shared/strings.ts";
import { styles } from "../shared/styles.ts";
import type { Actions } from "./actions.ts";
import { OTHER_COLOURS } from "./chartStyle.ts";
import { allColumns, type Column, listed, runName, SETTING, shownColumns } from "./runList.ts";
import { stateBadge, type TrainingState, type TrainingUi } from "./state.ts";

const text = strings.training.runs;
/** Runs in the table: trials of sweeps may be thousands. */
const MOST_ROWS = 500;

export function runsSection(state: TrainingState, actions: Actions): TemplateResult | typeof nothing {
  const { runs, ui, run: current } = state;
  // A run alone has nothing to be compared with.
  if (current.kind !== "train" || runs.length === 0) return nothing;
  const all = listed(runs, ui);
  const rows = all.slice(0, MOST_ROWS);
  const choice = allColumns(runs, text);
  const ids = shownColumns(runs, ui.columns);
  const columns = choice.filter(({ id }) => ids.includes(id));
  const table = html`<table class="table runs-table">
    <thead>
      <tr>
        <th scope="col"><span class="visually-hidden">${text.compare}</span></th>
        ${heading({ id: "name", label: text.name }, "", state, actions)}
        ${columns.map((column) => heading(column, classOf(column), state, actions))}
        <th scope="col"><span class="visually-hidden">${text.actions}</span></th>
      </tr>
    </thead>
    <tbody>
      ${repeat(
        rows,
        ({ run }) => run.id,
        (one) => row(one, columns, state, actions),
      )}
    </tbody>
  </table>`;
  return section(
    "runs",
    text.title,
    rows.length === 0
      ? empty(text.empty)
      : html`${scroller(text.title, table)}
        ${all.length > MOST_ROWS ? html`<p class="secondary">${text.shown(MOST_ROWS, all.length)}</p>` : nothing}`,
    html`<div class="tools">
      <input
        class="input"
        type="search"
        aria-label=${text.filter}
        placeholder=${text.filter}
        .value=${ui.filter}
        @input=${(event: Event) => actions.setUi({ filter: (event.target as HTMLInputElement).value })}
      />
      ${checkbox(text.showArchived, ui.showArchived, (showArchived) => actions.setUi({ showArchived }))}
      ${foldable({
        summary: text.columns,
        open: ui.columnsOpen,
        onToggle: (columnsOpen) => actions.setUi({ columnsOpen }),
        content: () => columnChoice(choice, ids, ui, actions),
        className: "columns",
      })}
    </div>`,
  );
}

function columnChoice(
  all: readonly Column[],
  ids: readonly string[],
  { columns }: TrainingUi,
  actions: Actions,
): TemplateResult {
  return html`<div class="column-choice" role="group" aria-label=${text.columns}>
    ${all.map(({ id, label }) =>
      checkbox(label, ids.includes(id), (checked) =>
        actions.setUi({ columns: checked ? [...ids, id] : ids.filter((one) => one !== id) }),
      ),
    )}
    ${
      columns === undefined
        ? nothing
        : button({
            label: text.resetColumns,
            icon: "discard",
            appearance: "secondary",
            onClick: () => actions.setUi({ columns: undefined }),
          })
    }
  </div>`;
}

const classOf = ({ kind }: Column): string =>
  kind === "metric" || kind === "setting" ? "number" : kind === "epoch" ? "number optional" : "optional";

function cell({ id, kind }: Column, { run, live }: ListedRun): string {
  if (kind === "state") return stateBadge({ run, live, waitsFor: [], unanswered: false }).text;
  if (kind === "created") return formatMoment(run.createdAt);
  if (kind === "epoch" && run.imported) return run.epoch > 0 ? String(run.epoch) : "";
  if (kind === "epoch") return `${run.epoch} / ${run.epochs}`;
  if (kind === "metric") return formatMetric(run.metrics[id]);
  return String(run.hyperparameters?.[id.slice(SETTING.length)] ?? "");
}

function heading(
  { id, label }: Pick<Column, "id" | "label">,
  className: string,
  { ui }: TrainingState,
  actions: Actions,
): TemplateResult {
  const sorted = ui.sort === id;
  const sort = (): void =>
    actions.setUi({ sort: id, descending: sorted ? !ui.descending : id === "created" });
  return sortHead({ label, className, descending: sorted ? ui.descending : undefined, onClick: sort });
}

function row(
  one: ListedRun,
  columns: readonly Column[],
  state: TrainingState,
  actions: Actions,
): TemplateResult {
  const { run, labels, live } = one;
  const current = run.id === state.run.id;
  const name = runName(one);
  const icon = (label: string, symbol: string, onClick: () => void, disabled = false): TemplateResult => {
    const options = { description: `${label} ${name}`, icon: symbol, appearance: "icon", disabled } as const;
    return button({ ...options, label, needsTrust: symbol !== "diff", onClick });
  };
  return html`<tr
    data-run=${run.id}
    class=${labels.archived ? "archived" : ""}
    aria-current=${current ? "true" : nothing}
  >
    <td>${compareBox(one, current, state, actions)}</td>
    <th scope="row" title=${run.id}>
      ${
        state.editing?.id === run.id
          ? editor(one, state.editing.field, actions)
          : html`${current ? html`<b>${name}</b>` : linkButton(name, () => actions.openRun(run.id))}
            ${labels.tags.map((tag) => html`<span class="tag">${tag}</span>`)}`
      }
    </th>
    ${columns.map((column) => html`<td class=${classOf(column)}>${cell(column, one)}</td>`)}
    <td class="row-actions">
      ${icon(strings.history.diff, "diff", () => actions.diffWith(run.id), current)}
      ${icon(text.rename, "edit", () => actions.edit({ id: run.id, field: "name" }))}
      ${icon(text.tag, "tag", () => actions.edit({ id: run.id, field: "tags" }))}
      ${
        labels.archived
          ? icon(text.unarchive, "inbox", () => actions.label(run.id, { archived: false }))
          : icon(text.archive, "archive", () => actions.label(run.id, { archived: true }))
      }
      ${icon(text.delete, "trash", () => actions.deleteRun(run.id), live || current)}
    </td>
  </tr>`;
}

function compareBox(
  one: ListedRun,
  current: boolean,
  { ui }: TrainingState,
  actions: Actions,
): TemplateResult {
  const { id } = one.run;
  const slot = ui.compare.indexOf(id);
  const full = slot < 0 && ui.compare.filter(Boolean).length >= OTHER_COLOURS.length;
  const colour = current ? "--vscode-charts-blue" : OTHER_COLOURS[slot];
  return html`<label class="compare">
    <input
      type="checkbox"
      aria-label=${text.compareRun(runName(one))}
      .checked=${current || slot >= 0}
      ?disabled=${current || full}
      @change=${() => actions.compare(id)}
    /><i
      class="run-colour"
      aria-hidden="true"
      ${styles({ "--swatch": colour ? `var(${colour})` : "transparent" })}
    ></i>
  </label>`;
}

/** Enter keeps the typed text, Escape doesn't. */
function editor({ run, labels }: ListedRun, field: "name" | "tags", actions: Actions): TemplateResult {
  const value = field === "name" ? labels.name || run.id : labels.tags.join(", ");
  let left = false;
  const leave = (keep: boolean, input: HTMLInputElement): void => {
    if (left) return;
    left = true;
    actions.edit(undefined);
    if (keep && input.value !== value) actions.label(run.id, edited(run.id, field, input.value));
  };
  const onKey = (event: KeyboardEvent): void => {
    if (event.key !== "Enter" && event.key !== "Escape") return;
    leave(event.key === "Enter", event.target as HTMLInputElement);
    focusAction(run.id, field);
  };
  return html`<input
    class="input run-editor"
    aria-label=${field === "name" ? text.rename : text.tagsHelp}
    placeholder=${field === "name" ? "" : text.tagsHelp}
    maxlength="200"
    value=${value}
    @keydown=${onKey}
    @blur=${(event: Event) => leave(true, event.target as HTMLInputElement)}
  />`;
}

/** The field is gone after the next frame, and with it the focus: it returns to the button that opened it. */
function focusAction(id: string, field: "name" | "tags"): void {
  requestAnimationFrame(() =>
    requestAnimationFrame(() => {
      const row = document.querySelector(`tr[data-run="${CSS.escape(id)}"]`);
      row?.querySelectorAll<HTMLElement>(".row-actions vscode-button")[field === "name" ? 1 : 2]?.focus();
    }),
  );
}

function edited(id: string, field: "name" | "tags", typed: string): LabelChanges {
  const value = typed.trim();
  if (field === "name") return { name: value === id ? "" : value };
  const tags = value.split(",").map((tag) => tag.trim().slice(0, 100));
  return { tags: [...new Set(tags.filter(Boolean))] };
}
