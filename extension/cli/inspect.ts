import { modelsOf, modelTitle } from "../protocol/modelForms.ts";
import type { FileReport, ModelReport } from "../protocol/preview.ts";
import type { TableOptions } from "../protocol/summary.ts";
import { PreviewEngine } from "../supervisor/engines/preview.ts";
import { CommandFailure, engineOptions, UsageError, type Target } from "./command.ts";
import { interruptSignal, CliError, EXIT } from "./exit.ts";
import { tell } from "./output.ts";

/** Seconds that the file's own code may take; more than in an editor, where somebody waits for each key. */
const LIMIT = 30;

/**
 * What a file defines, by building it without computing anything.
 * @param summary Asks for each model's table
 * @throws CommandFailure with all errors of the file
 */
export async function inspectFile(file: string, summary?: TableOptions): Promise<FileReport> {
  const engine = new PreviewEngine(engineOptions, {
    onLog: tell,
  });
  const interrupted = interruptSignal();
  const cancel = (): void => void engine.dispose();
  interrupted.addEventListener("abort", cancel, { once: true });
  try {
    const report = await engine.inspect({ file, ...(summary === undefined ? {} : { summary }) }, LIMIT);
    if (report === undefined || interrupted.aborted) throw new CliError("", EXIT.interrupted);
    if (report.errors.length > 0) throw new CommandFailure(report.errors);
    return report;
  } finally {
    interrupted.removeEventListener("abort", cancel);
    await engine.dispose();
  }
}

/**
 * The models that a command line names: all of a file, or those of one export, which is an experiment or a class.
 * @throws UsageError when there is no such export
 */
export function selectModels(report: FileReport, { exportName }: Target): ModelReport[] {
  if (exportName === undefined) return report.models;
  const chosen = modelsOf(report.models, exportName);
  if (chosen.length > 0) return chosen;
  const known = report.models.flatMap(({ name, experiments }) => [name, ...experiments]);
  throw new UsageError(
    `The file has no model or experiment "${exportName}". It has: ${[...new Set(known)].join(", ") || "none"}.`,
  );
}

/** @throws CommandFailure when a file has no model at all */
export function requireModels(models: readonly ModelReport[], file: string): void {
  if (models.length > 0) return;
  throw new CommandFailure([
    {
      code: "no-model",
      message: "The file exports no model.",
      position: { file, line: 1, column: 1 },
      hint: "Export a class that extends nn.Module, or an experiment: export default experiment({ … }). A program prints its own: print(model), or summary(model), and layerwise run.",
    },
  ]);
}

/** The line above a model whose class the file builds in several forms: which one it is. */
export const formLine = (model: ModelReport): string =>
  model.form === undefined ? "" : `${modelTitle(model)}\n`;
