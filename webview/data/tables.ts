/** Splits, classes, the batch and the values of columns. */
import { html, nothing, type TemplateResult } from "lit";
import type { DataSplit, DataSummary, DataTensor, ValueRange } from "../../extension/protocol/data/data.ts";
import { FINDING_RULES, type Finding } from "../../extension/protocol/findings.ts";
import { errorBox } from "../shared/errorBox.ts";
import { formatCount, formatMetric, formatShare } from "../shared/format.ts";
import { icon, linkButton, scroller, section } from "../shared/widgets.ts";
import { strings } from "../shared/strings.ts";
import { styles } from "../shared/styles.ts";
import { shapeText, type Actions } from "./state.ts";

const text = strings.data;

export function findingsSection(findings: readonly Finding[]): TemplateResult {
  return section(
    "findings",
    text.findings.title,
    findings.length === 0
      ? html`<p class="secondary">${icon("pass")} ${text.findings.none}</p>`
      : html`<ul class="findings">
          ${findings.map(
            ({ kind, text: what }) =>
              html`<li class="finding">
                ${icon("warning")}
                <div>
                  <h3>${FINDING_RULES[kind].title}</h3>
                  <p>${what}</p>
                  <details>
                    <summary>${text.findings.rule}</summary>
                    <p class="secondary">${FINDING_RULES[kind].rule}</p>
                    <p class="secondary">${text.findings.reason}: ${FINDING_RULES[kind].reason}</p>
                  </details>
                </div>
              </li>`,
          )}
        </ul>`,
  );
}

export function splitsSection(splits: readonly DataSplit[], actions: Actions): TemplateResult {
  const compared = splits.some(({ inTraining }) => inTraining !== undefined);
  const table = html`<table class="table splits">
    <thead>
      <tr>
        <th scope="col">${text.splits.split}</th>
        <th scope="col" class="number">${text.splits.samples}</th>
        <th scope="col">${text.splits.read}</th>
        <th scope="col" class="number">${text.splits.missing}</th>
        <th scope="col" class="number">${text.splits.repeated}</th>
        ${compared ? html`<th scope="col" class="number">${text.splits.inTraining}</th>` : nothing}
      </tr>
    </thead>
    <tbody>
      ${splits.map(
        (split) =>
          html`<tr>
            <th scope="row">${text.splits.names[split.name]}</th>
            <td class="number">
              ${split.samples === undefined ? text.splits.stream : formatCount(split.samples)}
            </td>
            <td>${readText(split)}</td>
            <td class="number">${counted(split.missing)}</td>
            <td class="number">${counted(split.repeated)}</td>
            ${
              compared
                ? html`<td class="number">
                    ${split.inTraining === undefined ? "" : counted(split.inTraining)}
                  </td>`
                : nothing
            }
          </tr>`,
      )}
    </tbody>
  </table>`;
  return section(
    "splits",
    text.splits.title,
    html`${scroller(text.splits.title, table)}
      <p class="secondary hint">${text.splits.hint}</p>
      ${splits.map(({ name, failed }) =>
        failed === undefined
          ? nothing
          : errorBox({
              error: failed.error,
              title: text.splits.failed(name, failed.sample),
              open: actions.openSource,
            }),
      )}`,
  );
}

/** A count, highlighted as a problem unless it is 0. */
const counted = (count: number): TemplateResult =>
  count === 0 ? html`0` : html`<span class="suspicious">${icon("warning")}${formatCount(count)}</span>`;

function readText({ samples, read, timedOut }: DataSplit): string {
  if (samples === read) return text.splits.all;
  const how =
    timedOut === true ? text.splits.timedOut : samples === undefined ? text.splits.first : text.splits.spaced;
  return `${formatCount(read)}, ${how}`;
}

export function classesSection(
  { classes, splits }: DataSummary,
  actions: Actions,
): TemplateResult | typeof nothing {
  const shown = splits.filter((split) => split.classes !== undefined);
  if (classes === undefined || shown.length === 0) return nothing;
  const table = html`<table class="table classes">
    <thead>
      <tr>
        <th scope="col">${text.classes.name}</th>
        ${shown.map(({ name }) => html`<th scope="col">${text.splits.names[name]}</th>`)}
      </tr>
    </thead>
    <tbody>
      ${classes.map(
        (name, i) =>
          html`<tr>
            <th scope="row">
              ${linkButton(name, () => actions.setUi({ actual: i, offset: 0 }), text.classes.show(name))}
            </th>
            ${shown.map((split) => html`<td>${classBar(name, split, i)}</td>`)}
          </tr>`,
      )}
    </tbody>
  </table>`;
  return section("classes", text.classes.title, scroller(text.classes.title, table));
}

function classBar(name: string, { name: split, classes = [] }: DataSplit, i: number): TemplateResult {
  const count = classes[i] ?? 0;
  const total = classes.reduce((sum, one) => sum + one, 0);
  const largest = Math.max(1, ...classes);
  const share = formatShare(total === 0 ? 0 : count / total);
  return html`<span class="class-bar" title=${text.classes.bar(name, text.splits.names[split], count, share)}>
    <span class="track"><span class="fill" ${styles({ width: `${(100 * count) / largest}%` })}></span></span>
    <span class="number">${formatCount(count)}</span> <span class="secondary share">${share}</span>
  </span>`;
}

export function batchSection({ batch }: DataSummary, actions: Actions): TemplateResult | typeof nothing {
  if (batch === undefined) return nothing;
  const table = html`<table class="table batch">
    <thead>
      <tr>
        <th scope="col">${text.batch.name}</th>
        <th scope="col">${text.batch.role}</th>
        <th scope="col">${text.batch.dtype}</th>
        <th scope="col">${text.batch.shape}</th>
      </tr>
    </thead>
    <tbody>
      ${batch.tensors.map(
        ({ name, role, dtype, shape }) =>
          html`<tr>
            <th scope="row">${name}</th>
            <td>${text.batch.roles[role]}</td>
            <td>${dtype}</td>
            <td class="shape">${shapeText(shape)}</td>
          </tr>`,
      )}
    </tbody>
  </table>`;
  return section(
    "batch",
    text.batch.title,
    html`<p class="secondary hint">${text.batch.hint}</p>
      ${batch.tensors.length === 0 ? nothing : scroller(text.batch.title, table)}
      ${
        batch.error === undefined
          ? nothing
          : errorBox({ error: batch.error, title: text.batch.failed, open: actions.openSource })
      }`,
  );
}

export function columnsSection({ tensors }: DataSummary): TemplateResult | typeof nothing {
  if (tensors.length === 0) return nothing;
  return section(
    "columns",
    text.columns.title,
    html`<p class="secondary hint">${text.columns.hint}</p>
      ${tensors.map((tensor) => valuesTable(tensor))}`,
  );
}

function valuesTable({
  name,
  dtype,
  shape,
  largest,
  range,
  axis,
  columns = [],
  allColumns,
}: DataTensor): TemplateResult {
  const absent = columns.some((column) => column.absent !== undefined);
  const head = text.columns;
  const title = `${name}: ${dtype === "text" ? head.lengths : `${dtype} ${shapeText(shape, largest)}`}`;
  const table = html`<table class="table values">
    <thead>
      <tr>
        <th scope="col">${axis === undefined ? "" : head.axes[axis]}</th>
        <th scope="col" class="number">${head.minimum}</th>
        <th scope="col" class="number">${head.maximum}</th>
        <th scope="col" class="number">${head.mean}</th>
        <th scope="col" class="number">${head.std}</th>
        <th scope="col" class="number">${head.missing}</th>
        ${absent ? html`<th scope="col" class="number">${head.absent}</th>` : nothing}
        <th scope="col">${head.distribution}</th>
      </tr>
    </thead>
    <tbody>
      ${valuesRow(head.all, name, range, absent ? "" : undefined)}
      ${columns.map((column) =>
        valuesRow(
          column.name,
          column.name,
          column.range,
          absent ? (column.absent === undefined ? "" : column.absent) : undefined,
        ),
      )}
    </tbody>
  </table>`;
  return html`<h3 class="tensor-title">${title}</h3>
    ${scroller(title, table)}
    ${
      allColumns === undefined
        ? nothing
        : html`<p class="secondary">${text.columns.rest(columns.length, allColumns)}</p>`
    }`;
}

function valuesRow(
  label: string,
  name: string,
  range: ValueRange,
  absent: number | string | undefined,
): TemplateResult {
  return html`<tr>
    <th scope="row">${label}</th>
    <td class="number">${formatMetric(range.minimum)}</td>
    <td class="number">${formatMetric(range.maximum)}</td>
    <td class="number">${formatMetric(range.mean)}</td>
    <td class="number">${formatMetric(range.std)}</td>
    <td class="number">${counted(range.missing)}</td>
    ${
      absent === undefined
        ? nothing
        : html`<td class="number">${typeof absent === "number" ? counted(absent) : absent}</td>`
    }
    <td>${sparkline(name, range)}</td>
  </tr>`;
}

function sparkline(
  name: string,
  { histogram = [], minimum, maximum }: ValueRange,
): TemplateResult | typeof nothing {
  if (histogram.length === 0) return nothing;
  const highest = Math.max(1, ...histogram);
  const label = text.columns.histogram(name, formatMetric(minimum), formatMetric(maximum));
  return html`<span class="sparkline" role="img" aria-label=${label}>
    ${histogram.map(
      (count) =>
        html`<span
          ${styles({ height: `${count === 0 ? 0 : Math.max(8, (100 * count) / highest)}%` })}
        ></span>`,
    )}
  </span>`;
}
