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
/** The window that scenarios share, and its name. */
let shared: { name: string; workbench: Workbench } | undefined;

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

type Options = Omit<WorkbenchOptions, keyof Tier>;

/** A window of its own server, with the extension installed. The shared one is closed: each takes its memory. */
export async function openWorkbench(options: Options = {}): Promise<Workbench> {
  if (tier === undefined) throw new Error("prepareTier() comes first.");
  if (shared !== undefined && open.has(shared.workbench)) await closeWorkbench(shared.workbench);
  const workbench = await Workbench.open({ ...tier, ...options });
  open.add(workbench);
  return workbench;
}

/**
 * The window of that name, for scenarios in a row which can do with one that others have used: to open one takes longer
 * than most of what they do. Its editors and notifications are closed; a test that failed leaves none.
 */
export async function sharedWorkbench(name: string, options: () => Options = () => ({})): Promise<Workbench> {
  if (shared?.name === name && open.has(shared.workbench)) {
    await shared.workbench.tidy();
    return shared.workbench;
  }
  const workbench = await openWorkbench(options());
  shared = { name, workbench };
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
