import * as vscode from "vscode";
import type { UserError } from "../../protocol/errors.ts";
import { runTitle, type RunRecord } from "../../protocol/run.ts";
import { headline } from "../../protocol/text/headline.ts";

/**
 * The notification of a run that has failed. The run's panel says why, if it is on the screen.
 * @param reason Added where something can be done about it
 */
export function failureText(
  failure: UserError,
  record: RunRecord,
  { shown, reason }: { shown: boolean; reason?: string | undefined },
): string {
  const text = shown
    ? shortText(failure, record)
    : reason === undefined
      ? failure.message
      : headline(failure.message);
  return reason === undefined ? text : `${text} ${reason}`;
}

function shortText({ code }: UserError, record: RunRecord): string {
  const title = runTitle(record);
  if (record.kind === "evaluate")
    return code === "killed"
      ? vscode.l10n.t("The evaluation of {0} ended unexpectedly.", title)
      : vscode.l10n.t("The evaluation of {0} failed.", title);
  return code === "killed"
    ? vscode.l10n.t("The training of {0} ended unexpectedly.", title)
    : vscode.l10n.t("The training of {0} failed.", title);
}
