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

/** Runs the tests whose name contains `only`; the last line printed is "N passed, N failed". Answers the failures. */
export async function run({ only, ...places }: Places & { only: string | undefined }): Promise<number> {
  await openBrowser(places);
  try {
    const outcomes = await runTests({
      print: (line) => console.log(line),
      onFailure: (name) => screenshotPage(`failed-${name.replaceAll(/\W+/g, "-")}`),
      only,
    });
    console.log(totals(outcomes));
    return outcomes.filter(({ error }) => error !== undefined).length;
  } finally {
    await closeBrowser();
  }
}
