import * as v from "valibot";
import { importForeignRuns } from "../../supervisor/engines/importRuns.ts";
import { State, Values } from "../schemas.ts";
import type { Services } from "../services.ts";
import { tool, type Tool } from "../tool.ts";

/** Seconds of one import, and runs in an answer. */
const LIMIT = 120;
const MOST_RUNS = 100;

export const importRunsTool = ({ workspace, engine }: Services): Tool =>
  tool({
    name: "import_runs",
    title: "Import Runs",
    description:
      "Imports trainings that TensorBoard, MLflow or trackio recorded below the workspace folder, or brings earlier imports up to date: event files, mlruns, mlflow.db, trackio's databases. They become runs that list_runs, get_run, summarize_curves and compare_runs know. Runs none of their code.",
    effect: "imports",
    input: v.strictObject({
      path: v.pipe(
        v.string(),
        v.minLength(1),
        v.maxLength(1024),
        v.description("A file or a folder, relative to the workspace folder"),
      ),
    }),
    output: v.object({
      runs: v.array(v.object({ run: v.string(), updated: v.boolean(), state: State, metrics: Values })),
      total: v.number(),
      problems: v.array(v.string()),
    }),
    async call({ path }, call) {
      let read = 0;
      const { runs, problems } = await importForeignRuns(workspace.root, [await workspace.path(path)], {
        engine,
        signal: AbortSignal.any([call.signal, AbortSignal.timeout(1000 * LIMIT)]),
        onReading: (file) => call.progress(++read, read, workspace.shown(file)),
      });
      return {
        runs: runs.slice(0, MOST_RUNS).map(({ record: { id: run, state, metrics }, updated }) => ({
          run,
          updated,
          state,
          metrics: Object.fromEntries(Object.entries(metrics).slice(0, 50)),
        })),
        total: runs.length,
        problems: problems.slice(0, 20).map((problem) => problem.replaceAll(`${workspace.root}/`, "")),
      };
    },
  });
