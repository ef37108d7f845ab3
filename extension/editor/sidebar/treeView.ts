import { basename } from "node:path";
import * as vscode from "vscode";
import { DisposableOwner } from "../disposable.ts";
import { TREE_ITEMS } from "../ids.ts";
import { plainItem } from "../show.ts";

/** Milliseconds in which file events are combined into one refresh. */
const REFRESH_DELAY = 300;

/** A workspace folder, shown as a level of the tree if several folders have items. */
export interface FolderNode<Node> {
  folder: string;
  children: Node[];
}

export interface TreeOptions<Node> {
  canSelectMany?: boolean;
  dragAndDrop?: vscode.TreeDragAndDropController<Node>;
}

/**
 * A view of the side bar whose items come from the disk. It reads and watches files only while it is visible.
 * `Top` is the type of a folder's top-level items, `Node` that of all items.
 */
export abstract class SidebarTree<Top extends Node, Node extends object>
  extends DisposableOwner
  implements vscode.TreeDataProvider<Node | FolderNode<Top>>
{
  readonly #changed = this.own(new vscode.EventEmitter<Node | FolderNode<Top> | undefined>());
  readonly onDidChangeTreeData = this.#changed.event;
  readonly #view: vscode.TreeView<Node | FolderNode<Top>>;
  #watchers: vscode.Disposable[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(id: string, options: TreeOptions<Node | FolderNode<Top>> = {}) {
    super();
    this.#view = this.own(
      vscode.window.createTreeView<Node | FolderNode<Top>>(id, {
        treeDataProvider: this,
        showCollapseAll: true,
        canSelectMany: options.canSelectMany ?? false,
        ...(options.dragAndDrop === undefined ? {} : { dragAndDropController: options.dragAndDrop }),
      }),
    );
    this.own(this.#view.onDidChangeVisibility(() => this.#watch()));
    this.own(vscode.workspace.onDidChangeWorkspaceFolders(() => this.#watch()));
    this.own({ dispose: () => this.#unwatch() });
    // After the subclass's constructor.
    queueMicrotask(() => this.#watch());
  }

  get visible(): boolean {
    return this.#view.visible;
  }

  /** Folders that may have items. */
  protected abstract folders(): string[];
  /** The items of a folder. */
  protected abstract itemsOf(folder: string): Promise<Top[]>;
  protected abstract childrenOf(node: Node): Node[];
  protected abstract itemFor(node: Node): vscode.TreeItem;
  /** Glob pattern of the files to watch, relative to a folder. */
  protected abstract readonly pattern: string;

  /** Schedules a refresh if the view is visible. */
  refresh(): void {
    if (this.visible) this.#timer ??= setTimeout(() => this.#refreshNow(), REFRESH_DELAY);
  }

  /** Redraws one item that has changed in place. */
  protected redraw(node: Node): void {
    if (this.visible) this.#changed.fire(node);
  }

  async getChildren(node?: Node | FolderNode<Top>): Promise<(Node | FolderNode<Top>)[]> {
    if (node !== undefined) return isFolder<Top>(node) ? node.children : this.childrenOf(node);
    const all = await Promise.all(
      this.folders().map(async (folder) => ({ folder, children: await this.itemsOf(folder) })),
    );
    const filled = all.filter(({ children }) => children.length > 0);
    return filled.length === 1 && all.length === 1 ? (filled[0]?.children ?? []) : filled;
  }

  getTreeItem(node: Node | FolderNode<Top>): vscode.TreeItem {
    return plainItem(isFolder<Top>(node) ? folderItem(node.folder) : this.itemFor(node));
  }

  #refreshNow(): void {
    this.#timer = undefined;
    this.#changed.fire(undefined);
  }

  #watch(): void {
    this.#unwatch();
    if (this.disposed || !this.visible) return;
    for (const folder of this.folders()) {
      const pattern = new vscode.RelativePattern(vscode.Uri.file(folder), this.pattern);
      const watcher = vscode.workspace.createFileSystemWatcher(pattern);
      const refresh = (): void => this.refresh();
      this.#watchers.push(
        watcher,
        watcher.onDidCreate(refresh),
        watcher.onDidChange(refresh),
        watcher.onDidDelete(refresh),
      );
    }
    this.#refreshNow();
  }

  #unwatch(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (const watcher of this.#watchers.splice(0)) watcher.dispose();
  }
}

function isFolder<Top>(node: object): node is FolderNode<Top> {
  return "folder" in node;
}

function folderItem(folder: string): vscode.TreeItem {
  const name = vscode.workspace.getWorkspaceFolder(vscode.Uri.file(folder))?.name ?? basename(folder);
  const item = new vscode.TreeItem(name, vscode.TreeItemCollapsibleState.Expanded);
  item.id = folder;
  item.iconPath = new vscode.ThemeIcon("root-folder");
  item.contextValue = TREE_ITEMS.folder;
  item.tooltip = folder;
  return item;
}

export function joined(...parts: string[]): string {
  return parts.filter((part) => part !== "").join(" · ");
}
