/** Two runs on one page: what differs in code, settings, architecture and metrics. */
import { html, nothing, type TemplateResult } from "lit";
import type { StructuredPatchHunk } from "diff";
import type { RunHistory } from "../../../extension/protocol/views.ts";
import { formatMetric } from "../../shared/format.ts";
import { historyStrings as text } from "../../shared/strings/history.ts";
import { button, empty, loading, scroller, section } from "../../shared/widgets.ts";
import { codeChanges, hunksOf, metricPairs, settingChanges } from "./changes.ts";
import type { Actions } from "../actions.ts";
import type { DiffSide } from "../state.ts";

/** @param sides The other run and the panel's own; undefined while they are read */
export function diffSection(
  sides: readonly [DiffSide, DiffSide] | undefined,
  actions: Actions,
): TemplateResult {
  const close = button({
    label: text.close,
    icon: "close",
    appearance: "icon",
    onClick: () => actions.diffWith(undefined),
  });
  if (sides === undefined) return section("diff", text.title, loading(text.reading), close);
  const [before, now] = sides;
  const [settings, code] = [
    settingChanges(before.history, now.history),
    codeChanges(before.history, now.history),
  ];
  return section(
    "diff",
    text.between(before.name, now.name),
    html`${metrics(before, now)} ${settingsTable(settings, before, now)}
      ${architecture(before.history, now.history)}
      <h3>${text.code}</h3>
      ${
        before.history.source === undefined || now.history.source === undefined
          ? empty(text.noSource)
          : code.length === 0
            ? empty(text.sameCode)
            : code.map(
                ({ file, change, hunks }) =>
                  html`<figure class="text-diff">
                    <figcaption>
                      <b>${file}</b> <span class="secondary">${text.changes[change]}</span>
                    </figcaption>
                    ${hunks === undefined ? empty(text.tooLong) : lines(file, hunks)}
                  </figure>`,
              )
      }`,
    close,
  );
}

function metrics(before: DiffSide, now: DiffSide): TemplateResult {
  const pairs = metricPairs(before.history.run, now.history.run);
  if (pairs.length === 0)
    return html`<h3>${text.metrics}</h3>
      ${empty(text.noMetrics)}`;
  return html`<h3>${text.metrics}</h3>
    ${scroller(
      text.metrics,
      html`<table class="table">
        <thead>
          <tr>
            <th scope="col">${text.metric}</th>
            <th scope="col" class="number">${before.name}</th>
            <th scope="col" class="number">${now.name}</th>
            <th scope="col" class="number">${text.difference}</th>
          </tr>
        </thead>
        <tbody>
          ${pairs.map(
            ({ name, from, to, better }) =>
              html`<tr>
                <th scope="row">${name}</th>
                <td class="number">${formatMetric(from)}</td>
                <td class="number">${formatMetric(to)}</td>
                <td class="number">
                  ${from === undefined || to === undefined ? "–" : `${to >= from ? "+" : ""}${formatMetric(to - from)}`}
                  ${better === undefined ? nothing : html`<span class="secondary">${better ? text.better : text.worse}</span>`}
                </td>
              </tr>`,
          )}
        </tbody>
      </table>`,
    )}`;
}

function settingsTable(
  changes: readonly [string, string, string][],
  before: DiffSide,
  now: DiffSide,
): TemplateResult {
  return html`<h3>${text.settings}</h3>
    ${
      changes.length === 0
        ? empty(text.sameSettings)
        : scroller(
            text.settings,
            html`<table class="table">
              <thead>
                <tr>
                  <th scope="col">${text.setting}</th>
                  <th scope="col">${before.name}</th>
                  <th scope="col">${now.name}</th>
                </tr>
              </thead>
              <tbody>
                ${changes.map(
                  ([name, from, to]) =>
                    html`<tr>
                      <th scope="row">${name}</th>
                      <td class="wrapping">${from}</td>
                      <td class="wrapping">${to}</td>
                    </tr>`,
                )}
              </tbody>
            </table>`,
          )
    }`;
}

function architecture(before: RunHistory, now: RunHistory): TemplateResult {
  const [from, to] = [before.provenance?.model, now.provenance?.model];
  const hunks = from === undefined || to === undefined || from === to ? undefined : hunksOf(from, to);
  return html`<h3>${text.architecture}</h3>
    ${
      from === undefined || to === undefined
        ? empty(text.noModel)
        : from === to
          ? empty(text.sameModel)
          : html`<figure class="text-diff">
              ${hunks === undefined ? empty(text.tooLong) : lines(text.architecture, hunks)}
            </figure>`
    }`;
}

const SIGN_TEXT = { "+": text.added, "-": text.removed } as const;

/** Lines of a patch, with their numbers; what was added or removed is said to screen readers too. */
function lines(name: string, hunks: readonly StructuredPatchHunk[]): TemplateResult {
  return html`<div class="diff-lines" role="region" tabindex="0" aria-label=${text.changesOf(name)}>
    ${hunks.map((hunk, i) => {
      let [old, fresh] = [hunk.oldStart, hunk.newStart];
      return html`${i === 0 ? nothing : html`<div class="diff-gap" aria-hidden="true">⋯</div>`}
      ${hunk.lines
        .filter((line) => !line.startsWith("\\"))
        .map((line) => {
          const sign = line[0] === "+" || line[0] === "-" ? line[0] : " ";
          const number = sign === "-" ? old : fresh;
          if (sign !== "+") old++;
          if (sign !== "-") fresh++;
          return html`<div
            class="diff-line ${sign === "+" ? "diff-added" : sign === "-" ? "diff-removed" : ""}"
          >
            <span class="diff-number" aria-hidden="true">${number}</span
            ><span class="diff-sign"
              >${sign === " " ? " " : html`<span aria-hidden="true">${sign}</span><span class="visually-hidden">${SIGN_TEXT[sign]}</span>`}</span
            ><code>${line.slice(1)}</code>
          </div>`;
        })}`;
    })}
  </div>`;
}
