import { basename, dirname, relative } from "node:path";
import * as vscode from "vscode";
import { inLanes } from "../../files/lanes.ts";
import { MODEL_FILES, TREE_ITEMS, VIEWS, type SourceTarget } from "../ids.ts";
import { experimentsOf } from "../language/experiments.ts";
import { ModelTexts } from "../modelFiles.ts";
import { isModelFile } from "../previews.ts";
import { scanSource, type SourceScan, type SourceSpot } from "../../source/sourceScan.ts";
import { folderOf } from "../targets.ts";
import { SidebarTree } from "./treeView.ts";

interface FileNode extends SourceTarget {
  kind: "file";
  file: string;
  folder?: never;
  /** Folder relative to the workspace folder, shown beside the label. */
  place: string;
  scan: SourceScan;
}
interface DefinitionNode extends SourceTarget, SourceSpot {
  kind: "class" | "experiment";
  file: string;
  /** Name of the class or of the export. */
  name: string;
  trainable: boolean;
}
type Node = FileNode | DefinitionNode;

/** Most files that are listed. A workspace with more is probably a data set of models. */
const MOST_FILES = 500;

/** The workspace's `.nn.ts` files with their classes and experiments, found in the text: no code runs. */
export class ModelsTree extends SidebarTree<FileNode, Node> {
  protected readonly pattern = MODEL_FILES;
  /** Scans by file, each with the version of the text that it describes. */
  readonly #scans = new Map<string, { version: string; scan: SourceScan }>();

  constructor() {
    super(VIEWS.models);
    this.own(
      vscode.workspace.onDidChangeTextDocument(({ document }) => {
        if (isModelFile(document)) this.refresh();
      }),
    );
    this.own(vscode.workspace.onDidGrantWorkspaceTrust(() => this.refresh()));
  }

  protected folders(): string[] {
    return vscode.workspace.workspaceFolders?.map((folder) => folder.uri.fsPath) ?? [];
  }

  protected async itemsOf(folder: string): Promise<FileNode[]> {
    const pattern = new vscode.RelativePattern(vscode.Uri.file(folder), MODEL_FILES);
    const found = await vscode.workspace.findFiles(pattern, "**/node_modules/**", MOST_FILES);
    // One workspace folder may contain another.
    const own = found.filter((uri) => folderOf(uri.fsPath) === folder);
    const texts = new ModelTexts();
    const nodes = await inLanes(own, async ({ fsPath: file }): Promise<FileNode> => {
      const place = relative(folder, dirname(file));
      return { kind: "file", file, place, scan: await this.#scan(file, texts) };
    });
    return nodes.sort((a, b) => a.place.localeCompare(b.place) || a.file.localeCompare(b.file));
  }

  protected childrenOf(node: Node): Node[] {
    if (node.kind !== "file") return [];
    const { file, scan } = node;
    const classes = scan.models.map(({ name, line, column }): DefinitionNode => {
      const experiments = experimentsOf(name, scan, undefined);
      const only = experiments.length === 1 ? { exportName: experiments[0]! } : {};
      return {
        kind: "class",
        file,
        name,
        model: name,
        line,
        column,
        trainable: experiments.length > 0,
        ...only,
      };
    });
    const experiments = scan.experiments.map(({ exportName, line, column, models }): DefinitionNode => {
      const model = models[0] === undefined ? {} : { model: models[0] };
      return {
        kind: "experiment",
        file,
        name: exportName,
        exportName,
        line,
        column,
        trainable: true,
        ...model,
      };
    });
    return [...classes, ...experiments];
  }

  protected itemFor(node: Node): vscode.TreeItem {
    return node.kind === "file" ? fileItem(node) : definitionItem(node);
  }

  /** Scans the open document, else the file, again if it has changed. */
  async #scan(file: string, texts: ModelTexts): Promise<SourceScan> {
    const uri = vscode.Uri.file(file);
    const open = vscode.workspace.textDocuments.find((document) => document.uri.fsPath === file);
    try {
      const stat = open === undefined ? await vscode.workspace.fs.stat(uri) : undefined;
      const version = open === undefined ? `disk ${stat?.mtime}` : `open ${open.version}`;
      const known = this.#scans.get(file);
      if (known?.version === version) return known.scan;
      const scan = scanSource(open?.getText() ?? (await texts.read(uri)));
      this.#scans.set(file, { version, scan });
      return scan;
    } catch {
      // Deleted since it was found.
      return NOTHING;
    }
  }
}

const NOTHING: SourceScan = { models: [], experiments: [] };

function fileItem({ file, place, scan }: FileNode): vscode.TreeItem {
  const empty = scan.models.length + scan.experiments.length === 0;
  const { None, Expanded } = vscode.TreeItemCollapsibleState;
  const item = new vscode.TreeItem(vscode.Uri.file(file), empty ? None : Expanded);
  item.id = file;
  item.label = basename(file);
  item.description = place;
  item.contextValue = scan.experiments.length > 0 ? TREE_ITEMS.experimentsFile : TREE_ITEMS.modelFile;
  item.iconPath = vscode.ThemeIcon.File;
  item.command = openAt(file, { line: 0, column: 0 });
  return item;
}

function definitionItem({
  kind,
  file,
  name,
  trainable,
  line,
  column,
  model,
}: DefinitionNode): vscode.TreeItem {
  const experiment = kind === "experiment";
  const item = new vscode.TreeItem(experiment && name === "default" ? vscode.l10n.t("experiment") : name);
  item.id = `${file}#${kind}:${name}`;
  item.iconPath = new vscode.ThemeIcon(experiment ? "symbol-event" : "symbol-class");
  item.contextValue = trainable ? TREE_ITEMS.trainable : TREE_ITEMS.model;
  if (experiment) item.description = model ?? "";
  item.tooltip = experiment ? vscode.l10n.t("Experiment {0}", name) : vscode.l10n.t("Model {0}", name);
  item.accessibilityInformation = { label: item.tooltip };
  item.command = openAt(file, { line, column });
  return item;
}

function openAt(file: string, { line, column }: SourceSpot): vscode.Command {
  const start = new vscode.Position(line, column);
  const options: vscode.TextDocumentShowOptions = { selection: new vscode.Range(start, start) };
  return {
    command: "vscode.open",
    title: vscode.l10n.t("Go to Source"),
    arguments: [vscode.Uri.file(file), options],
  };
}
