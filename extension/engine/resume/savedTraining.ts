import type { Reporter } from "../reporting/reporter.ts";
import type { RunDirectory } from "../reporting/runDirectory.ts";
import type { Resumption } from "./stateKeeper.ts";
import { loadTraining } from "./trainingFile.ts";
import type { TrainingState } from "./trainingState.ts";

/**
 * The state that a resumed training continues from: the record is cut to it. Undefined when none was saved, so that the
 * training starts from the beginning.
 * @param factsNow What would be saved of the training now, with its seed: the log has what is different
 * @throws EngineError "checkpoint" when all saved states are damaged
 */
export function savedTraining(
  directory: RunDirectory,
  factsNow: (seed: number) => Resumption["facts"],
  reporter: Pick<Reporter, "log">,
): TrainingState | undefined {
  const tell = (text: string): void => reporter.log("warning", text);
  const from = loadTraining(directory.path, tell);
  if (from === undefined) {
    directory.update({ epoch: 0, step: 0 });
    tell("The run ended before its state was saved: it begins again. Its checkpoints hold weights alone.");
    return undefined;
  }
  const now = factsNow(from.facts.seed);
  if (now.source !== from.facts.source)
    tell("The file has changed since: the training continues with its current text.");
  if (now.executor !== from.facts.executor)
    tell(
      `The training ran on ${from.facts.executor}, now it runs on ${now.executor}: results differ in their last digits.`,
    );
  const { completed, step } = from.state;
  directory.update({ epoch: completed, step });
  reporter.log("info", `Resumed after step ${step} (${completed} epochs completed).`);
  return from;
}
