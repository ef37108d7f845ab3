import assert from "node:assert/strict";
import * as vscode from "vscode";
import { test } from "../../harness.ts";
import { extension } from "./workspace.ts";

test("a folder without models doesn't activate the extension", async () => {
  assert.equal(extension().isActive, false);
  await extension().activate();
  assert.equal(extension().isActive, true);
});

test("every command of the manifest is there", async () => {
  const manifest: { contributes: { commands: { command: string }[] } } = extension().packageJSON;
  const registered = new Set(await vscode.commands.getCommands(true));
  const missing = manifest.contributes.commands.filter(({ command }) => !registered.has(command));
  assert.deepEqual(missing, []);
});
