import * as vscode from "vscode";
import type { RunControls } from "../../protocol/controls.ts";
import { EngineError } from "../../protocol/errors.ts";
import type { CheckpointRecord } from "../../protocol/run.ts";
import { lastCheckpoint, weightsPath } from "../../supervisor/runs/runDirectory.ts";
import type { RunSession } from "../../supervisor/runs/session.ts";

/** Path of the weights to evaluate; a live run without any saves them now. */
export async function weightsToEvaluate(
  session: RunSession,
  wanted: CheckpointRecord | undefined,
): Promise<string> {
  const { checkpoints } = session.record;
  const best = checkpoints.find(({ kind }) => kind === "best");
  const checkpoint = wanted ?? best ?? lastCheckpoint(session.record);
  if (checkpoint !== undefined) return weightsPath(session.directory, checkpoint);
  return controlOf(session).checkpoint();
}

/** The controls of a live run. @throws EngineError when it is over */
export function controlOf(session: RunSession): RunControls {
  if (session.control !== undefined) return session.control;
  throw new EngineError({
    code: "no-checkpoint",
    message: vscode.l10n.t("Run {0} is over and has no checkpoint.", session.id),
  });
}
