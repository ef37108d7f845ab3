// A reporter of Vitest that keeps how values differ from those that failed tests expected: its JSON report leaves that out.
import fs from "node:fs";
import { stripVTControlCharacters } from "node:util";

/** Where the differences are: a JSON object from a test's full name to a text. */
export const DIFFERENCES = "LAYERWISE_TEST_DIFFERENCES";

/** Most lines of a difference. */
const MOST_LINES = 60;

/** @implements {import("vitest/reporters").Reporter} */
export default class DiffReporter {
  /** @type {Record<string, string>} */
  #differences = {};

  /** @param {import("vitest/node").TestCase} test */
  onTestCaseResult(test) {
    const differences = (test.result().errors ?? []).flatMap(({ diff }) => diff ?? []);
    if (differences.length === 0) return;
    const lines = stripVTControlCharacters(differences.join("\n")).split("\n");
    if (lines.length > MOST_LINES) lines.splice(MOST_LINES, Infinity, "…");
    // The JSON report joins the names of suites and test by spaces.
    this.#differences[test.fullName.replaceAll(" > ", " ")] = lines.join("\n");
  }

  onTestRunEnd() {
    const file = process.env[DIFFERENCES];
    if (file !== undefined) fs.writeFileSync(file, JSON.stringify(this.#differences));
  }
}
