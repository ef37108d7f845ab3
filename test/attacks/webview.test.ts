import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { RUNS_FOLDER, type CheckpointRecord, type RunRecord } from "../../extension/protocol/run.ts";
import { RunSession } from "../../extension/supervisor/runs/session.ts";
import { trustWhen } from "../../extension/supervisor/trust.ts";
import { useFolder } from "../folders.ts";
import { done, FAST, HostilePage } from "./hostilePage.ts";
import { startingRecord } from "../../extension/protocol/engine.ts";

vi.mock("vscode", async () => (await import("./hostilePage.ts")).vscode());

const root = useFolder();
const workspace = path.join(root, "workspace");
/** A file of the user's that no page shows. */
const secret = path.join(root, "secret.nn.ts");
beforeEach(() => {
  fs.mkdirSync(workspace);
  fs.writeFileSync(secret, "secret");
  fs.writeFileSync(path.join(workspace, "net.nn.ts"), "export {};");
  Object.assign(done, { workspace, opened: [], commands: [], trusted: true });
  trustWhen(() => done.trusted);
});

const log = { warn: vi.fn(), error: vi.fn(), info: vi.fn() };
const CHECKPOINT: CheckpointRecord = {
  file: "checkpoints/last.safetensors",
  kind: "last",
  epoch: 1,
  step: 1,
  savedAt: "2026-01-01T00:00:00.000Z",
  bytes: 1,
  metrics: {},
};

function session(kind: "train" | "evaluate" = "train"): RunSession {
  const directory = path.join(workspace, RUNS_FOLDER, "20260101-000000-net");
  fs.mkdirSync(directory, { recursive: true });
  const request = {
    kind: "train",
    file: path.join(workspace, "net.nn.ts"),
    exportName: "default",
    directory,
  } as const;
  const record: RunRecord = {
    ...startingRecord({ ...request, device: "cpu", outlive: false }),
    kind,
    state: "finished",
    checkpoints: [CHECKPOINT],
  };
  return new RunSession(directory, record, false);
}

async function trainingPage(): Promise<HostilePage> {
  const { TrainingPanel } = await import("../../extension/editor/panels/trainingPanel.ts");
  const page = new HostilePage();
  const panel = new TrainingPanel(page as never, session(), {
    extensionUri: "" as never,
    log: log as never,
    previews: {} as never,
    follow: () => ({ dispose: () => undefined }),
  });
  expect(panel.session.id).toBeDefined();
  return page;
}

async function evaluationPage(): Promise<HostilePage> {
  const { EvaluationPanel } = await import("../../extension/editor/panels/evaluationPanel.ts");
  const page = new HostilePage();
  const options = { extensionUri: "", engine: () => ({}), messages: { log }, runs: {} };
  const panel = new EvaluationPanel(page as never, session("evaluate"), options as never);
  expect(panel.session.id).toBeDefined();
  return page;
}

/** `followed` gets the files whose code a preview would run. */
async function architecturePage(followed: string[] = [], update = vi.fn()): Promise<HostilePage> {
  const { ArchitecturePanel } = await import("../../extension/editor/panels/architecturePanel.ts");
  const page = new HostilePage();
  const file = path.join(workspace, "net.nn.ts");
  const subscription = () => ({ dispose: () => undefined });
  const previews = {
    hold: subscription,
    onDidChange: subscription,
    onDidEdit: subscription,
    follow: ({ uri }: { uri: { fsPath: string } }) => {
      followed.push(uri.fsPath);
      return { report: { file, models: [], experiments: [], errors: [] }, lastGood: new Map(), busy: false };
    },
    layOut: () => Promise.resolve(undefined),
    inspectVersion: () => Promise.resolve(undefined),
    request: () => undefined,
  };
  const memory = { get: () => undefined, update };
  const options = {
    extensionUri: "",
    log,
    previews,
    engine: () => ({}),
    memory,
    runs: { onDidChange: subscription },
  };
  const panel = new ArchitecturePanel(page as never, { file }, false, options as never);
  expect(panel.file).toBe(file);
  const widths = { title: {}, kind: {}, label: {} };
  const snapshot = await page.call("ready", { font: "12px x", widths, opened: [], closed: [], unfolded: [] });
  expect(snapshot).toMatchObject({ file });
  return page;
}

const PAGES = [
  ["training", trainingPage],
  ["evaluation", evaluationPage],
  ["architecture", architecturePage],
] as const;

describe.each(PAGES)("the page of a %s panel", (kind, make) => {
  it("opens a file that the panel doesn't show", async () => {
    const page = await make();
    const methods = kind === "architecture" ? ["openSource", "revealSource"] : ["openSource"];
    for (const method of methods)
      for (const file of [
        secret,
        "/etc/passwd",
        "/dev/zero",
        `${workspace}/../secret.nn.ts`,
        "net.nn.ts",
        "",
      ])
        expect(await page.call(method, file, 1, 1)).toContain("refused: internal: the view asked for");
    expect(done.opened).toEqual([]);
  });

  it("opens the panel's own file once it is a pipe or a folder", async () => {
    const page = await make();
    const file = path.join(workspace, "net.nn.ts");
    await page.call("openSource", file);
    expect(done.opened).toEqual([file]);
    fs.rmSync(file);
    fs.mkdirSync(file);
    expect(await page.call("openSource", file)).toContain("is not a regular file");
    expect(done.opened).toHaveLength(1);
  });

  it("calls what is no method of the panel", async () => {
    const page = await make();
    for (const name of [
      "constructor",
      "__proto__",
      "toString",
      "hasOwnProperty",
      "dispose",
      "executeCommand",
    ])
      expect(await page.call(name, "workbench.action.terminal.sendSequence")).toContain("refused");
    expect(done.commands).toEqual([]);
  });

  it("sends what is no message", async () => {
    const page = await make();
    const before = page.sent.length;
    for (const message of [
      undefined,
      null,
      1,
      "x",
      [],
      {},
      { t: "q" },
      { t: "q", m: {}, a: 1, i: {} },
      { t: "s", i: "0" },
    ])
      expect(() => page.send(message)).not.toThrow();
    expect(page.sent.slice(before).every(({ r }) => r === undefined)).toBe(true);
    expect(done.commands).toEqual([]);
  });
});

describe("the page of a training panel", () => {
  it("links to a command", async () => {
    const page = await trainingPage();
    expect(page.webview.options).toEqual({
      enableScripts: true,
      localResourceRoots: [expect.stringMatching(/\/dist\/webview$/)],
    });
    expect(page.webview.options.enableCommandUris).toBeUndefined();
    // Nor does any text of VS Code's own: only a list of ours may run.
    const editor = fileURLToPath(new URL("../../extension/editor", import.meta.url));
    for (const name of fs.readdirSync(editor, { recursive: true, encoding: "utf8" })) {
      if (!name.endsWith(".ts")) continue;
      const text = fs.readFileSync(path.join(editor, name), "utf8");
      expect(text, name).not.toMatch(/isTrusted\s*[:=]\s*true|enableCommandUris|supportHtml/);
      for (const [, list = ""] of text.matchAll(/enabledCommands:\s*\[([^\]]*)\]/g))
        for (const command of list.split(/[\s,]+/))
          expect(['"layerwise.installNativeEngine"', '"layerwise.showLog"']).toContain(command);
    }
  });

  it("names a checkpoint that the run doesn't have", async () => {
    const page = await trainingPage();
    for (const method of ["evaluate", "revealCheckpoint"])
      for (const file of [
        "checkpoints/other.safetensors",
        "../../../../secret.nn.ts",
        secret,
        "checkpoints/../run.json",
      ])
        expect(await page.call(method, { ...CHECKPOINT, file })).toContain("refused");
    expect(done.commands).toEqual([]);
    await page.call("revealCheckpoint", { ...CHECKPOINT, bytes: 99, metrics: { loss: 0 } });
    // The command gets the record's checkpoint, not the page's.
    expect(done.commands).toEqual([
      ["layerwise.revealCheckpoint", expect.objectContaining({ checkpoint: CHECKPOINT })],
    ]);
  });

  it("names runs by paths", async () => {
    const page = await trainingPage();
    for (const method of ["openRun", "deleteRun", "rowsOf"])
      for (const id of ["..", "../../..", "/etc", "a/b", "a\\b", ".", "", "x:y", "\0", 7, null, ["a"]])
        expect(await page.call(method, id), `${method} ${String(id)}`).toContain("refused");
    expect(await page.call("label", "../x", { name: "", tags: [], archived: false })).toContain("refused");
    expect(done.commands).toEqual([]);
  });

  it("writes a run's labels into a folder that isn't trusted", async () => {
    const page = await trainingPage();
    done.trusted = false;
    const labels = { name: "mine", tags: [], archived: false };
    expect(await page.call("label", "20260101-000000-net", labels)).toContain("not trusted");
    const written = path.join(workspace, RUNS_FOLDER, "20260101-000000-net", "labels.json");
    expect(fs.existsSync(written)).toBe(false);
    done.trusted = true;
    await page.call("label", "20260101-000000-net", labels);
    expect(fs.existsSync(written)).toBe(true);
  });

  it("saves a file under a name that programs run", async () => {
    const page = await trainingPage();
    for (const name of [
      "../x.csv",
      "a/b.csv",
      ".bashrc",
      "run.sh",
      "tasks.json",
      "x.csv.exe",
      ".csv",
      "a.nn.ts",
    ])
      expect(await page.call("saveFile", name, "AAAA")).toContain("refused");
    expect(done.commands).toEqual([]);
    // A dialog asks the user for the place.
    await page.call("saveFile", "20260101-000000-net.csv", "AAAA");
    const defaultUri = { fsPath: path.join(workspace, "20260101-000000-net.csv") };
    expect(done.commands).toEqual([["save", { defaultUri: expect.objectContaining(defaultUri) }]]);
  });

  it("sends numbers that are none", async () => {
    const page = await trainingPage();
    for (const [method, value] of [
      ["addEpochs", 1e9],
      ["addEpochs", -1],
      ["addEpochs", "1"],
      ["setLearningRate", -1],
      ["setLearningRate", null],
      ["setLearningRate", { valueOf: 1 }],
    ] as const)
      expect(await page.call(method, value)).toMatch(/refused: Invalid/);
  });
});

describe("the page of a tensor file's editor", () => {
  it("names a tensor by what is no place, and a file to compare with", async () => {
    const { TensorEditor } = await import("../../extension/editor/panels/tensorEditor.ts");
    const page = new HostilePage();
    const file = path.join(workspace, "net.safetensors");
    const engine = vi.fn();
    const options = { kind: "tensors", extensionUri: "", log, engine };
    const editor = new TensorEditor(page as never, file, options as never);
    expect(editor.file).toBe(file);
    for (const index of [-1, 0.5, "0", null, Number.MAX_VALUE * 2, [0], secret])
      expect(await page.call("statistics", index)).toContain("refused");
    // The user alone chooses it, in a dialog.
    expect(await page.call("compare", secret)).toContain("refused");
    expect(await page.call("choose", secret)).toContain("refused");
    expect(await page.call("compare")).toContain("refused: There is no file to compare with");
    expect(engine).not.toHaveBeenCalled();
    // No run's record names the file: there is nothing to evaluate.
    await page.call("evaluate");
    expect(done.commands).toEqual([["layerwise.evaluateCheckpoint", undefined]]);
  });

  it("of an ONNX model names a node by what is no text, and saves a picture of another format", async () => {
    const { TensorEditor } = await import("../../extension/editor/panels/tensorEditor.ts");
    const page = new HostilePage();
    const engine = vi.fn();
    const options = { kind: "onnx", extensionUri: "", log, engine };
    const editor = new TensorEditor(page as never, path.join(workspace, "net.onnx"), options as never);
    for (const id of [0, null, ["~Conv"], { id: 1 }])
      expect(await page.call("node", id)).toContain("refused");
    for (const format of ["../../x", "html", "exe", 1])
      expect(await page.call("saveImage", "net", format, "")).toContain("refused");
    expect(engine).not.toHaveBeenCalled();
    editor.dispose();
  });
});

describe("the page of an evaluation panel", () => {
  it("asks for a picture that is another file", async () => {
    const page = await evaluationPage();
    for (const file of [
      "../run.json",
      secret,
      "epoch-1-../../../run.png",
      "epoch-1-a\\..\\b.png",
      "run.json",
    ])
      expect(await page.call("picture", file)).toContain("refused");
  });

  it("asks the model in a folder that isn't trusted", async () => {
    const page = await evaluationPage();
    done.trusted = false;
    expect(await page.call("ask", { kind: "sample", index: 0 }, false)).toContain("not trusted");
    expect(await page.call("evaluateAgain")).toContain("not trusted");
  });
});

describe("the page of an architecture panel", () => {
  it("has a file that the user didn't choose built, and so run", async () => {
    const followed: string[] = [];
    const page = await architecturePage(followed);
    for (const side of [`file:${secret}`, `run:${secret}`, "run:..", "file:", "run:"])
      for (const pair of [
        [side, "working"],
        ["working", side],
      ])
        expect(await page.call("compare", ...pair)).toContain("refused: internal: the view asked for");
    expect(new Set(followed)).toEqual(new Set([path.join(workspace, "net.nn.ts")]));
    // Choices that the page was sent are accepted.
    await vi.waitFor(async () => expect(await page.call("compare", "head", "working")).toBeUndefined(), FAST);
  });

  it("has a committed version built in a folder that isn't trusted", async () => {
    const page = await architecturePage();
    const compare = (): Promise<unknown> => page.call("compare", "head", "working");
    await vi.waitFor(async () => expect(await compare()).toBeUndefined(), FAST);
    done.trusted = false;
    expect(await compare()).toContain("not trusted");
  });

  it("fills the memory that VS Code keeps for extensions", async () => {
    const update = vi.fn();
    const page = await architecturePage([], update);
    update.mockClear();
    const widths = { title: {}, kind: {}, label: {} };
    const look = { font: "12px x", widths, opened: [], closed: [], unfolded: [] };
    const many = Object.fromEntries(Array.from({ length: 10_000 }, (_, i) => [String(i), 1]));
    for (const more of [
      { font: "x".repeat(1e6) },
      { widths: { ...widths, kind: many } },
      { widths: { ...widths, label: { ["x".repeat(1e6)]: 1 } } },
      { opened: Array.from({ length: 1e6 }, () => "") },
    ])
      expect(await page.call("ready", { ...look, ...more })).toMatch(
        /^refused: (?:Invalid|expected at most)/,
      );
    expect(update).not.toHaveBeenCalled();
  });

  it("has a file read as weights that the user didn't choose", async () => {
    const page = await architecturePage();
    for (const id of [secret, "/etc/passwd", "/dev/zero"])
      expect(await page.call("chooseWeights", id)).toContain("refused: internal: the view asked for");
  });

  it("keeps a state that names another file, which is built when the window is opened again", async () => {
    const { Panels } = await import("../../extension/editor/panels/panels.ts");
    const follow = vi.fn();
    const services = {
      extensionUri: "",
      engine: () => ({}),
      messages: { log },
      previews: { follow },
      runs: { onDidChange: () => ({ dispose: () => undefined }) },
      memory: {},
    };
    const panels = new Panels(services as never);
    expect(panels).toBeDefined();
    const page = new HostilePage();
    await done.serializers.get("layerwise.architecture")?.deserializeWebviewPanel(page, { file: secret });
    expect(page.dispose).toHaveBeenCalled();
    expect(follow).not.toHaveBeenCalled();
    expect(log.warn).toHaveBeenLastCalledWith(expect.stringContaining("neither in the workspace nor open"));
  });
});
