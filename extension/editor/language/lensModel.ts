import { modelTitle } from "../../protocol/modelForms.ts";
import type { FileReport, ModelReport } from "../../protocol/preview.ts";
import type { ScannedExperiment, SourceScan } from "./sourceScan.ts";

/** A lens, without VS Code: where it stands and what it does. */
export type LensAction =
  | {
      kind: "parameters";
      model: string;
      count?: { total: number; trainable: number };
      /** Of the largest form, where a class has several. */
      most?: number;
    }
  | { kind: "train" | "evaluate"; model?: string; exportName?: string }
  /** The file is a program: it trains by itself, in a loop of its own. */
  | { kind: "run"; model?: string }
  | { kind: "preview"; model?: string };

export interface Lens {
  line: number;
  action: LensAction;
}

export interface LensOptions {
  trusted: boolean;
  /** Of the newest version that could be previewed; older ones keep counts in place while the file has an error. */
  report: FileReport | undefined;
  /** Parameter counts that earlier reports gave, by the model's title. */
  lastCounts: ReadonlyMap<string, { total: number; trainable: number }>;
  /** Counts come by themselves; else a lens shows only those that are known. Default true. */
  counted?: boolean;
}

/** What a file's lenses are. Those of one line come in the order in which they are shown. */
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
      // A placeholder only where a count will come: a part of the experiments' models is counted with them.
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
      lenses.push({ line, action: { kind: "evaluate", exportName } });
    }
    const model = modelOf(experiment, options.report);
    lenses.push({ line, action: { kind: "preview", ...(model === undefined ? {} : { model }) } });
  }
  return lenses;
}

/** The report of an experiment's model, where its class has several forms. */
function formOf(exportName: string, report: FileReport | undefined): ModelReport | undefined {
  return report?.models.find(
    ({ form, experiments }) => form !== undefined && experiments.includes(exportName),
  );
}

/** Export names of the experiments that build a model, or a form of one: by the report when it knows the model, else by the text. */
export function experimentsOf(model: string, scan: SourceScan, report: FileReport | undefined): string[] {
  const known = report?.models.filter((one) => one.name === model || modelTitle(one) === model) ?? [];
  // The text wins over a report that is older than an experiment typed since.
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
