/** Runs the scenarios, one after another, in one browser. */
import { runTests } from "../harness.ts";
import { closeTier, closeWorkbench, openWorkbenches, prepareTier } from "./library/tier.ts";
// Those that share a window stand together.
import "./scenarios/activation.ts";
import "./scenarios/walkthrough.ts";
import "./scenarios/train.ts";
import "./scenarios/evaluation.ts";
import "./scenarios/architecture.ts";
import "./scenarios/survival.ts";
import "./scenarios/editing.ts";
import "./scenarios/sidebar.ts";

export async function runScenarios(): Promise<{ passed: number; failed: number }> {
  await prepareTier();
  try {
    const outcomes = await runTests({
      print: console.log,
      only: process.env["LAYERWISE_TEST_ONLY"],
      async onFailure(name) {
        for (const workbench of openWorkbenches()) {
          const picture = await workbench.screenshot(`failed ${name}`.replaceAll(/\W+/g, "-"));
          console.log(`    screenshot: ${picture}`);
          await closeWorkbench(workbench);
        }
      },
    });
    const passed = outcomes.filter(({ error }) => error === undefined).length;
    return { passed, failed: outcomes.length - passed };
  } finally {
    await closeTier();
  }
}
