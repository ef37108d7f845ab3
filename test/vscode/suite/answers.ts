import * as vscode from "vscode";

type Window = Record<string, (...args: never[]) => unknown>;
const window = vscode.window as unknown as Window;

/** Has VS Code answer for its user: `answer` stands for a function of `vscode.window` while `body` runs. */
export async function answering<T>(
  name: keyof typeof vscode.window,
  answer: (...args: never[]) => unknown,
  body: () => Promise<T>,
): Promise<T> {
  const original = window[name]!;
  window[name] = answer;
  try {
    return await body();
  } finally {
    window[name] = original;
  }
}

interface Tree {
  provider: vscode.TreeDataProvider<object>;
  dragAndDrop: vscode.TreeDragAndDropController<object> | undefined;
}
const trees = new Map<string, Tree>();
const createTreeView = vscode.window.createTreeView.bind(vscode.window);
window["createTreeView"] = (id: string, options: vscode.TreeViewOptions<object>) => {
  trees.set(id, { provider: options.treeDataProvider, dragAndDrop: options.dragAndDropController });
  return createTreeView(id, options);
};

let lenses: vscode.CodeLensProvider | undefined;
const registerCodeLensProvider = vscode.languages.registerCodeLensProvider.bind(vscode.languages);
(vscode.languages as unknown as Window)["registerCodeLensProvider"] = (
  selector: vscode.DocumentSelector,
  provider: vscode.CodeLensProvider,
) => {
  lenses = provider;
  return registerCodeLensProvider(selector, provider);
};

/** The extension's lenses, without those of others, for which VS Code waits when it is asked. */
export function lensProvider(): vscode.CodeLensProvider {
  if (lenses === undefined) throw new Error("There are no lenses.");
  return lenses;
}

/** A view of the side bar, as VS Code was given it. This file is to be imported before the extension is activated. */
export function tree(id: string): Tree {
  const found = trees.get(id);
  if (found === undefined) throw new Error(`There is no view ${id}.`);
  return found;
}
