// @ts-check
/**
 * The browser tier: `node test/browser/run.mjs`. The panels by themselves, then the scenarios in VS Code. Ends as
 * {@link conclude} says. `LAYERWISE_TEST_ONLY` picks scenarios by a part of their names.
 */
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { packageExtension } from "../../scripts/package.mjs";
import { main } from "../../scripts/project.mjs";
import { ensureVscode, installExtension } from "../../scripts/vscode/server.mjs";
import { bundle } from "../bundle.mjs";
import { conclude, runLanes, sum } from "../lanes.mjs";
import { runPanels } from "./panels.mjs";

for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(130));
await main(async () => {
  const panels = process.env["LAYERWISE_TEST_ONLY"] ? [] : [await runPanels()];
  return conclude(sum([...panels, await runScenarios()]));
});
process.exit();

/** The extension is installed once, as users get it. */
async function runScenarios() {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "layerwise-extensions-"));
  process.once("exit", () => fs.rmSync(folder, { recursive: true, force: true, maxRetries: 3 }));
  const extensionsFolder = path.join(folder, "extensions");
  const dataFolder = path.join(folder, "data");
  await installExtension(await ensureVscode(), {
    vsix: await packageExtension(),
    dataFolder,
    extensionsFolder,
  });
  const program = await bundle("test/browser/main.ts", "out/test/browser.mjs");
  return runLanes(program, { LAYERWISE_EXTENSIONS: extensionsFolder });
}
