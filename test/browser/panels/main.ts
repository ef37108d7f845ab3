import { runTests, totals } from "../../harness.ts";
import { closeBrowser, openBrowser, type Places, screenshotPage } from "./page.ts";
import "./architecture.ts";
import "./comparison.ts";
import "./diagram.ts";
import "./evaluation.ts";
import "./looks.ts";
import "./profile.ts";
import "./runs.ts";
import "./tensors.ts";
import "./training.ts";

/** What is measured, and so has the machine for itself. */
const MEASURED = /in time|60 frames|fluid|a frame at a time/;
/** Two browsers side by side, and then one. */
const PARTS: Record<string, (name: string, index: number) => boolean> = {
  even: (name, index) => index % 2 === 0 && !MEASURED.test(name),
  odd: (name, index) => index % 2 === 1 && !MEASURED.test(name),
  measured: (name) => MEASURED.test(name),
};

export interface Selection {
  only?: string | undefined;
  part?: string | undefined;
}

/**
 * Runs the tests whose name contains `only`, or a part of all; the last line printed is "N passed, N failed". Answers
 * the failures.
 */
export async function run({ only, part, ...places }: Places & Selection): Promise<number> {
  await openBrowser(places);
  try {
    const outcomes = await runTests({
      print: (line) => console.log(line),
      onFailure: (name) => screenshotPage(`failed-${name.replaceAll(/\W+/g, "-")}`),
      only,
      ...(part === undefined ? {} : { which: PARTS[part]! }),
    });
    console.log(totals(outcomes));
    return outcomes.filter(({ error }) => error !== undefined).length;
  } finally {
    await closeBrowser();
  }
}
