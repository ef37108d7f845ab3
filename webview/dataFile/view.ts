/** Renders the form from its state. */
import { html, nothing, type TemplateResult } from "lit";
import {
  LISTED_COLUMNS,
  taskOf,
  type DataFile,
  type DataFileSnapshot,
  type DataUse,
  type WrittenCode,
} from "../../extension/protocol/data/dataFile.ts";
import { retryBox } from "../shared/errorBox.ts";
import { baseName, formatCount } from "../shared/format.ts";
import { button, checkbox, dropdown, icon, scroller, section, segmented, slider } from "../shared/widgets.ts";
import { notice } from "../shared/components.ts";
import { strings } from "../shared/strings.ts";

const text = strings.dataFile;
/** Columns offered from each end of a wide table: the target is mostly the first or the last one. */
const END_COLUMNS = 500;

export interface FormState {
  snapshot: DataFileSnapshot;
  use: DataUse;
  /** The code of the choices so far. */
  written: WrittenCode | undefined;
  error: string | undefined;
}

export interface Actions {
  setUse(change: Partial<DataUse>): void;
  save(): void;
  dismiss(): void;
  retry(): void;
}

export function form(state: FormState, actions: Actions): TemplateResult {
  const { snapshot, error } = state;
  const { data } = snapshot;
  const title = text.title(baseName(data.path));
  return html`<header class="header">
      <div class="title-row"><h1>${title}</h1></div>
      <ul class="facts">
        ${facts(data).map((fact) => html`<li>${fact}</li>`)}
      </ul>
    </header>
    ${notice(error, () => actions.dismiss())}
    ${
      data.kind === "images" && data.others > 0
        ? html`<p class="secondary">${icon("warning")} ${text.others(data.others)}</p>`
        : nothing
    }
    <div class="columns">${section("form", text.form, fields(state, actions))} ${code(state, actions)}</div>
    ${data.kind === "table" ? columnsTable(data) : nothing}`;
}

function facts(data: DataFile): string[] {
  if (data.kind === "table") return [text.rows(data.rows, data.more), text.columns(data.columns.length)];
  const images = data.classes.reduce((sum, one) => sum + one.images, 0);
  return [
    text.images(images, data.more),
    text.classes(data.classes.length),
    text.size(data.width, data.height),
  ];
}

const field = (label: string, control: TemplateResult, hint?: string): TemplateResult =>
  html`<div class="field">
    <span class="field-label">${label}</span>${control}
    ${hint === undefined ? nothing : html`<p class="secondary">${hint}</p>`}
  </div>`;

function fields({ snapshot, use, written }: FormState, actions: Actions): TemplateResult {
  const { data, files } = snapshot;
  const { into } = use;
  const places = [
    { value: "", label: text.newFile },
    ...files.map(({ file, label }) => ({ value: file, label })),
  ];
  return html`${data.kind === "table" ? tableFields(data, use, actions) : imageFields(use, actions)}
  ${field(
    text.validation,
    slider({
      label: text.validation,
      value: use.validation,
      minimum: 0.05,
      maximum: 0.5,
      step: 0.05,
      text: text.share(use.validation),
      onInput: (validation) => actions.setUse({ validation: Math.round(100 * validation) / 100 }),
    }),
  )}
  ${field(
    text.batchSize,
    number(text.batchSize, use.batchSize, 1, (batchSize) => actions.setUse({ batchSize })),
  )}
  ${field(
    text.into,
    html`${dropdown(text.into, places, into.kind === "new" ? "" : into.file, (file) =>
      actions.setUse({
        into: file === "" ? newFile(snapshot) : { kind: "existing", file },
      }),
    )}
    ${
      into.kind === "new"
        ? html`<input
            class="input"
            aria-label=${text.name}
            .value=${into.name}
            @input=${(event: Event) =>
              actions.setUse({ into: { kind: "new", name: (event.target as HTMLInputElement).value } })}
          />`
        : nothing
    }`,
    written?.path,
  )}`;
}

const newFile = ({ use }: DataFileSnapshot): DataUse["into"] => use.into;

function tableFields(data: DataFile & { kind: "table" }, use: DataUse, actions: Actions): TemplateResult {
  const usable = data.columns.filter(({ type }) => type !== "text");
  const wide = usable.length > 2 * END_COLUMNS;
  const targets = (wide ? [...usable.slice(0, END_COLUMNS), ...usable.slice(-END_COLUMNS)] : usable).map(
    ({ name }) => ({ value: name, label: name }),
  );
  const tasks = (["classification", "regression"] as const).map((value) => ({
    value,
    label: text.tasks[value],
  }));
  const policies = (["drop", "mean", "median", "mode"] as const).map((value) => ({
    value,
    label: text.policies[value],
  }));
  const lacking = data.columns.some(({ missing, type }) => missing > 0 && type !== "text");
  return html`${field(
      text.target,
      dropdown(text.target, targets, use.target ?? "", (target) =>
        actions.setUse({
          target,
          task: taskOf(
            data.columns.find(({ name }) => name === target)!,
            data.rows,
          ),
        }),
      ),
      wide ? text.ends(END_COLUMNS) : undefined,
    )}
    ${field(
      text.task,
      segmented("task", text.task, tasks, use.task, (task) => actions.setUse({ task })),
      text.guessed,
    )}
    ${
      lacking
        ? field(
            text.missing,
            dropdown(text.missing, policies, use.missing, (missing) =>
              actions.setUse({ missing: missing as DataUse["missing"] }),
            ),
          )
        : nothing
    }
    <div class="field">
      ${checkbox(text.normalize, use.normalize, (normalize) => actions.setUse({ normalize }))}
    </div>`;
}

const imageFields = (use: DataUse, actions: Actions): TemplateResult =>
  field(
    text.side,
    number(text.side, use.side, 4, (side) => actions.setUse({ side })),
  );

const number = (
  label: string,
  value: number,
  least: number,
  onInput: (value: number) => void,
): TemplateResult =>
  html`<input
    class="input number-input"
    type="number"
    aria-label=${label}
    min=${least}
    .value=${String(value)}
    @input=${(event: Event) => {
      const typed = (event.target as HTMLInputElement).valueAsNumber;
      if (Number.isInteger(typed) && typed >= least) onInput(typed);
    }}
  />`;

function code({ use, written }: FormState, actions: Actions): TemplateResult {
  const fresh = use.into.kind === "new";
  const file = written?.file ?? "";
  const title = fresh ? text.code(file) : text.lines(file);
  return section(
    "code",
    title,
    html`${written?.problem === undefined ? nothing : html`<p class="problem" role="alert">${icon("error")}<span>${written.problem}</span></p>`}
      <pre class="code" tabindex="0" aria-label=${title}>${written?.code.replace(/^\n+/, "") ?? ""}</pre>
      ${fresh ? nothing : html`<p class="secondary">${text.linesHint}</p>`}
      <div class="form-foot">
        ${button({
          label: fresh ? text.create : text.insert,
          icon: fresh ? "new-file" : "insert",
          appearance: "primary",
          needsTrust: true,
          disabled: written === undefined || written.problem !== undefined,
          onClick: () => actions.save(),
        })}
      </div>`,
  );
}

function columnsTable({ columns }: DataFile & { kind: "table" }): TemplateResult {
  const table = html`<table class="table">
    <thead>
      <tr>
        <th scope="col">${text.column}</th>
        <th scope="col">${text.type}</th>
        <th scope="col" class="number">${text.distinct}</th>
        <th scope="col" class="number">${text.missingCells}</th>
        <th scope="col">${text.examples}</th>
      </tr>
    </thead>
    <tbody>
      ${columns.slice(0, LISTED_COLUMNS).map(
        ({ name, type, distinct, missing, examples }) =>
          html`<tr>
            <th scope="row">${name}</th>
            <td>${text.types[type]}</td>
            <td class="number">${formatCount(distinct)}</td>
            <td class="number">${formatCount(missing)}</td>
            <td class="examples">${examples.join(", ")}</td>
          </tr>`,
      )}
    </tbody>
  </table>`;
  const rest =
    columns.length > LISTED_COLUMNS
      ? html`<p class="secondary">${text.rest(LISTED_COLUMNS, columns.length)}</p>`
      : nothing;
  return section("table", text.table, html`${scroller(text.table, table)} ${rest}`);
}

export function unusable(message: string, actions: Actions): TemplateResult {
  return retryBox({ error: { code: "file", message }, title: text.failed }, text.retry, () =>
    actions.retry(),
  );
}
