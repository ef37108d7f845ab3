import { basename } from "node:path";
import * as vscode from "vscode";
import { MODEL_FILE_SUFFIX } from "./ids.ts";
import { checkFileName, describeTemplate, freeFileName, modelFileName, type Template } from "./templates.ts";

/** Asks for a template, a folder and a name, writes the file and opens it. */
export async function newModel(extensionUri: vscode.Uri): Promise<void> {
  const examples = vscode.Uri.joinPath(extensionUri, "media", "examples");
  const template = await pickTemplate(examples);
  if (template === undefined) return;
  const folder = await pickFolder();
  if (folder === undefined) return;
  const taken = (await vscode.workspace.fs.readDirectory(folder)).map(([name]) => name);
  const name = await askName(template, taken);
  if (name === undefined) return;
  const target = vscode.Uri.joinPath(folder, modelFileName(name));
  const source = vscode.Uri.joinPath(examples, `${template.name}${MODEL_FILE_SUFFIX}`);
  await vscode.workspace.fs.copy(source, target, { overwrite: false });
  await vscode.window.showTextDocument(target);
}

async function pickTemplate(examples: vscode.Uri): Promise<Template | undefined> {
  const files = (await vscode.workspace.fs.readDirectory(examples))
    .map(([name]) => name)
    .filter((name) => name.endsWith(MODEL_FILE_SUFFIX));
  const templates = await Promise.all(
    files.map(async (file): Promise<Template> => {
      const text = new TextDecoder().decode(
        await vscode.workspace.fs.readFile(vscode.Uri.joinPath(examples, file)),
      );
      return { name: basename(file, MODEL_FILE_SUFFIX), description: describeTemplate(text) };
    }),
  );
  // The tutorial is where one begins.
  templates.sort((a, b) => Number(b.name === "tutorial") - Number(a.name === "tutorial"));
  const items = templates.map((template) => ({
    label: template.name,
    detail: template.description,
    template,
  }));
  const picked = await vscode.window.showQuickPick(items, {
    title: vscode.l10n.t("New model from which template?"),
  });
  return picked?.template;
}

async function pickFolder(): Promise<vscode.Uri | undefined> {
  const folders = vscode.workspace.workspaceFolders ?? [];
  if (folders.length === 1) return folders[0]?.uri;
  if (folders.length > 1) return (await vscode.window.showWorkspaceFolderPick())?.uri;
  const title = vscode.l10n.t("Folder of the new model");
  const chosen = await vscode.window.showOpenDialog({ canSelectFolders: true, canSelectFiles: false, title });
  return chosen?.[0];
}

async function askName(template: Template, taken: readonly string[]): Promise<string | undefined> {
  const value = freeFileName(template.name, taken);
  const problems = {
    empty: vscode.l10n.t("A file needs a name."),
    characters: vscode.l10n.t("A file's name can't contain any of \\ / : * ? \" < > | nor begin with a dot."),
    taken: vscode.l10n.t("There is a file of that name."),
  };
  return vscode.window.showInputBox({
    title: vscode.l10n.t("Name of the new file"),
    value,
    valueSelection: [0, value.length - MODEL_FILE_SUFFIX.length],
    validateInput: (name) => {
      const problem = checkFileName(name, taken);
      return problem === undefined ? undefined : problems[problem];
    },
  });
}
