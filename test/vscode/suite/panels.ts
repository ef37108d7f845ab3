/** The host's sides of the panels, driven as their pages drive them. */
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import * as vscode from "vscode";
import type { MetricRow } from "../../../extension/protocol/run.ts";
import type {
  ArchitectureHostMethods,
  ArchitectureSnapshot,
  TrainingHostMethods,
  TrainingSnapshot,
  TrainingViewMethods,
} from "../../../extension/protocol/views.ts";
import { PANELS } from "../../../extension/editor/ids.ts";
import { Messages } from "../../../extension/editor/messages.ts";
import { ArchitecturePanel } from "../../../extension/editor/panels/architecturePanel.ts";
import { TrainingPanel } from "../../../extension/editor/panels/trainingPanel.ts";
import { Previews } from "../../../extension/editor/previews.ts";
import { RayTokens } from "../../../extension/editor/remote/tokens.ts";
import { Runs } from "../../../extension/editor/runs/runs.ts";
import { engineOptions } from "../../../extension/editor/settings.ts";
import { PreviewEngine } from "../../../extension/supervisor/engines/preview.ts";
import { readLabels } from "../../../extension/supervisor/runs/runLabels.ts";
import type { RunSession } from "../../../extension/supervisor/runs/session.ts";
import { test, until } from "../../harness.ts";
import { ENDLESS_EPOCHS, simpleNN, writeModel } from "../../models.ts";
import { patience } from "../../patience.ts";
import { assertNoGap, rowsOf } from "../../runDirectories.ts";
import { answering } from "./answers.ts";
import { fakePanel } from "./fakePanel.ts";
import { storeRun } from "./storedRuns.ts";
import { extension, fileUri, openModel, workspaceFolder } from "./workspace.ts";

const folder = workspaceFolder;
let channel: Messages | undefined;
/** VS Code has one channel of a name: closing it would close the extension's own. */
const logged = (): Messages => (channel ??= new Messages());

/** No run goes to a cluster. */
const noTokens = new RayTokens({} as vscode.SecretStorage);

/** A training panel with its page: what it was last told, and the host to ask. */
class Page {
  snapshot: TrainingSnapshot | undefined;
  readonly rows: MetricRow[] = [];
  /** Messages so far. */
  told = 0;
  readonly host;
  readonly hide;
  readonly panel: TrainingPanel;

  constructor(session: RunSession, messages: Messages) {
    const hear = (change: Partial<TrainingSnapshot>): void => {
      this.told++;
      this.snapshot = { ...this.snapshot!, ...change };
    };
    const view: TrainingViewMethods = {
      snapshot: hear,
      rows: (rows) => {
        this.told++;
        this.rows.push(...rows);
      },
      record: (run, live) => hear({ run, live }),
      progress: (progress) => hear({ progress }),
    };
    const { panel, host, hide } = fakePanel<TrainingHostMethods>(PANELS.training, view);
    this.host = host;
    this.hide = hide;
    this.panel = new TrainingPanel(panel, session, {
      extensionUri: extension().extensionUri,
      log: messages.log,
      previews: {} as never,
      follow: () => ({ dispose: () => undefined }),
    });
  }

  async ready(): Promise<void> {
    this.snapshot = await this.host.ready();
  }

  get run(): TrainingSnapshot["run"] {
    return this.snapshot!.run;
  }

  state(wanted: string): Promise<unknown> {
    return until(`the page to hear that the run is ${wanted}`, () => this.run.state === wanted, 30_000);
  }
}

/** What VS Code would remember. */
function newMemory(): vscode.Memento {
  const kept = new Map<string, unknown>();
  return {
    keys: () => [...kept.keys()],
    get: (key: string): unknown => kept.get(key),
    update: (key: string, value: unknown) => Promise.resolve(void kept.set(key, value)),
  } as vscode.Memento;
}

const lastEpoch = (directory: string): number =>
  rowsOf(directory).findLast(({ kind }) => kind === "epoch")?.epoch ?? 0;

test("the training panel pauses, steps, changes, saves, stops and resumes a real run", async () => {
  const messages = logged();
  const runs = new Runs(engineOptions(extension().extensionUri), messages, noTokens, newMemory());
  try {
    const file = writeModel(folder(), "steered.nn.ts", simpleNN(ENDLESS_EPOCHS));
    const session = await runs.start({ kind: "train", file, exportName: "default" });
    const { directory } = session;
    const page = new Page(session, messages);
    const { host } = page;
    await page.ready();
    await page.state("running");
    await until("rows on the page", () => page.rows.some(({ kind }) => kind === "epoch"), 30_000);

    // Nothing is sent to a page that isn't there; the one that comes has everything.
    page.hide();
    const { told } = page;
    const hidden = lastEpoch(directory);
    await until("more epochs", () => lastEpoch(directory) > hidden + 100);
    assert.equal(page.told, told);
    await page.ready();
    const shown = page.snapshot!.rows.filter(({ kind }) => kind === "epoch");
    assert.equal(shown[0]?.epoch, 1);
    assert.ok(shown.at(-1)!.epoch > hidden + 50);

    await host.pause();
    await page.state("paused");
    // An epoch is a step here. What was done before the pause is on disk a moment later.
    const before = page.run.epoch;
    await until("all of it", () => lastEpoch(directory) === before);
    await host.step();
    await until("one step more", () => lastEpoch(directory) === before + 1);
    assert.equal(page.run.state, "paused");

    await host.setLearningRate(0.005);
    const event = await until("the change on the curve", () =>
      page.rows.find(({ kind }) => kind === "event"),
    );
    assert.equal(event.values["lr"], 0.005);
    await host.addEpochs(5);
    await until("more epochs", () => page.run.epochs === ENDLESS_EPOCHS + 5);
    await assert.rejects(host.addEpochs(0));
    await assert.rejects(host.setLearningRate(-1));
    await host.checkpoint();
    const saved = await until("a checkpoint", () =>
      page.run.checkpoints.find(({ kind }) => kind === "manual"),
    );
    assert.equal(saved.epoch, before + 1);
    assert.ok(fs.statSync(path.join(directory, saved.file)).size === saved.bytes);

    await host.resume();
    await page.state("running");
    await until("the training to go on", () => lastEpoch(directory) > before + 10, 30_000);
    await host.stop();
    await page.state("stopped");
    await until("the end of its process", () => page.snapshot?.live === false);
    await assert.rejects(host.pause(), { message: /is over/ });
    assertNoGap(directory);

    // Resumed in place: with the rate that was set by hand, and no step twice.
    const stopped = lastEpoch(directory);
    const again = await runs.resume(directory);
    assert.equal(again.directory, directory);
    page.panel.show(again);
    await page.state("running");
    await until("the training to go on", () => lastEpoch(directory) > stopped + 10, 30_000);
    const { rows } = again.snapshot();
    assert.equal(rows.find(({ kind }) => kind === "epoch")?.epoch, 1, "the curve begins where it began");
    assert.ok(rows.some(({ kind }) => kind === "event"));
    assert.equal(page.run.epochs, ENDLESS_EPOCHS + 5);
    await host.stop();
    await page.state("stopped");
    assert.ok(Math.abs((page.run.metrics["lr"] ?? 0) - 0.005) < 1e-9);
    assertNoGap(directory);
  } finally {
    await runs.close();
  }
}, 90_000);

const store = (id: string, loss: number): Promise<string> =>
  storeRun({
    id,
    file: fileUri("compared.nn.ts").fsPath,
    losses: [loss, loss / 2, loss / 3],
    model: "Compared",
    metrics: { loss },
  });

test("the table of runs renames, tags, archives, draws, opens, deletes and brings back", async () => {
  const messages = logged();
  const runs = new Runs(engineOptions(extension().extensionUri), messages, noTokens, newMemory());
  writeModel(folder(), "compared.nn.ts", simpleNN(10));
  const [first, second] = [await store("20260101-000000-a", 1), await store("20260101-000001-b", 2)];
  const [one, two] = [path.basename(first), path.basename(second)];
  const page = new Page(await runs.open(first), messages);
  const { host } = page;
  await page.ready();
  const listed = async (id: string) => (await host.runs()).find(({ run }) => run.id === id);
  try {
    assert.equal((await listed(two))?.live, false);
    assert.deepEqual((await listed(two))?.labels, { name: "", tags: [], archived: false });
    await host.label(two, { name: "wide", tags: ["dropout", "best"], archived: true });
    assert.deepEqual((await listed(two))?.labels, {
      name: "wide",
      tags: ["dropout", "best"],
      archived: true,
    });
    assert.deepEqual(await readLabels(second), { name: "wide", tags: ["dropout", "best"], archived: true });
    await assert.rejects(host.label("../elsewhere", { name: "x", tags: [], archived: false }));
    await assert.rejects(host.rowsOf(".."));

    const rows = await host.rowsOf(two);
    assert.deepEqual(
      rows.map(({ step, values }) => [step, values["loss"]]),
      [
        [1, 2],
        [2, 1],
        [3, 2 / 3],
      ],
    );
    page.panel.compare([two]);
    await until("word of what is to be drawn", () => page.snapshot?.compare?.includes(two));
    await page.ready();
    assert.equal(page.snapshot?.compare, undefined, "told once");

    await host.openRun(two);
    await until("its panel", () =>
      vscode.window.tabGroups.all
        .flatMap(({ tabs }) => tabs)
        .find(({ label }) => label === "Training: Compared"),
    );

    const target = path.join(folder(), "curves.csv");
    await answering(
      "showSaveDialog",
      () => Promise.resolve(vscode.Uri.file(target)),
      () => host.saveFile("curves.csv", Buffer.from("step,loss\n").toString("base64")),
    );
    assert.equal(fs.readFileSync(target, "utf8"), "step,loss\n");
    await assert.rejects(host.saveFile("../curves.csv", ""));

    const trash = path.join(folder(), ".layerwise", "trash");
    await answering(
      "showInformationMessage",
      (_text: string, undo: string) => Promise.resolve(undo),
      async () => {
        await host.deleteRun(two);
        await until("the run to be back", async () => (await listed(two)) !== undefined);
      },
    );
    assert.equal((await host.rowsOf(two)).length, 3);
    assert.equal((await listed(two))?.labels.name, "wide");
    await answering(
      "showInformationMessage",
      () => Promise.resolve(undefined),
      async () => {
        await host.deleteRun(two);
        await until(
          "the disk to be freed",
          () => !fs.existsSync(second) && fs.readdirSync(trash).length === 0,
        );
      },
    );
    assert.equal(await listed(two), undefined);
    assert.ok(await listed(one));
  } finally {
    await runs.close();
    fs.rmSync(first, { recursive: true, force: true });
    await vscode.commands.executeCommand("workbench.action.closeAllEditors");
  }
}, 40_000);

test("the architecture panel shows a layer's line without taking the focus, and saves pictures", async () => {
  const messages = logged();
  const engine = new PreviewEngine(engineOptions(extension().extensionUri), { onLog: () => undefined });
  // On a busy machine, a file takes longer than its limit, and pages lay out their first pictures by themselves.
  const [layOut, inspect] = [engine.layOut.bind(engine), engine.inspect.bind(engine)];
  engine.layOut = (request) => layOut(request, patience(10_000));
  engine.inspect = (request, _limit, key) => inspect(request, patience(10), key);
  const previews = new Previews(engine);
  try {
    const document = await openModel("drawn.nn.ts", simpleNN(10));
    const other = await openModel("other.nn.ts", simpleNN(10));
    const file = document.uri.fsPath;
    const memory = newMemory();
    const options = {
      extensionUri: extension().extensionUri,
      log: messages.log,
      previews,
      engine: engineOptions(extension().extensionUri),
      memory,
      runs: { onDidChange: new vscode.EventEmitter<RunSession>().event },
      showTensor: () => Promise.resolve(),
    };
    const sent: ArchitectureSnapshot[] = [];
    const { panel, host } = fakePanel<ArchitectureHostMethods>(PANELS.architecture, {
      snapshot: (snapshot: ArchitectureSnapshot) => void sent.push(snapshot),
      cursor: () => undefined,
    });
    const architecture = new ArchitecturePanel(panel, { file }, false, options);
    const widths = { title: { "": 9 }, kind: { "": 8 }, label: { "": 7 } };
    const look = { font: "serif", widths, opened: [], closed: [], unfolded: [] };
    assert.equal((await host.ready(look)).file, file);
    // The font is known by now: the next panel has its picture before it asks.
    const ahead: ArchitectureSnapshot[] = [];
    const next = fakePanel<ArchitectureHostMethods>(PANELS.architecture, {
      snapshot: (snapshot: ArchitectureSnapshot) => void ahead.push(snapshot),
    });
    const unasked = new ArchitecturePanel(next.panel, { file }, false, options);
    const [picture] = await until("a picture", () => (ahead.length > 0 ? ahead : undefined));
    assert.deepEqual(picture?.layout?.look, look);
    assert.ok(picture.layout.places.boxes.some(({ id }) => id === "fc1"));
    unasked.dispose();
    await host.revealSource(file, 16, 5);
    await until("the source, at its line", () =>
      vscode.window.visibleTextEditors.some(
        ({ document: { uri }, selection: { active } }) =>
          uri.fsPath === file && active.isEqual(new vscode.Position(15, 4)),
      ),
    );
    // A page opens only what it was sent.
    await assert.rejects(async () => host.openSource(other.uri.fsPath, 3));
    await host.openSource(file, 3);
    await until("the file, with the focus, at its line", () => {
      const editor = vscode.window.activeTextEditor;
      return editor?.document.uri.fsPath === file && editor.selection.active.line === 2;
    });
    await assert.rejects(host.revealSource(file, "4" as unknown as number));
    const target = path.join(folder(), "net.svg");
    await answering(
      "showSaveDialog",
      () => Promise.resolve(vscode.Uri.file(target)),
      () => host.saveImage("net", "svg", "<svg/>"),
    );
    assert.equal(fs.readFileSync(target, "utf8"), "<svg/>");
    await host.lock(true);
    assert.ok(architecture.locked);
    await until("word of the lock", () => sent.at(-1)?.locked === true);
    // Another file takes the panel: its first picture comes with its layout, and nothing of the other follows.
    architecture.show({ file: other.uri.fsPath });
    assert.equal(panel.title, "Architecture: other.nn.ts");
    const taken = await until("the other's picture", () =>
      sent.find(({ layout, file: of }) => layout !== undefined && of === other.uri.fsPath),
    );
    assert.deepEqual(taken.layout?.look, look);
    const known = sent.length;
    const edit = new vscode.WorkspaceEdit();
    edit.insert(document.uri, new vscode.Position(0, 0), "// of a file that no panel shows\n");
    edit.insert(other.uri, new vscode.Position(0, 0), "// of one that is shown\n");
    await vscode.workspace.applyEdit(edit);
    await until("what follows", () => sent.slice(known).some(({ report, busy }) => report && !busy));
    assert.ok(sent.slice(known).every((snapshot) => snapshot.file === other.uri.fsPath));
    architecture.dispose();
  } finally {
    previews.dispose();
    await engine.dispose();
  }
}, 40_000);
