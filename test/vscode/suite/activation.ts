import assert from "node:assert/strict";
import * as vscode from "vscode";
import { test } from "../../harness.ts";

test("the extension is known to VS Code", () => {
  assert.ok(vscode.extensions.getExtension("layerwise.layerwise"));
});
