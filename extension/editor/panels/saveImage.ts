import * as v from "valibot";
import * as vscode from "vscode";
import type { ImageFormat } from "../../protocol/views.ts";

export const imageArguments = v.tuple([v.string(), v.picklist(["svg", "png"]), v.string()]);

/**
 * Saves a picture of a diagram where the user says, by default beside the file that it is of.
 * @param content An SVG's text, a PNG's bytes as base64
 */
export async function saveImage(
  file: string,
  name: string,
  format: ImageFormat,
  content: string,
): Promise<void> {
  const folder = vscode.Uri.joinPath(vscode.Uri.file(file), "..");
  const target = await vscode.window.showSaveDialog({
    defaultUri: vscode.Uri.joinPath(folder, `${name.replaceAll(/[^\w.-]/g, "_")}.${format}`),
    filters: { [format.toUpperCase()]: [format] },
  });
  if (target !== undefined)
    await vscode.workspace.fs.writeFile(target, Buffer.from(content, format === "svg" ? "utf8" : "base64"));
}
