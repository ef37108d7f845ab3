import { basename } from "node:path";
import * as vscode from "vscode";
import type { ChosenWeights, WeightFile } from "../../protocol/views.ts";
import { toUserError } from "../../supervisor/errors.ts";
import type { EngineOptions } from "../../supervisor/engines/process.ts";
import { checkpointPath, newestFirst, type StoredRun } from "../../supervisor/runs/runDirectory.ts";
import { readLabels } from "../../supervisor/runs/runLabels.ts";
import { weightStatistics } from "../../supervisor/engines/weightStatistics.ts";
import { DisposableOwner } from "../disposable.ts";

/** Offered checkpoints at most, the newest. */
const MOST_CHECKPOINTS = 30;
/** Another file: the user picks it. */
const ASK = "file";

/** The chosen checkpoint with its values, and the checkpoints to choose from. */
export class CheckpointValues extends DisposableOwner {
  readonly #engine: () => EngineOptions;
  readonly #changed: () => void;
  #chosen: ChosenWeights | undefined;
  #reading: AbortController | undefined;

  /** @param changed Called when {@link current} changes */
  constructor(engine: () => EngineOptions, changed: () => void) {
    super();
    this.#engine = engine;
    this.#changed = changed;
    this.own({ dispose: () => this.#reading?.abort() });
  }

  get current(): ChosenWeights | undefined {
    return this.#chosen;
  }

  /** Checkpoints of trainings, the newest training first, and a chosen file from elsewhere. */
  async files(runs: readonly StoredRun[]): Promise<WeightFile[]> {
    const files: WeightFile[] = [];
    for (const { directory, record } of runs) {
      const left = MOST_CHECKPOINTS - files.length;
      if (left <= 0) break;
      if (record.checkpoints.length === 0) continue;
      const { name } = await readLabels(directory);
      for (const checkpoint of newestFirst(record).slice(0, left))
        files.push({
          id: checkpointPath(directory, checkpoint),
          label: `${name || record.id}: ${basename(checkpoint.file)}`,
        });
    }
    const chosen = this.#chosen?.id;
    if (chosen !== undefined && !files.some(({ id }) => id === chosen))
      files.push({ id: chosen, label: basename(chosen) });
    return [...files, { id: ASK, label: vscode.l10n.t("Another file…") }];
  }

  /** Reads a checkpoint, or stops showing one. */
  async choose(id: string): Promise<void> {
    const file = id === ASK ? await ask() : id;
    if (file === undefined) return;
    this.#reading?.abort();
    this.#chosen = file === "" ? undefined : { id: file };
    this.#changed();
    if (file === "") return;
    const reading = (this.#reading = new AbortController());
    let read: Omit<ChosenWeights, "id">;
    try {
      read = { tensors: await weightStatistics(file, this.#engine(), reading.signal) };
    } catch (error) {
      read = { error: toUserError(error).message };
    }
    if (reading.signal.aborted) return;
    this.#chosen = { id: file, ...read };
    this.#changed();
  }
}

async function ask(): Promise<string | undefined> {
  const [picked] =
    (await vscode.window.showOpenDialog({
      title: vscode.l10n.t("Weights to look at"),
      filters: { [vscode.l10n.t("Weights")]: ["safetensors", "pth", "pt", "bin"] },
    })) ?? [];
  return picked?.fsPath;
}
