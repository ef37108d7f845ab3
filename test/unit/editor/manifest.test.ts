import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import {
  COMMANDS,
  DEBUG_TYPE,
  CONTEXT_KEYS,
  EDITORS,
  EXTENSION_ID,
  INTERNAL_COMMANDS,
  MODEL_FILES,
  PANELS,
  PROBLEM_MATCHER,
  SETTINGS,
  TASK_COMMANDS,
  TASK_TYPE,
  TREE_ITEMS,
  VIEWS,
  WALKTHROUGH,
} from "../../../extension/editor/ids.ts";
import {
  LABELS_FILE,
  LAYERS_FILE,
  LOG_FILE,
  METRICS_FILE,
  RUN_FILE,
  RUNS_FOLDER,
} from "../../../extension/protocol/run.ts";
import { coloursFor, renderError } from "../../../extension/cli/render.ts";
import { sourcesOf } from "../../../scripts/l10n.mjs";
import { OLDEST_VSCODE } from "../../../scripts/vscode/server.mjs";

const root = (path: string): string => fileURLToPath(new URL(`../../../${path}`, import.meta.url));

interface MenuItem {
  command: string;
  when?: string;
  group?: string;
}
interface Manifest {
  name: string;
  publisher: string;
  icon: string;
  activationEvents: string[];
  extensionKind: string[];
  engines: { vscode: string };
  devDependencies: Record<string, string>;
  capabilities: {
    untrustedWorkspaces: { supported: unknown; description: string; restrictedConfigurations: string[] };
    virtualWorkspaces: { supported: boolean };
  };
  contributes: {
    commands: { command: string; title: string; icon?: string }[];
    menus: Record<string, MenuItem[]>;
    viewsContainers: { activitybar: { id: string; icon: string }[] };
    views: Record<string, { id: string }[]>;
    customEditors: { viewType: string; selector: { filenamePattern: string }[] }[];
    viewsWelcome: { view: string; contents: string; when?: string }[];
    configurationDefaults: Record<string, Record<string, boolean>>;
    configuration: { properties: Record<string, Record<string, unknown>> };
    keybindings: { command: string; key: string; mac: string; when: string }[];
    taskDefinitions: { type: string; properties: { command: { enum: string[] } } }[];
    problemMatchers: { name: string; pattern: { regexp: string } }[];
    walkthroughs: {
      id: string;
      steps: {
        id: string;
        media: { svg?: string; image?: Record<string, string> };
        completionEvents?: string[];
      }[];
    }[];
    debuggers: { type: string; when: string }[];
    typescriptServerPlugins: { name: string; enableForWorkspaceTypeScriptVersions: boolean }[];
  };
}

const text = readFileSync(root("package.json"), "utf8");
const manifest: Manifest = JSON.parse(text);
const texts: Record<string, string> = JSON.parse(readFileSync(root("package.nls.json"), "utf8"));
const { contributes } = manifest;
const whenClauses = [
  ...Object.values(contributes.menus).flat(),
  ...contributes.viewsWelcome,
  ...contributes.keybindings,
  ...contributes.debuggers,
].map(({ when }) => when ?? "");

describe("the manifest", () => {
  test("has the extension's id and wakes up for models, panels and TypeScript, which may become a model, only", () => {
    expect(`${manifest.publisher}.${manifest.name}`).toBe(EXTENSION_ID);
    expect(manifest.activationEvents.sort()).toEqual(
      [
        "onLanguage:typescript",
        ...Object.values(PANELS).map((panel) => `onWebviewPanel:${panel}`),
        `workspaceContains:${MODEL_FILES}`,
      ].sort(),
    );
    expect(manifest.extensionKind).toEqual(["workspace"]);
  });

  test("has the commands of the code, each once", () => {
    const internal: readonly string[] = INTERNAL_COMMANDS;
    const expected = COMMANDS.filter((command) => !internal.includes(command));
    expect(contributes.commands.map(({ command }) => command).sort()).toEqual(expected.toSorted());
  });

  test("offers only commands that exist, and decides for each whether the palette shows it", () => {
    for (const item of Object.values(contributes.menus).flat()) expect(COMMANDS).toContain(item.command);
    // Those that need no context.
    const always = ["layerwise.getStarted", "layerwise.newModel", "layerwise.showLog"];
    const palette = contributes.menus["commandPalette"]?.map(({ command }) => command) ?? [];
    expect([...palette, ...always].sort()).toEqual(contributes.commands.map(({ command }) => command).sort());
  });

  test("offers on another machine what it offers to run here", () => {
    const sisters = {
      train: "runOn",
      evaluate: "evaluateOn",
      sweep: "sweepOn",
      evaluateCheckpoint: "evaluateOn",
    };
    for (const [here, there] of Object.entries(sisters))
      for (const [menu, items] of Object.entries(contributes.menus)) {
        const whens = (command: string): (string | undefined)[] =>
          items
            .filter((item) => item.command === `layerwise.${command}` && item.when !== "false")
            // A view's buttons have no room for both.
            .filter(({ group }) => group === undefined || !/^(?:inline|navigation)/.test(group))
            .map(({ when }) => when);
        expect(whens(there), menu).toEqual(expect.arrayContaining(whens(here)));
      }
  });

  test("has shortcuts that hold in models or while something runs only, and no key of the operating systems'", () => {
    for (const { command, key, mac, when } of contributes.keybindings) {
      expect(COMMANDS).toContain(command);
      expect(when, command).toMatch(/resourceFilename =~ |layerwise\.running/);
      // Ctrl+Alt is AltGr, with which letters are typed.
      expect(key).not.toMatch(/ctrl\+alt|cmd/);
      expect(mac).toBe(key.replaceAll("ctrl", "cmd"));
    }
  });

  test("describes the tasks and the debugger of the code, and reads the errors that the command line prints", () => {
    expect(contributes.taskDefinitions.map(({ type }) => type)).toEqual([TASK_TYPE]);
    expect(contributes.taskDefinitions[0]?.properties.command.enum).toEqual([...TASK_COMMANDS]);
    expect(contributes.debuggers.map(({ type }) => type)).toEqual([DEBUG_TYPE]);
    const [matcher] = contributes.problemMatchers;
    expect(matcher?.name).toBe(PROBLEM_MATCHER);
    const position = { file: path.resolve("models/a b.nn.ts"), line: 17, column: 9 };
    const printed = renderError({ code: "shape", message: "no: 2x3\nmore", position }, coloursFor({}));
    const found = new RegExp(matcher?.pattern.regexp ?? "").exec(printed.split("\n", 1)[0] ?? "");
    expect(found?.slice(1)).toEqual([path.join("models", "a b.nn.ts"), "17", "9", "no: 2x3"]);
  });

  test("has icons where commands are buttons", () => {
    const buttons = ["editor/title", "view/title"].flatMap((menu) => contributes.menus[menu] ?? []);
    for (const { command } of buttons)
      expect(contributes.commands.find((known) => known.command === command)?.icon, command).toBeDefined();
  });

  test("has the views of the code", () => {
    expect(contributes.viewsContainers.activitybar.map(({ id }) => id)).toEqual([VIEWS.container]);
    const { container, ...views } = VIEWS;
    expect(contributes.views[container]?.map(({ id }) => id)).toEqual(Object.values(views));
    expect([...new Set(contributes.viewsWelcome.map(({ view }) => view))]).toEqual(Object.values(views));
    expect(contributes.customEditors.map(({ viewType }) => viewType)).toEqual(Object.values(EDITORS));
  });

  test("tests only context keys that are set, and tree items that exist", () => {
    const keys: string[] = Object.values(CONTEXT_KEYS);
    for (const when of whenClauses) {
      for (const key of when.match(/\blayerwise\.\w+/g) ?? [])
        expect([...keys, ...Object.values(VIEWS)], when).toContain(key);
      const items = Object.values(TREE_ITEMS);
      const equal = /viewItem == (\S+)/.exec(when)?.[1];
      if (equal !== undefined) expect(items).toContain(equal);
      const pattern = /viewItem =~ \/(\S+)\//.exec(when)?.[1];
      if (pattern !== undefined)
        expect(
          items.some((item) => new RegExp(pattern).test(item)),
          when,
        ).toBe(true);
    }
  });

  test("runs nothing of an untrusted workspace", () => {
    expect(manifest.capabilities.untrustedWorkspaces.supported).toBe("limited");
    const running = [
      "train",
      "debug",
      "evaluate",
      "preview",
      "run",
      "evaluateCheckpoint",
      "loadCheckpoint",
      "resumeRun",
      "useData",
      "importRuns",
    ].map((name) => `layerwise.${name}`);
    for (const [menu, items] of Object.entries(contributes.menus))
      for (const { command, when } of items)
        if (running.includes(command) && when !== "false")
          expect(when, `${command} in ${menu}`).toContain("isWorkspaceTrusted");
    expect(manifest.capabilities.untrustedWorkspaces.restrictedConfigurations).toContain(
      "layerwise.nodePath",
    );
  });

  test("without trust, a workspace chooses no executable, limit or process, and nothing that is written", () => {
    const shown = /^layerwise\.(?:lenses|diagnostics|hints|hovers|warnings)\.|^layerwise\.preview\.delay$/;
    const others = Object.keys(contributes.configuration.properties).filter((name) => !shown.test(name));
    const { restrictedConfigurations } = manifest.capabilities.untrustedWorkspaces;
    expect(restrictedConfigurations.toSorted()).toEqual(others.toSorted());
  });

  test("says before trust is given that opening a file runs it, and how to switch that off", () => {
    const { description } = manifest.capabilities.untrustedWorkspaces;
    const trust = texts[description.replaceAll("%", "")];
    const readme = readFileSync(root("README.md"), "utf8");
    for (const text of [trust, readme, texts["walkthrough.preview.description"]])
      expect(text).toContain("layerwise.preview.automatic");
    expect(trust).toMatch(/opening a `\.nn\.ts` file runs its code/);
    expect(readme).toContain("Opening a file runs it.");
  });

  test("restricts what chooses an executable; runs beside the files, which are on a disk", () => {
    const { untrustedWorkspaces, virtualWorkspaces } = manifest.capabilities;
    const executables = Object.entries(contributes.configuration.properties)
      .filter(([, { scope }]) => scope === "machine-overridable")
      .map(([name]) => name);
    expect(untrustedWorkspaces.restrictedConfigurations).toEqual(expect.arrayContaining(executables));
    expect(virtualWorkspaces.supported).toBe(false);
  });

  test("what a run writes all the time is no news for VS Code's watcher; what the side bar shows is", () => {
    const excluded = Object.keys(contributes.configurationDefaults["files.watcherExclude"]!);
    const watched = (file: string): boolean =>
      !excluded.some((glob) => path.matchesGlob(`folder/${RUNS_FOLDER}/20260101-digits/${file}`, glob));
    for (const file of [
      METRICS_FILE,
      LAYERS_FILE,
      LOG_FILE,
      "output.txt",
      "checkpoints/.last.safetensors.1.tmp",
    ])
      expect(watched(file), file).toBe(false);
    for (const file of [RUN_FILE, LABELS_FILE, "checkpoints/last.safetensors"])
      expect(watched(file), file).toBe(true);
    expect(contributes.configurationDefaults["search.exclude"]).toEqual({ "**/.layerwise": true });
  });

  test("a window may be on another machine: no view and no code of the editor knows this one's address", () => {
    for (const folder of ["extension/editor", "webview"])
      for (const file of sourcesOf(folder))
        expect(readFileSync(root(file), "utf8"), file).not.toMatch(/localhost|127\.0\.0\.1|file:\/\//);
  });

  test("has the settings of the code, with their defaults, scopes and descriptions", () => {
    const { properties } = contributes.configuration;
    const defaults = Object.fromEntries(
      Object.entries(properties).map(([name, property]) => [
        name.replace(/^layerwise\./, ""),
        property["default"],
      ]),
    );
    expect(defaults).toEqual(SETTINGS);
    for (const [name, property] of Object.entries(properties)) {
      expect(["application", "window", "resource", "machine", "machine-overridable"], name).toContain(
        property["scope"],
      );
      expect(property["markdownDescription"], name).toMatch(/^%.*%$/);
    }
    // A workspace's own settings choose no executable, and switch nothing on that the user has switched off.
    for (const name of ["nodePath", "preview.automatic"])
      expect(properties[`layerwise.${name}`]?.["scope"], name).toBe("machine");
  });

  test("has a text for each of its keys, and no text without a use", () => {
    const used = [...text.matchAll(/%([\w.]+)%/g)].map((match) => match[1] ?? "");
    expect([...new Set(used)].sort()).toEqual(Object.keys(texts).sort());
    const views = Object.values(contributes.views).flatMap((list) => list.map(({ id }) => id));
    for (const contents of Object.values(texts))
      for (const link of contents.matchAll(/\(command:(layerwise\.[\w.]+)\)/g))
        expect([...COMMANDS, ...views.map((view) => `${view}.focus`)]).toContain(link[1]);
  });

  test("lets in the oldest VS Code that is tested, and is written against its API", () => {
    expect(manifest.engines.vscode).toBe(`^${OLDEST_VSCODE}`);
    expect(manifest.devDependencies["@types/vscode"]).toBe(OLDEST_VSCODE);
  });

  test("names files that exist", () => {
    expect(existsSync(root(manifest.icon))).toBe(true);
    for (const { icon } of contributes.viewsContainers.activitybar) expect(existsSync(root(icon))).toBe(true);
    for (const { media, id } of contributes.walkthroughs.flatMap(({ steps }) => steps))
      for (const file of [media.svg, ...Object.values(media.image ?? {})])
        if (file !== undefined) expect(existsSync(root(file)), `${id}: ${file}`).toBe(true);
  });

  test("has the walkthrough that the command opens; a step is done when its command ran", () => {
    expect(contributes.walkthroughs.map(({ id }) => id)).toEqual([WALKTHROUGH]);
    for (const { completionEvents } of contributes.walkthroughs.flatMap(({ steps }) => steps))
      for (const event of completionEvents ?? []) {
        const command = /^onCommand:(.*)/.exec(event)?.[1];
        if (command !== undefined) expect(COMMANDS).toContain(command);
      }
  });

  test("names the TypeScript plugin as its package does", () => {
    const plugin: { name: string } = JSON.parse(
      readFileSync(root("extension/tsPlugin/package.json"), "utf8"),
    );
    expect(contributes.typescriptServerPlugins).toEqual([
      { name: plugin.name, enableForWorkspaceTypeScriptVersions: true },
    ]);
    expect(JSON.parse(text).dependencies[plugin.name]).toBe("file:extension/tsPlugin");
  });
});

/**
 * Whether VS Code's palette keeps a label for what is typed: its words' beginnings follow each other, or it has the text
 * as a whole. What is kept and was never run is sorted by label.
 */
function paletteKeeps(typed: string, label: string): boolean {
  const [wanted, target] = [typed.toLowerCase(), label.toLowerCase()];
  const separates = (char: string | undefined): boolean =>
    char !== undefined && /[\s()[\]{}<>`'"\-/;:,.?!]/.test(char);
  const starts = Array.from(target, (char, i) => [char, i] as const).flatMap(([char, i]) =>
    i === 0 || separates(char) || separates(target[i - 1]) ? [i] : [],
  );
  const follows = (w: number, t: number): boolean => {
    if (w === wanted.length) return true;
    if (target[t] !== wanted[w] && !(separates(target[t]) && separates(wanted[w]))) return false;
    return follows(w + 1, t + 1) || starts.some((start) => start > t && follows(w + 1, start));
  };
  return target.includes(wanted) || starts.some((start) => follows(0, start));
}

test("the palette's first answer to a command's label is that command", () => {
  const texts = JSON.parse(readFileSync(root("package.nls.json"), "utf8")) as Record<string, string>;
  const { commands, menus } = (JSON.parse(readFileSync(root("package.json"), "utf8")) as Manifest)
    .contributes;
  const hidden = new Set(
    menus["commandPalette"]!.filter(({ when }) => when === "false").map(({ command }) => command),
  );
  const labels = commands
    .filter(({ command }) => !hidden.has(command))
    .map(({ title }) => `Layerwise: ${texts[title.replaceAll("%", "")] ?? title}`);
  expect(labels).toContain("Layerwise: Train");
  const first = (typed: string): string | undefined =>
    labels.filter((label) => paletteKeeps(typed, label)).toSorted((a, b) => a.localeCompare(b))[0];
  for (const label of labels) expect(first(label)).toBe(label);
  for (const typed of ["train", "layerwise train", "lay: train"])
    expect(first(typed)).toBe("Layerwise: Train");
  // The titles that stood before Train.
  expect(paletteKeeps("Layerwise: Train", "Layerwise: Debug Training")).toBe(true);
});
