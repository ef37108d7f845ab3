/** Entry point in VS Code's extension host: runs the tests of a suite, then writes a file with the results. */
import fs from "node:fs";
import { runTests } from "../../harness.ts";

export async function run(): Promise<void> {
  const results = required("LAYERWISE_TEST_RESULTS");
  const log = required("LAYERWISE_TEST_LOG");
  const outcomes = await runTests({
    print: (line) => fs.appendFileSync(log, `${line}\n`),
    only: process.env["LAYERWISE_TEST_ONLY"],
  });
  fs.writeFileSync(`${results}.tmp`, JSON.stringify(outcomes, null, 2));
  fs.renameSync(`${results}.tmp`, results);
}

function required(name: string): string {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: start the suite with test/vscode/run.mjs.`);
  return value;
}
