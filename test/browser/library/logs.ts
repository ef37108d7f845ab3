import fs from "node:fs";
import path from "node:path";
import { inRoot } from "../../../scripts/project.mjs";
import type { Workbench } from "./workbench.ts";

/**
 * Keeps what VS Code and the extension have logged in a folder beside the screenshots: those of its extension hosts
 * with their output channels, the server's, and the window's.
 */
export function keepLogs({ console, dataFolder }: Workbench, name: string): string {
  const folder = inRoot("test/results/screenshots", name);
  fs.rmSync(folder, { recursive: true, force: true });
  fs.mkdirSync(folder, { recursive: true });
  fs.writeFileSync(path.join(folder, "window.log"), console.join("\n"));
  for (const logs of ["server.log", "data/logs"]) {
    const source = path.join(dataFolder, logs);
    if (fs.existsSync(source)) fs.cpSync(source, path.join(folder, path.basename(logs)), { recursive: true });
  }
  return folder;
}
