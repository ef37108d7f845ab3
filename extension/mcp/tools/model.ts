import { stat } from "node:fs/promises";
import * as v from "valibot";
import { DataSummary, MAX_LISTED_CLASSES, type ValueRange } from "../../protocol/data/data.ts";
import { ExportFormat, LrFindResult } from "../../protocol/engine.ts";
import { EngineError } from "../../protocol/errors.ts";
import { EXPORT_ENDINGS, exportModel, exportPath } from "../../supervisor/engines/export.ts";
import { callTool } from "../../supervisor/engines/tool.ts";
import { isMissing } from "../../files/fileError.ts";
import { Backend, Num, RunId, Seed, ShownFinding, shownFinding } from "../schemas.ts";
import { toolOptions, type Services } from "../services.ts";
import { tool, type Tool } from "../tool.ts";
import { trainedModel } from "./evaluation.ts";
import { Experiment } from "./files.ts";

/** Seconds that a question to an experiment may take. */
const LIMIT = 300;
/** Tensors of a sample, and pairs of equal samples, in an answer. */
const MOST_TENSORS = 8;

const Place = v.object({ split: v.string(), index: v.number() });
const Range = v.object({ minimum: Num, maximum: Num, mean: Num, std: Num, missing: v.number() });

export const describeData = (services: Services): Tool =>
  tool({
    name: "describe_data",
    title: "Describe Data",
    description:
      "What an experiment's data holds, before any training: samples and class balance of each split, ranges and missing values of each column (64 at most), duplicates within and between splits, and probable mistakes. Up to 20,000 samples of a split are read. Runs the file's code.",
    effect: "runs",
    input: v.strictObject({ ...Experiment, seed: Seed, device: Backend }),
    output: v.object({
      splits: v.array(
        v.object({
          name: v.string(),
          samples: v.optional(v.number()),
          read: v.number(),
          timedOut: v.optional(v.boolean()),
          failed: v.optional(v.object({ sample: v.number(), message: v.string() })),
          repeated: v.number(),
          inTraining: v.optional(v.number()),
          missing: v.number(),
          classes: v.optional(v.array(v.number())),
        }),
      ),
      tensors: v.array(
        v.object({
          name: v.string(),
          role: v.string(),
          dtype: v.string(),
          shape: v.array(v.number()),
          largest: v.optional(v.array(v.number())),
          range: Range,
          axis: v.optional(v.string()),
          columns: v.optional(v.array(v.object({ name: v.string(), range: Range }))),
        }),
      ),
      batch: v.optional(
        v.object({
          tensors: v.array(v.object({ name: v.string(), dtype: v.string(), shape: v.array(v.number()) })),
          error: v.optional(v.string()),
        }),
      ),
      pairs: v.array(v.tuple([Place, Place])),
      classes: v.optional(v.array(v.string())),
      truncated: v.optional(v.string()),
      findings: v.array(ShownFinding),
    }),
    async call({ file, exportName, seed, device }, call) {
      const request = {
        file: await services.workspace.model(file),
        exportName,
        device,
        ...(seed === undefined ? {} : { seed }),
      };
      const answer = await callTool(toolOptions(services, call, LIMIT), (engine) =>
        engine.describeData(request),
      );
      const { splits, tensors, batch, classes, pairs, findings } = v.parse(DataSummary, answer);
      const cut = tensors.some(({ allColumns }) => allColumns !== undefined);
      return {
        splits: splits.map(({ failed, ...split }) =>
          failed === undefined
            ? split
            : { ...split, failed: { sample: failed.sample, message: failed.error.message } },
        ),
        tensors: tensors.slice(0, MOST_TENSORS).map((one) => ({
          ...one,
          range: plainRange(one.range),
          columns: one.columns?.map(({ name, range }) => ({ name, range: plainRange(range) })),
        })),
        batch: batch && {
          tensors: batch.tensors
            .slice(0, MOST_TENSORS)
            .map(({ name, dtype, shape }) => ({ name, dtype, shape })),
          error: batch.error?.message,
        },
        pairs: pairs.slice(0, MOST_TENSORS),
        classes,
        truncated:
          cut || classes?.length === MAX_LISTED_CLASSES
            ? "Only the first 64 columns and 100 classes are listed; the ranges of `tensors` cover all."
            : undefined,
        findings: findings.map((one) => shownFinding(one, services.workspace)),
      };
    },
  });

const plainRange = ({ minimum, maximum, mean, std, missing }: ValueRange): Omit<ValueRange, "histogram"> => ({
  minimum,
  maximum,
  mean,
  std,
  missing,
});

export const findLearningRate = (services: Services): Tool =>
  tool({
    name: "find_learning_rate",
    title: "Find Learning Rate",
    description:
      "Trains up to 200 steps with growing rates and suggests the one at which the loss falls fastest. Saves nothing. Runs the file's code.",
    effect: "runs",
    input: v.strictObject({
      ...Experiment,
      seed: Seed,
      device: Backend,
      steps: v.optional(v.pipe(v.number(), v.integer(), v.minValue(20), v.maxValue(200)), 100),
    }),
    output: v.object({
      suggestion: v.optional(v.number()),
      diverged: v.boolean(),
      points: v.array(v.object({ lr: v.number(), loss: Num })),
    }),
    async call({ file, exportName, seed, device, steps }, call) {
      const request = {
        file: await services.workspace.model(file),
        exportName,
        device,
        sweep: { steps },
        ...(seed === undefined ? {} : { seed }),
      };
      const answer = await callTool(toolOptions(services, call, LIMIT), (engine) => engine.lrFind(request));
      return v.parse(LrFindResult, answer);
    },
  });

export const exportTrained = (services: Services): Tool => {
  const { workspace } = services;
  return tool({
    name: "export_model",
    title: "Export Model",
    description:
      "Writes a training's best weights for other programs: onnx (a file), tfjs (a folder), typescript (a function, for networks of up to 100,000 numbers). Replaces an earlier export of that name. Runs the file's code.",
    effect: "writes",
    input: v.strictObject({
      run: RunId,
      format: ExportFormat,
      out: v.optional(
        v.pipe(
          v.string(),
          v.minLength(1),
          v.maxLength(1024),
          v.description(
            `Path in the workspace, ending with ${Object.values(EXPORT_ENDINGS).join(", ")}; default: beside the .nn.ts file`,
          ),
        ),
      ),
      device: Backend,
    }),
    output: v.object({
      out: v.string(),
      bytes: v.number(),
      inputs: v.array(
        v.object({ name: v.string(), dtype: v.string(), shape: v.array(v.union([v.number(), v.string()])) }),
      ),
      outputs: v.array(
        v.object({ name: v.string(), dtype: v.string(), shape: v.array(v.union([v.number(), v.string()])) }),
      ),
    }),
    async call({ run, format, out, device }, call) {
      const model = await trainedModel(run, services);
      const path = await workspace.path(out ?? exportPath(model.file, model.exportName, format));
      const ending = EXPORT_ENDINGS[format];
      if (!path.endsWith(ending))
        throw new EngineError({
          code: "usage",
          message: `${workspace.shown(path)} has to end with ${ending}, so that nothing but an earlier export is replaced.`,
        });
      const there = await stat(path).catch((error: unknown) => {
        if (isMissing(error)) return undefined;
        throw error;
      });
      if (there !== undefined && there.isDirectory() !== (format === "tfjs"))
        throw new EngineError({
          code: "usage",
          message: `${workspace.shown(path)} is something else than an export.`,
        });
      const result = await exportModel(toolOptions(services, call, LIMIT), {
        ...model,
        format,
        out: path,
        device,
      });
      return { ...result, out: workspace.shown(result.out) };
    },
  });
};
