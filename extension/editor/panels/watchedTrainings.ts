import { join } from "node:path";
import { isLive, LAYERS_FILE } from "../../protocol/run.ts";
import type { WatchedTraining } from "../../protocol/views.ts";
import { exists, type StoredRun } from "../../supervisor/runs/runDirectory.ts";
import { readLabels } from "../../supervisor/runs/runLabels.ts";

/** Offered trainings at most, the newest. */
const MOST_TRAININGS = 20;

/** The trainings whose layers were watched, and the chosen one. */
export class WatchedTrainings {
  readonly #directories = new Map<string, string>();
  #chosen: string | undefined;

  /** Those of a file's runs, the newest first. A live one may not have its first figures yet. */
  async find(runs: readonly StoredRun[]): Promise<WatchedTraining[]> {
    const found: WatchedTraining[] = [];
    for (const { directory, record } of runs) {
      if (found.length >= MOST_TRAININGS) break;
      if (!isLive(record) && !(await exists(join(directory, LAYERS_FILE)))) continue;
      const { name } = await readLabels(directory);
      this.#directories.set(record.id, directory);
      found.push({ id: record.id, label: name || record.id });
    }
    return found;
  }

  /** @param id One of those that were found; "" for none */
  choose(id: string): void {
    this.#chosen = id === "" ? undefined : id;
  }

  get chosen(): string | undefined {
    return this.#chosen;
  }

  /** The chosen one's run directory and id. */
  get shown(): { directory: string; name: string } | undefined {
    const { directory } = this;
    return directory === undefined ? undefined : { directory, name: this.#chosen! };
  }

  /** The chosen one's run directory. */
  get directory(): string | undefined {
    return this.#chosen === undefined ? undefined : this.#directories.get(this.#chosen);
  }
}
