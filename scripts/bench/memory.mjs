/** Peak memory of fine-tuning BERT-base: `npm run bench -- --memory`. */
import { inRoot } from "../project.mjs";
import { torchPython, transformersFolder } from "../torch.mjs";
import { bundleWorker } from "./bundle.mjs";
import { median, worker } from "./processes.mjs";

/** Steps until the peak: the first one creates the optimizer's state. */
const STEPS = 4;
/** Limit relative to PyTorch's peak. */
const BOUND = 1.3;
const TOLERANCE = 1e-3;

/**
 * Runs new processes in turns, since a peak is measured per process. Returns the number of violated bounds.
 * @param {boolean} quick
 */
export async function memory(quick) {
  const python = await torchPython();
  const env = { PYTHONPATH: await transformersFolder(python) };
  const bundle = await bundleWorker("worker");
  const systems = {
    layerwise: () => worker(process.execPath, [bundle]),
    pytorch: () => worker(python, [inRoot("test", "bench", "torchWorker.py")], { env }),
  };
  const peaks = { layerwise: [], pytorch: [] };
  const losses = { layerwise: [], pytorch: [] };
  for (let round = 0; round < (quick ? 1 : 3); round++)
    for (const [name, start] of Object.entries(systems)) {
      const one = start();
      ({ losses: losses[name] } = await one.ask({ do: "steps", name: "bert-base", count: STEPS }));
      peaks[name].push((await one.ask({ do: "peak" })).peakMb);
      one.close();
    }
  const [ours, theirs] = [median(peaks.layerwise), median(peaks.pytorch)];
  const error = Math.max(...losses.layerwise.map((loss, i) => Math.abs(loss - losses.pytorch[i])));
  const ratio = ours / theirs;
  console.log("\nBERT-base, 8 sequences of 128 tokens, forward, backward and AdamW: peak memory");
  console.log(`layerwise ${ours.toFixed(0)} MB, PyTorch ${theirs.toFixed(0)} MB: ${ratio.toFixed(2)} times`);
  console.log(`losses of ${STEPS} steps within ${error.toExponential(1)}`);
  const problems = [
    [!(ratio <= BOUND), `more than ${BOUND} times PyTorch's memory`],
    [!(error <= TOLERANCE), `losses differ: ${losses.layerwise.join(" ")}, ${losses.pytorch.join(" ")}`],
  ].flatMap(([is, text]) => (is ? [text] : []));
  for (const problem of problems) console.error(problem);
  return problems.length === 0;
}
