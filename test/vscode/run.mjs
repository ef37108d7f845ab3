// @ts-check
/**
 * The extension host tier: `node test/vscode/run.mjs`. Side by side, the whole suite in the newest VS Code, tests of
 * several folders in a window, and the most important tests in the oldest VS Code that the manifest allows; then, with
 * the machine for itself, times of activation and waits of a user. Suites' names after it run only those.
 * Ends as {@link conclude} says.
 */
import { pathToFileURL } from "node:url";
import { main } from "../../scripts/project.mjs";
import { bundle } from "../bundle.mjs";
import { conclude } from "../lanes.mjs";

/** @typedef {{ age: "newest" | "oldest", folders?: string[], alone?: true, windows?: number }} Suite */
/** @type {Record<string, Suite>} */
const SUITES = {
  newest: { age: "newest" },
  folders: { age: "newest", folders: ["first", "second"] },
  oldest: { age: "oldest" },
  // Events that happen once in a window's life are retried in a new window.
  startup: { age: "newest", alone: true, windows: 3 },
  timed: { age: "newest", alone: true },
};

/** @param {import("../harness.ts").Outcome} outcome */
const failed = ({ error }) => error !== undefined;

for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(130));
await main(async () => {
  const host = await bundle("test/vscode/host.ts", "out/test/vscode-host.mjs");
  /** @type {typeof import("./host.ts")} */
  const { runSuite, countsOf } = await import(pathToFileURL(host).href);
  /** @type {import("../harness.ts").Outcome[]} */
  const outcomes = [];
  const named = Object.entries(SUITES).filter(
    ([name]) => process.argv.length === 2 || process.argv.includes(name),
  );

  /** @param {[string, Suite]} suite @param {(text: string) => void} print */
  async function runOne([name, { windows = 1, ...where }], print) {
    const folders = where.folders === undefined ? "" : ", with two folders";
    print(`In the ${where.age} VS Code${folders}:\n`);
    const file = await bundle(`test/vscode/suite/${name}.ts`, `out/test/vscode-${name}.cjs`);
    for (let left = windows; left > 0; left--) {
      let output = "";
      const found = await runSuite(file, where, (text) => (output += text));
      const again = left > 1 && found.some(failed);
      // The last window counts: the summary at the end repeats each line that begins with FAILED.
      print(again ? output.replaceAll(/^FAILED/gm, "tried again:") : output);
      if (again) continue;
      outcomes.push(...found);
      return;
    }
  }

  const beside = named.filter(([, { alone }]) => !alone);
  const lane = async () => {
    for (let suite = beside.shift(); suite !== undefined; suite = beside.shift()) {
      let output = "";
      await runOne(suite, (text) => (output += text));
      process.stdout.write(output);
    }
  };
  await Promise.all([lane(), lane()]);
  for (const suite of named.filter(([, { alone }]) => alone))
    await runOne(suite, (text) => process.stdout.write(text));
  return conclude(countsOf(outcomes));
});
process.exit();
