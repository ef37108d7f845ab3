import path from "node:path";
import { Option, type Command } from "commander";
import { ExportFormat, type ExportRequest, type ExportResult } from "../protocol/engine.ts";
import { exportModel as writeModel, exportPath } from "../supervisor/engines/export.ts";
import { plainLine } from "../protocol/text/plain.ts";
import { lastCheckpoint, readRecord, weightsPath } from "../supervisor/runs/runDirectory.ts";
import { sourceOfRun } from "../supervisor/runs/sourceFile.ts";
import {
  action,
  commonOptions,
  CommandFailure,
  examples,
  existingFile,
  parseTarget,
  positive,
  UsageError,
  type CommonOptions,
} from "./command.ts";
import { print, printJson, printStderr } from "./output.ts";
import { shortPath } from "./render.ts";
import { findCheckpoint, findRun } from "./findRun.ts";
import { asCommand } from "./tool.ts";

interface ExportOptions extends CommonOptions {
  format: ExportFormat;
  checkpoint?: string;
  out?: string;
  batch?: number;
}

export function register(program: Command): void {
  const command = program
    .command("export")
    .description("write a trained model for other programs")
    .argument("<run|file>", "a run (its directory or name), or a .nn.ts file and after # its export")
    .addOption(
      new Option("--format <name>", "what to write").choices(ExportFormat.options).makeOptionMandatory(),
    )
    .option("--checkpoint <file>", "weights, a .safetensors file (default: the best of the run)")
    .option(
      "--out <file>",
      "file to write, a folder for tfjs (default: beside the .nn.ts file, named after it and the export)",
    )
    .option("--batch <number>", "samples in a batch (default: any number; one in TypeScript)", positive);
  commonOptions(command, ["seed", "device", "json"]);
  examples(
    command,
    `
Formats:
  onnx         a file for ONNX Runtime and others (opset 17), weights inside
  tfjs         a folder for TensorFlow.js: a GraphModel (model.json) and its weights
  typescript   a function without dependencies, weights included: for networks of up to 100,000 numbers

The model is traced in evaluation mode, with a sample of its experiment's data.

Examples:
  layerwise export digits.nn.ts --format onnx
  layerwise export digits.nn.ts --format typescript
  layerwise export 20260131-142501-digits --format tfjs --out public/digits`,
  ).action(action(exportModel));
}

async function exportModel(argument: string, options: ExportOptions): Promise<number> {
  const { format, device, seed, batch } = options;
  const source = await sourceOf(argument, options.checkpoint);
  const out = path.resolve(options.out ?? exportPath(source.file, source.exportName, format));
  if (options.json !== true) printStderr(`Exporting ${shortPath(source.checkpoint)}`);
  const result = await asCommand((tool) =>
    writeModel(tool, {
      ...source,
      device,
      format,
      out,
      ...(seed === undefined ? {} : { seed }),
      ...(batch === undefined ? {} : { batch }),
    }),
  );
  if (options.json === true) printJson({ event: "exported", ...result });
  else print(describe(result));
  return 0;
}

/** Finds a run's file and weights, or the weights of a file's newest training. */
async function sourceOf(
  argument: string,
  checkpoint: string | undefined,
): Promise<Pick<ExportRequest, "file" | "exportName" | "checkpoint">> {
  const given = checkpoint === undefined ? undefined : existingFile(checkpoint);
  if (/\.[cm]?[jt]s(#|$)/.test(argument)) {
    const target = parseTarget(argument);
    return {
      file: target.file,
      exportName: target.exportName ?? "default",
      checkpoint: given ?? (await findCheckpoint(target)),
    };
  }
  const directory = await findRun(argument);
  const record = await readRecord(directory);
  if (record.kind !== "train") throw new UsageError(`${argument} is not a training.`);
  const best = record.checkpoints.find(({ kind }) => kind === "best") ?? lastCheckpoint(record);
  if (given === undefined && best === undefined)
    throw new CommandFailure([{ code: "no-checkpoint", message: `${argument} has no weights yet.` }]);
  return {
    file: await sourceOfRun(directory, record),
    exportName: record.exportName,
    checkpoint: given ?? (await weightsPath(directory, best!)),
  };
}

function describe({ out, bytes, inputs, outputs }: ExportResult): string {
  const line = ({ name, dtype, shape }: ExportResult["inputs"][number]): string =>
    `  ${plainLine(name)} [${shape.join(", ")}] ${dtype}`;
  return [
    `Wrote ${shortPath(out)} (${bytes.toLocaleString("en")} bytes)`,
    ...inputs.map(line),
    " to",
    ...outputs.map(line),
  ].join("\n");
}
