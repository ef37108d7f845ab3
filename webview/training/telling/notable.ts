/** Finds the events of a training that screen readers and sounds announce. */
import { SpikeFinder } from "../../../extension/protocol/curves/spikes.ts";
import type { MetricRow } from "../../../extension/protocol/run.ts";
import { formatMetric } from "../../shared/format.ts";
import { strings } from "../../shared/strings.ts";
import { type Curves, direction, VALIDATION_PREFIX } from "../curves.ts";
import { doneShare, latestMetrics, stateBadge, type TrainingState } from "../state.ts";
import type { Sound } from "./sounds.ts";

/** How often screen readers hear of it: see {@link Teller}. */
export type Voice = "progress" | "news" | "alarms";

/** Every kind of announced event. */
export const NOTABLE = {
  /** The end of an epoch, or a further twentieth of the run. */
  progress: { voice: "progress" },
  /** Another state, such as "Paused". */
  state: { voice: "news" },
  /** A mark on the curves: a change by hand, a finding, why it ended early. */
  event: { voice: "news" },
  /** The training went back to an earlier step. */
  rollback: { voice: "news", sound: "alarm" },
  /** A jump of a training metric of which less is better. */
  spike: { voice: "alarms", sound: "alarm" },
  /** The first NaN or infinity of a metric. */
  nonFinite: { voice: "alarms", sound: "alarm" },
  end: { voice: "news", sound: "end" },
  failure: { voice: "news", sound: "failure" },
} as const satisfies Record<string, { voice: Voice; sound?: Sound }>;

export interface Notable {
  kind: keyof typeof NOTABLE;
  text: string;
}

/** Parts of a run that count as progress where epochs are longer. */
const PARTS = 20;

/** Finds the notable events of one run. Those of the first state are known already, and not announced. */
export class Watch {
  /** By names of metrics. */
  #spikes = new Map<string, SpikeFinder>();
  readonly #nonFinite = new Set<string>();
  readonly #inSteps = new Set<string>();
  /** Those that were told, or were there at first. */
  readonly #events = new Set<string>();
  /** Of the newest point. */
  #step = -1;
  #badge: string;
  #epoch: number;
  #part: number;

  constructor(state: TrainingState) {
    this.#badge = stateBadge(state).text;
    this.#epoch = state.run.epoch;
    this.#part = partOf(state);
    this.#read(state.curves);
  }

  /** Reads a snapshot: all points again, with others between them. Returns notable events since the last reading. */
  replaced(curves: Curves): Notable[] {
    return this.#read(curves, this.#step);
  }

  /** Reads all points in place of the earlier ones. Returns notable points after a step, and unannounced events. */
  #read(curves: Curves, after = Infinity): Notable[] {
    const found: Notable[] = [];
    const note = (step: number, notables: readonly Notable[]): void => {
      if (step > after) found.push(...notables);
    };
    this.#spikes = new Map();
    for (const { name, steps, epochs, validation } of curves.metrics()) {
      if (steps !== undefined) this.#inSteps.add(name);
      for (const [metric, curve] of [
        [name, steps ?? epochs],
        [VALIDATION_PREFIX + name, validation],
      ] as const) {
        if (curve?.latest === undefined) continue;
        const last = curve.step.at(-1)!;
        this.#step = Math.max(this.#step, last);
        if (!Number.isFinite(curve.latest)) note(last, this.#notFinite(metric, last, curve.latest));
        if (curve === epochs) continue;
        curve.step.forEach((step, i) => note(step, this.#spike(metric, step, curve.value[i]!)));
      }
    }
    return [...found, ...curves.events.flatMap((event) => this.#event(event))];
  }

  /** @param curves With the rows */
  rows(rows: readonly MetricRow[], curves: Curves): Notable[] {
    return rows.flatMap((row) => {
      if (row.kind !== "event") return this.#values(row);
      const told = this.#event(row, row.rollback === undefined ? "event" : "rollback");
      if (row.rollback !== undefined) {
        this.#step = row.rollback;
        this.#read(curves);
      }
      return told;
    });
  }

  #values({ kind, step, values }: MetricRow): Notable[] {
    this.#step = Math.max(this.#step, step);
    return Object.entries(values).flatMap(([metric, value]): Notable[] => {
      if (kind === "step") this.#inSteps.add(metric);
      // A mean of steps that were already announced.
      else if (this.#inSteps.has(metric) && !metric.startsWith(VALIDATION_PREFIX)) return [];
      if (!Number.isFinite(value)) return this.#notFinite(metric, step, value);
      this.#nonFinite.delete(metric);
      return kind === "epoch" && !metric.startsWith(VALIDATION_PREFIX)
        ? []
        : this.#spike(metric, step, value);
    });
  }

  /** The first of several. */
  #notFinite(metric: string, step: number, value: number | null): Notable[] {
    if (this.#nonFinite.has(metric)) return [];
    this.#nonFinite.add(metric);
    return [{ kind: "nonFinite", text: strings.training.announce.nonFinite(metric, step, value) }];
  }

  #spike(metric: string, step: number, value: number): Notable[] {
    const spike = this.#spikesOf(metric)?.add(step, value);
    if (spike === undefined) return [];
    const text = strings.training.announce.spike(metric, spike.step, spike.value, spike.before);
    return [{ kind: "spike", text }];
  }

  /** A snapshot and the rows after it may both have an event. Of the same step twice, as after a rollback, it has two times. */
  #event(
    { step, time, text = "" }: Pick<MetricRow, "step" | "time" | "text">,
    kind: "event" | "rollback" = "event",
  ): Notable[] {
    const key = `${step} ${time} ${text}`;
    if (text === "" || this.#events.has(key)) return [];
    this.#events.add(key);
    return [{ kind, text }];
  }

  #spikesOf(metric: string): SpikeFinder | undefined {
    if (direction(metric) !== "lower") return undefined;
    let finder = this.#spikes.get(metric);
    if (finder === undefined) this.#spikes.set(metric, (finder = new SpikeFinder()));
    return finder;
  }

  /** Returns the notable changes since the state before. */
  state(now: TrainingState): Notable[] {
    const { text: badge, kind } = stateBadge(now);
    const { state, epoch, epochs } = now.run;
    const [part, metrics] = [partOf(now), metricsText(now)];
    const changed = badge !== this.#badge;
    const epochDone = epoch > this.#epoch;
    const advanced = part > this.#part;
    [this.#badge, this.#epoch, this.#part] = [badge, epoch, part];
    const { announce } = strings.training;
    if (changed) {
      const ended = state === "finished" || state === "stopped";
      const what = kind === "bad" ? "failure" : ended ? "end" : "state";
      return [{ kind: what, text: announce.state(badge, metrics) }];
    }
    if (!now.live || !(epochDone || advanced)) return [];
    const text = epochDone ? announce.epoch(epoch, epochs, metrics) : announce.share(doneShare(now), metrics);
    return [{ kind: "progress", text }];
  }
}

function partOf(state: TrainingState): number {
  const part = Math.floor(PARTS * doneShare(state));
  return Number.isFinite(part) ? part : 0;
}

const metricsText = (state: TrainingState): string =>
  Object.entries(latestMetrics(state))
    .map(([name, value]) => `${name} ${formatMetric(value)}`)
    .join(", ");
