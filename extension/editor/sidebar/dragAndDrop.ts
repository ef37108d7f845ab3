import { join } from "node:path";
import * as vscode from "vscode";
import { RUN_FILE } from "../../protocol/run.ts";
import { checkpointPath } from "../../supervisor/runs/runDirectory.ts";
import type { CheckpointTarget, RunTarget } from "../ids.ts";

type Dragged = RunTarget | CheckpointTarget | object;

/**
 * Makes the items of a view draggable. Editors receive files: a checkpoint's tensors, a run's curves. The training panel
 * receives the view's own type, which VS Code fills with the items' ids.
 */
export function dragRuns(view: string): vscode.TreeDragAndDropController<Dragged> {
  return {
    dragMimeTypes: ["text/uri-list", `application/vnd.code.tree.${view.toLowerCase()}`],
    dropMimeTypes: [],
    handleDrag(nodes, data) {
      const files = nodes.flatMap((node) => fileOf(node) ?? []);
      const uris = files.map((file) => vscode.Uri.file(file).toString());
      data.set("text/uri-list", new vscode.DataTransferItem(uris.join("\r\n")));
    },
  };
}

function fileOf(node: Dragged): string | undefined {
  if (!("directory" in node)) return undefined;
  return "checkpoint" in node
    ? checkpointPath(node.directory, node.checkpoint)
    : join(node.directory, RUN_FILE);
}
