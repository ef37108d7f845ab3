/** The side bar's views, their commands, and the editors of their items. */
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import * as vscode from "vscode";
import { EDITORS, VIEWS } from "../../../extension/editor/ids.ts";
import {
  CHECKPOINTS_FOLDER,
  type CheckpointRecord,
  type RunRecord,
} from "../../../extension/protocol/run.ts";
import { readLabels } from "../../../extension/supervisor/runs/runLabels.ts";
import { test, until } from "../../harness.ts";
import { ENDLESS_EPOCHS, simpleNN } from "../../models.ts";
import { newestRun } from "../../runDirectories.ts";
import { answering, tree } from "./answers.ts";
import { storeRun } from "./storedRuns.ts";
import { shown, type Shown } from "./views.ts";
import { fileUri, openModel, workspaceFolder } from "./workspace.ts";

const tabs = (): vscode.Tab[] => vscode.window.tabGroups.all.flatMap(({ tabs: all }) => [...all]);
const run = (command: string, ...args: unknown[]): Thenable<unknown> =>
  vscode.commands.executeCommand(`layerwise.${command}`, ...args);

const store = (id: string, kinds: CheckpointRecord["kind"][], more: Partial<RunRecord>): Promise<string> =>
  storeRun({ id, file: fileUri("listed.nn.ts").fsPath, kinds, model: "Listed", ...more });

test("Models shows files, classes and experiments of the text as it is typed", async () => {
  const document = await openModel("listed.nn.ts", simpleNN(10));
  const file = async (): Promise<Shown | undefined> =>
    (await shown(VIEWS.models)).find(({ label }) => label === "listed.nn.ts");
  const found = await until("the file", file);
  assert.equal(found.context, "file.experiments");
  assert.deepEqual(
    found.children.map(({ label, context }) => [label, context]),
    [
      ["SimpleNN", "model.trainable"],
      ["experiment", "model.trainable"],
    ],
  );
  assert.deepEqual(found.children[1]?.description, "SimpleNN");
  const edit = new vscode.WorkspaceEdit();
  edit.insert(
    document.uri,
    new vscode.Position(1, 0),
    "\nexport class Other extends nn.Module { forward() {} }\n",
  );
  await vscode.workspace.applyEdit(edit);
  const typed = await until("the class that is typed", async () => {
    const now = await file();
    return now?.children.length === 3 && now;
  });
  const other = typed.children.find(({ label }) => label === "Other");
  assert.equal(other?.context, "model");
  const item = await tree(VIEWS.models).provider.getTreeItem(other.node);
  await vscode.commands.executeCommand(item.command!.command, ...(item.command!.arguments ?? []));
  await until("its line", () => vscode.window.activeTextEditor?.selection.active.line === 2);
  await vscode.commands.executeCommand("workbench.action.files.revert");
});

test("Runs shows those that go on first with how they stand, and says what can be done with each", async () => {
  const old = await store("20260101-000000-old", [], { state: "finished", metrics: { loss: 0.25 } });
  const killed = await store("20260101-000001-killed", [], { state: "killed" });
  const of = async (directory: string): Promise<Shown | undefined> =>
    (await shown(VIEWS.runs)).find(({ id }) => id === directory);
  try {
    await openModel("endless.nn.ts", simpleNN(ENDLESS_EPOCHS));
    await run("train", { file: path.join(workspaceFolder(), "endless.nn.ts"), exportName: "default" });
    const [first] = await until(
      "the run with its progress",
      async () => {
        const all = await shown(VIEWS.runs);
        return /^\d+\/10000000 · 0 % · .*loss [\d.]+ · .+ left$/.test(all[0]?.description ?? "") && all;
      },
      30_000,
    );
    assert.equal(first?.context, "run.live");
    // Another one waits for its end, says so, and can be cancelled.
    await openModel("queued.nn.ts", simpleNN(10));
    await run("train", { file: path.join(workspaceFolder(), "queued.nn.ts"), exportName: "default" });
    const waits = `queued behind ${path.basename(first.id)}`;
    const queued = await until("the run that waits", async () =>
      (await shown(VIEWS.runs)).find(({ description }) => description === waits),
    );
    assert.equal(queued.context, "run.live");
    await run("stop", queued.node);
    await until("its end", async () => (await of(queued.id)) === undefined);
    assert.equal(newestRun(workspaceFolder())?.id, path.basename(first.id));
    assert.equal((await of(old))?.context, "run.ended");
    assert.match((await of(old))?.description ?? "", /^loss 0\.25/);
    assert.equal((await of(killed))?.context, "run.interrupted");
    await assert.doesNotReject(async () => run("deleteRun", first?.node));
    assert.ok(await of(first.id), "a running run is not deleted");
    await run("stop", first?.node);
    await until("its end", () => newestRun(workspaceFolder())?.state === "stopped", 20_000);
    assert.equal(
      (await until("it among those that are over", async () => of(first.id)))?.context,
      "run.interrupted",
    );

    // Resumed in place, from the view.
    const epoch = newestRun(workspaceFolder())!.epoch;
    await run("resumeRun", first?.node);
    await until(
      "the same run to go on",
      () => newestRun(workspaceFolder())?.state === "running" && newestRun(workspaceFolder())!.epoch > epoch,
      30_000,
    );
    assert.equal(newestRun(workspaceFolder())?.id, path.basename(first.id));
    await run("stop", first?.node);
    await until("its end", () => newestRun(workspaceFolder())?.state === "stopped", 20_000);

    await answering(
      "showInputBox",
      () => Promise.resolve("tall net"),
      async () => run("renameRun", (await of(old))?.node),
    );
    await answering(
      "showInputBox",
      () => Promise.resolve("a, b , a"),
      async () => run("tagRun", (await of(old))?.node),
    );
    assert.equal((await of(old))?.label, "tall net");
    assert.match((await of(old))?.description ?? "", /#a #b$/);
    const both = [(await of(old))!.node, (await of(killed))!.node];
    await run("archiveRun", both[0], both);
    assert.deepEqual([await of(old), await of(killed)], [undefined, undefined]);
    assert.equal((await readLabels(killed)).archived, true);
    await run("showArchivedRuns");
    assert.equal((await of(old))?.context, "run.archived");
    await run("unarchiveRun", (await of(old))?.node);
    await run("hideArchivedRuns");
    assert.ok(await of(old));
    assert.equal(await of(killed), undefined);
  } finally {
    await run("hideArchivedRuns");
    for (const directory of [old, killed]) fs.rmSync(directory, { recursive: true, force: true });
  }
}, 90_000);

test("Checkpoints are beneath their runs, the best first; they open, compare, drag, are deleted and brought back", async () => {
  const one = await store("20260102-000000-one", ["last", "best"], {});
  const two = await store("20260102-000001-two", ["final"], {});
  const inView = async (directory: string): Promise<Shown[]> =>
    (await shown(VIEWS.checkpoints)).find(({ id }) => id === directory)?.children ?? [];
  try {
    const [best, last] = await inView(one);
    assert.deepEqual([best?.label, last?.label], ["best, epoch 2", "last, epoch 1"]);
    assert.deepEqual([best?.context, last?.context], ["checkpoint.best", "checkpoint"]);
    assert.match(best!.description, /^val_loss 0\.5 · .+ · \d+ B$/);
    const [final] = await inView(two);

    const dragged = new vscode.DataTransfer();
    const token = new vscode.CancellationTokenSource().token;
    await tree(VIEWS.checkpoints).dragAndDrop?.handleDrag?.([best!.node, final!.node], dragged, token);
    const uris = (await dragged.get("text/uri-list")?.asString())?.split("\r\n");
    const file = (directory: string, kind: string): string =>
      path.join(directory, CHECKPOINTS_FOLDER, `${kind}.safetensors`);
    assert.deepEqual(
      uris,
      [file(one, "best"), file(two, "final")].map((name) => vscode.Uri.file(name).toString()),
    );

    // As a drop on the editors does.
    await vscode.commands.executeCommand("vscode.open", vscode.Uri.parse(uris[0]!));
    const custom = (viewType: string): vscode.TabInputCustom | undefined =>
      tabs()
        .map(({ input }) => input)
        .find((input) => input instanceof vscode.TabInputCustom && input.viewType === viewType) as
        | vscode.TabInputCustom
        | undefined;
    assert.equal((await until("its tensors", () => custom(EDITORS.tensors))).uri.fsPath, file(one, "best"));
    await vscode.commands.executeCommand("workbench.action.closeAllEditors");
    await run("compareCheckpoints", final?.node, [final?.node, best?.node]);
    // The older one, compared with the later one.
    assert.equal(
      (await until("the comparison", () => custom(EDITORS.tensors))).uri.fsPath,
      file(two, "final"),
    );
    await vscode.commands.executeCommand("vscode.open", vscode.Uri.file(path.join(one, "run.json")));
    await until("the curves in place of a run's record", () => custom(EDITORS.run));
    await vscode.commands.executeCommand("workbench.action.closeAllEditors");

    await answering(
      "showInformationMessage",
      (_text: string, undo: string) => Promise.resolve(undo),
      async () => {
        await run("deleteCheckpoint", last?.node, [last?.node, best?.node]);
        await until("both to be back", async () => (await inView(one)).length === 2);
      },
    );
    assert.ok(fs.existsSync(file(one, "best")) && fs.existsSync(file(one, "last")));
    await answering(
      "showInformationMessage",
      () => Promise.resolve(undefined),
      async () => {
        await run("deleteCheckpoint", last?.node);
        await until("one of them", async () => (await inView(one)).length === 1);
      },
    );
    assert.ok(!fs.existsSync(file(one, "last")));
  } finally {
    for (const directory of [one, two]) fs.rmSync(directory, { recursive: true, force: true });
  }
}, 60_000);
