// @ts-check
/**
 * The browser tier: `node test/browser/run.mjs`. The panels by themselves, then the scenarios in VS Code. Ends with
 * "N passed, N failed" and exit code 1 on a failure. `LAYERWISE_TEST_ONLY` picks scenarios by a part of their names.
 */
import { pathToFileURL } from "node:url";
import { main, run } from "../../scripts/project.mjs";
import { bundle } from "../bundle.mjs";

for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(130));
await main(async () => {
  const panels = process.env["LAYERWISE_TEST_ONLY"] ? { passed: 0, failed: 0 } : await runPanels();
  const program = await bundle("test/browser/main.ts", "out/test/browser.mjs");
  /** @type {typeof import("./main.ts")} */
  const { runScenarios } = await import(pathToFileURL(program).href);
  const scenarios = await runScenarios();
  const failed = panels.failed + scenarios.failed;
  console.log(`${panels.passed + scenarios.passed} passed, ${failed} failed`);
  return failed === 0 ? 0 : 1;
});
process.exit();

/** @returns {Promise<{ passed: number, failed: number }>} */
async function runPanels() {
  let output = "";
  const exit = await run(process.execPath, ["test/browser/panels.mjs"], {
    onOutput: (text) => (output += text),
  });
  const [passed = 0, failed = 0] = /(\d+) passed, (\d+) failed\s*$/.exec(output)?.slice(1).map(Number) ?? [];
  return { passed, failed: failed === 0 && exit !== 0 ? 1 : failed };
}
