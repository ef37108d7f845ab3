import * as vscode from "vscode";
import { demandTrust } from "../supervisor/trust.ts";
import { fileNameProblems } from "./fileNames.ts";
import { MODEL_FILE_SUFFIX } from "./ids.ts";
import { ask, pick, type PickItem } from "./show.ts";
import {
  checkFileName,
  describeTemplate,
  freeFileName,
  modelFileName,
  TEMPLATES,
  type TemplateGroup,
  type TemplateName,
} from "./templates.ts";

/** Asks for a template, a folder and a name, writes the file and opens it. */
export async function newModel(extensionUri: vscode.Uri): Promise<void> {
  demandTrust();
  const examples = vscode.Uri.joinPath(extensionUri, "media", "examples");
  const template = await pickTemplate(examples);
  if (template === undefined) return;
  const folder = await pickFolder();
  if (folder === undefined) return;
  const taken = (await vscode.workspace.fs.readDirectory(folder)).map(([name]) => name);
  const name = await askName(template, taken);
  if (name === undefined) return;
  const target = vscode.Uri.joinPath(folder, modelFileName(name));
  await vscode.workspace.fs.copy(fileOf(examples, template), target, { overwrite: false });
  // Not a preview tab, which would replace the walkthrough that may have led here.
  await vscode.window.showTextDocument(target, { preview: false });
}

async function pickTemplate(examples: vscode.Uri): Promise<TemplateName | undefined> {
  const groups = await Promise.all(
    Object.entries(groupTitles()).map(async ([group, label]) => [
      { label, kind: vscode.QuickPickItemKind.Separator },
      ...(await Promise.all(TEMPLATES[group as TemplateGroup].map((name) => templateItem(examples, name)))),
    ]),
  );
  const picked = await pick<PickItem & { template?: TemplateName }>(groups.flat(), {
    title: vscode.l10n.t("New Model"),
    placeHolder: vscode.l10n.t("Which network?"),
    matchOnDescription: true,
    matchOnDetail: true,
  });
  return picked?.template;
}

async function templateItem(
  examples: vscode.Uri,
  template: TemplateName,
): Promise<PickItem & { template: TemplateName }> {
  const bytes = await vscode.workspace.fs.readFile(fileOf(examples, template));
  return {
    icon: template === "tutorial" ? "mortar-board" : "layers",
    label: networkNames()[template],
    description: modelFileName(template),
    detail: describeTemplate(new TextDecoder().decode(bytes)),
    template,
  };
}

const fileOf = (examples: vscode.Uri, template: TemplateName): vscode.Uri =>
  vscode.Uri.joinPath(examples, modelFileName(template));

const groupTitles = (): Record<TemplateGroup, string> => ({
  networks: vscode.l10n.t("ready to train, on bundled data"),
  firstSteps: vscode.l10n.t("first steps"),
  ownFiles: vscode.l10n.t("with your own files"),
});

const networkNames = (): Record<TemplateName, string> => ({
  iris: vscode.l10n.t("Feedforward network"),
  digits: vscode.l10n.t("Convolutional network (CNN)"),
  temperature: vscode.l10n.t("Recurrent network (RNN)"),
  names: vscode.l10n.t("LSTM"),
  transformer: vscode.l10n.t("Transformer"),
  autoencoder: vscode.l10n.t("Autoencoder"),
  gan: vscode.l10n.t("Generative adversarial network (GAN)"),
  tutorial: vscode.l10n.t("Hand-written training loop"),
  simplenn: vscode.l10n.t("Smallest experiment"),
  bert: vscode.l10n.t("BERT, fine-tuned"),
  fashion: vscode.l10n.t("CNN on Fashion-MNIST"),
});

async function pickFolder(): Promise<vscode.Uri | undefined> {
  const folders = vscode.workspace.workspaceFolders ?? [];
  if (folders.length === 1) return folders[0]?.uri;
  if (folders.length > 1) return (await vscode.window.showWorkspaceFolderPick())?.uri;
  const title = vscode.l10n.t("Folder of the new model");
  const chosen = await vscode.window.showOpenDialog({ canSelectFolders: true, canSelectFiles: false, title });
  return chosen?.[0];
}

async function askName(template: TemplateName, taken: readonly string[]): Promise<string | undefined> {
  const value = freeFileName(template, taken);
  const problems = fileNameProblems();
  return ask({
    title: vscode.l10n.t("Name of the new file"),
    value,
    valueSelection: [0, value.length - MODEL_FILE_SUFFIX.length],
    validateInput: (name) => {
      const problem = checkFileName(name, taken);
      return problem === undefined ? undefined : problems[problem];
    },
  });
}
