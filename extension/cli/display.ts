import type { SingleBar } from "cli-progress";
import type { EvaluationResult, Progress } from "../protocol/engine.ts";
import type { MetricRow, Metrics, RunRecord } from "../protocol/run.ts";
import { plainLine, plainText } from "../protocol/text/plain.ts";
import { isTerminal, newBars, forwardOutput, print, printJson, type Stream } from "./output.ts";
import { duration, table } from "./render.ts";

/** Shows a running training or evaluation: as lines, as lines above a progress bar, or as JSON. */
export interface Display {
  record(record: RunRecord): void;
  rows(rows: readonly MetricRow[]): void;
  progress(progress: Progress): void;
  log(level: "info" | "warning" | "error", text: string): void;
  evaluated(result: EvaluationResult): void;
  /** Leaves the terminal ready for other output. */
  end(): void;
}

export function createDisplay(options: { json: boolean; bar: boolean }): Display {
  if (options.json) return new JsonDisplay();
  return new TextDisplay(options.bar);
}

/** `val_loss` → `Val Loss`. */
function title(metric: string): string {
  return metric
    .split("_")
    .map((word) => word.charAt(0).toUpperCase() + word.slice(1))
    .join(" ");
}

/** `Loss: 0.7435, Val Loss: 0.7012`: the loss first, the others in the given order. */
export function metricsText(metrics: Metrics): string {
  return Object.entries(metrics)
    .map(([name, value]) => `${title(plainLine(name))}: ${metricText(value)}`)
    .join(", ");
}

/** Four decimals; NaN and infinity as Python prints them. */
function metricText(value: number): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "nan" : value > 0 ? "inf" : "-inf";
  return value.toFixed(4);
}

/**
 * The line that PyTorch users print at the end of an epoch: `Epoch [10/100], Loss: 0.7435`. It leaves out the learning rate,
 * and a training accuracy that the experiment doesn't list; both have curves.
 */
export function epochLine(row: MetricRow, record: RunRecord): string {
  return `Epoch [${row.epoch}/${record.epochs}], ${metricsText(shownMetrics(row.values, record))}`;
}

/** The metrics that an epoch's line shows. */
export function shownMetrics(metrics: Metrics, { kind, settings }: RunRecord): Metrics {
  const named = kind === "evaluate" || settings["metrics"] !== undefined;
  return Object.fromEntries(
    Object.entries(metrics).filter(([name]) => !isRate(name) && (name !== "accuracy" || named)),
  );
}

/** Whether a metric is a learning rate: the only one, or that of one of several optimizers. */
function isRate(name: string): boolean {
  return name === "lr" || name.startsWith("lr_");
}

/** Epochs between two printed lines: the experiment's `logEvery`, by default a tenth of the run. */
export function logEvery(record: RunRecord): number {
  const set = record.settings["logEvery"];
  return typeof set === "number" ? set : Math.max(1, Math.floor(record.epochs / 10));
}

class TextDisplay implements Display {
  readonly #bar: ProgressBar | undefined;
  #record: RunRecord | undefined;

  constructor(bar: boolean) {
    this.#bar = bar ? new ProgressBar() : undefined;
  }

  record(record: RunRecord): void {
    const { executor, on } = record;
    if (executor !== undefined && this.#record?.executor === undefined) {
      const why = executor.reason === undefined ? "" : ` (${executor.reason})`;
      this.#print(
        "stderr",
        plainLine(`Running on ${on === undefined ? "" : `${on.name}: `}${executor.version}${why}`),
      );
    }
    this.#record = record;
  }

  rows(rows: readonly MetricRow[]): void {
    const record = this.#record;
    if (record === undefined) return;
    const every = logEvery(record);
    for (const row of rows)
      if (row.kind === "epoch" && (row.epoch % every === 0 || row.epoch === record.epochs))
        this.#print("stdout", epochLine(row, record));
  }

  progress(progress: Progress): void {
    this.#bar?.update(progress);
  }

  log(level: "info" | "warning" | "error", text: string): void {
    this.#pass(level === "info" ? "stdout" : "stderr", plainText(text));
  }

  evaluated(result: EvaluationResult): void {
    this.end();
    for (const line of evaluationLines(result)) print(line);
  }

  end(): void {
    this.#bar?.stop();
  }

  #print(stream: Stream, line: string): void {
    this.#pass(stream, plainText(line));
  }

  /** Keeps the colours of the user's program; the engine escapes its own messages. */
  #pass(stream: Stream, text: string): void {
    if (this.#bar?.active === true && isTerminal(stream)) this.#bar.above(text);
    else forwardOutput(stream, `${text}\n`);
  }
}

/** A progress bar at the bottom of the terminal, over all steps of the run. */
class ProgressBar {
  readonly #bars = newBars({
    format: "Epoch {epoch}/{epochs} {bar} {percentage}% | {metrics}{speed} samples/s | ETA {left}",
    barsize: 24,
    barCompleteChar: "█",
    barIncompleteChar: "░",
    hideCursor: true,
    clearOnComplete: true,
    gracefulExit: false,
    // The engine sends ten times a second at most.
    fps: 10,
  });
  #bar: SingleBar | undefined;

  get active(): boolean {
    return this.#bar !== undefined;
  }

  update(progress: Progress): void {
    const { epoch, epochs, stepInEpoch, stepsPerEpoch, samplesPerSecond, eta, metrics } = progress;
    const total = epochs * stepsPerEpoch;
    const done = (epoch - 1) * stepsPerEpoch + stepInEpoch;
    const shown = Object.entries(metrics).slice(0, 2);
    const payload = {
      epoch,
      epochs,
      metrics: shown.map(([name, value]) => `${name} ${metricText(value)} | `).join(""),
      speed: Math.round(samplesPerSecond).toLocaleString("en"),
      left: duration(eta),
    };
    this.#bar ??= this.#bars.create(total, done, payload);
    this.#bar.setTotal(total);
    this.#bar.update(done, payload);
  }

  above(line: string): void {
    this.#bars.log(`${line}\n`);
    this.#bars.update();
  }

  stop(): void {
    if (this.#bar === undefined) return;
    this.#bars.stop();
    this.#bar = undefined;
  }
}

class JsonDisplay implements Display {
  #started = false;

  record(record: RunRecord): void {
    if (this.#started || record.state !== "running") return;
    this.#started = true;
    printJson({ event: "start", run: record });
  }

  rows(rows: readonly MetricRow[]): void {
    for (const { kind, step, epoch, time, values } of rows)
      if (kind === "epoch") printJson({ event: "epoch", epoch, step, time, metrics: values });
  }

  progress(progress: Progress): void {
    printJson({ event: "progress", ...progress });
  }

  log(level: "info" | "warning" | "error", text: string): void {
    printJson({ event: "log", level, text });
  }

  evaluated(result: EvaluationResult): void {
    printJson({ event: "evaluated", ...result });
  }

  end(): void {
    // Nothing to clean up: each line is complete.
  }
}

/** Describes an evaluation: samples, metrics, and for classification each class and the confusion matrix. */
export function evaluationLines({ samples, metrics, confusion, classes }: EvaluationResult): string[] {
  const lines = [`${samples} samples, ${metricsText(metrics)}`];
  if (confusion === undefined) return lines;
  const names = confusion.map((_, i) => classes?.[i] ?? String(i));
  const percent = (part: number, whole: number): string =>
    whole === 0 ? "-" : `${((100 * part) / whole).toFixed(1)} %`;
  const perClass = confusion.map((row, i) => {
    const actual = sum(row);
    const predicted = sum(confusion.map((other) => other[i] ?? 0));
    const right = row[i] ?? 0;
    return [names[i]!, String(actual), percent(right, predicted), percent(right, actual)];
  });
  lines.push(
    "",
    ...table([["class", "samples", "precision", "recall"], ...perClass], [false, true, true, true]),
  );
  const matrix = confusion.map((row, i) => [names[i]!, ...row.map(String)]);
  const right = [false, ...names.map(() => true)];
  lines.push(
    "",
    "Confusion (rows: actual, columns: predicted)",
    ...table([["", ...names], ...matrix], right),
  );
  return lines;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
