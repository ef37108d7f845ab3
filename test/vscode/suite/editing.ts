import assert from "node:assert/strict";
import * as vscode from "vscode";
import { test, until } from "../../harness.ts";
import { MISTAKES, simpleNN } from "../../models.ts";
import { openModel } from "./workspace.ts";

/** Titles of a document's lenses by line, counted from 1, without their icons. */
async function lenses(document: vscode.TextDocument): Promise<Record<number, string[]>> {
  const found = await vscode.commands.executeCommand<vscode.CodeLens[]>(
    "vscode.executeCodeLensProvider",
    document.uri,
    100,
  );
  const titles: Record<number, string[]> = {};
  for (const { range, command } of found)
    (titles[range.start.line + 1] ??= []).push((command?.title ?? "").replace(/^\$\([\w-]+\) ?/, ""));
  return titles;
}

test("lenses stand above the model and the experiment, with the parameter count", async () => {
  const document = await openModel("lenses.nn.ts", simpleNN(100));
  await until("the parameter count", async () => (await lenses(document))[3]?.[0] === "67 parameters");
  assert.deepEqual(await lenses(document), {
    3: ["67 parameters", "Train", "Data", "Evaluate", "Preview"],
    22: ["Train", "Data", "Evaluate", "Preview"],
  });
});

test("lenses follow what is typed, and stay while the text has an error", async () => {
  const document = await openModel("typed.nn.ts", simpleNN(100));
  const editor = await vscode.window.showTextDocument(document);
  await until("the parameter count", async () => (await lenses(document))[3]?.[0] === "67 parameters");
  const place = document.getText().indexOf("10, 5, 2");
  const replace = (length: number, text: string): Thenable<boolean> =>
    editor.edit((edit) =>
      edit.replace(new vscode.Range(document.positionAt(place), document.positionAt(place + length)), text),
    );
  await replace(8, "10, 50, 2");
  await until("the new count", async () => (await lenses(document))[3]?.[0] === "652 parameters");
  await replace(9, "10, 50, (");
  await until(
    "the error",
    () => vscode.languages.getDiagnostics(document.uri).some(({ source }) => source === "Layerwise"),
    20_000,
  );
  assert.equal((await lenses(document))[3]?.[0], "652 parameters");
  await vscode.commands.executeCommand("workbench.action.revertAndCloseActiveEditor");
});

for (const [name, { text, line, message }] of Object.entries(MISTAKES))
  test(`one message at the user's line: ${name}`, async () => {
    const document = await openModel(name, text);
    const own = (): vscode.Diagnostic[] =>
      vscode.languages.getDiagnostics(document.uri).filter(({ source }) => source === "Layerwise");
    await until("a diagnostic", () => own().length > 0, 20_000);
    assert.deepEqual(
      own().map(({ range }) => range.start.line + 1),
      [line],
    );
    assert.match(own()[0]?.message ?? "", message);
    const whole = new vscode.Range(0, 0, document.lineCount, 0);
    const editor = await vscode.window.showTextDocument(document);
    await editor.edit((edit) => edit.replace(whole, simpleNN(100)));
    await until("no diagnostic once it is right", () => own().length === 0, 20_000);
    await vscode.commands.executeCommand("workbench.action.revertAndCloseActiveEditor");
  });
