import type { Browser } from "playwright-core";
import { launchBrowser } from "./browser.ts";
import { Workbench, type WorkbenchOptions } from "./workbench.ts";
import { ensureVscode, type VscodeServer } from "../../../scripts/vscode/server.mjs";

/** Shared by all scenarios of a process: the installed extension and one browser. */
interface Tier {
  browser: Browser;
  server: VscodeServer;
  extensionsFolder: string;
}

let tier: Tier | undefined;
const open = new Set<Workbench>();
/** The window that scenarios share, and its name. */
let shared: { name: string; workbench: Workbench } | undefined;

async function openTier(): Promise<Tier> {
  const extensionsFolder = process.env["LAYERWISE_EXTENSIONS"];
  if (extensionsFolder === undefined) throw new Error("Start the scenarios with test/browser/run.mjs.");
  return { browser: await launchBrowser(), server: await ensureVscode(), extensionsFolder };
}

type Options = Omit<WorkbenchOptions, keyof Tier>;

/** A window of its own server, with the extension installed. The shared one is closed: each takes its memory. */
export async function openWorkbench(options: Options = {}): Promise<Workbench> {
  tier ??= await openTier();
  if (shared !== undefined && open.has(shared.workbench)) await closeWorkbench(shared.workbench);
  const workbench = await Workbench.open({ ...tier, ...options });
  open.add(workbench);
  return workbench;
}

/**
 * The window of that name, for scenarios in a row that need no fresh window: opening one takes longer than most
 * scenarios. Its editors and notifications are closed; a failed test leaves no window.
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
