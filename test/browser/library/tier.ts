import type { Browser } from "playwright-core";
import { launchBrowser, temporaryFolder } from "./browser.ts";
import { Workbench, type WorkbenchOptions } from "./workbench.ts";
import { packageExtension } from "../../../scripts/package.mjs";
import { ensureVscode, installExtension, type VscodeServer } from "../../../scripts/vscode-server.mjs";

/** What all scenarios share: the installed extension, as users get it, and one browser. */
interface Tier {
  browser: Browser;
  server: VscodeServer;
  extensionsFolder: string;
}

let tier: Tier | undefined;
const open = new Set<Workbench>();

export async function prepareTier(): Promise<void> {
  const server = await ensureVscode();
  const folder = temporaryFolder("extensions");
  await installExtension(server, {
    vsix: await packageExtension(),
    dataFolder: temporaryFolder("vscode-data"),
    extensionsFolder: folder,
  });
  tier = { browser: await launchBrowser(), server, extensionsFolder: folder };
}

/** A window of its own server, with the extension installed. */
export async function openWorkbench(options: Omit<WorkbenchOptions, keyof Tier> = {}): Promise<Workbench> {
  if (tier === undefined) throw new Error("prepareTier() comes first.");
  const workbench = await Workbench.open({ ...tier, ...options });
  open.add(workbench);
  return workbench;
}

export async function closeWorkbench(workbench: Workbench): Promise<void> {
  open.delete(workbench);
  await workbench.close();
}

/** The windows that a failed test left open, for its screenshots. */
export const openWorkbenches = (): readonly Workbench[] => [...open];

export async function closeTier(): Promise<void> {
  for (const workbench of openWorkbenches()) await closeWorkbench(workbench);
  await tier?.browser.close();
}
