import type { Command } from "commander";
import { buryDeadRuns, listRuns, runsRoot, type StoredRun } from "../supervisor/runDirectory.ts";
import { action, commonOptions, examples, printJson } from "./command.ts";
import { metricsText, shownMetrics } from "./display.ts";
import { shortPath, table } from "./render.ts";

export function register(program: Command): void {
  const command = program
    .command("runs")
    .description("list the runs of this folder, newest first")
    .argument("[folder]", "folder that has a .layerwise folder", ".");
  commonOptions(command, ["json"]);
  examples(
    command,
    `
Examples:
  layerwise runs
  layerwise runs --json | jq -r 'select(.state == "finished") | .directory'

With --json every line is a run: what its run.json says, and its directory.`,
  ).action(action(runs));
}

async function runs(folder: string, { json }: { json?: boolean }): Promise<number> {
  const problems: unknown[] = [];
  const found = await listRuns(folder, (problem) => problems.push(problem));
  // A run whose process is gone says so from now on.
  const dead = new Map((await buryDeadRuns(found)).map((run) => [run.directory, run]));
  const list = found.map((run) => dead.get(run.directory) ?? run);
  if (json === true) for (const { directory, record } of list) printJson({ directory, ...record });
  else if (list.length === 0) process.stdout.write(`There are no runs in ${shortPath(runsRoot(folder))}.\n`);
  else
    for (const line of table(rows(list), [false, false, false, false, true]))
      process.stdout.write(`${line}\n`);
  for (const problem of problems)
    process.stderr.write(`${problem instanceof Error ? problem.message : String(problem)}\n`);
  return 0;
}

function rows(list: readonly StoredRun[]): string[][] {
  const header = ["run", "kind", "state", "model", "epochs", "metrics", "weights"];
  return [
    header,
    ...list.map(({ record }) => [
      record.id,
      record.kind,
      record.state,
      record.model,
      record.kind === "train" ? `${record.epoch}/${record.epochs}` : "",
      metricsText(shownMetrics(record.metrics, record)),
      record.checkpoints.map(({ kind }) => kind).join(" "),
    ]),
  ];
}
