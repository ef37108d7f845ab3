import * as v from "valibot";
import * as vscode from "vscode";
import { EngineError } from "../../protocol/errors.ts";
import {
  type TensorHostMethods,
  type TensorSnapshot,
  type TensorViewMethods,
} from "../../protocol/tensorFile.ts";
import {
  MAX_WINDOW,
  TensorWindow,
  type TensorStatistics,
  type TensorValues,
} from "../../protocol/tensorValues.ts";
import { csvCell } from "../../protocol/text/csv.ts";
import { DisposableOwner } from "../disposable.ts";
import { setTitle, type Log } from "../show.ts";
import { connectPanel, noArguments } from "./webviewHost.ts";

/** Most values that are copied at a time. */
const MAX_COPIED = 1_000_000;

/** A tensor that a process has: of a file, of a sample, or of a program that a debugger has stopped. */
export interface ViewedTensor {
  snapshot(): Promise<TensorSnapshot>;
  /** Null for types that are no real numbers. */
  statistics(): Promise<TensorStatistics | null>;
  window(window: TensorWindow): Promise<TensorValues>;
  /** Called when the panel is hidden or closed; it may ask again. */
  release?(): void;
}

export interface TensorPanelOptions {
  extensionUri: vscode.Uri;
  log: Log;
}

/** The values of one tensor as a table. */
export class TensorPanel extends DisposableOwner {
  readonly panel: vscode.WebviewPanel;
  readonly #tensor: ViewedTensor;

  constructor(panel: vscode.WebviewPanel, tensor: ViewedTensor, options: TensorPanelOptions) {
    super();
    this.panel = panel;
    this.#tensor = tensor;
    const argument = v.strictTuple([
      v.pipe(
        v.object(TensorWindow.pipe[0].entries),
        v.check(({ rows, columns }) => rows * columns <= MAX_COPIED, "too many values"),
      ),
    ]);
    connectPanel<TensorViewMethods, TensorHostMethods>(panel, {
      kind: "tensor",
      extensionUri: options.extensionUri,
      log: options.log,
      schemas: {
        ready: noArguments,
        statistics: noArguments,
        window: v.strictTuple([TensorWindow]),
        copy: argument,
      },
      methods: {
        ready: async () => {
          const snapshot = await tensor.snapshot();
          setTitle(panel, vscode.l10n.t("Tensor: {0}", snapshot.name));
          return snapshot;
        },
        statistics: () => tensor.statistics(),
        window: (window) => tensor.window(window),
        copy: (window) => this.#copy(window),
      },
    });
    this.own(
      panel.onDidChangeViewState(() => {
        if (!panel.visible) tensor.release?.();
      }),
    );
    this.own({ dispose: () => tensor.release?.() });
    panel.onDidDispose(() => this.dispose());
  }

  /** Copies a part as comma-separated values, read piece by piece. */
  async #copy(window: TensorWindow): Promise<number> {
    const lines: string[] = [];
    const columns = Math.min(window.columns, MAX_WINDOW);
    const rows = Math.max(1, Math.floor(MAX_WINDOW / Math.max(1, columns)));
    if (columns < window.columns)
      throw new EngineError({
        code: "size",
        message: vscode.l10n.t("At most {0} columns are copied.", MAX_WINDOW),
      });
    let copied = 0;
    for (let row = window.row; row < window.row + window.rows; row += rows) {
      const count = Math.min(rows, window.row + window.rows - row);
      const part = await this.#tensor.window({ ...window, row, rows: count });
      for (let i = 0; i < part.rows; i++)
        lines.push(
          part.values
            .slice(i * part.columns, (i + 1) * part.columns)
            .map(cell)
            .join(","),
        );
      copied += part.values.length;
      if (part.rows < count) break;
    }
    await vscode.env.clipboard.writeText(`${lines.join("\n")}\n`);
    return copied;
  }
}

/** As numpy and pandas read it; a minus sign begins no formula here. */
const cell = (value: number | string): string => (value === "-inf" ? value : csvCell(value));
