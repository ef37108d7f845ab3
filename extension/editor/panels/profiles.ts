import * as vscode from "vscode";
import type { ShownProfile } from "../../protocol/views.ts";
import { toUserError } from "../../supervisor/errors.ts";
import type { EngineOptions } from "../../supervisor/engines/process.ts";
import { profileExperiment } from "../../supervisor/engines/profile.ts";
import { DisposableOwner } from "../disposable.ts";
import { setting } from "../settings.ts";
import type { Log } from "../show.ts";

/** The measured training step that is shown beside a file's models. */
export class Profiles extends DisposableOwner {
  readonly #file: string;
  readonly #engine: () => EngineOptions;
  readonly #log: Log;
  readonly #changed: () => void;
  #shown: ShownProfile | undefined;
  #measuring: AbortController | undefined;

  /** @param changed Called when {@link current} has */
  constructor(file: string, services: { engine: () => EngineOptions; log: Log }, changed: () => void) {
    super();
    this.#file = file;
    this.#engine = services.engine;
    this.#log = services.log;
    this.#changed = changed;
    this.own({ dispose: () => this.#measuring?.abort() });
  }

  get current(): ShownProfile | undefined {
    return this.#shown;
  }

  /** Profiles an experiment; cancels the profile under way. */
  async measure(exportName: string): Promise<void> {
    this.#measuring?.abort();
    const measuring = (this.#measuring = new AbortController());
    const { signal } = measuring;
    const show = (shown: Omit<ShownProfile, "exportName"> | undefined): void => {
      if (this.#measuring !== measuring) return;
      this.#shown = shown && { exportName, ...shown };
      this.#changed();
    };
    show({ doing: vscode.l10n.t("Starting …") });
    const told = (text: string): void => this.#log.info(`[profile] ${text.trimEnd()}`);
    try {
      const profile = await profileExperiment(
        {
          ...this.#engine(),
          signal,
          onLog: (_, text) => {
            told(text);
            show({ doing: text });
          },
          onOutput: (_, text) => told(text),
        },
        { file: this.#file, exportName, device: setting("device", vscode.Uri.file(this.#file)) },
      );
      show({ profile });
    } catch (error) {
      show(signal.aborted ? undefined : { error: toUserError(error) });
    }
  }

  /** Stops profiling, or removes the profile. */
  end(): void {
    this.#measuring?.abort();
    this.#measuring = undefined;
    this.#shown = undefined;
    this.#changed();
  }

  /** The file has changed: the profile is of an older version. */
  outdate(): void {
    if (this.#shown?.profile !== undefined) this.#shown = { ...this.#shown, outdated: true };
  }
}
