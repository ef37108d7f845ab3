import type { ForeignHistogram } from "../../protocol/history/foreignRun.ts";
import type { LayerRow, ValueHistogram } from "../../protocol/run.ts";

/** Bins of a histogram, as our own have. */
const BINS = 32;
/** Rows that are written: as many as a training of ours has. */
const MOST_ROWS = 1000;
/** Histograms of one row: its line has a limit. */
const MOST_LAYERS = 100;

/** Kinds of histograms by their names: words that users of `add_histogram` give them. */
const GRADIENTS = /(?:^|[/._-])(?:grads?|gradients?)(?:[/._-]|$)/i;
const ACTIVATIONS = /(?:^|[/._-])(?:activations?|outputs?)(?:[/._-]|$)/i;

/** Histograms as rows of layers: each name is a layer. */
export function layerRows(histograms: readonly ForeignHistogram[]): LayerRow[] {
  const steps = new Map<number, LayerRow["layers"]>();
  for (const histogram of histograms) {
    const { name, step } = histogram;
    const values = rebinned(histogram);
    if (values === undefined || step < 0) continue;
    const kind = GRADIENTS.test(name) ? "gradients" : ACTIVATIONS.test(name) ? "activations" : "weights";
    const word = kind === "gradients" ? GRADIENTS : kind === "activations" ? ACTIVATIONS : undefined;
    const layer = (word === undefined ? name : name.replace(word, trimmed)) || name;
    let layers = steps.get(step);
    if (layers === undefined) steps.set(step, (layers = {}));
    if (Object.hasOwn(layers, layer) || Object.keys(layers).length < MOST_LAYERS)
      layers[layer] = { ...layers[layer], [kind]: values };
  }
  const rows = [...steps].sort(([a], [b]) => a - b).map(([step, layers]) => ({ step, epoch: 0, layers }));
  const stride = Math.ceil(rows.length / MOST_ROWS);
  return rows.filter((_, i) => i % stride === 0 || i === rows.length - 1);
}

/** "fc1/weight/grad" and "grad/fc1/weight" are of "fc1/weight"; between two names one separator stays. */
function trimmed(match: string, at: number, whole: string): string {
  return at === 0 || at + match.length === whole.length ? "" : "/";
}

/** Buckets of any width as bins of equal width: each bucket's count is spread evenly over it. */
export function rebinned({ edges, counts, mean, std }: ForeignHistogram): ValueHistogram | undefined {
  const filled = counts.flatMap((count, i) => (count > 0 ? [i] : []));
  if (filled.length === 0 || !edges.every(Number.isFinite) || !counts.every(Number.isFinite))
    return undefined;
  const low = edges[filled[0]!]!;
  const high = edges[filled.at(-1)! + 1]!;
  const width = (high - low) / BINS;
  if (!(width >= 0) || !Number.isFinite(width)) return undefined;
  const bins = Array.from({ length: BINS }, () => 0);
  let [total, sum, squares] = [0, 0, 0];
  for (const i of filled) {
    const [count, from, to] = [counts[i]!, edges[i]!, edges[i + 1]!];
    const middle = (from + to) / 2;
    total += count;
    sum += count * middle;
    squares += count * middle * middle;
    if (!(to > from) || width === 0) {
      bins[binOf(middle, low, width)]! += count;
      continue;
    }
    const [first, last] = [binOf(from, low, width), binOf(to, low, width)];
    for (let bin = first; bin <= last; bin++) {
      const overlap = Math.min(to, low + (bin + 1) * width) - Math.max(from, low + bin * width);
      bins[bin]! += (count * Math.max(0, overlap)) / (to - from);
    }
  }
  const middle = mean ?? sum / total;
  const spread = std ?? Math.sqrt(Math.max(0, squares / total - middle * middle));
  return { low, high, mean: middle, std: spread, counts: bins };
}

const binOf = (value: number, low: number, width: number): number =>
  width === 0 ? 0 : Math.min(BINS - 1, Math.max(0, Math.floor((value - low) / width)));
