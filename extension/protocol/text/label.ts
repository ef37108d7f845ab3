import { plainLine } from "./plain.ts";

/**
 * Text of one line for VS Code's notifications, labels, lists, titles, tasks and debug sessions. There `[x](command:y)`
 * is a link that runs a command, `$(x)` an icon and `${command:x}` a command to run: a space takes them apart.
 */
export function labelText(text: string): string {
  return plainLine(text.replaceAll(/\s*[\r\n\u2028\u2029]\s*/g, " ").replaceAll("\t", " "))
    .replaceAll("](", "] (")
    .replaceAll(/\$(?=[({])/g, "$ ");
}
