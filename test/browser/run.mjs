// @ts-check
/** The browser tier: `node test/browser/run.mjs`. Ends with "N passed, N failed" and exit code 1 on a failure. */
import { pathToFileURL } from "node:url";
import { bundle } from "../bundle.mjs";

for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(130));
const program = await bundle("test/browser/main.ts", "out/test/browser.mjs");
const { runScenarios } = await import(pathToFileURL(program).href);
process.exit((await runScenarios()) ? 0 : 1);
