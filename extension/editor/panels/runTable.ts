import { basename, dirname, join } from "node:path";
import * as v from "valibot";
import * as vscode from "vscode";
import { isLive, LabelChanges, type MetricRow } from "../../protocol/run.ts";
import type { ListedRun, RunTableMethods } from "../../protocol/views.ts";
import { isUnseen } from "../../supervisor/runs/liveness.ts";
import { readRows } from "../../supervisor/runs/metrics.ts";
import { readHistory } from "../../supervisor/runs/runHistory.ts";
import { listRuns } from "../../supervisor/runs/runDirectory.ts";
import { readLabels, readLabelsOf, writeLabels } from "../../supervisor/runs/runLabels.ts";
import { runCommand } from "../commands.ts";
import { folderOfRun } from "../targets.ts";
import { noArguments, type MethodSchemas } from "./webviewHost.ts";

/** Most rows of each other run: as many as a screen can show. */
const ROWS_PER_RUN = 2000;

/** A folder's name: never a path. */
const RunId = v.pipe(v.string(), v.regex(/^\w[\w.-]*$/));

export const runTableSchemas: MethodSchemas<RunTableMethods> = {
  runs: noArguments,
  rowsOf: v.strictTuple([RunId]),
  historyOf: v.strictTuple([RunId]),
  label: v.strictTuple([RunId, LabelChanges]),
  openRun: v.strictTuple([RunId]),
  deleteRun: v.strictTuple([RunId]),
  saveFile: v.strictTuple([
    v.pipe(v.string(), v.regex(/^\w[\w.-]*\.(?:csv|html|png|svg|tex)$/)),
    v.pipe(v.string(), v.base64()),
  ]),
};

/** The runs beside one: `current` answers its directory and its file. */
export function runTable(current: () => { directory: string; file: string }): RunTableMethods {
  const directoryOf = (id: string): string => join(dirname(current().directory), id);
  return {
    async runs() {
      const stored = await listRuns(folderOfRun(current()));
      const trainings = stored.filter(({ record }) => record.kind === "train");
      const labels = await readLabelsOf(trainings);
      return trainings.map(({ record, life }, i): ListedRun => ({
        run: record,
        labels: labels[i]!,
        live: isLive(record) && !isUnseen(life),
      }));
    },
    rowsOf: (id): Promise<MetricRow[]> => readRows(directoryOf(id), ROWS_PER_RUN),
    historyOf: (id) => readHistory(directoryOf(id)),
    // The page may not know changes from elsewhere yet.
    label: async (id, labels) =>
      writeLabels(directoryOf(id), { ...(await readLabels(directoryOf(id))), ...labels }),
    openRun: (id) => runCommand("layerwise.openRun", { directory: directoryOf(id) }),
    deleteRun: (id) => runCommand("layerwise.deleteRun", { directory: directoryOf(id) }),
    async saveFile(name, base64) {
      const folder = dirname(current().file);
      const target = await vscode.window.showSaveDialog({
        defaultUri: vscode.Uri.file(join(folder, basename(name))),
      });
      if (target !== undefined) await vscode.workspace.fs.writeFile(target, Buffer.from(base64, "base64"));
    },
  };
}
