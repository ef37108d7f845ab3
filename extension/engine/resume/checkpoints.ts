import fs from "node:fs";
import path from "node:path";
import { CHECKPOINTS_FOLDER, type CheckpointRecord } from "../../protocol/run.ts";
import type { Module } from "../../nn/module/module.ts";
import type { Tensor } from "../../tensor/core/tensor.ts";
import type { SavedCheckpoint } from "../../nn/experiment/experiment.ts";
import { valuesOf } from "../../tensor/planning/barrier.ts";
import type { Team } from "../parallel/team.ts";
import type { CheckpointPolicy } from "./checkpointPolicy.ts";
import { describeFileError } from "../../files/fileError.ts";
import type { RunDirectory } from "../reporting/runDirectory.ts";
import { now } from "../training/clock.ts";
import type { Kept, SavePoint } from "../training/trainerState.ts";
import { EngineError } from "../../protocol/errors.ts";
import { computeSaved, saveTensors } from "../files/tensorFiles.ts";
import { HYPERPARAMETERS } from "./startingWeights.ts";
import { readStates, saveTraining } from "./trainingFile.ts";
import type { TrainingState } from "./trainingState.ts";

/** Milliseconds between two automatic saves of the newest weights: an epoch may take less than a save. */
const LAST_INTERVAL = 2000;
/** Milliseconds after which the newest weights are saved within an epoch too. */
const LONG_EPOCH = 30_000;

/** Callbacks of {@link Checkpoints}. */
export interface CheckpointEvents {
  onProblem(text: string): void;
  /** Called where a file of weights was written: in a team, by the first worker. */
  onWrite?: ((checkpoint: CheckpointRecord) => void) | undefined;
  /** Called after each save, in all workers of a team at the same place of the program. */
  onSave?: ((checkpoint: Omit<SavedCheckpoint, "file">, file: string) => void) | undefined;
  /** Called before a training's own saves: throws when the weights are bad. */
  check?: (() => void) | undefined;
}

interface SaveOptions {
  name?: string;
  first?: boolean;
  /** Whether this worker saves beside the program, and the others learn of it later: see {@link Checkpoints.share}. */
  alone?: boolean;
}

/** Arguments of {@link CheckpointEvents.onSave} for a save: its facts, and the file's path. */
type Told = readonly [saved: Omit<SavedCheckpoint, "file">, file: string];

/** Outcome of a save: the file's path, or why it can't be written. */
type Outcome = { readonly file: string } | { readonly problem: string };

/** Saves a run's weights into its directory. In a team the first worker writes them, and all decide alike. */
export class Checkpoints {
  readonly policy: CheckpointPolicy;
  readonly #directory: RunDirectory;
  readonly #model: Module;
  readonly #events: CheckpointEvents;
  readonly #team: Team | undefined;
  /** Saves by this worker alone: the others don't know of them yet. */
  readonly #untold: Told[] = [];
  /** Why the last save of weights failed: reported once, not for each file. */
  #problem: string | undefined;
  /** Likewise for the training's state. */
  #stateProblem: string | undefined;
  /** Seconds of all saves so far. */
  seconds = 0;
  #lastSaved = -Infinity;
  #stateSaved = now();

  constructor(
    directory: RunDirectory,
    model: Module,
    policy: CheckpointPolicy,
    events: CheckpointEvents,
    team?: Team,
  ) {
    this.#team = team;
    this.#directory = directory;
    this.#model = model;
    this.policy = policy;
    this.#events = events;
  }

  /**
   * Saves the weights as they are now. There is one checkpoint of each name.
   * @returns the file's path
   * @throws EngineError "checkpoint" when the file can't be written; the checkpoint before it is still there
   */
  save(
    kind: CheckpointRecord["kind"],
    at: SavePoint,
    { name = nameOf(kind, at.step), first = false, alone = false }: SaveOptions = {},
  ): string {
    const team = this.#team;
    const relative = relativePath(name);
    if (alone && !this.#writes) return path.join(this.#directory.path, relative);
    const outcome = this.#agreed(() => this.#write(kind, at, relative, first), alone);
    if ("problem" in outcome) throw new EngineError({ code: "checkpoint", message: outcome.problem });
    const saved = { kind, epoch: at.epoch, step: at.step };
    if (alone && team !== undefined) this.#untold.push([saved, outcome.file]);
    else this.#events.onSave?.(saved, outcome.file);
    return outcome.file;
  }

  /** Tells all workers of the saves by the first one alone. All call this at the same place of the program. */
  share(team: Team): void {
    const told = JSON.parse(team.text(JSON.stringify(this.#untold.splice(0)))) as Told[];
    for (const [saved, file] of told) this.#events.onSave?.(saved, file);
  }

  /** Whether this worker writes files. */
  get #writes(): boolean {
    return this.#team === undefined || this.#team.rank === 0;
  }

  /** The first worker's outcome: what follows a save depends on it. */
  #agreed(write: () => Outcome, alone: boolean): Outcome {
    const team = this.#team;
    if (team === undefined || alone) return write();
    if (team.rank === 0) return JSON.parse(team.text(JSON.stringify(write()))) as Outcome;
    try {
      this.#weights();
    } catch {
      // The first worker reports it.
    }
    return JSON.parse(team.text("")) as Outcome;
  }

  /** Computes the weights, in all workers: if one left them pending, only its next step's graph would have them. */
  #weights(): ReadonlyMap<string, Tensor> {
    const weights = this.#model.stateDict();
    for (const tensor of weights.values()) valuesOf(tensor.value);
    return weights;
  }

  #write(
    kind: CheckpointRecord["kind"],
    { epoch, step, metrics }: SavePoint,
    relative: string,
    first: boolean,
  ): Outcome {
    const start = performance.now();
    const { record } = this.#directory;
    let file = path.join(this.#directory.path, relative);
    let checkpoint: CheckpointRecord;
    try {
      const weights = this.#weights();
      file = this.#directory.file(relative);
      saveTensors(file, weights, {
        model: record.model,
        experiment: record.exportName,
        epoch: String(epoch),
        step: String(step),
        ...(record.seed === undefined ? {} : { seed: String(record.seed) }),
        ...(record.hyperparameters === undefined
          ? {}
          : { [HYPERPARAMETERS]: JSON.stringify(record.hyperparameters) }),
      });
      const bytes = fs.statSync(file).size;
      const savedAt = new Date().toISOString();
      checkpoint = { file: relative, kind, epoch, step, savedAt, bytes, metrics };
      this.#directory.addCheckpoint(checkpoint, first);
      this.#problem = undefined;
    } catch (error) {
      return { problem: `The weights can't be saved to ${file}: ${describeFileError(error)}.` };
    } finally {
      this.#savedSince(start);
    }
    this.#events.onWrite?.(checkpoint);
    return { file };
  }

  /** Saves during training: a failure is reported and the training continues. */
  trySave(...args: Parameters<Checkpoints["save"]>): boolean {
    try {
      this.save(...args);
      return true;
    } catch (error) {
      if (!(error instanceof EngineError)) throw error;
      const reason = error.message.slice(error.message.lastIndexOf(": "));
      if (reason !== this.#problem) this.#events.onProblem(`${error.message} The training continues.`);
      this.#problem = reason;
      return false;
    }
  }

  /** The newest weights, after an epoch or, with `within`, in the middle of a long one. */
  saveLast(point: () => SavePoint, within = false): void {
    if (!this.policy.newest) return;
    const at = now();
    if (at - this.#lastSaved < (within ? LONG_EPOCH : LAST_INTERVAL)) return;
    this.#lastSaved = at;
    this.#events.check?.();
    this.trySave("last", point());
  }

  /** Whether it is time to save the training's state: `between` two epochs, or in the middle of a long one. */
  stateDue(between: boolean): boolean {
    return this.policy.newest && now() - this.#stateSaved >= (between ? LAST_INTERVAL : LONG_EPOCH);
  }

  /** Saves all that resuming needs; a failure is reported and the training continues. */
  saveState(state: () => TrainingState): void {
    if (!this.policy.any) return;
    const start = performance.now();
    this.#stateSaved = now();
    this.#events.check?.();
    const { path } = this.#directory;
    try {
      if (this.#writes) saveTraining(path, state());
      else computeSaved(state());
      this.#stateProblem = undefined;
    } catch (error) {
      const problem = describeFileError(error);
      if (problem !== this.#stateProblem)
        this.#events.onProblem(
          `The training's state can't be saved in ${path}: ${problem}. The training continues; resumed, it would start from the state saved before.`,
        );
      this.#stateProblem = problem;
    } finally {
      this.#savedSince(start);
    }
  }

  #savedSince(start: number): void {
    this.seconds += (performance.now() - start) / 1000;
  }

  /** The readable saved states of the training, the newest first. */
  lastStates(): TrainingState[] {
    return [...readStates(this.#directory.path)].flatMap((state) => (state instanceof Error ? [] : [state]));
  }

  /** Saves the weights of a finished training: from now on they, and not the last automatic ones, are its result. */
  saveFinal(at: SavePoint): void {
    if (!this.policy.any) return;
    this.save("final", at);
    this.#directory.removeCheckpoint("last");
  }

  /**
   * Saves the weights if they are among those to be kept, and deletes what they displace.
   * @returns all that are kept now, the best first
   */
  saveRanked(kept: readonly Kept[], at: SavePoint): readonly Kept[] {
    const { policy } = this;
    const { epoch, step, metrics } = at;
    const value = policy.value(metrics, step);
    if (value === undefined) return kept;
    const kind = policy.monitor === undefined ? "manual" : "best";
    const name = kind === "best" && !policy.single ? `best-${nameOf("manual", step)}` : nameOf(kind, step);
    const one = { file: relativePath(name), value, epoch, step };
    const ranked = policy.rank(kept, one);
    if (ranked === undefined) return kept;
    const first = ranked.kept[0] === one;
    this.#events.check?.();
    if (!this.trySave(kind, at, { name, first })) return kept;
    for (const { file } of ranked.gone) if (file !== one.file) this.#directory.removeFile(file);
    if (first && policy.monitor !== undefined)
      this.#directory.update({ best: { metric: policy.monitor, value, epoch } });
    return ranked.kept;
  }
}

function nameOf(kind: CheckpointRecord["kind"], step: number): string {
  return kind === "manual" ? `step-${String(step).padStart(6, "0")}` : kind;
}

function relativePath(name: string): string {
  return `${CHECKPOINTS_FOLDER}/${name}.safetensors`;
}
