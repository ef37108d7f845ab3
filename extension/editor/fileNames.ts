import * as vscode from "vscode";
import type { FileNameProblem } from "./templates.ts";

/** What users read about a name of a new model file that can't be used. */
export const fileNameProblems = (): Record<FileNameProblem, string> => ({
  empty: vscode.l10n.t("Enter a file name."),
  characters: vscode.l10n.t("A file name can't contain \\ / : * ? \" < > | or begin with a dot."),
  device: vscode.l10n.t("Windows keeps this name for a device. Enter another one."),
  taken: vscode.l10n.t("A file with this name exists already."),
});
