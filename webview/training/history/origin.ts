/** Origin of a run: command, commit, versions, machine; and the actions on its version. */
import { html, nothing, type TemplateResult } from "lit";
import { historyStrings as text } from "../../shared/strings/history.ts";
import { button, empty, section, pairs } from "../../shared/widgets.ts";
import type { Actions } from "../actions.ts";
import { originRows } from "./changes.ts";
import type { TrainingState } from "../state.ts";

export function originSection(state: TrainingState, actions: Actions): TemplateResult | typeof nothing {
  const { history, run, live } = state;
  if (run.kind !== "train" || history === undefined) return nothing;
  const rows = originRows(history);
  const tools = html`<div class="tools">
    ${
      history.source === undefined
        ? nothing
        : html`${button({ label: text.openVersion, icon: "go-to-file", onClick: () => actions.openVersion() })}
          ${
            live
              ? nothing
              : button({
                  label: text.runAgain,
                  icon: "debug-rerun",
                  description: text.runAgainHint,
                  needsTrust: true,
                  onClick: () => actions.runAgain(),
                })
          }`
    }
    ${button({ label: text.saveReport, icon: "file-code", onClick: () => actions.saveReport() })}
  </div>`;
  return section(
    "origin",
    text.origin,
    rows.length === 0 ? empty(run.step === 0 ? text.notBegun : text.noOrigin) : pairs("pairs origin", rows),
    tools,
  );
}
