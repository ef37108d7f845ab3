import * as inspector from "node:inspector";

/** Whether a debugger may stop this process at any line. */
export const isDebugged = (): boolean => inspector.url() !== undefined;

/**
 * Opens this process to a debugger of this machine and waits until one has set its breakpoints and continues.
 * @param tell reports the address, and resolves when that is under way
 */
export async function waitForDebugger(tell: (url: string) => Promise<void>): Promise<void> {
  inspector.open(0, "127.0.0.1");
  const url = inspector.url();
  if (url === undefined) throw new Error("internal: the inspector did not open");
  await tell(url);
  inspector.waitForDebugger();
}
