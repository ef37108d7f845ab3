import { plainText } from "../../protocol/text/plain.ts";

/** Takes warnings about a user's program: stderr, unless the engine has a log of its own. */
export type WarningSink = (message: string) => void;

const shown = new Set<string>();
let sink: WarningSink = (message) => console.warn(plainText(`UserWarning: ${message}`));

/** Redirects warnings. Returns the sink before. */
export function setWarningSink(next: WarningSink): WarningSink {
  const before = sink;
  sink = next;
  shown.clear();
  return before;
}

/** Says something once in the life of the process, as Python's warnings do. */
export function warnOnce(message: string): void {
  if (shown.has(message)) return;
  shown.add(message);
  sink(message);
}
