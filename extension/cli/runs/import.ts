import { existsSync } from "node:fs";
import path from "node:path";
import { setTimeout } from "node:timers/promises";
import type { Command } from "commander";
import { EngineError } from "../../protocol/errors.ts";
import { FOREIGN_TOOL_NAMES } from "../../protocol/history/foreignRun.ts";
import { plainLine } from "../../protocol/text/plain.ts";
import { importRun, isKnown, knownImports } from "../../supervisor/runs/importRun.ts";
import { EXIT, interruptSignal } from "../exit.ts";
import { action, commonOptions, examples, UsageError } from "../command.ts";
import { metricsText, shownMetrics } from "../display.ts";
import { rememberImport, wasImported } from "./importedPaths.ts";
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
  command
    .option("--follow", "also bring what the tools log from now on, until nothing was logged for an hour")
    .option("--update", "only runs that were imported before, from exactly these paths");
  commonOptions(command, ["json"]);
  examples(
    command,
    `
Examples:
  layerwise import lightning_logs
  layerwise import --follow mlruns
  layerwise import ~/.cache/huggingface/trackio/digits.db

Importing again brings the runs up to date. Files are only read; the runs are copies in .layerwise/runs.`,
  ).action(action(importRuns));
}

interface ImportOptions {
  json?: boolean;
  folder: string;
  follow?: boolean;
  update?: boolean;
}

/** Following ends after so many milliseconds in which no file has changed. */
const LONGEST_SILENCE = 3_600_000;
/** Milliseconds between two checks of the files; longer for slow reads, to limit them to a tenth of the time. */
const SHORTEST_PAUSE = 2000;
const PAUSE_SHARE = 10;

async function importRuns(
  paths: string[],
  { json = false, folder, follow = false, update = false }: ImportOptions,
): Promise<number> {
  const unknown = update ? paths.find((one) => !wasImported(one)) : undefined;
  if (unknown !== undefined)
    throw new EngineError({
      code: "not-imported",
      message: `${unknown} was not imported on this computer, so it is not read.`,
      hint: "Import it: layerwise import PATH",
    });
  const missing = update ? undefined : paths.find((one) => !existsSync(one));
  if (missing !== undefined) throw new UsageError(`There is no file or folder ${missing}.`);
  // Readers and SQLite are loaded only here.
  const { ForeignReader } = await import("../../formats/foreign/findRuns.ts");
  const root = path.resolve(folder);
  const known = await knownImports(root);
  const told = new Set<string>();
  const tell = (problem: string): void => {
    if (told.has(problem)) return;
    told.add(problem);
    if (json) printJson({ event: "problem", text: problem });
    else printStderr(plainLine(problem));
  };
  const onRead = (reading: string): void => {
    if (json) printJson({ event: "reading", path: reading });
  };
  /** @returns whether there was anything new */
  const bring = async (reader: InstanceType<typeof ForeignReader>): Promise<boolean> => {
    const { runs, problems } = await reader.read(onRead);
    for (const run of runs) {
      if (update && !isKnown(run, known)) continue;
      const { directory, record, updated, appended } = await importRun(root, run, known);
      if (json) printJson({ event: "imported", directory, updated, appended, run: record });
      else
        print(
          `${plainLine(record.id)}: ${FOREIGN_TOOL_NAMES[run.tool]}, ${record.step.toLocaleString("en-US")} steps, ${metricsText(shownMetrics(record.metrics, record))}`,
        );
    }
    for (const problem of [...problems, ...runs.flatMap((run) => run.problems)]) tell(problem);
    return runs.length > 0;
  };
  let readers = paths.map((one) => new ForeignReader(one, update ? "exact" : "below"));
  let began = performance.now();
  for (const reader of readers) await bring(reader);
  if (!update) for (const one of paths) await rememberImport(one);
  if (!follow) return 0;
  const interrupted = interruptSignal();
  // The window that has asked for it is gone.
  process.once("disconnect", () => process.exit(EXIT.interrupted));
  process.channel?.unref();
  let changedAt = Math.min(Date.now(), Math.max(...readers.map(({ writtenAt }) => writtenAt)));
  const isFollowed = (): boolean => readers.length > 0 && Date.now() - changedAt < LONGEST_SILENCE;
  if (json && isFollowed()) printJson({ event: "following" });
  while (isFollowed()) {
    const took = performance.now() - began;
    await setTimeout(Math.max(SHORTEST_PAUSE, PAUSE_SHARE * took), undefined, {
      signal: interrupted,
    }).catch(() => undefined);
    if (interrupted.aborted) return EXIT.interrupted;
    began = performance.now();
    const gone = new Set<(typeof readers)[number]>();
    for (const reader of readers)
      try {
        if (await bring(reader)) changedAt = Date.now();
      } catch (error) {
        // Its files are gone, or it can't be written any more.
        tell(error instanceof Error ? error.message : String(error));
        gone.add(reader);
      }
    readers = readers.filter((reader) => !gone.has(reader));
  }
  return 0;
}
