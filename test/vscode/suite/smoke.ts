/** Features that must work in every VS Code that the manifest allows. */
import assert from "node:assert/strict";
import * as vscode from "vscode";
import { test, until } from "../../harness.ts";
import { ENDLESS_EPOCHS, simpleNN } from "../../models.ts";
import { newestRun, processExists } from "../../runDirectories.ts";
import { openModel, workspaceFolder } from "./workspace.ts";

test("hints while typing, the diagram, Train, a checkpoint, Stop and the curves' panel", async () => {
  const document = await openModel("smoke.nn.ts", simpleNN(ENDLESS_EPOCHS));
  const range = new vscode.Range(0, 0, document.lineCount, 0);
  await until(
    "shapes after the calls",
    async () => {
      const hints = await vscode.commands.executeCommand<vscode.InlayHint[]>(
        "vscode.executeInlayHintProvider",
        document.uri,
        range,
      );
      return hints.length > 0;
    },
    20_000,
  );
  await vscode.commands.executeCommand("layerwise.preview", { file: document.uri.fsPath, model: "SimpleNN" });
  await until("the diagram's tab", () => hasPanel("layerwise.architecture"));
  await vscode.commands.executeCommand("layerwise.train", {
    file: document.uri.fsPath,
    exportName: "default",
  });
  await until("the curves' tab", () => hasPanel("layerwise.training"));
  const running = await until(
    "steps",
    () => {
      const run = newestRun(workspaceFolder());
      return run !== undefined && run.step > 100 && run;
    },
    30_000,
  );
  await vscode.commands.executeCommand("layerwise.save");
  await vscode.commands.executeCommand("layerwise.stop");
  await until("a stopped run", () => newestRun(workspaceFolder())?.state === "stopped", 15_000);
  await until("the end of the process", () => running.pid !== undefined && !processExists(running.pid), 5000);
  assert.ok((newestRun(workspaceFolder())?.checkpoints.length ?? 0) > 0, "no checkpoint");
}, 90_000);

function hasPanel(viewType: string): boolean {
  return vscode.window.tabGroups.all
    .flatMap(({ tabs }) => tabs)
    .some(({ input }) => input instanceof vscode.TabInputWebview && input.viewType.endsWith(viewType));
}
