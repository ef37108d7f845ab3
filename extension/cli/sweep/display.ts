import { clipped } from "../../protocol/text/clip.ts";
import type { SingleBar } from "cli-progress";
import type { SearchSpace, Setting, SweepRecord, TrialRow } from "../../protocol/sweeps/sweep.ts";
import { plainLine } from "../../protocol/text/plain.ts";
import { importances } from "../../supervisor/sweeps/importance.ts";
import { bestTrial, rankedTrials, type SweepEvents } from "../../supervisor/sweeps/sweep.ts";
import { isTerminal, newBars, print, printJson, printStderr } from "../output.ts";
import { duration, table } from "../render.ts";

/** Trials in the table at the end. */
const SHOWN = 5;
/** Most characters of one setting. */
const LONGEST = 40;

/** Shows a sweep: a line for each trial, on a terminal with a progress bar below them. */
export class SweepDisplay {
  readonly #json: boolean;
  readonly #bars = newBars({
    format: "{bar} {value}/{total} trials | {best}{running} running | {speed}",
    hideCursor: true,
    clearOnComplete: true,
  });
  #bar: SingleBar | undefined;
  readonly #wanted: boolean;
  readonly #trials = new Map<number, TrialRow>();
  /** Warnings that were shown: those of other trials are often the same. */
  readonly #said = new Set<string>();
  #record: SweepRecord | undefined;
  #total = 0;
  #began = Date.now();
  #ended = 0;

  constructor({ json, bar }: { json: boolean; bar: boolean }) {
    this.#json = json;
    this.#wanted = bar && !json && isTerminal("stderr");
  }

  /** @param total trials of the sweep */
  start(record: SweepRecord, trials: readonly TrialRow[], total: number, directory: string): void {
    this.#record = record;
    this.#total = total;
    this.#began = Date.now();
    for (const trial of trials) this.#trials.set(trial.number, trial);
    if (this.#json) {
      printJson({ event: "start", sweep: record, directory, trials });
      return;
    }
    this.above(
      `Sweep ${plainLine(record.id)}: ${total} trials by ${searchText(record)}, seed ${record.seed}, ${record.parallel} at a time${record.on === undefined ? "" : ` on ${plainLine(record.on.name)}`}`,
    );
    this.#update();
  }

  get events(): SweepEvents {
    return {
      started: (trial) => this.#trial(trial),
      ended: (trial) => {
        this.#ended++;
        this.#trial(trial);
      },
      log: ({ number }, level, text) => {
        if (level === "info") return;
        if (this.#json) printJson({ event: "log", trial: number, level, text });
        else if (!this.#said.has(text)) this.above(`trial ${number}: ${plainLine(text)}`);
        this.#said.add(text);
      },
      sending: ({ number }, text) => {
        if (this.#json) printJson({ event: "log", trial: number, level: "info", text });
        else this.above(plainLine(text));
      },
    };
  }

  #trial(trial: TrialRow): void {
    this.#trials.set(trial.number, trial);
    if (this.#json) printJson({ event: "trial", ...trial });
    else if (trial.state !== "running") this.above(this.#line(trial));
    this.#update();
  }

  #line(trial: TrialRow): string {
    const { number, state, value, startedAt, endedAt, settings, error } = trial;
    const width = String(this.#total - 1).length;
    const seconds = endedAt === undefined ? 0 : (Date.parse(endedAt) - Date.parse(startedAt)) / 1000;
    const best = this.#record === undefined ? undefined : bestTrial(this.#record, [...this.#trials.values()]);
    const parts = [
      `trial ${String(number).padStart(width)}`,
      state.padEnd(8),
      value === undefined ? undefined : `${plainLine(trial.metric ?? "")} ${valueText(value)}`,
      settingsText(settings),
      duration(seconds),
      best?.number === number ? "best" : undefined,
      error === undefined ? undefined : plainLine(error),
    ];
    return parts.filter((part) => part !== undefined).join("  ");
  }

  /** Prints a line above the bar. */
  above(line: string): void {
    if (this.#bar === undefined) printStderr(line);
    else {
      this.#bars.log(`${plainLine(line)}\n`);
      this.#bars.update();
    }
  }

  #update(): void {
    if (!this.#wanted || this.#record === undefined) return;
    const all = [...this.#trials.values()];
    const running = all.filter(({ state }) => state === "running").length;
    const best = bestTrial(this.#record, all);
    const minutes = (Date.now() - this.#began) / 60_000;
    const payload = {
      best: best === undefined ? "" : `best ${valueText(best.value)} (trial ${best.number}) | `,
      running,
      speed: `${(this.#ended / Math.max(minutes, 1 / 60)).toFixed(1)} trials a minute`,
    };
    const done = all.filter(({ state }) => state !== "running" && state !== "interrupted").length;
    this.#bar ??= this.#bars.create(this.#total, done, payload);
    this.#bar.update(done, payload);
  }

  end(): void {
    this.#bars.stop();
    this.#bar = undefined;
  }
}

const searchText = ({ search, pruner }: SweepRecord): string =>
  `${search} search${pruner === "none" ? "" : `, ${pruner} pruning`}`;

/** Formats a metric's value, with enough digits to compare trials. */
function valueText(value: number): string {
  return Math.abs(value) >= 1e-3 && Math.abs(value) < 1e6 ? value.toFixed(4) : value.toExponential(3);
}

/** Settings in one line: `lr=0.0123 width=64`. */
function settingsText(settings: Readonly<Record<string, Setting>>): string {
  return Object.entries(settings)
    .map(([name, value]) => `${plainLine(name)}=${settingText(value)}`)
    .join(" ");
}

function settingText(value: Setting): string {
  if (typeof value === "number" && !Number.isInteger(value)) return String(Number(value.toPrecision(4)));
  return clipped(plainLine(String(value)), LONGEST);
}

/** Describes a sweep that has ended: its best trials, and the importance of its parameters. */
export function summaryLines(
  record: Pick<SweepRecord, "mode"> & { space: SearchSpace },
  trials: readonly TrialRow[],
): string[] {
  const counts = new Map<string, number>();
  for (const { state } of trials) counts.set(state, (counts.get(state) ?? 0) + 1);
  const lines = [[...counts].map(([state, count]) => `${count} ${state}`).join(", ")];
  const complete = rankedTrials(record, trials).slice(0, SHOWN);
  const [first] = complete;
  if (first === undefined) return lines;
  const rows = complete.map(({ number, value, epoch, settings }) => [
    String(number),
    valueText(value),
    String(epoch ?? ""),
    settingsText(settings),
  ]);
  lines.push(
    "",
    ...table([["trial", first.metric ?? "value", "epoch", "settings"], ...rows], [true, true, true]),
  );
  const found = importances(record.space, trials);
  if (found.length > 0)
    lines.push(
      "",
      `Importance (rank correlation with ${plainLine(first.metric ?? "the metric")}): ${found
        .map(({ name, value }) => `${plainLine(name)} ${value.toFixed(2)}`)
        .join(", ")}`,
    );
  return lines;
}

/** Prints lines to stdout. */
export function printSummary(lines: readonly string[]): void {
  for (const line of lines) print(line);
}
