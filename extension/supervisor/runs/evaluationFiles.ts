import { readdir } from "node:fs/promises";
import { dirname, join, sep } from "node:path";
import type * as v from "valibot";
import { ReadBudget } from "../../files/budget.ts";
import { checkedJson, type JsonParts } from "../../files/json.ts";
import { readRunFile, runPath } from "../../files/runFiles.ts";
import { EvaluationResult } from "../../protocol/engine.ts";
import { EvaluationReport } from "../../protocol/evaluation.ts";
import {
  EVALUATION_FILE,
  PICTURES_FOLDER,
  REPORT_FILE,
  REPORT_LIMIT,
  REPORT_PARTS,
  RESULT_PARTS,
  RUNS_FOLDER,
} from "../../protocol/run.ts";
import { REPORT_SAMPLES, type RunSamples } from "../../protocol/history/report.ts";
import { MAX_PICTURE_PIXELS, pixelsOf } from "../../protocol/pictures.ts";
import type { Picture } from "../../protocol/views.ts";
import { listRuns } from "./runDirectory.ts";

/** Reads an evaluation's result and report from its run directory; undefined where they can't be read. */
export async function readEvaluation(
  directory: string,
): Promise<{ result: EvaluationResult | undefined; report: EvaluationReport | undefined }> {
  const [result, report] = await Promise.all([readResult(directory), readReport(directory)]);
  return { result, report };
}

const readResult = (directory: string, budget?: ReadBudget): Promise<EvaluationResult | undefined> =>
  read(directory, EVALUATION_FILE, EvaluationResult, RESULT_PARTS, budget);
const readReport = (directory: string, budget?: ReadBudget): Promise<EvaluationReport | undefined> =>
  read(directory, REPORT_FILE, EvaluationReport, REPORT_PARTS, budget);

/** Most bytes of a picture, and most pictures that are listed. */
const PICTURE_LIMIT = 32 * 2 ** 20;
const MOST_PICTURES = 1000;
/** Most bytes of evaluations that a training's report reads: four of the largest. */
const SAMPLES_LIMIT = 64 * 2 ** 20;

async function read<T>(
  directory: string,
  name: string,
  schema: v.GenericSchema<unknown, T>,
  most: JsonParts,
  budget?: ReadBudget,
): Promise<T | undefined> {
  try {
    if (budget !== undefined && !(await budget.allows(join(directory, name), REPORT_LIMIT))) return undefined;
    const bytes = await readRunFile(directory, name, REPORT_LIMIT);
    return checkedJson(name, bytes, schema, most);
  } catch {
    return undefined;
  }
}

const PICTURE = /^(epoch|step)-(\d+)-(.+)\.png$/;

/** The run directory that a checkpoint is of; undefined when it is a file from elsewhere. */
export function runOfCheckpoint(checkpoint: string): string | undefined {
  const directory = dirname(dirname(checkpoint));
  return dirname(directory).endsWith(RUNS_FOLDER.replaceAll("/", sep)) ? directory : undefined;
}

/**
 * Samples of the newest finished evaluation of a training; undefined without one that can be read among the first in 64 MB.
 * @param folder The folder of the runs
 * @param directory The training's directory
 */
export async function readSamples(folder: string, directory: string): Promise<RunSamples | undefined> {
  // A stranger's folder may have any number of evaluations, each damaged at its end.
  const budget = new ReadBudget(SAMPLES_LIMIT);
  for (const { record, directory: evaluation } of await listRuns(folder)) {
    const { checkpoint } = record.settings;
    if (record.kind !== "evaluate" || record.state !== "finished" || typeof checkpoint !== "string") continue;
    if (runOfCheckpoint(checkpoint) !== directory) continue;
    const report = await readReport(evaluation, budget);
    if (budget.exceeded !== undefined) return undefined;
    if (report === undefined) continue;
    const result = await readResult(evaluation, budget);
    const { split, hardest, examples } = report;
    return {
      evaluation: record.id,
      split,
      hardest: hardest.slice(0, REPORT_SAMPLES),
      examples: examples.slice(0, REPORT_SAMPLES),
      ...(result?.classes === undefined ? {} : { classes: result.classes }),
    };
  }
  return undefined;
}

/** Pictures of a training, in the order of its epochs, or steps where another tool recorded it. */
export async function listPictures(directory: string): Promise<Picture[]> {
  const names = await runPath(directory, PICTURES_FOLDER)
    .then((folder) => readdir(folder))
    .catch((): string[] => []);
  return names
    .flatMap((file): Picture[] => {
      const [, unit, at, name] = PICTURE.exec(file) ?? [];
      if (at === undefined || name === undefined) return [];
      return [{ file, name, at: Number(at), unit: unit === "step" ? "step" : "epoch" }];
    })
    .sort((a, b) => a.at - b.at || (a.name < b.name ? -1 : 1))
    .slice(-MOST_PICTURES);
}

/** One picture in base64. */
export async function readPicture(directory: string, file: string): Promise<string> {
  if (!PICTURE.test(file) || /[/\\]/.test(file)) throw new Error(`There is no picture ${file}.`);
  const bytes = await readRunFile(directory, `${PICTURES_FOLDER}/${file}`, PICTURE_LIMIT);
  const pixels = pixelsOf(bytes);
  if (pixels === undefined) throw new Error(`${file} is no PNG image.`);
  if (pixels > MAX_PICTURE_PIXELS)
    throw new Error(
      `${file} has ${pixels.toLocaleString("en-US")} pixels; the limit is ${MAX_PICTURE_PIXELS.toLocaleString("en-US")}.`,
    );
  return bytes.toString("base64");
}
