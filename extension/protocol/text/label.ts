import { clipped } from "./clip.ts";
import { plainLine } from "./plain.ts";

/** Characters of a label; no place shows more. */
const LONGEST = 1000;

const BREAK = /[\r\n\u2028\u2029]/;

/**
 * Text of one line for VS Code's notifications, labels, lists, titles, tasks and debug sessions. There `[x](command:y)`
 * is a link that runs a command, `$(x)` an icon and `${command:x}` a command to run: a space takes them apart.
 */
export function labelText(text: string): string {
  const label = plainLine(
    text.replaceAll(/\s+/g, (space) => (BREAK.test(space) ? " " : space)).replaceAll("\t", " "),
  )
    .replaceAll("](", "] (")
    .replaceAll(/\$(?=[({])/g, "$ ");
  return clipped(label, LONGEST);
}
