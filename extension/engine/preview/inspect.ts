import fs from "node:fs";
import { setImmediate } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import type { Batch, Experiment, Optimizers } from "../../nn/experiment/experiment.ts";
import { Module } from "../../nn/module/module.ts";
import { setWarningSink } from "../../nn/warnings.ts";
import type { SourcePosition, UserError } from "../../protocol/errors.ts";
import type {
  CallReport,
  CodeWarning,
  ExperimentReport,
  FileError,
  FileReport,
  InspectRequest,
  ModelReport,
} from "../../protocol/preview.ts";
import { withForms } from "../../protocol/modelForms.ts";
import type { TableOptions } from "../../protocol/summary.ts";
import { TensorError } from "../../tensor/core/errors.ts";
import { manualSeed } from "../../tensor/functions/creation/random.ts";
import { fillValue } from "../../tensor/recording/graph.ts";
import { forgetPending } from "../../tensor/planning/barrier.ts";
import { setPrintOptions } from "../../tensor/core/print.ts";
import { scope } from "../../tensor/recording/scope.ts";
import { Tensor } from "../../tensor/core/tensor.ts";
import { CallSites } from "./callSites.ts";
import { batchLength, forward, inputsAndTarget } from "../evaluation/evaluator.ts";
import { experimentsOf, modelClassesOf } from "../host/exports.ts";
import { describeFailedLayer } from "./failedLayer.ts";
import { library } from "../host/library.ts";
import { ModelObserver } from "./modelSummary.ts";
import { previewBatch, type PreviewData } from "./previewData.ts";
import { describeSettings } from "../reporting/settings.ts";
import { StepLints } from "./stepLints.ts";
import { ValueReads } from "./valueReads.ts";
import { missingLoss } from "../training/stepResult.ts";
import { userFrames } from "../host/stackTraces.ts";
import { makeModel } from "../training/prepare.ts";
import { describeError } from "../host/userErrors.ts";
import { openVersion } from "../host/versions.ts";
import { bundleUserModule, evaluateUserModule, SyntaxErrors, type UserModule } from "../host/userModule.ts";

/**
 * Reports what a file defines, by building it: its graphs are recorded and nothing is computed. Errors of the file are
 * part of the report.
 * @param onImports Called with the files that it imports, before any of their code runs
 */
export async function inspect(
  { file, text, version, summary, calls }: InspectRequest,
  onImports?: (imported: readonly string[]) => void,
): Promise<FileReport> {
  scope.sites = true;
  forgetModes();
  manualSeed(0);
  try {
    const imports = version === undefined ? undefined : await openVersion(file, version);
    const bundle = await bundleUserModule(file, { library, text, imports });
    onImports?.(bundle.imported);
    const module = await evaluateUserModule(bundle, library);
    try {
      const source = text ?? fs.readFileSync(file, "utf8");
      const report = await new Inspection(module, source, summary, calls ?? false).report();
      // Endless promises hang the process: here, within this file's time limit, their line is known.
      await setImmediate();
      return report;
    } finally {
      module.dispose();
    }
  } catch (error) {
    if (error instanceof SyntaxErrors) onImports?.(error.imported);
    return { file, models: [], experiments: [], errors: errorsOf(error) };
  } finally {
    forgetPending();
  }
}

/** Resets modes that an earlier file may have set to those of a new process. */
function forgetModes(): void {
  scope.gradients = true;
  setPrintOptions({ profile: "default" });
}

function errorsOf(error: unknown): UserError[] {
  if (error instanceof SyntaxErrors) return [...error.errors];
  // A program that trains at its top level, such as a tutorial's loop: there is nothing wrong with it.
  return asksForValues(error) ? [] : [describeError(error)];
}

function asksForValues(error: unknown): boolean {
  return error instanceof TensorError && error.code === "preview";
}

const NO_VALIDATION = "No data is held out, so overfitting stays unnoticed: give `validation: 0.2`.";

/** Records one training step, until it needs a value. */
function step(
  { options: { loss, trainStep } }: Experiment,
  model: Module,
  optimizer: Optimizers,
  batch: Batch,
): unknown {
  if (trainStep !== undefined)
    return trainStep({ model, batch, loss: loss ?? missingLoss, optimizer, epoch: 1, step: 1 });
  const { inputs, target } = inputsAndTarget(batch);
  return loss?.(forward(model, inputs), target);
}

/** Parts of a report that don't describe the form, or follow from it. */
const LABELS = { name: "", experiments: [], calls: [] };

async function thrownBy(body: () => unknown): Promise<unknown> {
  try {
    await body();
  } catch (error) {
    return error;
  }
  return undefined;
}

class Inspection {
  readonly #module: UserModule;
  readonly #text: string;
  readonly #table: TableOptions | undefined;
  /** The forms of each class: experiments that build the same one share a report. */
  readonly #models = new Map<unknown, ModelReport[]>();
  readonly #experiments: ExperimentReport[] = [];
  readonly #errors: FileError[] = [];
  /** Whether the report includes calls and warnings. */
  readonly #typing: boolean;
  readonly #warnings: CodeWarning[] = [];

  constructor(module: UserModule, text: string, table: TableOptions | undefined, typing: boolean) {
    this.#typing = typing;
    this.#module = module;
    this.#text = text;
    this.#table = table;
  }

  async report(): Promise<FileReport> {
    for (const [exportName, experiment] of experimentsOf(this.#module))
      await this.#inspectExperiment(exportName, experiment);
    for (const { type } of modelClassesOf(this.#module)) {
      // Only an experiment knows the arguments of a constructor that takes some.
      if (type.length === 0 && !this.#models.has(type)) await this.#inspectClass(type);
    }
    return {
      file: this.#module.file,
      models: withForms([...this.#models.values()].flat()),
      experiments: this.#experiments,
      errors: this.#errors,
      ...(this.#typing ? { warnings: this.#warnings } : {}),
    };
  }

  async #inspectExperiment(exportName: string, experiment: Experiment): Promise<void> {
    const { options } = experiment;
    const [fallback] = userFrames(experiment.site);
    const fail = (error: unknown): UserError => {
      const described = describeError(error);
      return described.position === undefined && fallback !== undefined
        ? { ...described, position: fallback }
        : described;
    };
    try {
      manualSeed(options.seed ?? 0);
      const { model, optimizers } = makeModel(options);
      let data: PreviewData | undefined;
      try {
        data = await previewBatch(options);
      } catch (error) {
        this.#report({ ...fail(error), of: exportName });
      }
      this.#experiments.push({
        exportName,
        model: model.constructor.name,
        epochs: options.epochs,
        settings: describeSettings(experiment, optimizers, data?.samples),
      });
      const observer = new ModelObserver(model);
      if (data === undefined) return void this.#add(model, observer, exportName);
      const { samples, batch } = data;
      const lints = new StepLints(this.#text, fallback);
      const sites = new CallSites();
      const reads = new ValueReads();
      const run = (): unknown =>
        reads.watch(() => observer.watch(() => step(experiment, model, optimizers, batch)));
      let report: ModelReport;
      const error = await thrownBy(() =>
        this.#typing ? lints.watch(optimizers, batch.at(-1), () => sites.watch(run)) : run(),
      );
      const fails = error !== undefined && !asksForValues(error);
      if (fails && !reads.assumed) {
        const { failed } = sites;
        const described = fail(error);
        const layer = failed === undefined ? {} : { layer: describeFailedLayer(failed, described.code) };
        report = this.#add(model, observer, exportName, { error: { ...described, ...layer } });
      } else {
        if (this.#typing) lints.lookForUnused(model);
        const values = reads.report(fails);
        report = this.#add(model, observer, exportName, values === undefined ? {} : { reads: values });
      }
      if (!this.#typing) return;
      this.#warnings.push(...lints.found);
      if (samples.validation === undefined && fallback !== undefined)
        this.#warnings.push({ code: "noValidation", message: NO_VALIDATION, position: fallback });
      report.calls ??= await this.#calls(experiment, model, optimizers, batch, sites);
    } catch (error) {
      this.#report({ ...fail(error), of: exportName });
    }
  }

  /** Reports an error once: several experiments may build the model that throws it, or read its data. */
  #report(error: FileError): void {
    const same = ({ message, position }: UserError): string => JSON.stringify([message, position]);
    if (this.#errors.every((other) => same(other) !== same(error))) this.#errors.push(error);
  }

  /** Calls in a step, with the batch's size as N: a second step, of another size, shows what depends on it. */
  async #calls(
    experiment: Experiment,
    model: Module,
    optimizers: Optimizers,
    batch: Batch,
    sites: CallSites,
  ): Promise<CallReport[]> {
    const size = batchLength(batch);
    const larger = batch.map(
      ({ shape: [first, ...rest], dtype }) => new Tensor(fillValue(0, [first! + 1, ...rest], dtype)),
    );
    const other = new CallSites();
    // The first step has reported the library's warnings.
    const sink = setWarningSink(() => undefined);
    await thrownBy(() =>
      new ValueReads().watch(() => other.watch(() => step(experiment, model, optimizers, larger))),
    );
    setWarningSink(sink);
    return sites.reports(size, { sites: other, batch: size + 1 });
  }

  async #inspectClass(type: abstract new (...args: never[]) => Module): Promise<void> {
    try {
      const model = Reflect.construct(type, []) as Module;
      this.#add(model, new ModelObserver(model), undefined);
    } catch (error) {
      // A base class, or one that needs more than its constructor says: not the user's mistake.
      if (!asksForValues(error) && error instanceof TensorError)
        this.#report({ ...describeError(error), of: type.name });
    }
  }

  /** @returns the report of the model's form, which may be that of an experiment before */
  #add(
    model: Module,
    observer: ModelObserver,
    exportName: string | undefined,
    outcome: Pick<ModelReport, "error" | "reads"> = {},
  ): ModelReport {
    const { name } = model.constructor;
    const seen = {
      text: model.toString(),
      ...observer.summary(this.#classPosition(name), this.#table),
      ...outcome,
    };
    const forms = this.#models.get(model.constructor) ?? [];
    this.#models.set(model.constructor, forms);
    const same = forms.find((form) => isDeepStrictEqual({ ...form, ...LABELS }, { ...seen, ...LABELS }));
    const report = same ?? { name, experiments: [], ...seen };
    if (same === undefined) forms.push(report);
    if (exportName !== undefined) report.experiments.push(exportName);
    return report;
  }

  #classPosition(name: string): SourcePosition | undefined {
    const lines = this.#text.split(/\r?\n/);
    const pattern = new RegExp(`\\bclass\\s+${name}\\b`);
    const line = lines.findIndex((one) => pattern.test(one));
    if (line < 0) return undefined;
    const column = lines[line]!.indexOf(name, lines[line]!.search(pattern)) + 1;
    return { file: this.#module.file, line: line + 1, column, endColumn: column + name.length };
  }
}
