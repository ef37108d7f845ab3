import assert from "node:assert/strict";
import * as vscode from "vscode";
import { test } from "../../harness.ts";
import { waitedForProcessor } from "./loopMeter.ts";

const ACTIVATION_LIMIT = 100;

function extension(): vscode.Extension<unknown> {
  const found = vscode.extensions.getExtension("layerwise.layerwise");
  assert.ok(found, "VS Code doesn't know the extension");
  return found;
}

// The workspace has no model yet, so nothing but this test activates the extension.
test(`activation takes less than ${ACTIVATION_LIMIT} ms`, async (note) => {
  assert.equal(extension().isActive, false, "active already");
  const waited = waitedForProcessor();
  const started = performance.now();
  await extension().activate();
  const took = performance.now() - started - (waitedForProcessor() - waited);
  note(`activation took ${took.toFixed(1)} ms`);
  assert.ok(took < ACTIVATION_LIMIT, `activation took ${took.toFixed(1)} ms`);
});

test("every command of the manifest is there", async () => {
  const manifest: { contributes: { commands: { command: string }[] } } = extension().packageJSON;
  const registered = new Set(await vscode.commands.getCommands(true));
  const missing = manifest.contributes.commands.filter(({ command }) => !registered.has(command));
  assert.deepEqual(missing, []);
});
