import { modelTitle } from "../../protocol/modelForms.ts";
import type { FileReport, ModelReport } from "../../protocol/preview.ts";
import type { ScannedExperiment, SourceScan } from "../../source/sourceScan.ts";

/** Action of a lens, without VS Code's types. */
export type LensAction =
  | {
      kind: "parameters";
      model: string;
      count?: { total: number; trainable: number };
      /** Whether the count is that of the largest form, if a class has several. */
      most?: number;
    }
  | { kind: "train" | "data" | "evaluate" | "sweep"; model?: string; exportName?: string }
  /** Runs the file, a program with its own training loop. */
  | { kind: "run"; model?: string }
  | { kind: "preview"; model?: string };

export interface Lens {
  line: number;
  action: LensAction;
}

export interface LensOptions {
  trusted: boolean;
  /** The newest report; an older one keeps counts in place while the file has an error. */
  report: FileReport | undefined;
  /** Parameter counts of earlier reports, by the model's title. */
  lastCounts: ReadonlyMap<string, { total: number; trainable: number }>;
  /** Whether previews are automatic, so that a missing count gets a placeholder. Default true. */
  counted?: boolean;
}

/** Returns a file's lenses, those of one line in display order. */
export function lensesOf(scan: SourceScan, options: LensOptions): Lens[] {
  const lenses: Lens[] = [];
  for (const { name, line } of scan.models) {
    const add = (action: LensAction): number => lenses.push({ line, action });
    const experiments = experimentsOf(name, scan, options.report);
    if (options.trusted) {
      const forms = options.report?.models.filter((model) => model.name === name) ?? [];
      const counts = forms.map(({ parameters }) => parameters).toSorted((a, b) => a.total - b.total);
      const count = counts[0] ?? options.lastCounts.get(name);
      const most = counts.at(-1)?.total;
      // A placeholder only where a count will follow: submodules of an experiment's model are counted with it.
      if (count !== undefined || (experiments.length > 0 && options.counted !== false))
        add({
          kind: "parameters",
          model: name,
          ...(count === undefined ? {} : { count }),
          ...(most === count?.total || most === undefined ? {} : { most }),
        });
      if (experiments.length > 0) {
        const only = experiments.length === 1 ? experiments[0] : undefined;
        const target = { model: name, ...(only === undefined ? {} : { exportName: only }) };
        add({ kind: "train", ...target });
        add({ kind: "data", ...target });
        const swept = scan.experiments.filter((one) => one.swept && experiments.includes(one.exportName));
        if (swept.length > 0) add({ kind: "sweep", model: name, exportName: swept[0]!.exportName });
        add({ kind: "evaluate", ...target });
      } else if (scan.experiments.length === 0) add({ kind: "run" });
    }
    add({ kind: "preview", model: name });
  }
  for (const experiment of scan.experiments) {
    const { line, exportName } = experiment;
    if (options.trusted) {
      const form = formOf(exportName, options.report);
      if (form !== undefined)
        lenses.push({
          line,
          action: { kind: "parameters", model: modelTitle(form), count: form.parameters },
        });
      lenses.push({ line, action: { kind: "train", exportName } });
      lenses.push({ line, action: { kind: "data", exportName } });
      if (experiment.swept === true) lenses.push({ line, action: { kind: "sweep", exportName } });
      lenses.push({ line, action: { kind: "evaluate", exportName } });
    }
    const model = modelOf(experiment, options.report);
    lenses.push({ line, action: { kind: "preview", ...(model === undefined ? {} : { model }) } });
  }
  return lenses;
}

/** The report of an experiment's model if its class has several forms. */
function formOf(exportName: string, report: FileReport | undefined): ModelReport | undefined {
  return report?.models.find(
    ({ form, experiments }) => form !== undefined && experiments.includes(exportName),
  );
}

/** Export names of the experiments that build a model, or a form of one: by the report when it knows the model, else by the text. */
export function experimentsOf(model: string, scan: SourceScan, report: FileReport | undefined): string[] {
  const known = report?.models.filter((one) => one.name === model || modelTitle(one) === model) ?? [];
  // The text takes precedence: it may have an experiment that the report is too old for.
  const exported = new Set(scan.experiments.map((experiment) => experiment.exportName));
  const reported = known.flatMap(({ experiments }) => experiments).filter((name) => exported.has(name));
  const scanned = scan.experiments.filter((experiment) => experiment.models.includes(model));
  return [...new Set([...reported, ...scanned.map((experiment) => experiment.exportName)])];
}

export function modelOf(experiment: ScannedExperiment, report: FileReport | undefined): string | undefined {
  const form = formOf(experiment.exportName, report);
  if (form !== undefined) return modelTitle(form);
  const reported = report?.experiments.find((known) => known.exportName === experiment.exportName)?.model;
  return experiment.models[0] ?? reported;
}
