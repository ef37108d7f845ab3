import { modelTitle } from "../../protocol/modelForms.ts";
import type { FileReport, ModelReport } from "../../protocol/preview.ts";
import type { ScannedExperiment, SourceScan } from "../../source/sourceScan.ts";
import { errorsOf, experimentsOf } from "./experiments.ts";

/** Action of a lens, without VS Code's types. */
export type LensAction =
  | {
      kind: "parameters";
      model: string;
      count?: { total: number; trainable: number };
      /** Whether the count is that of the largest form, if a class has several. */
      most?: number;
      /** Why there is no count, and none will follow: the model can't be built. */
      reason?: string;
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
  /** Whether a newer report will follow. */
  busy?: boolean;
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
      if (count !== undefined)
        add({
          kind: "parameters",
          model: name,
          count,
          ...(most === count.total || most === undefined ? {} : { most }),
        });
      // Submodules of an experiment's model are counted with it.
      else if (experiments.length > 0) addUncounted(lenses, line, name, scan, options);
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
      const built = builtBy(exportName, options.report);
      // A class of this file has its own lens, for all its forms.
      const elsewhere =
        built === undefined
          ? experiment.models.length === 0
          : scan.models.every(({ name }) => name !== built.name);
      const form = elsewhere ? built : formOf(exportName, options.report);
      if (form !== undefined)
        lenses.push({
          line,
          action: { kind: "parameters", model: modelTitle(form), count: form.parameters },
        });
      else if (elsewhere) addUncounted(lenses, line, exportName, scan, options);
      lenses.push({ line, action: { kind: "train", exportName } });
      lenses.push({ line, action: { kind: "data", exportName } });
      if (experiment.swept === true) lenses.push({ line, action: { kind: "sweep", exportName } });
      lenses.push({ line, action: { kind: "evaluate", exportName } });
    }
    const model = modelOf(experiment, options.report);
    lenses.push({ line, action: { kind: "preview", model: model ?? exportName } });
  }
  return lenses;
}

/** Adds a placeholder where a count will follow, and the reason where a model can't be built. */
function addUncounted(
  lenses: Lens[],
  line: number,
  model: string,
  scan: SourceScan,
  { counted, report, busy }: LensOptions,
): void {
  if (counted === false) return;
  const waiting = report === undefined || busy === true;
  const reason = waiting ? undefined : errorsOf(model, scan, report)[0]?.message;
  if (waiting) lenses.push({ line, action: { kind: "parameters", model } });
  else if (reason !== undefined) lenses.push({ line, action: { kind: "parameters", model, reason } });
}

const builtBy = (exportName: string, report: FileReport | undefined): ModelReport | undefined =>
  report?.models.find(({ experiments }) => experiments.includes(exportName));

/** The report of an experiment's model if its class has several forms. */
function formOf(exportName: string, report: FileReport | undefined): ModelReport | undefined {
  const built = builtBy(exportName, report);
  return built?.form === undefined ? undefined : built;
}

export function modelOf(experiment: ScannedExperiment, report: FileReport | undefined): string | undefined {
  const form = formOf(experiment.exportName, report);
  if (form !== undefined) return modelTitle(form);
  const reported = report?.experiments.find((known) => known.exportName === experiment.exportName)?.model;
  return experiment.models[0] ?? reported;
}
