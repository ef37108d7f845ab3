import * as vscode from "vscode";
import { withheld } from "../consent.ts";
import { DisposableOwner } from "../disposable.ts";
import type { Previews } from "../previews.ts";
import type { Runs } from "./runs.ts";
import { onSettingChange, setting } from "../settings.ts";

/** Milliseconds without activity after which the machine counts as idle. */
const REST = 300;

/**
 * Has a process ready for the next run while the user edits a file that can be trained. Not during a run,
 * which wants the machine for itself; and not where files are not previewed by themselves.
 */
export class WarmStart extends DisposableOwner {
  readonly #runs: Runs;
  /** The file that was worked at last. */
  #file: vscode.Uri | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(previews: Previews, runs: Runs) {
    super();
    this.#runs = runs;
    this.own(
      previews.onDidChange((uri) => {
        if ((previews.get(uri).report?.experiments.length ?? 0) === 0) return;
        this.#file = uri;
        this.#soon();
      }),
    );
    this.own(
      runs.onDidChange(() => {
        if (runs.live.length === 0 && this.#file !== undefined) this.#soon();
      }),
    );
    for (const name of ["runs.warmStart", "preview.automatic", "device", "threads", "nodePath"] as const)
      this.own(onSettingChange(name, () => void runs.spare.drop()));
    this.own({ dispose: () => clearTimeout(this.#timer) });
  }

  #soon(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      if (this.disposed || this.#runs.live.length > 0 || !setting("runs.warmStart")) return;
      if (withheld(false) !== undefined) return;
      void this.#runs.spare.keep(setting("device", this.#file));
    }, REST);
  }
}
