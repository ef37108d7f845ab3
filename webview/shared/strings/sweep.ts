/** Texts of the panel of a sweep; part of strings.ts. */
import { formatCount } from "../format.ts";

export const sweepStrings = {
  loading: "Loading the sweep…",
  failed: "The sweep can't be shown",
  retry: "Try Again",
  title: (file: string) => `Sweep of ${file}`,
  states: {
    running: "Running",
    stopped: "Stopped",
    finished: "Finished",
    failed: "Failed",
    interrupted: "Interrupted",
  },
  trialStates: {
    running: "Running",
    complete: "Complete",
    pruned: "Pruned",
    failed: "Failed",
    interrupted: "Interrupted",
  },
  searches: { random: "Random search", grid: "Grid search", tpe: "TPE (Optuna)" },
  pruners: { none: "", asha: "ASHA", median: "Median pruner (Optuna)", hyperband: "Hyperband (Optuna)" },
  seed: (seed: number) => `Seed ${seed}`,
  trials: (done: number, all: number) => `${formatCount(done)} of ${formatCount(all)} trials`,
  progress: "Finished trials",
  best: (value: string, number: number) => `Best: ${value} (trial ${number})`,
  minimized: (metric: string) => `${metric}, smaller is better`,
  maximized: (metric: string) => `${metric}, larger is better`,
  metric: "metric",
  actions: {
    apply: "Apply Best Settings",
    applyHint: "Apply Best Settings: make them the defaults in the file",
    openBest: "Show Best Curves",
    resume: "Resume",
    stop: "Stop",
    source: "Open File",
    openTrial: (number: number) => `Show the curves of trial ${number}`,
    applyTrial: (number: number) => `Make the settings of trial ${number} the defaults`,
  },
  applied: (number: number) =>
    `The settings of trial ${number} are the defaults in the file now. Undo there.`,
  table: {
    title: "Trials",
    number: "Trial",
    state: "State",
    epoch: "Epoch",
    time: "Time",
    actions: "Actions",
    empty: "No trial matches the selection.",
    shown: (count: number, all: number) => `${formatCount(count)} of ${formatCount(all)} selected`,
  },
  parallel: {
    title: "Parallel Coordinates",
    hint: "Drag along an axis to select trials. With the keyboard: arrow keys move the upper end, with Shift the lower one; Escape clears.",
    clear: "Clear Selection",
    axis: (name: string) => `Selection on ${name}`,
    chart: (count: number) => `Parallel coordinates of ${formatCount(count)} trials`,
    empty: "No trial has a value yet.",
  },
  scatter: {
    title: "Parameters and Metric",
    chart: (name: string, metric: string) => `${metric} by ${name}`,
  },
  importance: {
    title: "Importance",
    explanation:
      "Absolute rank correlation (Spearman) of each parameter with the metric over complete trials; for texts, the correlation ratio. Each parameter is seen alone.",
    few: "Five complete trials are needed.",
  },
};
