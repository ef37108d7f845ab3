/** Other libraries that train the bench's workloads: `npm run bench -- --rivals`. */
import fs from "node:fs";
import path from "node:path";
import { cacheFolder } from "../torch.mjs";
import { inRoot, mustRun } from "../project.mjs";
import { bundleWorker } from "./bundle.mjs";
import { busy, median, othersShare, QUIET, worker } from "./processes.mjs";

const JAX = "0.10.2";
const OPTAX = "0.2.8";

/**
 * The libraries that can be measured here, by the names of their columns; prints a reason for each that can't.
 * @param {string} torchPython
 * @param {string} ownBundle Layerwise's worker
 */
export async function rivalsOf(torchPython, ownBundle) {
  const tfjs = await bundleWorker("tfjsWorker");
  const python = inRoot("test", "bench", "jaxWorker.py");
  const torch = inRoot("test", "bench", "torchWorker.py");
  const quiet = { quiet: true };
  const all = {
    "tfjs-node": () => worker(process.execPath, [tfjs, "tensorflow"], quiet),
    "tfjs wasm": () => worker(process.execPath, [tfjs, "wasm"], quiet),
    "our wasm": () => worker(process.execPath, [ownBundle], { env: { LAYERWISE_BENCH_DEVICE: "wasm" } }),
    "torch.compile": () => worker(torchPython, [torch, "compile"], quiet),
  };
  try {
    const jax = await jaxPython();
    all["JAX"] = () => worker(jax, [python, "1"], quiet);
    all["JAX x10"] = () => worker(jax, [python, "10"], quiet);
  } catch (error) {
    console.error(`JAX is left out: ${error instanceof Error ? error.message : String(error)}`);
  }
  return all;
}

/** A Python with JAX and optax: a virtual environment in the cache folder, created with pip at the first use. */
async function jaxPython() {
  if (process.env.LAYERWISE_JAX_PYTHON) return process.env.LAYERWISE_JAX_PYTHON;
  const venv = path.join(cacheFolder(), `jax-${JAX}`);
  const python = path.join(venv, process.platform === "win32" ? "Scripts/python.exe" : "bin/python");
  const stamp = path.join(venv, ".ready");
  if (!fs.existsSync(stamp)) {
    console.log(`installing JAX ${JAX} into ${venv}`);
    await mustRun("python3", ["-m", "venv", venv]);
    await mustRun(python, ["-m", "pip", "install", "--quiet", `jax==${JAX}`, `optax==${OPTAX}`]);
    fs.writeFileSync(stamp, "");
  }
  return python;
}

/**
 * Measures each rival on a workload in turns with Layerwise: its steps per second, and Layerwise's speed relative to it. A text
 * instead says why a rival can't be measured.
 * @param {Record<string, () => import("./processes.mjs").Worker>} rivals
 * @param {string} name
 * @param {import("./processes.mjs").Worker} ours Layerwise's warm worker
 * @param {{ windows: number, seconds: number }} measuring
 * @returns {Promise<Record<string, { stepsPerSecond: number, ratio: number } | string>>}
 */
export async function measureRivals(rivals, name, ours, { windows, seconds }) {
  /** @type {Awaited<ReturnType<typeof measureRivals>>} */
  const found = {};
  for (const [rival, start] of Object.entries(rivals)) {
    process.stderr.write(`\r\x1b[K${name}: ${rival}`);
    const one = start();
    try {
      await one.ask({ do: "start", name, everyStep: false });
      await one.ask({ do: "window", seconds });
      const samples = [];
      for (let i = 0; i < windows; i++) {
        const before = busy([one, ours]);
        const { stepsPerSecond } = await one.ask({ do: "window", seconds });
        const { stepsPerSecond: own } = await ours.ask({ do: "window", seconds });
        const quiet = othersShare(before, busy([one, ours])) < QUIET;
        samples.push({ stepsPerSecond, ratio: own / stepsPerSecond, quiet });
      }
      const quiet = samples.filter((sample) => sample.quiet);
      const used = quiet.length >= 3 ? quiet : samples;
      found[rival] = {
        stepsPerSecond: median(used.map((sample) => sample.stepsPerSecond)),
        ratio: median(used.map((sample) => sample.ratio)),
      };
    } catch (error) {
      found[rival] = error instanceof Error ? error.message.split("\n")[0] : String(error);
    } finally {
      one.close();
    }
  }
  process.stderr.write("\r\x1b[K");
  return found;
}
