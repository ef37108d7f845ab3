// @ts-check
/** Finds or installs PyTorch for the comparisons with it. Run by itself, it prints the path of a Python that has it. */
import fs from "node:fs";
import { homedir } from "node:os";
import path from "node:path";
import process from "node:process";
import { isMain, main, mustRun } from "./project.mjs";

const TORCH = "2.15.0";
/** Name of the environment; change it with the list of packages. */
const SET = `torch-${TORCH}-transformers-onnxruntime`;
const TRANSFORMERS = "5.24.0";
const PACKAGES = [
  "numpy==2.4.6",
  "safetensors==0.8.0",
  "tensorboard==2.21.0",
  `transformers==${TRANSFORMERS}`,
  "onnxruntime==1.32.0",
];

/** Folder of the packages that are installed for comparisons. */
export const cacheFolder = () =>
  process.env.LAYERWISE_CACHE ??
  path.join(process.env.XDG_CACHE_HOME ?? path.join(homedir(), ".cache"), "layerwise");

/**
 * A Python with PyTorch and the other packages of the comparisons: the one that LAYERWISE_TORCH_PYTHON names, else a virtual
 * environment in the cache folder, which pip creates at the first use (some hundred megabytes).
 * @returns {Promise<string>} Its path.
 */
export async function torchPython() {
  if (process.env.LAYERWISE_TORCH_PYTHON) return process.env.LAYERWISE_TORCH_PYTHON;
  const venv = path.join(cacheFolder(), SET);
  const python = path.join(venv, process.platform === "win32" ? "Scripts/python.exe" : "bin/python");
  const stamp = path.join(venv, ".ready");
  if (!fs.existsSync(stamp)) {
    console.error(`installing PyTorch ${TORCH} into ${venv}`);
    await mustRun("python3", ["-m", "venv", venv]);
    await mustRun(python, ["-m", "pip", "install", "--quiet", `torch==${TORCH}`, ...PACKAGES]);
    fs.writeFileSync(stamp, "");
  }
  return python;
}

/**
 * Hugging Face's transformers for {@link torchPython}, in a separate folder, installed with pip at the first use.
 * @param {string} python
 * @returns {Promise<string>} The folder, for PYTHONPATH.
 */
export async function transformersFolder(python) {
  const folder = path.join(cacheFolder(), `transformers-${TRANSFORMERS}`);
  const stamp = path.join(folder, ".ready");
  if (!fs.existsSync(stamp)) {
    console.log(`installing transformers ${TRANSFORMERS} into ${folder}`);
    const wanted = `transformers==${TRANSFORMERS}`;
    await mustRun(python, ["-m", "pip", "install", "--quiet", "--target", folder, wanted]);
    fs.writeFileSync(stamp, "");
  }
  return folder;
}

if (isMain(import.meta.url)) await main(async () => console.log(await torchPython()));
