import path from "node:path";
import type { Command } from "commander";
import { FOREIGN_TOOL_NAMES } from "../../protocol/history/foreignRun.ts";
import { plainLine } from "../../protocol/text/plain.ts";
import { importRun, knownImports } from "../../supervisor/runs/importRun.ts";
import { action, commonOptions, examples } from "../command.ts";
import { metricsText, shownMetrics } from "../display.ts";
import { print, printJson, printStderr } from "../output.ts";

export function register(program: Command): void {
  const command = program
    .command("import")
    .description(
      "import runs of TensorBoard, MLflow or trackio, for the panels and for comparison with own runs",
    )
    .argument(
      "<paths...>",
      "event files, folders of them, MLflow's mlruns folder or mlflow.db, trackio's databases, or folders that have any of these",
    )
    .option("--folder <folder>", "folder whose .layerwise folder the runs go to", ".");
  commonOptions(command, ["json"]);
  examples(
    command,
    `
Examples:
  layerwise import lightning_logs
  layerwise import mlruns
  layerwise import ~/.cache/huggingface/trackio/digits.db

Importing again brings the runs up to date. Files are only read; the runs are copies in .layerwise/runs.`,
  ).action(action(importRuns));
}

interface ImportOptions {
  json?: boolean;
  folder: string;
}

async function importRuns(paths: string[], { json = false, folder }: ImportOptions): Promise<number> {
  // Readers and SQLite are loaded only here.
  const { readForeignRuns } = await import("../../formats/foreign/findRuns.ts");
  const root = path.resolve(folder);
  const tell = (problem: string): void => {
    if (json) printJson({ event: "problem", text: problem });
    else printStderr(plainLine(problem));
  };
  for (const one of paths) {
    const onRead = (reading: string): void => {
      if (json) printJson({ event: "reading", path: reading });
    };
    const { runs, problems } = await readForeignRuns(one, onRead);
    const known = await knownImports(root);
    for (const run of runs) {
      const { directory, record, updated } = await importRun(root, run, known);
      if (json) printJson({ event: "imported", directory, updated, run: record });
      else
        print(
          `${plainLine(record.id)}: ${FOREIGN_TOOL_NAMES[run.tool]}, ${record.step.toLocaleString("en-US")} steps, ${metricsText(shownMetrics(record.metrics, record))}`,
        );
    }
    for (const problem of [...problems, ...runs.flatMap((run) => run.problems)]) tell(problem);
  }
  return 0;
}
