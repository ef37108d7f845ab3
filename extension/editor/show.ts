// The only module that opens VS Code's notifications, lists, inputs, hovers and log. Their text may come from untrusted files,
// so it is escaped: it never becomes a link, an icon, HTML or a hidden character.
import { clipped } from "../protocol/text/clip.ts";
import { headline } from "../protocol/text/headline.ts";
import { stripVTControlCharacters } from "node:util";
import * as vscode from "vscode";
import { labelText } from "../protocol/text/label.ts";
import type { Markdown } from "../protocol/text/markdown.ts";
import { plainText } from "../protocol/text/plain.ts";
import type { CommandId } from "./ids.ts";

/** Longest text of a notification; the log has the full text. */
const LONGEST = 400;

/** Notifications show one paragraph. */
const firstLine = (text: string): string => clipped(labelText(headline(text)), LONGEST);

/** Returns the action that the user chose, undefined for none. */
export async function showInformation(text: string, ...actions: string[]): Promise<string | undefined> {
  return vscode.window.showInformationMessage(firstLine(text), ...actions);
}

export async function showWarning(text: string, ...actions: string[]): Promise<string | undefined> {
  return vscode.window.showWarningMessage(firstLine(text), ...actions);
}

/** Asks in a dialog that has to be answered. Returns the action that the user chose, undefined for none. */
export async function confirm(
  text: string,
  detail: string,
  ...actions: string[]
): Promise<string | undefined> {
  const options = { modal: true, detail: firstLine(detail) };
  return vscode.window.showWarningMessage(firstLine(text), options, ...actions);
}

export async function showError(text: string, ...actions: string[]): Promise<string | undefined> {
  return vscode.window.showErrorMessage(firstLine(text), ...actions);
}

/** An item of a list, with a codicon before its label. */
export interface PickItem extends vscode.QuickPickItem {
  icon?: string;
}

export type PickOptions = Omit<vscode.QuickPickOptions, "canPickMany" | "onDidSelectItem">;

function shownItem({ icon, ...item }: PickItem): vscode.QuickPickItem {
  const label = labelText(item.label);
  return {
    ...item,
    label: icon === undefined ? label : `$(${icon}) ${label}`,
    ...(item.description === undefined ? {} : { description: labelText(item.description) }),
    ...(item.detail === undefined ? {} : { detail: labelText(item.detail) }),
  };
}

function shownOptions<Options extends vscode.QuickPickOptions | vscode.InputBoxOptions>(
  options: Options,
): Options {
  const shown = { ...options };
  for (const name of ["title", "placeHolder", "prompt"] as const) {
    const text: unknown = Reflect.get(options, name);
    if (typeof text === "string") Reflect.set(shown, name, labelText(text));
  }
  return shown;
}

/** Asks for one of several items. Undefined if the user cancelled. */
export async function pick<Item extends PickItem>(
  items: readonly Item[],
  options: PickOptions = {},
): Promise<Item | undefined> {
  const shown = items.map(shownItem);
  const chosen = await vscode.window.showQuickPick(shown, shownOptions(options));
  return chosen && items[shown.indexOf(chosen)];
}

/** Asks for any number of items. Undefined when the user cancelled. */
export async function pickSeveral<Item extends PickItem>(
  items: readonly Item[],
  options: PickOptions = {},
): Promise<Item[] | undefined> {
  const shown = items.map(shownItem);
  const chosen = await vscode.window.showQuickPick(shown, { ...shownOptions(options), canPickMany: true });
  return chosen && items.filter((_, i) => chosen.includes(shown[i]!));
}

/** Asks for a text. The initial `value` is not escaped, since the user edits it. */
export async function ask(options: vscode.InputBoxOptions): Promise<string | undefined> {
  return vscode.window.showInputBox(shownOptions(options));
}

export type ProgressSteps = vscode.Progress<{ message?: string; increment?: number }>;

/** Shows progress while `task` runs. */
export async function showProgress<T>(
  options: vscode.ProgressOptions,
  task: (progress: ProgressSteps, token: vscode.CancellationToken) => Promise<T>,
): Promise<T> {
  const { title } = options;
  return vscode.window.withProgress(
    { ...options, ...(title === undefined ? {} : { title: labelText(title) }) },
    (progress, token) =>
      task(
        {
          report: ({ message, ...step }) =>
            progress.report(message === undefined ? step : { ...step, message: labelText(message) }),
        },
        token,
      ),
  );
}

/** The log channel. */
export interface Log extends vscode.Disposable {
  debug(text: string): void;
  info(text: string): void;
  warn(text: string): void;
  error(text: string): void;
  show(preserveFocus?: boolean): void;
}

export function createLog(name: string): Log {
  const channel = vscode.window.createOutputChannel(name, { log: true });
  // The log can't show colours.
  const plain = (text: string): string => plainText(stripVTControlCharacters(text));
  return {
    debug: (text) => channel.debug(plain(text)),
    info: (text) => channel.info(plain(text)),
    warn: (text) => channel.warn(plain(text)),
    error: (text) => channel.error(plain(text)),
    show: (preserveFocus) => channel.show(preserveFocus),
    dispose: () => channel.dispose(),
  };
}

/** Makes Markdown for hovers and tooltips. Its links may run only the commands named here. */
export function markdownString(
  { value }: Markdown,
  { icons = false, commands = [] }: { icons?: boolean; commands?: readonly CommandId[] } = {},
): vscode.MarkdownString {
  const result = new vscode.MarkdownString(value, icons);
  if (commands.length > 0) result.isTrusted = { enabledCommands: commands };
  return result;
}

/** Escapes the texts of a tree item, in place. */
export function plainItem(item: vscode.TreeItem): vscode.TreeItem {
  const { label, description, tooltip, accessibilityInformation } = item;
  if (typeof label === "string") item.label = labelText(label);
  if (typeof description === "string") item.description = labelText(description);
  if (typeof tooltip === "string") item.tooltip = plainText(tooltip);
  if (accessibilityInformation !== undefined)
    item.accessibilityInformation = {
      ...accessibilityInformation,
      label: labelText(accessibilityInformation.label),
    };
  return item;
}

/** Sets a panel's title if it changed. */
export function setTitle(panel: vscode.WebviewPanel, text: string): void {
  const title = labelText(text);
  if (panel.title !== title) panel.title = title;
}
