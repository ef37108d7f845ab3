import type { Command } from "commander";
import { comparisonBytes, comparisonSteps, type Change, type Differing } from "../formats/comparison.ts";
import { statisticsOf, statisticsSteps, type Statistics } from "../formats/statistics.ts";
import { plainLine } from "../protocol/text/plain.ts";
import type { SourceTensor, TensorSource } from "../formats/sourceTensor.ts";
import { openTensors } from "../formats/tensorSource.ts";
import { action, CommandFailure, commonOptions, examples, existingFile } from "./command.ts";
import { sparkline } from "./lrFind.ts";
import { newBar, print, printJson } from "./output.ts";
import { shortPath, table } from "./render.ts";

interface Options {
  compare?: string;
  values: boolean;
  json?: boolean;
}

export function register(program: Command): void {
  const command = program
    .command("inspect")
    .description(
      "list the tensors of a .safetensors, .pth, .pt, .bin or .onnx file, with statistics of their values",
    )
    .argument("<file>", "a file of tensors, or an ONNX model; no code in it runs")
    .option("--compare <other>", "list what was added, removed and changed in another file")
    .option("--no-values", "names, shapes and types only, without reading values and verifying checksums");
  commonOptions(command, ["json"]);
  examples(
    command,
    `
Examples:
  layerwise inspect model.safetensors
  layerwise inspect checkpoint.pth --no-values
  layerwise inspect last.safetensors --compare best.safetensors
  layerwise inspect model.pth --json | jq 'select(.nans > 0) | .name'

Values are read part by part: a file may be larger than the memory.`,
  ).action(action(inspect));
}

/** @throws CommandFailure if a file is invalid; some errors show only when its values are read */
async function inspect(file: string, { compare, values, json = false }: Options): Promise<number> {
  const paths = [file, ...(compare === undefined ? [] : [compare])].map(existingFile);
  const sources: TensorSource[] = [];
  try {
    for (const path of paths) sources.push(openTensors(path));
    const [source, other] = sources;
    if (other === undefined) list(source!, values, json);
    else compareFiles(source!, other, json);
  } catch (error) {
    throw new CommandFailure([
      { code: "file", message: error instanceof Error ? error.message : String(error) },
    ]);
  } finally {
    for (const source of sources) source.close();
  }
  return 0;
}

/** Milliseconds until a read shows its progress, and between two updates. */
const PATIENCE = 1000;
const INTERVAL = 100;

/** Progress of reading `total` bytes; shown on a terminal once it takes long. */
class Progress {
  readonly #bar = newBar({
    format: "{bar} {percentage}%",
    clearOnComplete: true,
    hideCursor: true,
    noTTYOutput: false,
  });
  readonly #total: number;
  #done = 0;
  #told = performance.now() + PATIENCE - INTERVAL;
  #shown = false;

  constructor(total: number) {
    this.#total = total;
  }

  run<T>(steps: Generator<number, T>): T {
    for (;;) {
      const step = steps.next();
      if (step.done === true) return step.value;
      this.#done += step.value;
      if (performance.now() - this.#told < INTERVAL) continue;
      this.#told = performance.now();
      if (this.#shown) this.#bar.update(this.#done);
      else this.#bar.start(this.#total, this.#done);
      this.#shown = true;
    }
  }

  end(): void {
    if (this.#shown) this.#bar.stop();
  }
}

/** Runs `look`, which reads `total` bytes of values, and shows its progress. */
function shown<T>(total: number, look: (progress: Progress) => T): T {
  const progress = new Progress(total);
  try {
    return look(progress);
  } finally {
    progress.end();
  }
}

const shapeText = (shape: readonly number[]): string => `[${shape.join(", ")}]`;
const numelOf = ({ shape }: SourceTensor): number => shape.reduce((product, extent) => product * extent, 1);
const digits = (value: number): string => (Number.isNaN(value) ? "" : String(Number(value.toPrecision(4))));

function list(
  { file, format, fileBytes, metadata, tensors }: TensorSource,
  looks: boolean,
  json: boolean,
): void {
  if (json) {
    printJson({
      file,
      format,
      bytes: fileBytes,
      tensors: tensors.length,
      metadata: Object.fromEntries(metadata),
    });
    for (const tensor of tensors) {
      const { name, dtype, shape, byteLength } = tensor;
      printJson({ name, dtype, shape, bytes: byteLength, ...(looks ? statisticsOf(tensor) : {}) });
    }
    return;
  }
  const header = ["tensor", "type", "shape", "bytes"];
  // The values are read twice: for the range, then for the histogram.
  const total = tensors.reduce((sum, { byteLength }) => sum + 2 * byteLength, 0);
  const rows = shown(total, (progress) =>
    tensors.map((tensor) => {
      const { name, dtype, shape, byteLength } = tensor;
      const row = [name, dtype, shapeText(shape), byteLength.toLocaleString("en-US")];
      return looks ? [...row, ...cells(progress.run(statisticsSteps(tensor)))] : row;
    }),
  );
  const columns = looks ? [...header, "min", "max", "mean", "std", "zeros", "NaN, inf", "histogram"] : header;
  const right = [false, false, false, true, true, true, true, true, true, true, false];
  for (const line of table([columns, ...rows], right)) print(line);
  const elements = tensors.reduce((sum, tensor) => sum + numelOf(tensor), 0);
  print(
    `\n${shortPath(file)}: ${tensors.length} tensors, ${elements.toLocaleString("en-US")} elements, ${fileBytes.toLocaleString("en-US")} bytes (${format})`,
  );
  for (const [key, text] of metadata) print(plainLine(`${key}: ${text}`));
}

function cells(statistics: Statistics | undefined): string[] {
  if (statistics === undefined) return ["", "", "", "", "", "", ""];
  const { min, max, mean, std, zeros, nans, infinities, histogram } = statistics;
  return [
    ...[min, max, mean, std].map(digits),
    zeros === 0 ? "" : zeros.toLocaleString("en-US"),
    nans + infinities === 0 ? "" : `${nans}, ${infinities}`,
    sparkline(histogram),
  ];
}

function compareFiles(a: TensorSource, b: TensorSource, json: boolean): void {
  const { changes, same } = shown(comparisonBytes(a, b), (progress) => progress.run(comparisonSteps(a, b)));
  if (json) {
    for (const change of changes) printJson(change);
    return;
  }
  const rows = changes.map((one) => [one.name, one.change, textOf(one)]);
  if (rows.length > 0) print(`${table([["tensor", "change", "what"], ...rows]).join("\n")}\n`);
  const [differ, are] = [changes.length === 1 ? "differs" : "differ", same === 1 ? "is" : "are"];
  print(`${changes.length} of the tensors ${differ}, ${same} ${are} the same.`);
}

function textOf(change: Change): string {
  switch (change.change) {
    case "added":
    case "removed":
      return `${change.dtype} ${shapeText(change.shape)}`;
    case "shape":
      return `${shapeText(change.shape)} → ${shapeText(change.other)}`;
    case "type":
      return [
        `${change.dtype} → ${change.other}`,
        ...(change.changed === undefined ? [] : [valuesText(change)]),
      ].join("; ");
    case "values":
      return valuesText(change);
  }
}

function valuesText({ changed = 0, elements = 0, largest }: Partial<Differing>): string {
  const by = changed === 0 || largest === undefined ? "" : `, by ${digits(largest)} at most`;
  return `${changed.toLocaleString("en-US")} of ${elements.toLocaleString("en-US")} values${by}`;
}
