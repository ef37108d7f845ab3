import { readdir, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import * as v from "valibot";
import { ExportResult, type ExportFormat, type ExportRequest } from "../../protocol/engine.ts";
import { isTemporaryOf } from "../../protocol/temporaryFiles.ts";
import { callTool, type ToolOptions } from "./tool.ts";
import { demandTrust } from "../trust.ts";

/** What is put behind the name of a source: of a file, for tfjs of a folder. */
export const EXPORT_ENDINGS: Record<ExportFormat, string> = {
  onnx: ".onnx",
  tfjs: "-tfjs",
  typescript: ".model.ts",
};

/**
 * The file or folder that a model is written to by default: beside its source and named like that, for another export
 * than the file's default with the name of that export.
 */
export function exportPath(file: string, exportName: string, format: ExportFormat): string {
  // A name from a record may be any text.
  const name = exportName === "default" ? "" : `-${exportName.replace(/[^\w$-]/g, "-")}`;
  return file.replace(/(\.nn)?\.[cm]?[jt]s$/, "") + name + EXPORT_ENDINGS[format];
}

/** Writes a trained model for other programs, in a process of its own. Its end, however it comes, leaves no half file. */
export async function exportModel(options: ToolOptions, request: ExportRequest): Promise<ExportResult> {
  demandTrust();
  try {
    return v.parse(ExportResult, await callTool(options, (tool) => tool.exportModel(request)));
  } finally {
    // Of an earlier one too, whose processes were all killed.
    await removeUnfinished(request.out);
  }
}

/** Removes what writers of a file left beside it that were killed at work. */
export async function removeUnfinished(path: string): Promise<void> {
  const folder = dirname(path);
  const names = await readdir(folder).catch((): string[] => []);
  const left = names.filter((name) => isTemporaryOf(basename(path), name));
  await Promise.all(left.map((name) => rm(join(folder, name), { recursive: true, force: true })));
}
