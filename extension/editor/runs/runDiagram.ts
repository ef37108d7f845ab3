/** The diagram of the model that a run has trained: built from the version of its file that the run has kept. */
import type { DiagramLook } from "../../protocol/flow.ts";
import type { RunDiagram } from "../../protocol/history/report.ts";
import { modelsOf } from "../../protocol/modelForms.ts";
import { readHistory } from "../../supervisor/runs/runHistory.ts";
import { sourceOfRun } from "../../supervisor/runs/sourceFile.ts";
import type { Previews } from "../previews.ts";
import { mayRunVersion } from "./runVersions.ts";

/** Undefined where the version can't or may not be built, or its model is another one now: sizes may come from elsewhere. */
export async function runDiagram(
  previews: Previews,
  directory: string,
  look: DiagramLook,
): Promise<RunDiagram | undefined> {
  const { run, source, provenance } = await readHistory(directory);
  if (source === undefined || provenance?.model === undefined) return undefined;
  const version = { text: source, version: { kind: "run", directory } as const, name: `run ${run.id}` };
  const file = await sourceOfRun(directory, run);
  if (!(await mayRunVersion(directory, file))) return undefined;
  // It is an automatic preview: the user has requested a report, not a run of the code.
  const report = await previews.inspectVersion(file, version, false);
  const model = modelsOf(report?.models ?? [], run.exportName).find(({ text }) => text === provenance.model);
  if (model === undefined) return undefined;
  const places = await previews.layOut(model, look);
  return places && { model, look, places };
}
