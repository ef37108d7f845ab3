import type { MetricRow } from "../../../extension/protocol/run.ts";
import type { Telling } from "../../../extension/protocol/views.ts";
import { Announcer } from "../../shared/announcer.ts";
import type { Curves } from "../curves.ts";
import type { TrainingState } from "../state.ts";
import { NOTABLE, type Notable, type Voice, Watch } from "./notable.ts";
import { Sounds } from "./sounds.ts";

/** Milliseconds between two announcements of news or alarms, and how many of those in between are told together. */
const NEWS_INTERVAL = 1000;
const MOST_NEWS = 5;
const ALARM_INTERVAL = 10_000;
const MOST_ALARMS = 3;

/** Tells notable events: by texts for screen readers, at bounded rates, and by sounds. */
export class Teller {
  readonly #voices: Record<Voice, Announcer> = {
    progress: new Announcer(0),
    news: new Announcer(NEWS_INTERVAL, MOST_NEWS),
    alarms: new Announcer(ALARM_INTERVAL, MOST_ALARMS),
  };
  readonly #sounds = new Sounds();
  #watch: Watch | undefined;
  #progress = false;

  get elements(): HTMLElement[] {
    return Object.values(this.#voices).map(({ element }) => element);
  }

  set settings({ progressInterval, sounds }: Telling) {
    this.#progress = progressInterval > 0;
    this.#voices.progress.interval = 1000 * progressInterval;
    this.#sounds.enabled = sounds;
  }

  /** Another run is shown, or all of the same one again, whose curves are another sample of its points. */
  shows(state: TrainingState, same: boolean): void {
    if (this.#watch === undefined || !same) {
      this.#watch = new Watch(state);
      return;
    }
    this.#tell(this.#watch.replaced(state.curves));
    this.changed(state);
  }

  /** @param curves With the rows */
  rows(rows: readonly MetricRow[], curves: Curves): void {
    this.#tell(this.#watch?.rows(rows, curves) ?? []);
  }

  changed(state: TrainingState): void {
    this.#tell(this.#watch?.state(state) ?? []);
  }

  #tell(notables: readonly Notable[]): void {
    for (const { kind, text } of notables) {
      const { voice, ...rest } = NOTABLE[kind];
      if (kind === "progress" && !this.#progress) continue;
      // A new state's text has the newest metrics.
      if (kind === "state" || kind === "end" || kind === "failure") this.#voices.progress.cancel();
      this.#voices[voice].say(text);
      if ("sound" in rest) this.#sounds.play(rest.sound);
    }
  }
}
