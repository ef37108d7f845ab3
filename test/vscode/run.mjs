// @ts-check
/**
 * The extension host tier: `node test/vscode/run.mjs`. The whole suite in the newest VS Code, and what matters most in the
 * oldest that the manifest lets in; `newest` or `oldest` after it runs only that. Ends with "N passed, N failed" and exit
 * code 1 on a failure.
 */
import { pathToFileURL } from "node:url";
import { main } from "../../scripts/project.mjs";
import { bundle } from "../bundle.mjs";

const SUITES = /** @type {const} */ (["newest", "oldest"]);

for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(130));
await main(async () => {
  const host = await bundle("test/vscode/host.ts", "out/test/vscode-host.mjs");
  /** @type {typeof import("./host.ts")} */
  const { runSuite, totals } = await import(pathToFileURL(host).href);
  const wanted = SUITES.filter((age) => process.argv.length < 3 || process.argv.includes(age));
  const outcomes = [];
  for (const age of wanted) {
    console.log(`In the ${age} VS Code:`);
    const suite = await bundle(`test/vscode/suite/${age}.ts`, `out/test/vscode-${age}.cjs`);
    outcomes.push(...(await runSuite(suite, age)));
  }
  console.log(totals(outcomes));
  return outcomes.length > 0 && outcomes.every(({ error }) => error === undefined) ? 0 : 1;
});
process.exit();
