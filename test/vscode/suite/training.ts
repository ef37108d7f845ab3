import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import * as vscode from "vscode";
import { RUNS_FOLDER } from "../../../extension/protocol/run.ts";
import { readSafetensors } from "../../../extension/formats/safetensors/safetensors.ts";
import { deferred } from "../../../extension/processes/deferred.ts";
import { test, until } from "../../harness.ts";
import { checkpointFiles, newestRun, runRecords } from "../../runDirectories.ts";
import { answering } from "./answers.ts";
import { train, workspaceFolder } from "./workspace.ts";

const folder = workspaceFolder;

test("Train runs to the end and leaves its weights", async () => {
  const before = newestRun(folder())?.id;
  await train("short.nn.ts", 200);
  const own = () => {
    const newest = newestRun(folder());
    return newest?.id === before ? undefined : newest;
  };
  await until("a finished run", () => own()?.state === "finished", 30_000);
  const run = own();
  assert.ok(run);
  assert.equal(run.model, "SimpleNN");
  assert.equal(run.epoch, 200);
  assert.ok((run.metrics["loss"] ?? Infinity) < 1, `loss ${run.metrics["loss"]}`);
  assert.ok(checkpointFiles(folder(), run).length > 0, "no checkpoint");
}, 40_000);

test("the end of a long training is told, with a way to its curves", async () => {
  const settings = vscode.workspace.getConfiguration("layerwise");
  await settings.update("runs.notifyAfter", 0.001, vscode.ConfigurationTarget.Workspace);
  try {
    const told = deferred<string[]>();
    await answering(
      "showInformationMessage",
      async (...texts: string[]) => told.resolve(texts),
      async () => {
        await train("told.nn.ts", 5);
        await told.promise;
      },
    );
    const [text, ...actions] = await told.promise;
    assert.match(text ?? "", /^The training of SimpleNN has finished after \d+ s: loss [\d.]+/);
    assert.deepEqual(actions, ["Show Curves", "Evaluate"]);
  } finally {
    await settings.update("runs.notifyAfter", undefined, vscode.ConfigurationTarget.Workspace);
  }
}, 40_000);

test("a checkpoint is exported where the user says, or not at all when it is cancelled", async () => {
  await train("exported.nn.ts", 2);
  const run = await until(
    "a finished run",
    () => runRecords(folder()).find(({ id, state }) => id.endsWith("exported") && state === "finished"),
    30_000,
  );
  const [checkpoint] = run.checkpoints;
  assert.ok(checkpoint, "no checkpoint");
  const directory = path.join(folder(), RUNS_FOLDER, run.id);
  let offered: vscode.SaveDialogOptions | undefined;
  const exportTo = (name: string): Promise<void> =>
    answering(
      "showSaveDialog",
      async (options: vscode.SaveDialogOptions) => {
        offered = options;
        return vscode.Uri.file(path.join(folder(), name));
      },
      () =>
        answering(
          "showQuickPick",
          async (formats: readonly vscode.QuickPickItem[]) => formats.find(({ label }) => label === "ONNX"),
          async () => vscode.commands.executeCommand("layerwise.exportCheckpoint", { directory, checkpoint }),
        ),
    );
  const told = deferred<string[]>();
  await answering(
    "showInformationMessage",
    async (...texts: string[]) => told.resolve(texts),
    () => exportTo("out.onnx"),
  );
  assert.equal(offered?.defaultUri?.fsPath, path.join(folder(), "exported.onnx"));
  assert.deepEqual(await told.promise, ["Exported out.onnx.", "Reveal"]);
  const written = fs.readFileSync(path.join(folder(), "out.onnx"));
  // The field `ir_version` of a ModelProto, and the weights as they are in the checkpoint.
  assert.equal(written[0], 0x08);
  const saved = readSafetensors(path.join(directory, checkpoint.file));
  for (const name of ["fc1.bias", "fc2.bias"])
    assert.ok(written.includes(Buffer.from(saved.read(name).data)), `${name} isn't in the file`);

  const messages: string[] = [];
  await answering(
    "withProgress",
    (_: object, task: (progress: object, token: vscode.CancellationToken) => Promise<unknown>) => {
      const source = new vscode.CancellationTokenSource();
      const report = ({ message }: { message: string }): void => {
        messages.push(message);
        source.cancel();
      };
      return task({ report }, source.token);
    },
    () => exportTo("cancelled.onnx"),
  );
  assert.ok(messages.length > 0, "no progress was shown");
  assert.deepEqual(
    fs.readdirSync(folder()).filter((name) => name.includes("cancelled.onnx")),
    [],
  );
  fs.rmSync(path.join(folder(), "out.onnx"));
}, 60_000);
