import { readdir, readFile } from "node:fs/promises";
import { dirname, join, sep } from "node:path";
import * as v from "valibot";
import { EvaluationResult } from "../protocol/engine.ts";
import { EvaluationReport } from "../protocol/evaluation.ts";
import { EVALUATION_FILE, PICTURES_FOLDER, REPORT_FILE, RUNS_FOLDER } from "../protocol/run.ts";
import type { Picture } from "../protocol/views.ts";

/** What an evaluation has left in its run directory; undefined where there is nothing that can be read. */
export async function readEvaluation(
  directory: string,
): Promise<{ result: EvaluationResult | undefined; report: EvaluationReport | undefined }> {
  const [result, report] = await Promise.all([
    read(join(directory, EVALUATION_FILE), EvaluationResult),
    read(join(directory, REPORT_FILE), EvaluationReport),
  ]);
  return { result, report };
}

async function read<T>(file: string, schema: v.GenericSchema<unknown, T>): Promise<T | undefined> {
  try {
    const parsed = v.safeParse(schema, JSON.parse(await readFile(file, "utf8")));
    return parsed.success ? parsed.output : undefined;
  } catch {
    return undefined;
  }
}

const PICTURE = /^epoch-(\d+)-(.+)\.png$/;

/** The run directory that a checkpoint is of; undefined when it is a file from elsewhere. */
export function runOfCheckpoint(checkpoint: string): string | undefined {
  const directory = dirname(dirname(checkpoint));
  return dirname(directory).endsWith(RUNS_FOLDER.replaceAll("/", sep)) ? directory : undefined;
}

/** What a training drew, in the order of its epochs. */
export async function listPictures(directory: string): Promise<Picture[]> {
  const names = await readdir(join(directory, PICTURES_FOLDER)).catch((): string[] => []);
  return names
    .flatMap((file): Picture[] => {
      const [, epoch, name] = PICTURE.exec(file) ?? [];
      return epoch === undefined || name === undefined ? [] : [{ file, name, epoch: Number(epoch) }];
    })
    .sort((a, b) => a.epoch - b.epoch || (a.name < b.name ? -1 : 1));
}

/** One of them, in base64. */
export async function readPicture(directory: string, file: string): Promise<string> {
  if (!PICTURE.test(file) || /[/\\]/.test(file)) throw new Error(`There is no picture ${file}.`);
  return readFile(join(directory, PICTURES_FOLDER, file), "base64");
}
