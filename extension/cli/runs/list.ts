import { runTitle, type RunRecord } from "../../protocol/run.ts";
import type { Command } from "commander";
import { openRun } from "../../supervisor/runs/attach.ts";
import { lifeText } from "../../supervisor/runs/liveness.ts";
import { listRuns, runsRoot, type StoredRun } from "../../supervisor/runs/runDirectory.ts";
import { plainLine } from "../../protocol/text/plain.ts";
import { action, commonOptions, examples, demandFolder, UsageError } from "../command.ts";
import { metricsText, shownMetrics } from "../display.ts";
import { print, printJson, printStderr } from "../output.ts";
import { shortPath, table } from "../render.ts";
import { findRun } from "../findRun.ts";

export function register(program: Command): void {
  const command = program
    .command("runs")
    .description("list the runs of this folder, newest first")
    .argument("[folder]", "folder that has a .layerwise folder", ".")
    .option("--stop <run>", "end a run after its current step, wherever it was started; its model is kept");
  commonOptions(command, ["json"]);
  examples(
    command,
    `
Examples:
  layerwise runs
  layerwise runs --stop 20260131-142501-digits      its name, or its directory
  layerwise runs --json | jq -r 'select(.state == "finished") | .directory'

With --json, each line is a run: the contents of its run.json, its directory, and the owner if it runs elsewhere.`,
  ).action(action(runs));
}

interface RunsOptions {
  json?: boolean;
  stop?: string;
}

async function runs(folder: string, { json, stop }: RunsOptions): Promise<number> {
  demandFolder(folder);
  if (stop !== undefined) return stopRun(await findRun(stop, folder), json === true);
  const problems: unknown[] = [];
  const list = await listRuns(folder, (problem) => problems.push(problem));
  if (json === true)
    for (const { directory, record, life } of list) printJson({ directory, ...record, ...ownerOf(life) });
  else if (list.length === 0) print(`There are no runs in ${shortPath(runsRoot(folder))}.`);
  else for (const line of table(runRows(list), [false, false, false, false, true])) print(line);
  for (const problem of problems) printStderr(problem instanceof Error ? problem.message : String(problem));
  return 0;
}

/** Stops a run and waits until it has ended. */
async function stopRun(directory: string, json: boolean): Promise<number> {
  const attached = await openRun(directory);
  const { session } = attached;
  const { live } = session;
  const { life } = session;
  if (life?.kind === "remote")
    throw new UsageError(
      `${session.id} is on ${life.name}, and nothing follows it from here. Stop it with layerwise attach ${session.id} and Ctrl-C.`,
    );
  const silent = live ? undefined : lifeText(life);
  try {
    if (live) await session.control?.stop();
  } catch (error) {
    attached.detach();
    throw error;
  }
  await attached.done;
  const { record } = session;
  if (json) printJson({ directory, ...record });
  else if (!live) print(`${plainLine(record.id)} is not running: ${silent ?? record.state}.`);
  else
    print(
      `${plainLine(record.id)}: ${record.state} after step ${record.step} (${record.epoch} of ${record.epochs} epochs).`,
    );
  return 0;
}

/** The owner of a run whose process this host can't see. */
function ownerOf(life: StoredRun["life"]): object {
  if (life?.kind !== "elsewhere" && life?.kind !== "silent") return {};
  const { host, pid, since } = life.lock;
  return { owner: { host, pid, since, seen: life.kind === "elsewhere" } };
}

const stateText = ({ state, on }: RunRecord): string =>
  on === undefined ? state : `${state} on ${plainLine(on.name)}`;

/** Other tools don't say how many epochs there were to be. */
const epochsText = ({ kind, imported, epoch, epochs }: RunRecord): string =>
  kind !== "train" ? "" : imported === undefined ? `${epoch}/${epochs}` : epoch > 0 ? String(epoch) : "";

/** The rows of the table of runs, with its header. */
export function runRows(list: readonly StoredRun[]): string[][] {
  const header = ["run", "kind", "state", "model", "epochs", "metrics", "weights"];
  return [
    header,
    ...list.map(({ record, life }) => [
      record.id,
      record.kind,
      lifeText(life) ?? stateText(record),
      runTitle(record),
      epochsText(record),
      metricsText(shownMetrics(record.metrics, record)),
      record.checkpoints.map(({ kind }) => kind).join(" "),
    ]),
  ];
}
