import assert from "node:assert/strict";
import * as vscode from "vscode";
import { BOUNDS } from "../../bounds.ts";
import { test } from "../../harness.ts";
import { processorTime } from "./loopMeter.ts";

function extension(): vscode.Extension<unknown> {
  const found = vscode.extensions.getExtension("layerwise.layerwise");
  assert.ok(found, "VS Code doesn't know the extension");
  return found;
}

test("a folder without models doesn't activate the extension; to activate it takes little", async (note) => {
  assert.equal(extension().isActive, false);
  const began = processorTime();
  await extension().activate();
  const took = processorTime() - began;
  assert.equal(extension().isActive, true);
  note(`${took.toFixed(1)} ms of processor time`);
  assert.ok(took < BOUNDS.activation, `${took.toFixed(1)} ms`);
});

test("every command of the manifest is there", async () => {
  const manifest: { contributes: { commands: { command: string }[] } } = extension().packageJSON;
  const registered = new Set(await vscode.commands.getCommands(true));
  const missing = manifest.contributes.commands.filter(({ command }) => !registered.has(command));
  assert.deepEqual(missing, []);
});
