import fs from "node:fs";
import { CHECKPOINTS_FOLDER, type CheckpointRecord } from "../protocol/run.ts";
import type { Module } from "../nn/module.ts";
import { describeFileError } from "./files.ts";
import type { RunDirectory } from "./runDirectory.ts";
import { EngineError } from "./userErrors.ts";
import { saveTensors } from "./tensorFiles.ts";

/** Milliseconds between two automatic saves of the newest weights: an epoch may take less than a save. */
const LAST_INTERVAL = 2000;
/** Milliseconds after which the newest weights are saved within an epoch too. */
const LONG_EPOCH = 30_000;

/** How far a run is when its weights are saved. */
export interface SavePoint {
  epoch: number;
  step: number;
  metrics: Readonly<Record<string, number>>;
}

/** Saves a run's weights into its directory. */
export class Checkpoints {
  readonly #directory: RunDirectory;
  readonly #model: Module;
  readonly #onProblem: (text: string) => void;
  #lastSaved = -Infinity;

  constructor(directory: RunDirectory, model: Module, onProblem: (text: string) => void) {
    this.#directory = directory;
    this.#model = model;
    this.#onProblem = onProblem;
  }

  /**
   * Saves the weights as they are now. There is one checkpoint of each kind, but any number of manual ones.
   * @returns the file's path
   * @throws EngineError "checkpoint" when the file can't be written; the checkpoint before it is still there
   */
  save(kind: CheckpointRecord["kind"], { epoch, step, metrics }: SavePoint): string {
    const { record } = this.#directory;
    const name = kind === "manual" ? `step-${String(step).padStart(6, "0")}` : kind;
    const relative = `${CHECKPOINTS_FOLDER}/${name}.safetensors`;
    const file = this.#directory.file(relative);
    try {
      saveTensors(file, this.#model.stateDict(), {
        model: record.model,
        experiment: record.exportName,
        epoch: String(epoch),
        step: String(step),
        ...(record.seed === undefined ? {} : { seed: String(record.seed) }),
      });
      const bytes = fs.statSync(file).size;
      const savedAt = new Date().toISOString();
      this.#directory.addCheckpoint({ file: relative, kind, epoch, step, savedAt, bytes, metrics });
    } catch (error) {
      throw new EngineError({
        code: "checkpoint",
        message: `The weights can't be saved to ${file}: ${describeFileError(error)}.`,
      });
    }
    return file;
  }

  /** Saves while the training goes on: a failure is told and the training goes on. */
  trySave(kind: CheckpointRecord["kind"], at: SavePoint): void {
    try {
      this.save(kind, at);
    } catch (error) {
      if (!(error instanceof EngineError)) throw error;
      this.#onProblem(`${error.message} The training goes on.`);
    }
  }

  /** The newest weights, after an epoch or, with `within`, in the middle of a long one. */
  saveLast(at: SavePoint, within = false): void {
    const now = performance.now();
    if (now - this.#lastSaved < (within ? LONG_EPOCH : LAST_INTERVAL)) return;
    this.#lastSaved = now;
    this.trySave("last", at);
  }

  /** Saves the weights of a finished training: from now on they, and not the last automatic ones, are its result. */
  saveFinal(at: SavePoint): void {
    this.save("final", at);
    this.#directory.removeCheckpoint("last");
  }
}
