import { stat } from "node:fs/promises";
import * as vscode from "vscode";
import { EngineError, type SourcePosition, type UserError } from "../protocol/errors.ts";
import { errorLine, toUserError } from "../supervisor/errors.ts";
import { createLog, showError } from "./show.ts";

/** What a notification of an error offers to do about it. */
export interface Offer {
  title: string;
  run: () => Promise<unknown>;
}

/**
 * The log channel, and error notifications with buttons that open the log and the line. VS Code replaces an equal notification, and
 * so shows it again: it may have been moved to the notification centre, and the user may have clicked again.
 */
export class Messages implements vscode.Disposable {
  readonly log = createLog("Layerwise");

  dispose(): void {
    this.log.dispose();
  }

  showLog(): void {
    this.log.show(true);
  }

  /** Logs and shows an error. Doesn't wait for the user. */
  error(thrown: unknown, doing?: string, offer?: Offer): void {
    const error = toUserError(thrown);
    this.log.error(doing === undefined ? errorLine(error) : `${doing}: ${errorLine(error)}`);
    if (error.hint !== undefined) this.log.info(error.hint);
    // An unexpected error is a bug of the extension: log its stack.
    if (thrown instanceof Error && error.code === "internal" && thrown.stack !== undefined)
      this.log.debug(thrown.stack);
    const text = doing === undefined ? error.message : `${doing}: ${error.message}`;
    void this.#show(text, error, offer);
  }

  async #show(text: string, { code, position }: UserError, offer: Offer | undefined): Promise<void> {
    try {
      const toLog = vscode.l10n.t("Show Log");
      const toLine = vscode.l10n.t("Go to Line");
      const toTrust = vscode.l10n.t("Manage Workspace Trust");
      const actions = code === "untrusted" ? [toTrust] : position === undefined ? [toLog] : [toLine, toLog];
      const action = await showError(text, ...(offer === undefined ? [] : [offer.title]), ...actions);
      if (offer !== undefined && action === offer.title) await offer.run();
      else if (action === toLog) this.showLog();
      else if (action === toTrust) await vscode.commands.executeCommand("workbench.trust.manage");
      else if (action === toLine && position !== undefined) await openPosition(position);
    } catch (error) {
      this.error(error);
    }
  }
}

/** The error of a file that a record names, and that is not there. */
export const movedFile = (file: string): UserError => ({
  code: "no-file",
  message: vscode.l10n.t("{0} was moved or deleted.", file),
});

/**
 * Opens a source file at a position, and moves the focus there unless `preserveFocus`.
 * @throws EngineError for a pipe, a device or a folder, which a stranger's record may name
 */
export async function openPosition(position: SourcePosition, preserveFocus = false): Promise<void> {
  const stats = await stat(position.file).catch(() => undefined);
  if (stats === undefined) throw new EngineError(movedFile(position.file));
  if (!stats.isFile())
    throw new EngineError({
      code: "file",
      message: vscode.l10n.t("{0} is not a regular file.", position.file),
    });
  const start = new vscode.Position(Math.max(0, position.line - 1), Math.max(0, position.column - 1));
  await vscode.window.showTextDocument(vscode.Uri.file(position.file), {
    selection: new vscode.Range(start, start),
    viewColumn: vscode.ViewColumn.One,
    preserveFocus,
  });
}
