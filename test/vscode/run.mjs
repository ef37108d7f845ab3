// @ts-check
/**
 * The extension host tier: `node test/vscode/run.mjs`. What activation takes, the whole suite in the newest VS Code, what is
 * different with several folders in a window on two, and what matters most in the oldest VS Code that the manifest lets
 * in; `startup`, `newest`, `folders` or `oldest` after it runs only that. Ends with "N passed, N failed" and exit code 1 on a failure.
 */
import { pathToFileURL } from "node:url";
import { main } from "../../scripts/project.mjs";
import { bundle } from "../bundle.mjs";

const SUITES = /** @type {const} */ ({
  startup: { age: "newest", windows: 3 },
  newest: { age: "newest" },
  folders: { age: "newest", folders: ["first", "second"] },
  oldest: { age: "oldest" },
});

/** @param {import("../harness.ts").Outcome} outcome */
const failed = ({ error }) => error !== undefined;

for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(130));
await main(async () => {
  const host = await bundle("test/vscode/host.ts", "out/test/vscode-host.mjs");
  /** @type {typeof import("./host.ts")} */
  const { runSuite, totals } = await import(pathToFileURL(host).href);
  const outcomes = [];
  for (const [name, where] of Object.entries(SUITES)) {
    if (process.argv.length > 2 && !process.argv.includes(name)) continue;
    const folders = "folders" in where ? ", with two folders" : "";
    console.log(`In the ${where.age} VS Code${folders}:`);
    const suite = await bundle(`test/vscode/suite/${name}.ts`, `out/test/vscode-${name}.cjs`);
    // What happens once in a window's life is tried in others, not again.
    let windows = "windows" in where ? where.windows : 1;
    let found = await runSuite(suite, where);
    while (found.some(failed) && --windows > 0) found = await runSuite(suite, where);
    outcomes.push(...found);
  }
  console.log(totals(outcomes));
  return outcomes.length > 0 && !outcomes.some(failed) ? 0 : 1;
});
process.exit();
