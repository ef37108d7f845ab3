/** Contents of the side bar. */
import * as vscode from "vscode";
import { tree } from "./answers.ts";

export interface Shown {
  label: string;
  description: string;
  context: string;
  id: string;
  node: object;
  children: Shown[];
}

/** Returns the items of a view, whether it is on the screen or not. */
export async function shown(view: string): Promise<Shown[]> {
  const { provider } = tree(view);
  const items = async (parent?: object): Promise<Shown[]> =>
    Promise.all(
      ((await provider.getChildren(parent)) ?? []).map(async (node) => {
        const item = await provider.getTreeItem(node);
        const { label = "", description = "", contextValue = "", id = "" } = item;
        return {
          label: typeof label === "string" ? label : label.label,
          description: String(description),
          context: contextValue,
          id,
          node,
          children: item.collapsibleState === vscode.TreeItemCollapsibleState.None ? [] : await items(node),
        };
      }),
    );
  return items();
}
