import * as vscode from "vscode";

/** Asks for a table or a folder of images; undefined when the user cancelled. */
export async function chooseDataFile(): Promise<string | undefined> {
  const [chosen] =
    (await vscode.window.showOpenDialog({
      title: vscode.l10n.t("Data to use in a model"),
      canSelectFolders: true,
      filters: { [vscode.l10n.t("Tables")]: ["csv", "tsv", "gz", "parquet"] },
    })) ?? [];
  return chosen?.fsPath;
}
