import type { Codes } from "../../nn/data/tokenizers.ts";
import type { EvaluationResult } from "../../protocol/engine.ts";
import { OUTCOMES_FILE } from "../../protocol/run.ts";
import { describeError } from "../host/userErrors.ts";
import type { Reporter } from "../reporting/reporter.ts";
import type { RunDirectory } from "../reporting/runDirectory.ts";
import type { LoopControl } from "../training/control.ts";
import type { Prepared } from "../training/prepare.ts";
import { evaluate } from "./evaluator.ts";
import { Outcomes } from "./outcomes.ts";
import { EvaluationProgress } from "./progress.ts";
import { reportOf } from "./report.ts";
import { evaluated, heldOut, type Evaluated } from "./subject.ts";

interface Surroundings {
  directory: RunDirectory;
  reporter: Reporter;
  control: LoopControl;
}

/**
 * Evaluates a model on its held-out data, and writes the result and the samples' outcomes into the run directory.
 * @param codes Tokenizers and vocabularies that the file made
 * @returns undefined if the run was stopped
 */
export async function evaluateRun(
  prepared: Prepared,
  codes: readonly Codes[],
  { directory, reporter, control }: Surroundings,
): Promise<EvaluationResult | undefined> {
  const { held, split } = heldOut(prepared);
  if (split === "train")
    reporter.log("warning", "There is no test or validation set: this is the data it was trained on.");
  const outcomes = new Outcomes(prepared.loss);
  const progress = new EvaluationProgress(held);
  const result = await evaluate(prepared, {
    batches: held.inOrder(),
    data: { set: split, train: prepared.train },
    tick: async () => {
      progress.done++;
      if (control.due) {
        reporter.progress(progress.now());
        reporter.flushIfDue();
        await control.yield();
      }
      return control.stopping === undefined;
    },
    observe: (batch, output, target) => outcomes.add(batch, output, target),
  });
  if (result === undefined) return undefined;
  directory.writeEvaluation(result);
  // Measures of the user's own validation step belong to no single sample.
  if (prepared.validationStep === undefined)
    writeReport(evaluated(prepared, codes), outcomes, { directory, reporter });
  return result;
}

/** Writes the report and outcomes that views show beside the metrics. A failure is only a warning. */
function writeReport(
  subject: Evaluated,
  outcomes: Outcomes,
  { directory, reporter }: Pick<Surroundings, "directory" | "reporter">,
): void {
  try {
    directory.writeReport(reportOf(subject, outcomes));
    outcomes.save(directory.file(OUTCOMES_FILE));
  } catch (error) {
    reporter.log("warning", `The samples can't be shown one by one: ${describeError(error).message}`);
  }
}
