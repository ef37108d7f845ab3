import { modelTitle } from "../../protocol/modelForms.ts";
import type { FileError, FileReport } from "../../protocol/preview.ts";
import type { SourceScan } from "../../source/sourceScan.ts";

/** Export names of the experiments that build a model, or a form of one: by the report when it knows the model, else by the text. */
export function experimentsOf(model: string, scan: SourceScan, report: FileReport | undefined): string[] {
  const known = report?.models.filter((one) => one.name === model || modelTitle(one) === model) ?? [];
  // The text takes precedence: it may have an experiment that the report is too old for.
  const exported = new Set(scan.experiments.map((experiment) => experiment.exportName));
  const reported = known.flatMap(({ experiments }) => experiments).filter((name) => exported.has(name));
  const scanned = scan.experiments.filter((experiment) => experiment.models.includes(model));
  return [...new Set([...reported, ...scanned.map((experiment) => experiment.exportName)])];
}

/** The errors that concern a model, by its title, class or experiment: its own ones, then those of the whole file. */
export function errorsOf(model: string, scan: SourceScan, report: FileReport): FileError[] {
  const names = new Set([model, ...experimentsOf(model, scan, report)]);
  return report.errors
    .filter(({ of }) => of === undefined || names.has(of))
    .toSorted((a, b) => Number(a.of === undefined) - Number(b.of === undefined));
}

/** The classes that no experiment could build, or the experiments where the class is another file's. */
export function unbuiltModels(scan: SourceScan, report: FileReport): string[] {
  const built = new Set(
    report.models.flatMap((model) => [model.name, modelTitle(model), ...model.experiments]),
  );
  const names = report.errors.flatMap(({ of }) =>
    of === undefined || built.has(of) ? [] : classOf(of, scan),
  );
  return [...new Set(names)].filter((name) => !built.has(name));
}

/** The class that an experiment builds according to the text; any other name stands for itself. */
export const classOf = (name: string, scan: SourceScan): string =>
  scan.experiments.find(({ exportName }) => exportName === name)?.models[0] ?? name;
