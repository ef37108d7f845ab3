import assert from "node:assert/strict";
import * as vscode from "vscode";
import { test, until } from "../../harness.ts";
import { simpleNN } from "../../models.ts";
import { openModel } from "./workspace.ts";

const whole = (document: vscode.TextDocument): vscode.Range => new vscode.Range(0, 0, document.lineCount, 0);

/** The document's inlay hints, each after the text that it follows. */
async function hints(document: vscode.TextDocument): Promise<string[]> {
  const found = await vscode.commands.executeCommand<vscode.InlayHint[]>(
    "vscode.executeInlayHintProvider",
    document.uri,
    whole(document),
  );
  return found
    .map(({ position, label }) => ({
      position,
      label: typeof label === "string" ? label : label.map(({ value }) => value).join(""),
    }))
    .filter(({ label }) => /^[[(]|parameters$/.test(label))
    .sort((a, b) => a.position.compareTo(b.position))
    .map(
      ({ position, label }) =>
        `${document.lineAt(position.line).text.slice(0, position.character).trim()} ${label}`,
    );
}

async function hover(document: vscode.TextDocument, part: string): Promise<string> {
  const found = await vscode.commands.executeCommand<vscode.Hover[]>(
    "vscode.executeHoverProvider",
    document.uri,
    document.positionAt(document.getText().indexOf(part)),
  );
  return found
    .flatMap(({ contents }) => contents)
    .map((content) => (typeof content === "string" ? content : content.value))
    .join("\n");
}

const own = (document: vscode.TextDocument): vscode.Diagnostic[] =>
  vscode.languages.getDiagnostics(document.uri).filter(({ source }) => source === "Layerwise");

const quickFixes = (
  document: vscode.TextDocument,
  { range }: vscode.Diagnostic,
): Thenable<vscode.CodeAction[]> =>
  vscode.commands.executeCommand<vscode.CodeAction[]>(
    "vscode.executeCodeActionProvider",
    document.uri,
    range,
    vscode.CodeActionKind.QuickFix.value,
  );

/** Applies the quick fix of a title. */
async function mend(document: vscode.TextDocument, error: vscode.Diagnostic, title: string): Promise<void> {
  const actions = await quickFixes(document, error);
  const action = actions.find((one) => one.title === title);
  assert.ok(action?.edit, actions.map((one) => one.title).join());
  await vscode.workspace.applyEdit(action.edit);
}

const GOOD = [
  "this.fc1 = new nn.Linear(inputSize, hiddenSize) 55 parameters",
  "this.fc2 = new nn.Linear(hiddenSize, outputSize) 12 parameters",
  "x = this.fc1(x) [N, 5]",
  "x = this.relu(x) [N, 5]",
  "return this.fc2(x) [N, 2]",
];

test("typing: shapes and counts are shown while a model is typed, and stay through what fails", async () => {
  const document = await openModel("hints.nn.ts", simpleNN(100));
  const editor = await vscode.window.showTextDocument(document);
  const set = (text: string): Thenable<boolean> =>
    editor.edit((edit) => edit.replace(whole(document), text), {
      undoStopBefore: false,
      undoStopAfter: false,
    });
  const insert = (part: string, text: string): Thenable<boolean> =>
    editor.edit((edit) => edit.insert(document.positionAt(document.getText().indexOf(part)), text));
  await until("the hints", async () => (await hints(document)).length === GOOD.length, 30_000);
  assert.deepEqual(await hints(document), GOOD);
  const layer = await hover(document, "fc1(x)");
  assert.match(layer, /\(fc1\): Linear\(in_features=10, out_features=5, bias=True\)/);
  assert.match(layer, /`\[N, 10\]` float32 → `\[N, 5\]` float32/);
  assert.match(await hover(document, "x = this.relu"), /`\[N, 5\]` float32/);

  for (const [fault, message] of [
    ['throw new Error("at import");\n', /at import/],
    ["for (;;);\n", /endless loop/],
    ['process.kill(process.pid, "SIGKILL");\n', /ended while it ran/],
  ] as const) {
    await insert("import", fault);
    await until(`the message of ${fault}`, () => own(document).length > 0, 30_000);
    assert.equal(own(document).length, 1);
    assert.match(own(document)[0]!.message, message);
    assert.equal(own(document)[0]!.range.start.line, 0);
    assert.deepEqual(await hints(document), GOOD);
    await editor.edit((edit) => edit.delete(new vscode.Range(0, 0, 1, 0)));
    await until("no message once it is gone", () => own(document).length === 0, 30_000);
    assert.deepEqual(await hints(document), GOOD);
  }

  const began = performance.now();
  await set(simpleNN(100).replace("10, 5, 2", "10, 7, 2"));
  await until("the new shapes", async () => (await hints(document))[2] === "x = this.fc1(x) [N, 7]", 30_000);
  console.log(`hints of a changed text after ${Math.round(performance.now() - began)} ms`);
  await vscode.commands.executeCommand("workbench.action.revertAndCloseActiveEditor");
}, 120_000);

test("typing: a layer of the wrong size is told at its call, and mended by a quick fix", async () => {
  const text = simpleNN(100).replace("new nn.Linear(hiddenSize, outputSize)", "new nn.Linear(6, outputSize)");
  const document = await openModel("mended.nn.ts", text);
  await until("the error", () => own(document).length > 0, 30_000);
  const [error] = own(document);
  assert.equal(document.getText(error!.range), "fc2(x)");
  assert.match(error!.message, /\(100x5 and 6x2\)\nIn module fc2\.\nLinear\(in_features=6.*\[100, 5\]/);
  await mend(document, error!, "Change in_features of Linear from 6 to 5");
  assert.match(document.getText(), /this\.fc2 = new nn\.Linear\(5, outputSize\)/);
  await until("no error once it is mended", () => own(document).length === 0, 30_000);
  await vscode.commands.executeCommand("workbench.action.revertAndCloseActiveEditor");
});

test("typing: a layer inside one of the library's is not mended by an argument of the outer one", async () => {
  const text = simpleNN(100)
    .replace("new nn.Linear(hiddenSize, outputSize)", "new nn.AdaptiveLogSoftmaxWithLoss(6, 10, [4])")
    .replace("this.fc2(x)", "this.fc2.logProb(x)");
  const document = await openModel("composite.nn.ts", text);
  await until("the error", () => own(document).length > 0, 30_000);
  assert.match(own(document)[0]!.message, /Linear\(in_features=6/);
  const titles = (await quickFixes(document, own(document)[0]!)).map(({ title }) => title);
  assert.deepEqual(
    titles.filter((title) => title.startsWith("Change")),
    [],
  );
  await vscode.commands.executeCommand("workbench.action.revertAndCloseActiveEditor");
});

test("typing: a tensor of the wrong dtype is converted by a quick fix", async () => {
  const text = simpleNN(100).replace("torch.randn(100, 10)", "torch.randint(0, 3, [100, 10])");
  const document = await openModel("converted.nn.ts", text);
  await until("the error", () => own(document).length > 0, 30_000);
  const [error] = own(document);
  assert.equal(document.getText(error!.range), "fc1(x)");
  await mend(document, error!, "Convert the argument to float32");
  assert.match(document.getText(), /this\.fc1\(x\.to\("float32"\)\)/);
  await until("no error once it is mended", () => own(document).length === 0, 30_000);
  await vscode.commands.executeCommand("workbench.action.revertAndCloseActiveEditor");
});

test("typing: calls of a tensor's data() are replaced by a quick fix, one or all", async () => {
  const calls =
    "\nconst w = torch.randn(3);\nexport const before = [w.data(), w.grad!.data(), w.data.add(1)];\n";
  const document = await openModel("deprecated.nn.ts", simpleNN(100) + calls);
  const deprecated = (): vscode.Diagnostic[] =>
    vscode.languages
      .getDiagnostics(document.uri)
      .filter(({ tags }) => tags?.includes(vscode.DiagnosticTag.Deprecated));
  await until("TypeScript's hints", () => deprecated().length === 2, 60_000);
  await mend(document, deprecated()[0]!, "Replace .data() by .toTypedArray() in the whole file (2 calls)");
  const expected = "[w.toTypedArray(), w.grad!.toTypedArray(), w.data.add(1)]";
  assert.ok(document.getText().includes(expected), document.getText());
  await vscode.commands.executeCommand("workbench.action.revertAndCloseActiveEditor");
});

test("typing: warnings link to documentation, and each has a setting", async () => {
  const text = simpleNN(100)
    .replace("return this.fc2(x);", "return nn.functional.softmax(this.fc2(x), 1);")
    .replace("    this.relu =", "    this.spare = new nn.Linear(3, 3);\n    this.relu =")
    .replace("  relu: nn.ReLU;", "  relu: nn.ReLU;\n  spare: nn.Linear;");
  const document = await openModel("warned.nn.ts", text);
  const codes = (): string[] =>
    own(document)
      .map(({ code }) => (typeof code === "object" ? `${code.value} ${code.target.authority}` : String(code)))
      .sort();
  const both = ["softmaxBeforeLoss docs.pytorch.org", "unusedLayer docs.pytorch.org"];
  await until("both warnings", () => codes().length === 2, 30_000);
  assert.deepEqual(codes(), both);
  const settings = vscode.workspace.getConfiguration("layerwise");
  const global = vscode.ConfigurationTarget.Global;
  await settings.update("warnings.unusedLayer", false, global);
  await until("one of them", () => codes().length === 1);
  assert.deepEqual(codes(), both.slice(0, 1));
  await settings.update("warnings.enabled", false, global);
  await until("none of them", () => codes().length === 0);
  await settings.update("warnings.enabled", undefined, global);
  await settings.update("warnings.unusedLayer", undefined, global);
  await until("both again", () => codes().length === 2);
});
