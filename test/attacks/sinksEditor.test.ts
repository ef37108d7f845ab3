// VS Code on folders of a stranger: no text of theirs becomes a link, an icon, HTML, a variable or a hidden character.
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import type { EngineOptions } from "../../extension/supervisor/engines/process.ts";
import type { RunSession } from "../../extension/supervisor/runs/session.ts";
import { answers, shown } from "./fakeVscode.ts";
import { HOSTILE, hostileRecord, STEERS, writeRun } from "./hostileRun.ts";
import { processorClock } from "../bounds.ts";
import { useFolder } from "../folders.ts";

vi.mock("vscode", async () => (await import("./fakeVscode.ts")).vscode);

interface Token {
  type: string;
  content: string;
  attrs: [string, string][] | null;
  children: Token[] | null;
}
const markdown = (
  createRequire(import.meta.url)("markdown-it") as (options: object) => {
    parse: (text: string, state: object) => Token[];
    validateLink: () => boolean;
  }
)({ html: true, linkify: true });
markdown.validateLink = () => true;

const folder = useFolder("all");
let directory: string;
beforeAll(() => {
  directory = writeRun(folder, "20260101-000000-net", hostileRecord(path.join(folder, `${HOSTILE}.nn.ts`)));
});
beforeEach(() => {
  shown.length = 0;
  answers.clear();
});

/** A label, a notification, a title: as VS Code reads it. */
function expectLabel(text: string): void {
  // Icons that stand first are this program's.
  const rest = text.replace(/^\$\([a-z~-]+\) /, "");
  expect(rest).not.toMatch(/\[[^\]]*\]\(/);
  expect(rest).not.toMatch(/\$[({]/);
  expect(rest).not.toMatch(/[\n\t]/);
  expect(rest.match(STEERS)?.[0]).toBeUndefined();
}

/** Markdown of a hover or tooltip: its links and images, and that it has no HTML. */
function linksOf(text: string): string[] {
  const links: string[] = [];
  const look = (tokens: readonly Token[]): void => {
    for (const { type, content, attrs, children } of tokens) {
      expect(type).not.toMatch(/^html_/);
      if (/^(link_open|image)$/.test(type))
        links.push(String(attrs?.find(([name]) => /href|src/.test(name))?.[1]));
      if (/^(text|code_inline|fence)$/.test(type)) expect(content.match(STEERS)?.[0]).toBeUndefined();
      look(children ?? []);
    }
  };
  look(markdown.parse(text, {}));
  expect(text.match(STEERS)?.[0]).toBeUndefined();
  return links;
}

const session = (): RunSession =>
  ({
    record: { ...hostileRecord("/w/net.nn.ts"), state: "running" },
    directory,
    id: `id ${HOSTILE}`,
    live: true,
    waitsFor: [`first ${HOSTILE}`],
    progress: undefined,
    subscribe: () => () => undefined,
  }) as unknown as RunSession;

const runs = (): never =>
  ({
    live: [session()],
    foremost: session(),
    onDidChange: () => ({ dispose() {} }),
    queueAgain: () => Promise.resolve([HOSTILE]),
  }) as never;
const never = {} as never;

describe("the editor", () => {
  it("puts a command link into a message, its actions or the log", async () => {
    const { Messages } = await import("../../extension/editor/messages.ts");
    const messages = new Messages();
    messages.error(
      { code: `code ${HOSTILE}`, message: `error ${HOSTILE}`, hint: HOSTILE },
      `doing ${HOSTILE}`,
    );
    messages.error(new Error(HOSTILE));
    messages.log.info(HOSTILE);
    const texts = (where: string): string[] => shown.flatMap((one) => (one.where === where ? one.texts : []));
    expect(texts("message").join()).toContain("[Trust] (command:");
    for (const text of texts("message")) expectLabel(text);
    expect(texts("log").length).toBeGreaterThan(2);
    for (const text of texts("log")) expect(text.match(STEERS)?.[0]).toBeUndefined();
  });

  it("puts a command link into the names of runs and checkpoints in the side bar", async () => {
    const { RunsTree, CheckpointsTree } = await import("../../extension/editor/sidebar/runsTree.ts");
    const { runItem, checkpointsOf } = await import("../../extension/editor/sidebar/runItems.ts");
    const labels = { name: `name ${HOSTILE}`, tags: [HOSTILE], archived: false };
    const node = { directory, record: session().record, labels, waitsFor: [HOSTILE] };
    const [checkpoint] = checkpointsOf({ ...node, waitsFor: undefined });
    const items = [
      new RunsTree(runs(), never).getTreeItem(node),
      new RunsTree(runs(), never).getTreeItem({ ...node, labels: { name: "", tags: [], archived: false } }),
      new RunsTree(runs(), never).getTreeItem({ folder: `/w/${HOSTILE}`, children: [] }),
      new CheckpointsTree(runs(), never).getTreeItem(checkpoint!),
    ];
    for (const { label, description, tooltip, accessibilityInformation } of items) {
      for (const text of [label, description, accessibilityInformation?.label])
        if (typeof text === "string") expectLabel(text);
      if (typeof tooltip === "object") expect(linksOf(tooltip.value)).toEqual([]);
      else expect(tooltip?.match(STEERS)?.[0]).toBeUndefined();
    }
    expect(runItem(node, false).tooltip).not.toMatchObject({ isTrusted: expect.anything() });
  });

  it("puts a command link into the status bar and its tooltip, which has commands", async () => {
    const { StatusBar } = await import("../../extension/editor/statusBar.ts");
    const { vscode } = await import("./fakeVscode.ts");
    const item = {
      show: () => undefined,
      dispose: () => undefined,
      text: "",
      tooltip: { value: "", isTrusted: {} },
    };
    vi.spyOn(vscode.window, "createStatusBarItem").mockReturnValue(item);
    const bar = new StatusBar(runs(), {
      onDidChange: () => ({ dispose() {} }),
      remembered: undefined,
    } as never);
    expectLabel(item.text);
    expect(linksOf(item.tooltip.value)).toEqual([
      "command:layerwise.installNativeEngine",
      "command:layerwise.showLog",
    ]);
    // Its icons are this program's own.
    expect(item.tooltip.value.match(/\$\([\w-]+\)/g)).toEqual(["$(cloud-download)", "$(watch)", "$(output)"]);
    expect(item.tooltip.isTrusted).toEqual({
      enabledCommands: ["layerwise.installNativeEngine", "layerwise.showLog"],
    });
    bar.dispose();
  });

  it("puts a link into a layer's name, which a hover shows", async () => {
    const { describeFact } = await import("../../extension/editor/language/previewFacts.ts");
    const type = { shape: [HOSTILE, "`x`"], dtype: HOSTILE };
    const call = { path: "", inputs: [type], outputs: [type], times: 2, name: HOSTILE };
    const row = {
      path: `\`\`\`\n${HOSTILE}`,
      className: `\`\`\`\n${HOSTILE}`,
      detail: HOSTILE,
      parameters: 1,
      trainable: 0,
      inputShape: `\`${HOSTILE}`,
      outputShape: `\`${HOSTILE}`,
    };
    const fact = {
      rows: [row],
      calls: [call],
      kind: "call",
      start: 0,
      nameEnd: HOSTILE.length,
      end: 1,
      model: "",
    };
    const text = describeFact(fact as never, HOSTILE);
    expect(text).toContain("FAKE LINE");
    expect(linksOf(text)).toEqual([]);
  });

  it("puts links and icons into a list that the user chooses from", async () => {
    const { pick, pickSeveral } = await import("../../extension/editor/show.ts");
    const item = { icon: "beaker", label: HOSTILE, description: HOSTILE, detail: HOSTILE };
    answers.set("pick", ([items]) => (items as object[])[1]);
    // The item that was chosen is the caller's own.
    const items = [item, { ...item, own: 1 }];
    expect(await pick(items, { title: HOSTILE, placeHolder: HOSTILE })).toBe(items[1]);
    answers.set("pick", ([all]) => all);
    expect(await pickSeveral(items)).toEqual(items);
    for (const { texts } of shown) for (const text of texts) expectLabel(text);
    expect(shown[0]?.texts[0]).toMatch(/^\$\(beaker\) /);
  });

  it("puts hidden characters into an error and a warning, which become problems", async () => {
    const { ModelDiagnostics } = await import("../../extension/editor/language/diagnostics.ts");
    const position = { file: "/w/net.nn.ts", line: 1, column: 1, endColumn: 2 };
    const layer = { className: HOSTILE, detail: HOSTILE, inputs: [HOSTILE] };
    const report = {
      file: "/w/net.nn.ts",
      errors: [
        { code: HOSTILE, message: `error ${HOSTILE}`, position, module: HOSTILE, hint: HOSTILE, layer },
      ],
      models: [],
      warnings: [{ code: "zeroGrad", message: `warning ${HOSTILE}`, position }],
    };
    const uri = { fsPath: "/w/net.nn.ts", toString: () => "/w/net.nn.ts" };
    let change: (uri: object) => void = () => undefined;
    const { vscode } = await import("./fakeVscode.ts");
    vi.spyOn(vscode.workspace, "getConfiguration").mockReturnValue({ get: () => true } as never);
    const previews = {
      get: () => ({ report }),
      onDidChange: (listener: (uri: object) => void) => {
        change = listener;
        return { dispose: () => undefined };
      },
    };
    const diagnostics = new ModelDiagnostics(previews as never, never);
    change(uri);
    const texts = shown.flatMap(({ where, texts: some }) => (where === "problem" ? some : []));
    expect(texts.map((text) => text.split(" ", 1)[0])).toEqual(["error", "warning"]);
    for (const text of texts) expect(text.match(STEERS)?.[0]).toBeUndefined();
    diagnostics.dispose();
  });

  it("puts a command link into a run that a new window tells of", async () => {
    const { recoverRuns } = await import("../../extension/editor/runs/recovery.ts");
    const { Messages } = await import("../../extension/editor/messages.ts");
    const { vscode } = await import("./fakeVscode.ts");
    const record = { ...hostileRecord("/w/net.nn.ts"), orphaned: true, state: "stopped" };
    const where = path.join(folder, "window [x](command:y)");
    writeRun(where, record.id, record);
    vscode.workspace.workspaceFolders = [{ uri: { fsPath: where }, name: HOSTILE }];
    const memory = { get: () => "", update: () => Promise.resolve() };
    await recoverRuns(runs(), new Messages(), memory as never, never);
    vscode.workspace.workspaceFolders = [];
    const texts = shown.flatMap(({ where: place, texts: some }) => (place === "message" ? some : []));
    expect(texts.join()).toContain("20260101-000000-net");
    for (const text of texts) expectLabel(text);
  });

  it("puts links into the progress of a download or an export", async () => {
    const { showProgress } = await import("../../extension/editor/show.ts");
    const location = 15 as never;
    await showProgress({ location, title: HOSTILE }, async (progress) =>
      progress.report({ message: HOSTILE }),
    );
    expect(shown.map(({ texts }) => texts.length)).toEqual([1, 1]);
    for (const { texts } of shown) for (const text of texts) expectLabel(text);
  });

  it("names a file ${command:…}, which VS Code runs in tasks and debug sessions", async () => {
    const { ModelTasks, modelTask } = await import("../../extension/editor/runs/tasks.ts");
    const { runProgram } = await import("../../extension/editor/runs/runProgram.ts");
    const { attachDebugger } = await import("../../extension/editor/runs/attachDebugger.ts");
    const { vscode } = await import("./fakeVscode.ts");
    const engine: EngineOptions = { dist: "/dist" };
    const uri = { fsPath: "/w/${command:workbench.action.quit}.nn.ts", path: "/w/x.nn.ts" };
    Object.assign(vscode.workspace, {
      findFiles: () => Promise.resolve([uri]),
      fs: {
        stat: () => Promise.resolve({ size: 30 }),
        readFile: () => Promise.resolve(Buffer.from("export default experiment({})")),
      },
    });
    expect(await new ModelTasks(() => engine).provideTasks()).toEqual([]);
    await expect(runProgram({ uri, isDirty: false } as never, engine)).rejects.toThrow(/variable/);
    const where = { uri: { fsPath: "/w/${command:x}" }, name: "w", index: 0 };
    const definition = { type: "layerwise", command: "run", file: "a.nn.ts" } as const;
    expect(() => modelTask(definition, where as never, engine)).toThrow(/variable/);
    await attachDebugger("/w/a.nn.ts", "Training ${command:x} $(alert)", "ws://x", "/dist");
    for (const { texts } of shown) for (const text of texts) expectLabel(text);
  });

  it("has a model of ten gigabytes, and links to nowhere and to what never ends, among others for tasks", async () => {
    const { ModelTasks } = await import("../../extension/editor/runs/tasks.ts");
    const { vscode } = await import("./fakeVscode.ts");
    const fileOf = (name: string): string => path.join(folder, `${name}.nn.ts`);
    fs.writeFileSync(fileOf("good"), "export default experiment({})");
    fs.writeFileSync(fileOf("large"), "");
    fs.truncateSync(fileOf("large"), 1e10);
    const names = ["good", "large"];
    if (process.platform !== "win32") {
      execFileSync("mkfifo", [path.join(folder, "pipe")]);
      const targets = { gone: "/nowhere", pipe: path.join(folder, "pipe"), device: "/dev/zero" };
      for (const [name, target] of Object.entries(targets)) fs.symlinkSync(target, fileOf(name));
      names.push(...Object.keys(targets));
    }
    if (process.platform === "linux") {
      // Linux says that this file is regular and empty; it has half a terabyte.
      fs.symlinkSync("/proc/self/pagemap", fileOf("pages"));
      names.push("pages");
    }
    Object.assign(vscode.workspace, {
      findFiles: () => Promise.resolve(names.map((name) => vscode.Uri.file(fileOf(name)))),
      // As VS Code has it.
      fs: {
        stat: ({ fsPath }: { fsPath: string }) => fs.promises.stat(fsPath),
        readFile: ({ fsPath }: { fsPath: string }) => fs.promises.readFile(fsPath),
      },
    });
    const provided = new ModelTasks(() => ({ dist: "/dist" })).provideTasks();
    const late = new Promise((resolve) => {
      setTimeout(() => resolve("late"), 5000).unref();
    });
    const tasks = await Promise.race([provided, late]);
    expect(tasks).toMatchObject(
      [
        "train good",
        "evaluate good",
        "run large",
        ...(process.platform === "linux" ? ["run pages"] : []),
      ].map((name) => ({ name })),
    );
  });

  it("has two hundred models as long as models may be: few are scanned", async () => {
    const { ModelTasks } = await import("../../extension/editor/runs/tasks.ts");
    const { vscode } = await import("./fakeVscode.ts");
    const text = `export default experiment({});\n${"new A(".repeat(80_000)}`;
    const files = Array.from({ length: 200 }, (_, i) => path.join(folder, `long${i}.nn.ts`));
    for (const file of files) fs.writeFileSync(file, text);
    Object.assign(vscode.workspace, {
      findFiles: () => Promise.resolve(files.map((file) => vscode.Uri.file(file))),
      fs: {
        stat: ({ fsPath }: { fsPath: string }) => fs.promises.stat(fsPath),
        readFile: ({ fsPath }: { fsPath: string }) => fs.promises.readFile(fsPath),
      },
    });
    const taken = processorClock();
    const tasks = await new ModelTasks(() => ({ dist: "/dist" })).provideTasks();
    expect(tasks.filter(({ name }) => name.startsWith("train"))).toHaveLength(17);
    expect(tasks.filter(({ name }) => name.startsWith("run"))).toHaveLength(183);
    expect(taken()).toBeLessThan(8000);
  });

  it("puts a link into the title of a panel", async () => {
    const { setTitle } = await import("../../extension/editor/show.ts");
    const panel = { title: "" };
    setTitle(panel as never, `Training: ${HOSTILE}`);
    expectLabel(panel.title);
    expect(panel.title).toMatch(/^Training: /);
  });

  it("puts markup into the page of a panel", async () => {
    const { pageHtml } = await import("../../extension/editor/panels/page.ts");
    const html = pageHtml({
      kind: "training",
      restricted: false,
      title: `</title><script>${HOSTILE}"`,
      language: `en"><script>`,
      nonce: "0a",
      source: "https://webview.test",
      script: `s.js"><script>`,
      styles: [`a.css"><script>`],
      font: `f.ttf"><script>`,
    });
    expect(html.match(/<script/g)).toHaveLength(1);
    expect(html.match(STEERS)?.[0]).toBeUndefined();
  });
});
