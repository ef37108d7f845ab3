// @ts-check
/** The extension host tier: `node test/vscode/run.mjs`. Ends with "N passed, N failed" and exit code 1 on a failure. */
import { pathToFileURL } from "node:url";
import { main } from "../../scripts/project.mjs";
import { bundle } from "../bundle.mjs";

for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(130));
await main(async () => {
  const suite = await bundle("test/vscode/suite/index.ts", "out/test/vscode-suite.cjs");
  const host = await bundle("test/vscode/host.ts", "out/test/vscode-host.mjs");
  /** @type {typeof import("./host.ts")} */
  const { runSuite } = await import(pathToFileURL(host).href);
  return (await runSuite(suite)) ? 0 : 1;
});
process.exit();
