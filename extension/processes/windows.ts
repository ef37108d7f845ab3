import { join } from "node:path";

/** A program of Windows by its whole path: a bare name would be looked for in the current folder first. */
export function windowsProgram(...names: string[]): string {
  return join(process.env["SystemRoot"] ?? "C:\\Windows", "System32", ...names);
}
