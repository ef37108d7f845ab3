import { basename } from "node:path";
import * as vscode from "vscode";
import type { ExportFormat, ExportRequest, ExportResult } from "../../protocol/engine.ts";
import { labelText } from "../../protocol/text/label.ts";
import { toUserError } from "../../supervisor/errors.ts";
import { exportModel, exportPath } from "../../supervisor/engines/export.ts";
import type { EngineOptions } from "../../supervisor/engines/process.ts";
import { readRecord, weightsPath } from "../../supervisor/runs/runDirectory.ts";
import { sourceOfRun } from "../../supervisor/runs/sourceFile.ts";
import type { CheckpointTarget } from "../ids.ts";
import type { Messages } from "../messages.ts";
import { offerReveal } from "../reveal.ts";
import { setting } from "../settings.ts";
import { pick, showProgress, type PickItem } from "../show.ts";
import { openFile, saveSources } from "../targets.ts";

/** Writes the model of a run with the weights of a checkpoint in a format and to a place that the user chooses. */
export async function exportCheckpoint(
  { directory, checkpoint }: CheckpointTarget,
  engine: EngineOptions,
  messages: Messages,
): Promise<void> {
  const record = await readRecord(directory);
  const { exportName } = record;
  const file = await sourceOfRun(directory, record);
  if (!(await saveSources(await openFile(file)))) return;
  const title = labelText(vscode.l10n.t("Export {0}", basename(checkpoint.file)));
  const format = await chooseFormat(title);
  if (format === undefined) return;
  const chosen = await vscode.window.showSaveDialog({
    title,
    saveLabel: vscode.l10n.t("Export"),
    defaultUri: vscode.Uri.file(exportPath(file, exportName, format)),
    filters: FILTERS[format],
  });
  if (chosen === undefined) return;
  const result = await exportWithProgress(
    {
      file,
      exportName,
      device: setting("device", vscode.Uri.file(file)),
      checkpoint: await weightsPath(directory, checkpoint),
      format,
      out: chosen.fsPath,
    },
    engine,
    messages,
  );
  // Not awaited: the file is written, whatever the user does with the message.
  if (result !== undefined)
    void offerReveal(result.out, vscode.l10n.t("Exported {0}.", basename(result.out)));
}

/** Endings of files, without their dots. */
const FILTERS: Record<ExportFormat, Record<string, string[]>> = {
  onnx: { ONNX: ["onnx"] },
  tfjs: {},
  typescript: { TypeScript: ["ts"] },
};

async function chooseFormat(title: string): Promise<ExportFormat | undefined> {
  const items: (PickItem & { format: ExportFormat })[] = [
    {
      format: "onnx",
      label: "ONNX",
      detail: vscode.l10n.t("A file for ONNX Runtime and others, weights inside"),
    },
    {
      format: "tfjs",
      label: "TensorFlow.js",
      detail: vscode.l10n.t("A folder with a GraphModel and its weights"),
    },
    {
      format: "typescript",
      label: "TypeScript",
      detail: vscode.l10n.t("A function without dependencies, weights inside: for small networks"),
    },
  ];
  const placeHolder = vscode.l10n.t("For which program?");
  return (await pick(items, { title, placeHolder }))?.format;
}

/** Undefined when the user cancelled it. */
async function exportWithProgress(
  request: ExportRequest,
  engine: EngineOptions,
  { log }: Messages,
): Promise<ExportResult | undefined> {
  const title = vscode.l10n.t("Exporting {0}", basename(request.out));
  return showProgress(
    { location: vscode.ProgressLocation.Notification, title, cancellable: true },
    async (progress, token) => {
      const abort = new AbortController();
      token.onCancellationRequested(() => abort.abort());
      const tell = (text: string): void => log.info(`[export] ${text.trimEnd()}`);
      try {
        return await exportModel(
          {
            ...engine,
            signal: abort.signal,
            onLog: (_, text) => {
              tell(text);
              progress.report({ message: text });
            },
            onOutput: (_, text) => tell(text),
          },
          request,
        );
      } catch (error) {
        if (toUserError(error).code === "cancelled") return undefined;
        throw error;
      }
    },
  );
}
