import { dirname } from "node:path";
import * as vscode from "vscode";
import { DisposableOwner } from "../disposable.ts";
import { runsRoot } from "../../supervisor/runs/runDirectory.ts";
import { folderOf } from "../targets.ts";
import { EDITORS } from "../ids.ts";
import type { ImportServices } from "../runs/importRuns.ts";
import type { TensorEditor } from "./tensorEditor.ts";

export interface EditorServices extends ImportServices {
  extensionUri: vscode.Uri;
}

interface FileDocument extends vscode.CustomDocument {
  readonly uri: vscode.Uri;
}

/** Opens files in editors of ours, read-only: those of tensors as tables, ONNX models as their graphs, a run's record and TensorBoard's event files as curves. */
export class Editors extends DisposableOwner {
  readonly #services: EditorServices;
  readonly #tensors = new Set<TensorEditor>();
  /** Pending comparisons by the file of the opening editor. */
  readonly #comparisons = new Map<string, string>();

  constructor(services: EditorServices) {
    super();
    this.#services = services;
    for (const kind of ["tensors", "onnx"] as const)
      this.#register(EDITORS[kind], async (uri, panel) => this.#openTensors(kind, onDisk(uri), panel));
    this.#register(EDITORS.run, async (uri, panel) => {
      await services.panels.adopt(panel, await services.runs.open(dirname(onDisk(uri))));
    });
    this.#register(EDITORS.events, (uri, panel) => this.#openEvents(uri, panel));
  }

  /** An event file becomes a run of the folder, which its editor shows. One that can't be read leaves no empty editor. */
  async #openEvents(uri: vscode.Uri, panel: vscode.WebviewPanel): Promise<void> {
    const { messages, panels, runs } = this.#services;
    try {
      const file = onDisk(uri);
      const own = dirname(file);
      // A run of ours that was also written for TensorBoard.
      const directory = dirname(own) === runsRoot(folderOf(file)) ? own : await this.#import(file);
      if (directory !== undefined) await panels.adopt(panel, await runs.open(directory));
    } catch (error) {
      messages.error(error);
      panel.dispose();
    }
  }

  async #import(file: string): Promise<string | undefined> {
    const { readForeign } = await import("../runs/importRuns.ts");
    const [run] = (await readForeign([file], this.#services)).runs;
    return run?.directory;
  }

  async inspect(file: string): Promise<void> {
    await vscode.commands.executeCommand("vscode.openWith", vscode.Uri.file(file), EDITORS.tensors);
  }

  /** Shows a file with its differences from another. */
  async compare(file: string, other: string): Promise<void> {
    const open = [...this.#tensors].find((editor) => editor.file === file);
    if (open === undefined) this.#comparisons.set(file, other);
    else open.compare(other);
    await this.inspect(file);
  }

  async #openTensors(kind: "tensors" | "onnx", file: string, panel: vscode.WebviewPanel): Promise<void> {
    const { extensionUri, messages, engine } = this.#services;
    const { TensorEditor } = await import("./tensorEditor.ts");
    const editor = new TensorEditor(panel, file, {
      kind,
      extensionUri,
      log: messages.log,
      engine,
      showTensor: (of, name) => this.#services.panels.showFileTensor(of, name),
    });
    this.#tensors.add(editor);
    panel.onDidDispose(() => this.#tensors.delete(editor));
    const other = this.#comparisons.get(file);
    this.#comparisons.delete(file);
    if (other !== undefined) editor.compare(other);
  }

  #register(id: string, open: (uri: vscode.Uri, panel: vscode.WebviewPanel) => Promise<void>): void {
    const provider: vscode.CustomReadonlyEditorProvider<FileDocument> = {
      openCustomDocument: (uri) => ({ uri, dispose: () => undefined }),
      resolveCustomEditor: ({ uri }, panel) => open(uri, panel),
    };
    this.own(
      vscode.window.registerCustomEditorProvider(id, provider, { supportsMultipleEditorsPerDocument: true }),
    );
  }
}

/** Another process reads it, so it must be where that one can read: no version of git's, say. */
function onDisk({ scheme, fsPath }: vscode.Uri): string {
  if (scheme === "file") return fsPath;
  throw new Error(vscode.l10n.t("Only files on a disk can be shown."));
}
