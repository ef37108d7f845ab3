// A window on two folders, each with models, runs and settings of its own.
import { lensProvider, tree } from "./answers.ts";
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import * as vscode from "vscode";
import { VIEWS } from "../../../extension/editor/ids.ts";
import { test, until } from "../../harness.ts";
import { simpleNN, writeModel } from "../../models.ts";
import { newestRun, runRecords } from "../../runDirectories.ts";
import { storeRun } from "./storedRuns.ts";
import { shown } from "./views.ts";
import { extension } from "./workspace.ts";

export { run } from "./run.ts";

const [FIRST, SECOND] = (vscode.workspace.workspaceFolders ?? []) as [
  vscode.WorkspaceFolder,
  vscode.WorkspaceFolder,
];
const open = async (
  folder: vscode.WorkspaceFolder,
  name: string,
  text: string,
): Promise<vscode.TextDocument> =>
  vscode.workspace.openTextDocument(writeModel(folder.uri.fsPath, name, text));
const settings = (folder: vscode.WorkspaceFolder): vscode.WorkspaceConfiguration =>
  vscode.workspace.getConfiguration("layerwise", folder.uri);

test("folders: lenses, models, runs, checkpoints and settings are each folder's own", async () => {
  const documents = [
    await open(FIRST, "same.nn.ts", simpleNN(3)),
    await open(SECOND, "same.nn.ts", simpleNN(4)),
  ];
  await vscode.window.showTextDocument(documents[0]!);
  await extension().activate();
  const folder = vscode.ConfigurationTarget.WorkspaceFolder;
  await settings(SECOND).update("lenses.enabled", false, folder);
  await settings(SECOND).update("device", "cpu", folder);
  const lenses = async (document: vscode.TextDocument): Promise<number> => {
    const { token } = new vscode.CancellationTokenSource();
    return ((await lensProvider().provideCodeLenses(document, token)) ?? []).length;
  };
  assert.deepEqual([await lenses(documents[0]!), await lenses(documents[1]!)], [9, 0]);

  for (const { uri } of documents)
    await vscode.commands.executeCommand("layerwise.train", { file: uri.fsPath, exportName: "default" });
  const runs = await until(
    "a run in each folder",
    () => {
      const newest = [FIRST, SECOND].map(({ uri }) => newestRun(uri.fsPath));
      return newest.every((one) => one?.state === "finished") && newest;
    },
    60_000,
  );
  assert.deepEqual(
    runs.map((run) => [run?.file, run?.epochs]),
    [
      [documents[0]!.uri.fsPath, 3],
      [documents[1]!.uri.fsPath, 4],
    ],
  );
  assert.match(runs[1]?.executor?.backend ?? "", /cpu/);
  assert.doesNotMatch(runs[0]?.executor?.backend ?? "", /cpu/);
  assert.deepEqual(
    [FIRST, SECOND].map(({ uri }) => runRecords(uri.fsPath).length),
    [1, 1],
  );
  await storeRun({ id: "20260101-000000-old", file: documents[1]!.uri.fsPath, kinds: ["best"] });
  for (const [view, first, second] of [
    [VIEWS.models, 1, 1],
    [VIEWS.runs, 1, 2],
    [VIEWS.checkpoints, 1, 2],
  ] as const)
    assert.deepEqual(
      (await shown(view)).map(({ label, context, children }) => [label, context, children.length]),
      [
        [FIRST.name, "folder", first],
        [SECOND.name, "folder", second],
      ],
      view,
    );
  const [other] = (await shown(VIEWS.models))[1]!.children;
  const { command } = await tree(VIEWS.models).provider.getTreeItem(other!.node);
  await vscode.commands.executeCommand(command!.command, ...(command!.arguments ?? []));
  const { fsPath } = documents[1]!.uri;
  await until("its file", () => vscode.window.activeTextEditor?.document.uri.fsPath === fsPath);
}, 90_000);

test("folders: a task runs the file of its folder, and what it finds wrong is a problem at its line", async () => {
  const text = simpleNN(2).replace("new nn.Linear(hiddenSize, outputSize)", "new nn.Linear(6, outputSize)");
  const document = await open(SECOND, "broken.nn.ts", text);
  const tasks = await until("the tasks", async () => {
    const all = await vscode.tasks.fetchTasks({ type: "layerwise" });
    return all.some(({ name }) => name === "train broken") && all;
  });
  const names = (folder: vscode.WorkspaceFolder): string[] =>
    tasks
      .filter(({ scope }) => typeof scope === "object" && scope.name === folder.name)
      .map(({ name }) => name)
      .sort();
  assert.deepEqual(names(FIRST), ["evaluate same", "train same"]);
  assert.deepEqual(names(SECOND), ["evaluate broken", "evaluate same", "train broken", "train same"]);

  const ended = new Map<string, number | undefined>();
  const listener = vscode.tasks.onDidEndTaskProcess(({ execution, exitCode }) =>
    ended.set(execution.task.name, exitCode),
  );
  try {
    await vscode.tasks.executeTask(tasks.find(({ name }) => name === "train broken")!);
    await until("the end of the task", () => ended.has("train broken"), 60_000);
    assert.notEqual(ended.get("train broken"), 0);
    const problem = await until("the problem", () =>
      vscode.languages
        .getDiagnostics(document.uri)
        .find(({ message }) => message.includes("6x2") && !message.includes("In module")),
    );
    const line = document
      .getText()
      .split("\n")
      .findIndex((one) => one.includes("return this.fc2(x)"));
    assert.deepEqual([problem.range.start.line, problem.severity], [line, vscode.DiagnosticSeverity.Error]);

    const own = tasks.find(
      ({ name, scope }) => name === "train same" && (scope as vscode.WorkspaceFolder).name === FIRST.name,
    );
    const before = runRecords(FIRST.uri.fsPath).length;
    await vscode.tasks.executeTask(own!);
    await until("the end of the training", () => ended.has("train same"), 60_000);
    assert.equal(ended.get("train same"), 0);
    assert.equal(runRecords(FIRST.uri.fsPath).length, before + 1);
  } finally {
    listener.dispose();
  }
}, 120_000);

test("folders: one that is opened beside them is shown too", async () => {
  const third = path.join(path.dirname(FIRST.uri.fsPath), "third");
  fs.mkdirSync(third, { recursive: true });
  writeModel(third, "third.nn.ts", simpleNN(2));
  const uri = vscode.Uri.file(third);
  assert.ok(vscode.workspace.updateWorkspaceFolders(2, 0, { uri }));
  await until("its models", async () =>
    (await shown(VIEWS.models)).map(({ label }) => label).includes("third"),
  );
});
