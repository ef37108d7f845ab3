import { join } from "node:path";

/** A program of Windows by its full path: Windows searches the current folder first for a bare name. */
export function windowsProgram(...names: string[]): string {
  return join(process.env["SystemRoot"] ?? "C:\\Windows", "System32", ...names);
}
