import { readdir, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import * as v from "valibot";
import { demandPortable } from "../../files/inside.ts";
import { ExportResult, type ExportFormat, type ExportRequest } from "../../protocol/engine.ts";
import { isTemporaryOf } from "../../protocol/temporaryFiles.ts";
import { callTool, type ToolOptions } from "./tool.ts";
import { demandTrust } from "../trust.ts";

/** Endings of default names after the source's name; that of tfjs is a folder's. */
export const EXPORT_ENDINGS: Record<ExportFormat, string> = {
  onnx: ".onnx",
  tfjs: "-tfjs",
  typescript: ".model.ts",
};

/**
 * The file or folder that a model is written to by default: beside its source and named like it, with the export's name
 * unless that is the default export.
 */
export function exportPath(file: string, exportName: string, format: ExportFormat): string {
  // A name from a record may be any text.
  const name = exportName === "default" ? "" : `-${exportName.replace(/[^\w$-]/g, "-")}`;
  return file.replace(/(\.nn)?\.[cm]?[jt]s$/, "") + name + EXPORT_ENDINGS[format];
}

/** Writes a trained model for other programs, in a process of its own. However that ends, it leaves no half file. */
export async function exportModel(options: ToolOptions, request: ExportRequest): Promise<ExportResult> {
  demandTrust();
  demandPortable(request.out);
  try {
    return v.parse(ExportResult, await callTool(options, (tool) => tool.exportModel(request)));
  } finally {
    // Also those of an earlier export, whose processes were all killed.
    await removeUnfinished(request.out);
  }
}

/** Removes the temporary files that killed writers of a file left beside it. */
export async function removeUnfinished(path: string): Promise<void> {
  const folder = dirname(path);
  const names = await readdir(folder).catch((): string[] => []);
  const left = names.filter((name) => isTemporaryOf(basename(path), name));
  await Promise.all(left.map((name) => rm(join(folder, name), { recursive: true, force: true })));
}
