import type { SearchSpace, Setting, TrialRow } from "../../protocol/sweeps/sweep.ts";

/** How much a parameter says of the metric: 0 nothing, 1 all. */
export interface Importance {
  name: string;
  value: number;
}

/** Trials below which ranks say nothing. */
const FEWEST = 5;
/** Settings that are ranked, which takes a tenth of a second: of more, those of evenly spaced trials. */
const MOST_SETTINGS = 100_000;

/**
 * How strongly the metric depends on each parameter alone, over complete trials: the absolute rank correlation
 * (Spearman's rho) for numbers; for other values, the correlation ratio of the metric's ranks. Largest first.
 */
export function importances(space: SearchSpace, trials: readonly TrialRow[]): Importance[] {
  const all = trials.filter(({ state, value }) => state === "complete" && value !== undefined);
  if (all.length < FEWEST) return [];
  const stride = Math.ceil((all.length * Object.keys(space).length) / MOST_SETTINGS);
  const complete = stride <= 1 ? all : all.filter((_, i) => i % stride === 0);
  const metric = ranks(complete.map(({ value }) => value!));
  return Object.keys(space)
    .map((name) => {
      const settings = complete.map((trial) => trial.settings[name] ?? "");
      const numbers = settings.filter((one): one is number => typeof one === "number");
      const ordered = numbers.length === settings.length;
      return {
        name,
        value: ordered ? Math.abs(correlation(ranks(numbers), metric)) : ratio(settings, metric),
      };
    })
    .sort((a, b) => b.value - a.value);
}

/** Ranks from 1; equal values share the mean of theirs. */
export function ranks(values: readonly number[]): number[] {
  const order = values.map((_, i) => i).sort((a, b) => values[a]! - values[b]!);
  const found = values.map(() => 0);
  for (let from = 0; from < order.length;) {
    let to = from;
    while (to < order.length && values[order[to]!] === values[order[from]!]) to++;
    for (let i = from; i < to; i++) found[order[i]!] = (from + to + 1) / 2;
    from = to;
  }
  return found;
}

const mean = (values: readonly number[]): number => values.reduce((sum, one) => sum + one, 0) / values.length;

/** Pearson's correlation; 0 where one of both is constant. */
function correlation(a: readonly number[], b: readonly number[]): number {
  const [meanA, meanB] = [mean(a), mean(b)];
  let [ab, aa, bb] = [0, 0, 0];
  for (const [i, one] of a.entries()) {
    ab += (one - meanA) * (b[i]! - meanB);
    aa += (one - meanA) ** 2;
    bb += (b[i]! - meanB) ** 2;
  }
  return aa === 0 || bb === 0 ? 0 : ab / Math.sqrt(aa * bb);
}

/** The correlation ratio: the root of the share of the variance that lies between groups of equal settings. */
function ratio(settings: readonly Setting[], metric: readonly number[]): number {
  const groups = new Map<Setting, number[]>();
  for (const [i, setting] of settings.entries()) {
    const members = groups.get(setting);
    if (members === undefined) groups.set(setting, [metric[i]!]);
    else members.push(metric[i]!);
  }
  const all = mean(metric);
  const total = metric.reduce((sum, one) => sum + (one - all) ** 2, 0);
  let between = 0;
  for (const members of groups.values()) between += members.length * (mean(members) - all) ** 2;
  return total === 0 ? 0 : Math.sqrt(between / total);
}
