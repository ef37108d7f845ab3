import { dirname } from "node:path";
import * as v from "valibot";
import * as vscode from "vscode";
import type { BirpcReturn } from "birpc";
import type { TensorFile } from "../../protocol/tensorFile.ts";
import type {
  OnnxHostMethods,
  TensorsHostMethods,
  TensorsSnapshot,
  TensorsViewMethods,
} from "../../protocol/views.ts";
import { EngineError } from "../../protocol/errors.ts";
import { runOfCheckpoint } from "../../supervisor/runs/evaluationFiles.ts";
import { TensorFileReader } from "../../supervisor/engines/tensorFile.ts";
import type { EngineOptions } from "../../supervisor/engines/process.ts";
import { checkpointPath, readRecord } from "../../supervisor/runs/runDirectory.ts";
import { runCommand } from "../commands.ts";
import { DisposableOwner } from "../disposable.ts";
import type { CheckpointTarget } from "../ids.ts";
import type { Log } from "../show.ts";
import { imageArguments, saveImage } from "./saveImage.ts";
import { connectPanel, noArguments } from "./webviewHost.ts";

/** Milliseconds without a write after which a file counts as complete. */
const CHANGE_DELAY = 500;

const index = v.strictTuple([v.pipe(v.number(), v.integer(), v.minValue(0))]);
const SCHEMAS = {
  ready: noArguments,
  statistics: index,
  view: index,
  choose: noArguments,
  compare: noArguments,
  forget: noArguments,
  evaluate: noArguments,
  trainOn: noArguments,
  cancel: noArguments,
};

export interface TensorEditorOptions {
  /** An ONNX model is shown with its graph. */
  kind: "tensors" | "onnx";
  extensionUri: vscode.Uri;
  log: Log;
  engine: () => EngineOptions;
  /** Shows the values of a tensor of a file. */
  showTensor: (file: string, name: string) => Promise<void>;
}

/** A read-only editor of a file of tensors or an ONNX model. Its reading process lives while the editor is visible. */
export class TensorEditor extends DisposableOwner {
  readonly panel: vscode.WebviewPanel;
  /** Absolute path. */
  readonly file: string;
  readonly #inspector: TensorFileReader;
  readonly #view: BirpcReturn<TensorsViewMethods>;
  #other: string | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(panel: vscode.WebviewPanel, file: string, options: TensorEditorOptions) {
    super();
    this.panel = panel;
    this.file = file;
    this.#inspector = new TensorFileReader(
      file,
      options.engine,
      (share) => void this.#view.progress.asEvent(share),
    );
    this.#view = options.kind === "onnx" ? this.#connectModel(options) : this.#connect(options);
    // A hidden page is discarded; shown again, it requests everything.
    this.own(
      panel.onDidChangeViewState(() => {
        if (!panel.visible) void this.#inspector.release();
      }),
    );
    this.#watch();
    this.own({ dispose: () => void this.#inspector.release() });
    panel.onDidDispose(() => this.dispose());
  }

  #connect(options: TensorEditorOptions): BirpcReturn<TensorsViewMethods> {
    return connectPanel<TensorsViewMethods, TensorsHostMethods>(this.panel, {
      ...options,
      schemas: SCHEMAS,
      methods: {
        ready: async () => this.#snapshot(await this.#inspector.open()),
        ...this.#methods(options),
      },
    });
  }

  /** The same for a model, which has a graph too. */
  #connectModel(options: TensorEditorOptions): BirpcReturn<TensorsViewMethods> {
    return connectPanel<TensorsViewMethods, OnnxHostMethods>(this.panel, {
      ...options,
      schemas: { ...SCHEMAS, node: v.strictTuple([v.string()]), saveImage: imageArguments },
      methods: {
        ...this.#methods(options),
        ready: async () => {
          const { tensors, model } = await this.#inspector.openModel();
          return { ...(await this.#snapshot(tensors)), model };
        },
        node: async (id) => (await this.#inspector.node(id)) ?? null,
        saveImage: (name, format, content) => saveImage(this.file, name, format, content),
      },
    });
  }

  async #snapshot(tensors: TensorFile): Promise<TensorsSnapshot> {
    const checkpoint = (await checkpointOf(this.file)) !== undefined;
    return { tensors, checkpoint, ...(this.#other === undefined ? {} : { other: this.#other }) };
  }

  #methods({ showTensor }: TensorEditorOptions): Omit<TensorsHostMethods, "ready"> {
    return {
      // JSON has no undefined.
      statistics: async (index) => (await this.#inspector.statistics(index)) ?? null,
      view: async (index) => {
        const { tensors } = await this.#inspector.open();
        const name = tensors[index]?.name;
        if (name !== undefined) await showTensor(this.file, name);
      },
      choose: () => this.#choose(),
      compare: () => this.#inspector.compare(this.#chosen()),
      forget: () => {
        this.#other = undefined;
        return Promise.resolve();
      },
      evaluate: async () => runCommand("layerwise.evaluateCheckpoint", await checkpointOf(this.file)),
      trainOn: async () => runCommand("layerwise.loadCheckpoint", await checkpointOf(this.file)),
      cancel: () => this.#inspector.cancel(),
    };
  }

  /** Compares with another file. */
  compare(other: string): void {
    this.#other = other;
    void this.#view.changed.asEvent();
  }

  #chosen(): string {
    if (this.#other !== undefined) return this.#other;
    throw new EngineError({ code: "file", message: "There is no file to compare with." });
  }

  async #choose(): Promise<string | null> {
    const [chosen] =
      (await vscode.window.showOpenDialog({
        title: vscode.l10n.t("Compare with which file?"),
        openLabel: vscode.l10n.t("Compare"),
        defaultUri: vscode.Uri.file(dirname(this.file)),
        filters: { [vscode.l10n.t("Files of tensors")]: ["safetensors", "pth", "pt", "bin", "json", "onnx"] },
      })) ?? [];
    if (chosen !== undefined) this.#other = chosen.fsPath;
    return chosen?.fsPath ?? null;
  }

  /** A live run rewrites its checkpoint repeatedly. */
  #watch(): void {
    const uri = vscode.Uri.file(this.file);
    const pattern = new vscode.RelativePattern(vscode.Uri.joinPath(uri, ".."), escapeGlob(uri));
    const watcher = this.own(vscode.workspace.createFileSystemWatcher(pattern));
    const changed = (): void => {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => void this.#view.changed.asEvent(), CHANGE_DELAY);
    };
    this.own(watcher.onDidChange(changed));
    this.own(watcher.onDidCreate(changed));
    this.own({ dispose: () => clearTimeout(this.#timer) });
  }
}

/** Returns a file's run and checkpoint record; undefined where no training's record names the file. */
async function checkpointOf(file: string): Promise<CheckpointTarget | undefined> {
  const directory = runOfCheckpoint(file);
  const record = directory === undefined ? undefined : await readRecord(directory).catch(() => undefined);
  if (directory === undefined || record?.kind !== "train") return undefined;
  const checkpoint = record.checkpoints.find((one) => checkpointPath(directory, one) === file);
  return checkpoint && { directory, checkpoint };
}

function escapeGlob(uri: vscode.Uri): string {
  const name = uri.path.slice(uri.path.lastIndexOf("/") + 1);
  return name.replaceAll(/[[\]{}*?]/g, "[$&]");
}
