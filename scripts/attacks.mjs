// @ts-check
/**
 * `npm run attacks [-- FILE …]`: runs the attacks of test/attacks and prints the outcome of each: "held", or "broken" if the
 * attack succeeded. The last line is "N held, N broken"; the exit code is 1 if any is broken.
 */
import fs from "node:fs";
import path from "node:path";
import { ensureNativeEngine } from "./native-engine.mjs";
import { inRoot, main, run } from "./project.mjs";
import { setup } from "./setup.mjs";

/** @typedef {{ ancestorTitles: string[], title: string, status: string, failureMessages: string[] }} Attack */
/** @typedef {{ name: string, status: string, message: string, assertionResults: Attack[] }} File */

const OUTCOMES = /** @type {Record<string, string>} */ ({ passed: "held", failed: "BROKEN" });

await main(async () => {
  await setup();
  await ensureNativeEngine();
  const report = inRoot("out", "test", "attacks.json");
  fs.rmSync(report, { force: true });
  const vitest = inRoot("node_modules", "vitest/vitest.mjs");
  const reporters = ["--reporter=json", `--outputFile.json=${report}`];
  await run(process.execPath, [
    vitest,
    "run",
    "--project",
    "attacks",
    ...reporters,
    ...process.argv.slice(2),
  ]);
  /** @type {File[]} */
  const files = JSON.parse(fs.readFileSync(report, "utf8")).testResults;
  let held = 0;
  let broken = 0;
  for (const { name, status, message, assertionResults } of files) {
    process.stdout.write(`\n${path.relative(inRoot("test", "attacks"), name)}\n`);
    if (status === "failed" && assertionResults.length === 0) {
      broken++;
      process.stdout.write(`  BROKEN   the file could not be loaded: ${message}\n`);
    }
    for (const attack of assertionResults) {
      if (attack.status === "passed") held++;
      if (attack.status === "failed") broken++;
      const title = [...attack.ancestorTitles, attack.title].join(": ");
      process.stdout.write(`  ${(OUTCOMES[attack.status] ?? "skipped").padEnd(8)} ${title}\n`);
      for (const failure of attack.failureMessages)
        process.stdout.write(`           ${failure.split("\n")[0]}\n`);
    }
  }
  process.stdout.write(`\n${held} held, ${broken} broken\n`);
  return broken === 0 ? 0 : 1;
});
