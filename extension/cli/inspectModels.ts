import { modelsOf, modelTitle } from "../protocol/modelForms.ts";
import type { FileReport, ModelReport } from "../protocol/preview.ts";
import type { TableOptions } from "../protocol/summary.ts";
import { PreviewEngine } from "../supervisor/engines/preview.ts";
import { CommandFailure, engineOptions, UsageError, type Target } from "./command.ts";
import { interruptSignal, CliError, EXIT } from "./exit.ts";
import { printStderr } from "./output.ts";

/** Time limit of the file's own code in seconds; longer than in an editor, where each keystroke waits for it. */
const LIMIT = 30;

/**
 * Reports the models and experiments of a file: builds them without computing anything.
 * @param summary Options of each model's table, if it is wanted
 * @throws CommandFailure with all errors of the file
 */
export async function inspectFile(file: string, summary?: TableOptions): Promise<FileReport> {
  const engine = new PreviewEngine(engineOptions, {
    onLog: printStderr,
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
 * Selects the models that a command line names: all of a file, or those of one exported experiment or class.
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

/** A heading that tells apart the models of one class that the file builds with different arguments. */
export const formLine = (model: ModelReport): string =>
  model.form === undefined ? "" : `${modelTitle(model)}\n`;
