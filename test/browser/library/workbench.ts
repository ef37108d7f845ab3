import fs from "node:fs";
import path from "node:path";
import type { Browser, Frame, Locator, Page } from "playwright-core";
import type { RunRecord } from "../../../extension/protocol/run.ts";
import { QUICK, until } from "../../harness.ts";
import { patience } from "../../patience.ts";
import { newestRun } from "../../runDirectories.ts";
import { newWindow, QUIET_SETTINGS, temporaryFolder } from "./browser.ts";
import { QuickInput } from "./quickInput.ts";
import { copyExamples } from "../../../scripts/example-workspace.mjs";
import { inRoot } from "../../../scripts/project.mjs";
import { startServer, windowUrl, type VscodeServer } from "../../../scripts/vscode/server.mjs";

const ALL_THEMES = {
  light: "Default Light Modern",
  dark: "Default Dark Modern",
  "high-contrast": "Default High Contrast",
  "high-contrast-light": "Default High Contrast Light",
} as const;
export type Theme = keyof typeof ALL_THEMES;
export const EACH_THEME: readonly Theme[] = ["light", "dark", "high-contrast"];
/** Themes in which a state is checked. `npm test` has one: the themes' colours are the panels' tests' by themselves. */
export const THEMES = QUICK ? EACH_THEME.slice(0, 1) : EACH_THEME;

/** Whether the walkthrough's pictures are retaken: in each theme, which is slow. */
const TAKES_PICTURES = process.env["LAYERWISE_PICTURES"] === "1";

export interface WorkbenchOptions {
  browser: Browser;
  server: VscodeServer;
  extensionsFolder: string;
  theme?: Theme;
  /** A copy of the examples unless given. */
  folder?: string;
  settings?: Record<string, unknown>;
  workspaceTrust?: boolean;
  /** More environment variables of the extension host. */
  env?: Record<string, string>;
}

/** One VS Code server with one window on one folder, and a user's actions in it. */
export class Workbench {
  readonly page: Page;
  /** The palette, and the lists and boxes that commands open. */
  readonly quick: QuickInput;
  readonly folder: string;
  theme: Theme;
  readonly dataFolder: string;
  /** Messages in the window's console on errors in webviews and on their content security policy. */
  readonly complaints: string[] = [];
  /** All that the window's console said: VS Code's own log of the window is nowhere else. */
  readonly console: string[] = [];
  #settings: Record<string, unknown> = {};
  readonly #running: Awaited<ReturnType<typeof startServer>>;

  private constructor(
    page: Page,
    folder: string,
    theme: Theme,
    dataFolder: string,
    running: Awaited<ReturnType<typeof startServer>>,
  ) {
    this.page = page;
    this.quick = new QuickInput(page);
    this.folder = folder;
    this.theme = theme;
    this.dataFolder = dataFolder;
    this.#running = running;
    page.on("dialog", (dialog) => void dialog.accept());
    page.on("console", (message) => {
      this.console.push(`${new Date().toISOString()} ${message.type()} ${message.text()}`);
      const webview =
        message.location().url.includes("/webview/") || /Content Security Policy/.test(message.text());
      if (webview && message.type() === "error") this.complaints.push(message.text());
    });
  }

  static async open(options: WorkbenchOptions): Promise<Workbench> {
    const {
      browser,
      server,
      extensionsFolder,
      theme = "light",
      settings = {},
      workspaceTrust = false,
      env = {},
    } = options;
    const folder = options.folder ?? temporaryFolder("workspace");
    if (options.folder === undefined) copyExamples(folder);
    const dataFolder = temporaryFolder("vscode-data");
    const running = await startServer(server, {
      dataFolder,
      extensionsFolder,
      settings: { ...QUIET_SETTINGS, "workbench.colorTheme": ALL_THEMES[theme], ...settings },
      workspaceTrust,
      env,
    });
    const page = await newWindow(browser, theme === "light" ? "light" : "dark");
    const workbench = new Workbench(page, folder, theme, dataFolder, running);
    await page.goto(windowUrl(running.port, folder));
    await page.locator(".monaco-workbench").waitFor();
    return workbench;
  }

  async close(): Promise<void> {
    await this.page.context().close();
    await this.#running.stop();
  }

  /** Closes what a scenario has left open. */
  async tidy(): Promise<void> {
    await this.command("View: Close All Editors");
    await this.webviewFrame.waitFor({ state: "detached" });
    await this.command("Notifications: Clear All Notifications");
    await this.useTheme("light");
    this.complaints.length = 0;
  }

  /** Changes settings of the folder. */
  useSettings(settings: Record<string, unknown>): void {
    const file = path.join(this.folder, ".vscode/settings.json");
    fs.mkdirSync(path.dirname(file), { recursive: true });
    this.#settings = { ...this.#settings, ...settings };
    fs.writeFileSync(file, JSON.stringify(this.#settings));
  }

  /** Changes the colour theme by the folder's settings. */
  async useTheme(theme: Theme): Promise<void> {
    if (theme === this.theme) return;
    this.useSettings({ "workbench.colorTheme": ALL_THEMES[theme] });
    this.theme = theme;
    const base = {
      light: "vs",
      dark: "vs-dark",
      "high-contrast": "hc-black",
      "high-contrast-light": "hc-light",
    }[theme];
    await this.page.locator(`.monaco-workbench.${base}`).waitFor();
  }

  /** Reloads the window, as its user does: VS Code saves its layout before. */
  async reload(): Promise<void> {
    const loaded = this.page.waitForEvent("load");
    await this.command("Developer: Reload Window");
    await loaded;
    await this.page.locator(".monaco-workbench").waitFor();
  }

  /** The server's process group: the extension host and what it starts, unless detached. */
  get processGroup(): number {
    return this.#running.pid;
  }

  /** Layerwise's item of the status bar: there once the extension is active. */
  get status(): Locator {
    return this.page.locator('[id="layerwise.layerwise.layerwise.status"]');
  }

  async activated(): Promise<void> {
    await this.status.waitFor();
  }

  /** Runs a command by its title. */
  command(title: string): Promise<void> {
    return this.quick.command(title);
  }

  /**
   * Opens a text file of the folder, pinned, by its name; afterwards the editor has the focus. A panel that opens late may
   * take the focus: then the file is opened again.
   */
  async openFile(name: string): Promise<void> {
    const focused = this.page.locator(".editor-instance .monaco-editor.focused");
    await until(
      `the focus in ${name}`,
      async () => {
        await this.openTab(name);
        return focused.waitFor({ timeout: 10_000 }).then(() => true);
      },
      60_000,
    );
  }

  /** Opens a file of the folder in whatever editor is its own. A file that has just been written may be found later. */
  async openTab(name: string): Promise<void> {
    const widget = this.page.locator(".quick-input-widget");
    await until(
      `an editor of ${name}`,
      async () => {
        // In an open list the keys would choose the next row instead of opening it.
        await this.page.keyboard.press("Escape");
        await this.page.keyboard.press("Control+P");
        await widget.locator("input.input").fill(name, { timeout: 2000 });
        await widget.locator(".monaco-list-row", { hasText: name }).first().click({ timeout: 20_000 });
        const tab = this.page.locator(`.tab.active[data-resource-name="${name}"]`);
        return tab.waitFor({ timeout: 10_000 }).then(() => true);
      },
      60_000,
    );
  }

  /** A lens of the active editor by its text. */
  lens(text: string | RegExp): Locator {
    return this.page.locator(".codelens-decoration a", { hasText: text }).first();
  }

  /** Clicks a lens until `effect` shows: a click is lost when the lenses are redrawn under the pointer. */
  async clickLens(text: string | RegExp, effect: () => Promise<unknown>, limit = 30_000): Promise<void> {
    const lens = this.lens(text);
    await lens.waitFor();
    await until(
      `effect of the lens ${String(text)}`,
      async () => {
        // A click that reports a failure may have happened all the same.
        await lens.click({ timeout: 2000 }).catch(() => undefined);
        return effect().then(() => true);
      },
      limit,
    );
  }

  /**
   * Clicks a lens until a panel is there, by a part of its title. On a busy machine that takes its time: a second click on
   * Train would be a second training.
   */
  async openByLens(lens: string, panel: string): Promise<void> {
    await this.clickLens(lens, () => this.tab(panel).waitFor({ timeout: patience(10_000) }), 60_000);
  }

  treeItem(name: string | RegExp): Locator {
    return this.page.getByRole("treeitem", { name }).first();
  }

  /** The first webview's place in the window, filled or not. */
  get webviewFrame(): Locator {
    return this.page.locator("iframe.webview").first();
  }

  /** The panel that is seen: the walkthrough has webviews of its own. */
  get panel(): Locator {
    return this.page.locator('iframe.webview[src*="extensionId=layerwise"]').filter({ visible: true }).last();
  }

  /** Shows Layerwise's view container in the side bar. */
  showSideBar(): Promise<void> {
    return this.showView("Layerwise");
  }

  /** Shows a view container in the side bar; a click on the one that is shown would hide it. */
  async showView(name: string): Promise<void> {
    const tab = this.page.locator(".activitybar").getByRole("tab", { name }).first();
    const selected = async (): Promise<boolean> =>
      (await tab.getAttribute("aria-selected", { timeout: 2000 })) === "true";
    await until(`the view ${name}`, async () => {
      if (await selected()) return true;
      await tab.click({ timeout: 2000 });
      return until("its selection", selected, 2000);
    });
  }

  /** The first tab with this in its title. */
  tab(title: string): Locator {
    return this.page.locator(".tab", { hasText: title }).first();
  }

  /** Closes each editor with this in its title. A click is lost when the tabs are redrawn under the pointer. */
  async closeTab(title: string): Promise<void> {
    const tab = this.tab(title);
    await until(`the end of the tab ${title}`, async () => {
      if ((await tab.count()) === 0) return true;
      await tab.getByRole("button").first().click({ timeout: 2000 });
      return tab.waitFor({ state: "detached", timeout: 2000 }).then(() => true);
    });
  }

  /** Closes a panel that is the only one. */
  async closePanel(title: string): Promise<void> {
    await this.closeTab(title);
    await this.webviewFrame.waitFor({ state: "detached" });
  }

  /** The last evaluation that was started, once it is done. */
  evaluated(): Promise<RunRecord> {
    return until(
      "the evaluation",
      () => {
        const run = newestRun(this.folder);
        return run?.kind === "evaluate" && run.state === "finished" && run;
      },
      30_000,
    );
  }

  notification(text: string | RegExp): Locator {
    return this.page.locator(".notification-list-item-message", { hasText: text }).first();
  }

  /** Has a notification on the screen: VS Code hides each after some seconds, and keeps it in a list. */
  async notified(text: string | RegExp): Promise<Locator> {
    const item = this.notification(text);
    await until(
      `the notification ${String(text)}`,
      async () => {
        const soon = { timeout: 4000 };
        if (
          await item.waitFor(soon).then(
            () => true,
            () => false,
          )
        )
          return true;
        await this.command("Notifications: Show Notifications");
        return item.waitFor(soon).then(() => true);
      },
      60_000,
    );
    return item;
  }

  /** Presses a button of a notification, which VS Code may hide in that moment. */
  async answer(text: string | RegExp, button: string): Promise<void> {
    await until(
      `${button} of the notification ${String(text)}`,
      async () => {
        await this.notified(text);
        await this.page.getByRole("button", { name: button }).first().click({ timeout: 4000 });
        return true;
      },
      60_000,
    );
  }

  /** The extension's own document inside a webview, once its script says it is ready. */
  webview(view: string, limit = 30_000): Promise<Frame> {
    return until(
      `webview ${view}`,
      async () => {
        for (const frame of this.page.frames()) {
          if (!frame.url().includes("/webview/browser/pre/fake.html")) continue;
          const ready = await frame
            .evaluate(
              (name) => document.body.dataset["view"] === name && document.body.dataset["ready"] === "1",
              view,
            )
            .catch(() => false);
          if (ready) return frame;
        }
        return undefined;
      },
      limit,
    );
  }

  /** Looks at the window in several themes, once its webviews have them too; afterwards it has its own again. */
  async inThemes(themes: readonly Theme[], look: () => Promise<void>): Promise<void> {
    const { theme } = this;
    for (const one of themes) {
      await this.useTheme(one);
      const kind = `vscode-${one}`;
      await until("the webviews' theme", async () => {
        const views = this.page.frames().filter((frame) => frame.url().includes("/pre/fake.html"));
        const kinds = views.map((frame) => frame.evaluate(() => document.body.dataset["vscodeThemeKind"]));
        return (await Promise.all(kinds)).every((shown) => shown === undefined || shown === kind);
      });
      await look();
    }
    await this.useTheme(theme);
  }

  /**
   * Pictures of a part of the window, at most `height` pixels of it, for the walkthrough: scripts/pictures.mjs takes
   * them from here.
   */
  async picture(name: string, part: Locator, height = 640): Promise<void> {
    const folder = inRoot("test/results/pictures");
    fs.mkdirSync(folder, { recursive: true });
    await this.inThemes(TAKES_PICTURES ? (Object.keys(ALL_THEMES) as Theme[]) : [this.theme], async () => {
      const box = await part.boundingBox();
      if (box === null) throw new Error(`${name} is not to be seen`);
      await this.page.screenshot({
        path: path.join(folder, `${name}-${this.theme}.png`),
        animations: "disabled",
        clip: { ...box, height: Math.min(height, box.height) },
      });
    });
  }

  /** A picture to look at, which `npm test` doesn't take. */
  async screenshot(name: string): Promise<void> {
    if (!QUICK) await this.keepScreenshot(name);
  }

  async keepScreenshot(name: string): Promise<string> {
    const folder = inRoot("test/results/screenshots");
    fs.mkdirSync(folder, { recursive: true });
    const file = path.join(folder, `${name}-${this.theme}.png`);
    await this.page.screenshot({ path: file, animations: "disabled" });
    return file;
  }
}
