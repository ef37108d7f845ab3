/** Runs the scenarios, one after another, in one browser. */
import { runTests, totals } from "../harness.ts";
import { closeTier, openWorkbenches, prepareTier } from "./library/tier.ts";
import "./scenarios/train.ts";

/** True when every scenario passed. */
export async function runScenarios(): Promise<boolean> {
  await prepareTier();
  try {
    const outcomes = await runTests({
      print: console.log,
      only: process.env["LAYERWISE_TEST_ONLY"],
      async onFailure(name) {
        for (const workbench of openWorkbenches())
          console.log(
            `    screenshot: ${await workbench.screenshot(`failed ${name}`.replaceAll(/\W+/g, "-"))}`,
          );
      },
    });
    console.log(totals(outcomes));
    return outcomes.length > 0 && outcomes.every((outcome) => outcome.error === undefined);
  } finally {
    await closeTier();
  }
}
