import * as vscode from "vscode";
import { findModel, modelTitle } from "../../protocol/modelForms.ts";
import type { ArchitectureSnapshot } from "../../protocol/views.ts";
import { scanSource } from "../../source/sourceScan.ts";
import type { EngineOptions } from "../../supervisor/engines/process.ts";
import { listRuns } from "../../supervisor/runs/runDirectory.ts";
import { DisposableOwner } from "../disposable.ts";
import { classOf, errorsOf, unbuiltModels as failing } from "../language/experiments.ts";
import type { Previews } from "../previews.ts";
import type { Runs } from "../runs/runs.ts";
import type { Log } from "../show.ts";
import { folderOf, openFile } from "../targets.ts";
import { Comparison } from "./comparison.ts";
import { offered } from "./offered.ts";
import { Profiles } from "./profiles.ts";
import { CheckpointValues } from "./checkpointValues.ts";
import { WatchedTrainings } from "./watchedTrainings.ts";

export interface SubjectServices {
  log: Log;
  previews: Previews;
  engine: () => EngineOptions;
  runs: Pick<Runs, "onDidChange">;
}

/** The models of one file with the comparison, weights and profile that the user chose. */
export class ArchitectureSubject extends DisposableOwner {
  /** Absolute path. */
  readonly file: string;
  /** The wanted model; ignored if the file doesn't have it. */
  model: string | undefined;
  readonly comparison: Comparison;
  readonly weights: CheckpointValues;
  readonly profiles: Profiles;
  readonly trainings = new WatchedTrainings();
  readonly #previews: Previews;
  readonly #changed: () => void;
  #choices: Pick<ArchitectureSnapshot, "sides" | "weightFiles" | "trainings"> = {};

  /** @param changed Called when {@link snapshot} changes; not after this has been disposed */
  constructor(file: string, model: string | undefined, services: SubjectServices, changed: () => void) {
    super();
    this.file = file;
    this.model = model;
    const { previews } = services;
    this.#previews = previews;
    this.#changed = () => {
      if (!this.disposed) changed();
    };
    this.comparison = this.own(new Comparison(file, previews, this.#changed));
    this.weights = this.own(new CheckpointValues(services.engine, this.#changed));
    this.profiles = this.own(new Profiles(file, services, this.#changed));
    const states = new Map<string, string>();
    this.own(
      services.runs.onDidChange(({ id, record }) => {
        if (record.kind !== "train" || record.file !== file || states.get(id) === record.state) return;
        states.set(id, record.state);
        void this.lookForChoices();
      }),
    );
    this.own(previews.hold(vscode.Uri.file(file)));
    this.own(
      previews.onDidChange((uri) => {
        if (uri.fsPath === file) this.#changed();
      }),
    );
    this.own(
      previews.onDidEdit((uri) => {
        if (uri.fsPath === file) this.profiles.outdate();
      }),
    );
  }

  /** Reads the list of runs; not called at each typed letter. */
  async lookForChoices(): Promise<void> {
    const runs = (await listRuns(folderOf(this.file))).filter(
      ({ record }) => record.kind === "train" && record.file === this.file,
    );
    const [sides, weightFiles, trainings] = await Promise.all([
      this.comparison.sides(runs),
      this.weights.files(runs),
      this.trainings.find(runs),
    ]);
    this.#choices = { sides, weightFiles, trainings };
    this.#changed();
  }

  /** The choices that the page offers, as far as they are known. */
  get choices(): Pick<ArchitectureSnapshot, "sides" | "weightFiles" | "trainings"> {
    return this.#choices;
  }

  /** Throws unless the panel offered the choice to the page: others would be arbitrary files. */
  demandOffered(list: "sides" | "weightFiles" | "trainings", id: string): void {
    offered<{ id: string }>(this.#choices[list] ?? [], (one) => one.id === id, id);
  }

  async snapshot(): Promise<ArchitectureSnapshot> {
    // VS Code closes documents that no editor shows, so the panel opens its own again when it needs it.
    const document = await openFile(this.file);
    const preview = this.#previews.follow(document);
    const compared = await this.comparison.current();
    const report = compared?.shown ?? preview.report;
    const { lastGood, busy, outdated } =
      compared?.shown === undefined ? preview : { lastGood: new Map(), busy: false, outdated: false };
    const unbuilt = report === undefined && !busy ? preview.withheld : undefined;
    const scan = scanSource(document.getText());
    const unbuiltModels = report === undefined ? [] : failing(scan, report);
    const built = findModel(report?.models ?? [], this.model);
    const failed = unbuiltModels.find((name) => name === classOf(this.model ?? "", scan));
    // A class that is only a part of other models has no report of its own.
    const known = [...(report?.models.map(modelTitle) ?? []), ...unbuiltModels, ...lastGood.keys()];
    const wanted = built
      ? modelTitle(built)
      : (failed ?? known.find((title) => title === this.model) ?? known[0]);
    const good = wanted === undefined ? undefined : findModel([...lastGood.values()], wanted);
    const weights = this.weights.current;
    const profile = this.profiles.current;
    const training = this.trainings.chosen;
    return {
      file: this.file,
      busy,
      ...(outdated ? { outdated } : {}),
      ...(unbuilt === undefined ? {} : { unbuilt }),
      ...this.#choices,
      ...(compared === undefined ? {} : { comparison: compared.comparison }),
      ...(weights === undefined ? {} : { weights }),
      ...(profile === undefined ? {} : { profile }),
      ...(training === undefined ? {} : { training }),
      ...(wanted === undefined ? {} : { model: wanted }),
      ...(unbuiltModels.length === 0 ? {} : { unbuiltModels }),
      ...(report === undefined
        ? {}
        : {
            report: wanted === undefined ? report : { ...report, errors: errorsOf(wanted, scan, report) },
          }),
      ...(good === undefined ? {} : { lastGood: good }),
    };
  }
}
