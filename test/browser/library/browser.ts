import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { chromium, type Browser, type Page } from "playwright-core";
import { patience } from "../../patience.ts";
import { ensureChromium, isRoot } from "../../../scripts/vscode/chromium.mjs";

/** A browser that talks to 127.0.0.1 alone. */
export function launchBrowser(): Promise<Browser> {
  return chromium.launch({
    executablePath: ensureChromium(),
    headless: true,
    args: [
      ...(isRoot() ? ["--no-sandbox"] : []),
      "--disable-gpu",
      "--disable-quic",
      "--disable-dev-shm-usage",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1 , EXCLUDE localhost",
    ],
  });
}

/**
 * A page for one VS Code window. VS Code waits for a service worker's `update()` before it fills a second webview, and
 * in a headless Chromium that may take for ever; there is never anything to update here. Its server has two seconds to
 * say how an extension host ended: on a loaded machine it takes longer, and then VS Code neither starts another nor says
 * why (`_onRemoteExtensionHostCrashed`). Here it has a minute.
 */
export async function newWindow(browser: Browser, colorScheme: "light" | "dark" = "light"): Promise<Page> {
  const context = await browser.newContext({ viewport: { width: 1400, height: 900 }, colorScheme });
  context.setDefaultTimeout(patience(40_000));
  await context.addInitScript(() => {
    if ("ServiceWorkerRegistration" in globalThis)
      ServiceWorkerRegistration.prototype.update = async function update(this: ServiceWorkerRegistration) {
        return this;
      };
    const { setTimeout } = globalThis;
    const patient = (...[handler, delay, ...rest]: Parameters<typeof setTimeout>) =>
      setTimeout(
        handler,
        delay === 2000 && String(handler).includes("getExtensionHostExitInfo") ? 60_000 : delay,
        ...rest,
      );
    globalThis.setTimeout = Object.assign(patient, setTimeout);
  });
  return context.newPage();
}

const temporaryFolders: string[] = [];
process.once("exit", () => {
  for (const folder of temporaryFolders) fs.rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
});

/** A new folder of this machine's temporary ones, gone when the process ends. */
export function temporaryFolder(name: string): string {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), `layerwise-${name}-`));
  temporaryFolders.push(folder);
  return folder;
}

/** Keeps a test window quiet: nothing that asks, phones home or moves on its own. */
export const QUIET_SETTINGS = {
  "chat.disableAIFeatures": true,
  "workbench.secondarySideBar.defaultVisibility": "hidden",
  "workbench.startupEditor": "none",
  "workbench.editor.useModal": "off",
  "telemetry.telemetryLevel": "off",
  "extensions.autoCheckUpdates": false,
  "extensions.autoUpdate": false,
  "extensions.ignoreRecommendations": true,
  "workbench.tips.enabled": false,
  "workbench.enableExperiments": false,
  "workbench.settings.enableNaturalLanguageSearch": false,
  "git.enabled": false,
  "remote.autoForwardPorts": false,
  "typescript.disableAutomaticTypeAcquisition": true,
  "update.showReleaseNotes": false,
  "window.commandCenter": false,
  "editor.minimap.enabled": false,
  "editor.cursorBlinking": "solid",
  "workbench.reduceMotion": "on",
};
