/**
 * Waits of a user on the examples, measured in the extension host. Not by requesting inlay hints: VS Code would request
 * TypeScript's with them. Lenses, hints and diagnostics come from the same report.
 */
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import * as vscode from "vscode";
import { deferred } from "../../../extension/processes/deferred.ts";

import { BOUNDS, measured, quantile } from "../../bounds.ts";
import { test, until } from "../../harness.ts";
import { writeModel } from "../../models.ts";
import { patience } from "../../patience.ts";
import { lensProvider } from "./answers.ts";
import { extension, openModel, workspaceFolder } from "./workspace.ts";

/** One of each of the tutorial's networks, as far as they need no files from elsewhere. */
const EXAMPLES = ["simplenn", "digits", "autoencoder", "gan", "names", "transformer", "temperature"];
/** Of each example; a layer is typed and taken away again with each. */
const KEYS = 4;
const LAYER = "  spare = new nn.Linear(3, 3);\n";
const LIMIT = patience(10_000);

function example(name: string): string {
  return fs.readFileSync(path.join(extension().extensionPath, "media/examples", `${name}.nn.ts`), "utf8");
}

/** A file that was opened, and the milliseconds until its models' parameters were known, counted from two moments. */
interface Opened {
  document: vscode.TextDocument;
  /** From the request to show the file, with what VS Code needs for its editor. */
  took: number;
  /** From VS Code's event for its editor. */
  ours: number;
}

async function open(name: string, text: string): Promise<Opened> {
  const file = writeModel(workspaceFolder(), name, text);
  const lenses = lensProvider();
  const seen = deferred<number>();
  const watching = vscode.window.onDidChangeVisibleTextEditors((editors) => {
    if (editors.some(({ document }) => document.uri.fsPath === file)) seen.resolve(performance.now());
  });
  const known = deferred<number>();
  const told = lenses.onDidChangeCodeLenses!(async () => {
    const document = vscode.workspace.textDocuments.find(({ uri }) => uri.fsPath === file);
    if (document === undefined) return;
    const shown = await lenses.provideCodeLenses(document, new vscode.CancellationTokenSource().token);
    const titles = (shown ?? []).map(({ command }) => command?.title ?? "");
    if (titles.some((title) => /^[\d,]+ parameters/.test(title))) known.resolve(performance.now());
  });
  const began = performance.now();
  try {
    const document = await vscode.workspace.openTextDocument(file);
    await vscode.window.showTextDocument(document);
    const end = await Promise.race([known.promise, sleep(LIMIT, undefined)]);
    assert.ok(end !== undefined, `no parameters of ${name}`);
    return { document, took: end - began, ours: end - (await seen.promise) };
  } finally {
    watching.dispose();
    told.dispose();
  }
}

async function close(): Promise<void> {
  await vscode.commands.executeCommand("workbench.action.files.revert");
  await vscode.commands.executeCommand("workbench.action.closeActiveEditor");
}

const said = ({ uri }: vscode.TextDocument): number =>
  vscode.languages.getDiagnostics(uri).filter(({ source }) => source === "Layerwise").length;

/** Milliseconds from an edit until the document's diagnostics change. */
async function answer(
  document: vscode.TextDocument,
  change: (edit: vscode.WorkspaceEdit) => void,
): Promise<number> {
  const before = said(document);
  const edit = new vscode.WorkspaceEdit();
  change(edit);
  const changed = new Promise<number>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`nothing new of ${document.fileName}`)), LIMIT);
    const listener = vscode.languages.onDidChangeDiagnostics(() => {
      if (said(document) === before) return;
      clearTimeout(timer);
      listener.dispose();
      resolve(performance.now());
    });
  });
  assert.ok(await vscode.workspace.applyEdit(edit));
  const began = performance.now();
  return (await changed) - began;
}

const list = (times: readonly number[]): string => times.map((time) => time.toFixed(0)).join(", ");

/** Measurements of a kind, at the most. */
const ROUNDS = 4;

test("latency: the parameters of a file are there in a moment, with and without a process to start", async (note) => {
  const dying = await openModel("dies.nn.ts", "");
  const cold = await measured(
    ROUNDS,
    async () => {
      const edit = new vscode.WorkspaceEdit();
      edit.insert(dying.uri, new vscode.Position(0, 0), 'process.kill(process.pid, "SIGKILL");\n');
      await vscode.window.showTextDocument(dying);
      await vscode.workspace.applyEdit(edit);
      await until("the end of the process", () => said(dying) === 1);
      await close();
      const { took } = await open("cold.nn.ts", example("digits"));
      await close();
      return took;
    },
    (all, load) => Math.min(...all) < load * BOUNDS.coldPreview,
  );
  const warm = await measured(
    ROUNDS,
    async () => {
      const times: Opened[] = [];
      for (const name of EXAMPLES) {
        times.push(await open(`warm-${name}.nn.ts`, example(name)));
        await close();
      }
      note(`warm ${list(times.map(({ ours }) => ours))} ms`);
      note(`with the time of VS Code's editor ${list(times.map(({ took }) => took))} ms`);
      return quantile(times.map(({ ours }) => ours));
    },
    (all, load) => Math.min(...all) < load * BOUNDS.warmPreview,
  );
  note(`cold ${list(cold.all)} ms${cold.remark}, warm${warm.remark}`);
  assert.ok(warm.good, "warm");
  assert.ok(cold.good, "cold");
}, 120_000);

test("latency: from a key to hints and diagnostics, on the examples", async (note) => {
  const rounds = await measured(
    ROUNDS,
    () => typed(note),
    (all, load) => Math.min(...all) < load * BOUNDS.typing,
  );
  assert.ok(rounds.good, `p95 ${list(rounds.all)} ms${rounds.remark}`);
}, 150_000);

/** Types into each of the examples; returns the 95th percentile of the keys' milliseconds. */
async function typed(note: (text: string) => void): Promise<number> {
  const all: number[] = [];
  for (const name of EXAMPLES) {
    const { document } = await open(`typed-${name}.nn.ts`, example(name));
    const lines = document.getText().split("\n");
    const line = 1 + lines.findIndex((text) => /class \w+ extends nn\.Module \{/.test(text));
    const times: number[] = [];
    try {
      for (let key = 0; key < KEYS; key++) {
        // Nothing uses the layer: the whole model is built, and a diagnostic must say so.
        const start = new vscode.Position(line, 0);
        times.push(await answer(document, (edit) => edit.insert(document.uri, start, LAYER)));
        const typed = new vscode.Range(line, 0, line + 1, 0);
        times.push(await answer(document, (edit) => edit.delete(document.uri, typed)));
      }
    } finally {
      // Left open, the document would affect the next try.
      await close();
    }
    note(`${name} ${quantile(times).toFixed(0)}`);
    all.push(...times);
  }
  const p95 = quantile(all, 0.95);
  note(`median ${quantile(all).toFixed(0)} ms, p95 ${p95.toFixed(0)} ms of ${all.length}`);
  return p95;
}

const BERT = `import { torch, nn, optim, data, experiment, type Tensor } from "layerwise";
class Classifier extends nn.Module {
  bert = new nn.BertModel();
  head = new nn.Linear(768, 2);
  forward(ids: Tensor): Tensor {
    return this.head(this.bert(ids).poolerOutput!);
  }
}
export default experiment({
  model: () => new Classifier(),
  data: () => new data.TensorDataset(torch.randint(0, 30522, [64, 128]), torch.randint(0, 2, [64])),
  loss: new nn.CrossEntropyLoss(), optimizer: (p) => new optim.Adam(p, { lr: 0.001 }), epochs: 1,
});
`;

test("latency: BERT-base is built in half a second", async (note) => {
  const whole: number[] = [];
  const times = await measured(
    5,
    async () => {
      const { ours, took } = await open("bert.nn.ts", BERT);
      await close();
      whole.push(took);
      return ours;
    },
    (all, load) => all.length >= 3 && quantile(all) < load * BOUNDS.largePreview,
  );
  note(`${list(times.all)} ms${times.remark}`);
  note(`with the time of VS Code's editor ${list(whole)} ms`);
  assert.ok(times.good);
}, 90_000);
