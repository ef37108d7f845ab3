import { existsSync } from "node:fs";
import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import type { EngineCheck } from "../../protocol/native.ts";
import {
  bindingOf,
  cacheDirectory,
  nativeDirectory,
  TENSORFLOW_VERSION,
  thisHost,
  type Host,
} from "../cache.ts";
import { runCommand } from "./command.ts";
import { findBindingSources, type BindingSources } from "./compile.ts";
import { explainFailure, findWorkingDownloader, WHEEL_PYTHON } from "./download.ts";
import { NativeError, systemErrorCode } from "../errors.ts";
import { tryBinding, tryGpu } from "./firstLoad.ts";
import { findDamage } from "../integrity.ts";
import { gigabytes, SIZES } from "./libraries.ts";
import { gpuProblem, machineOf, machineProblem, SCARCE_MEMORY } from "../machine.ts";
import { findPlatform } from "../platforms.ts";
import { nativeStatus } from "../status.ts";
import { findCompiler, toolsNotFound, type Downloader } from "./tools.ts";

export interface DoctorOptions {
  host?: Host;
  signal?: AbortSignal | undefined;
  /** Sources of the binding; by default those that ship with Layerwise. */
  binding?: BindingSources;
}

type Checked = Omit<EngineCheck, "name">;

const ok = (text: string): Checked => ({ state: "ok", text });
const problem = (text: string, fix: string): Checked => ({ state: "problem", text, fix });

/**
 * Checks everything that the native engine needs: machine, folder, and either the installed engine or what an installation
 * would use. Changes nothing; asks the package index for the list of TensorFlow's versions.
 */
export async function diagnose({ host = thisHost(), signal, binding }: DoctorOptions = {}): Promise<
  EngineCheck[]
> {
  const checks: EngineCheck[] = [];
  const add = (name: string, check: Checked): void => void checks.push({ name, ...check });
  const { LAYERWISE_DEVICE: device, ...env } = host.env;
  if (device === "kernels" || device === "wasm" || device === "cpu")
    add("Environment", {
      state: "warning",
      text: `LAYERWISE_DEVICE=${device} switches the native engine off.`,
      fix: "Unset LAYERWISE_DEVICE.",
    });
  add("Machine", checkMachine(host));
  if (findPlatform(host) === undefined) return checks;
  add("Memory", checkMemory(host));
  if (machineOf(host).wsl) add("Windows", checkWsl(host));
  const status = nativeStatus({ ...host, env });
  const gpu = await checkGpu(host, device === "gpu", signal);
  if (gpu !== undefined) add("GPU", gpu);
  const installed = status.state === "installed";
  add("Folder", await checkFolder(host, installed ? 0 : SIZES.cpu.uv));
  if (status.manifest !== undefined) {
    const damaged = findDamage(status.directory, status.manifest);
    add(
      "Engine",
      damaged === undefined
        ? await checkLoading(status.directory, host, signal)
        : damage(`${damaged} was changed`),
    );
    return checks;
  }
  if (status.state === "broken") add("Engine", damage(status.reason ?? "it is incomplete"));
  const downloader = await findDownloader(host, signal);
  if ("state" in downloader) add("Downloader", downloader);
  else {
    add("Downloader", ok([downloader.command, ...downloader.args].join(" ")));
    add("Package index", await checkIndex(downloader, host, signal));
  }
  add("Binding", checkBinding(binding ?? findBindingSources(host), host));
  if (checks.every(({ state }) => state !== "problem"))
    add("Engine", { state: "warning", text: "It is not installed.", fix: "Run layerwise engine install." });
  return checks;
}

const damage = (text: string): Checked => problem(`It is damaged: ${text}.`, "Run layerwise engine install.");

function checkMachine(host: Host): Checked {
  const { glibc, wsl } = machineOf(host);
  if (findPlatform(host) === undefined)
    return problem(
      `There is no native engine for ${host.platform}-${host.arch}.`,
      "None is needed: WebAssembly computes the same numbers, more slowly.",
    );
  const reason = machineProblem(host);
  if (reason !== undefined) {
    return problem(reason.text, reason.fix);
  }
  const libc = glibc === undefined ? "" : `, glibc ${glibc}`;
  return ok(`${host.platform}-${host.arch}${libc}${wsl ? ", in Windows Subsystem for Linux" : ""}`);
}

/** Explains Linux in Windows, and warns of what is slow or apart there. */
function checkWsl(host: Host): Checked {
  const text = "This is Linux in Windows: its engine, cache and driver are apart from those of Windows.";
  const slow = [cacheDirectory(host), process.cwd()].find((folder) => /^\/mnt\/[a-z](\/|$)/.test(folder));
  if (slow === undefined) return ok(text);
  return {
    state: "warning",
    text: `${slow} is on a drive of Windows, which is slow from here.`,
    fix: "Keep projects and LAYERWISE_CACHE below your home folder in Linux; in VS Code, open them with the WSL extension.",
  };
}

/** The build for GPUs, where it is installed, wanted, or could be used. */
async function checkGpu(host: Host, wanted: boolean, signal?: AbortSignal): Promise<Checked | undefined> {
  const { gpu } = nativeStatus({ ...host, env: { ...host.env, LAYERWISE_DEVICE: "gpu" } });
  if (gpu === undefined && !wanted) return undefined;
  const found = gpuProblem(host);
  if (gpu?.installed !== true) {
    if (found !== undefined) return problem(found.text, found.fix);
    const text = `There is an NVIDIA driver${gpu?.driver === undefined ? "" : ` ${gpu.driver}`}, but the engine's build for GPUs is not installed.`;
    return {
      state: wanted ? "problem" : "ok",
      text,
      fix: "Run layerwise engine install --gpu, then choose it with --device gpu.",
    };
  }
  if (found !== undefined)
    return { state: "warning", text: `${found.text} Device gpu computes on the CPU.`, fix: found.fix };
  try {
    const device = await tryGpu(path.join(nativeDirectory(host, "gpu"), bindingOf("gpu")), host, signal);
    if (device) return ok(`TensorFlow ${TENSORFLOW_VERSION} finds a GPU; --device gpu uses it.`);
    return problem(
      "TensorFlow finds no GPU: device gpu computes on the CPU.",
      "Run nvidia-smi: it says whether the driver works. CUDA_VISIBLE_DEVICES may hide the GPU.",
    );
  } catch (error) {
    if (!(error instanceof NativeError)) throw error;
    return problem(error.message, loadingFix(error.message));
  }
}

function checkMemory(host: Host): Checked {
  const { memory } = machineOf(host);
  if (memory >= SCARCE_MEMORY) return ok(gigabytes(memory));
  return {
    state: "warning",
    text: `${gigabytes(memory)}; TensorFlow alone needs about 0.5 GB, and training more.`,
    fix: "Give the machine or container more memory if a training is killed.",
  };
}

/** Writes and removes a file in the cache folder, and compares the free space with what an installation needs. */
async function checkFolder(host: Host, needed: number): Promise<Checked> {
  const folder = cacheDirectory(host);
  const elsewhere = "Free space or permissions, or set LAYERWISE_CACHE to another folder.";
  let existing = folder;
  while (!existsSync(existing)) existing = path.dirname(existing);
  try {
    await fs.rm(await fs.mkdtemp(path.join(existing, "layerwise-doctor-")), { recursive: true });
  } catch (error) {
    return problem(
      `${folder} can't be written to (${systemErrorCode(error) ?? "unknown error"}).`,
      elsewhere,
    );
  }
  const { bavail, bsize } = await fs.statfs(existing);
  const free = bavail * bsize;
  if (free < needed)
    return problem(
      `${folder} has ${gigabytes(free)} free; an installation needs ${gigabytes(needed)}.`,
      elsewhere,
    );
  return ok(`${folder}, ${gigabytes(free)} free`);
}

async function checkLoading(directory: string, host: Host, signal?: AbortSignal): Promise<Checked> {
  try {
    return ok(
      `TensorFlow ${await tryBinding(path.join(directory, bindingOf("cpu")), host, signal)} loads from ${directory}`,
    );
  } catch (error) {
    if (!(error instanceof NativeError)) throw error;
    const { message } = error;
    return problem(message, loadingFix(message));
  }
}

/** What helps against a loader's error. */
export function loadingFix(message: string): string {
  if (/failed to map segment|not permitted|quarantine|policy/i.test(message))
    return "The folder may not hold programs (noexec, quarantine, policy): set LAYERWISE_CACHE to another folder, then install again.";
  if (/GLIBC|GLIBCXX/.test(message)) return "Upgrade the distribution: its C library is too old.";
  if (/exit code (132|-1|4)\b|Illegal instruction|SIGILL/.test(message))
    return "The processor lacks instructions that TensorFlow uses. In a virtual machine, pass on the host's processor type.";
  return "Run layerwise engine remove, then layerwise engine install.";
}

async function findDownloader(host: Host, signal?: AbortSignal): Promise<Downloader | Checked> {
  try {
    return await inScratch((cwd) => findWorkingDownloader(host, cwd, signal));
  } catch (error) {
    if (!(error instanceof NativeError)) throw error;
    const tool = toolsNotFound(host).find(({ tool }) => tool === "python");
    return problem(error.message, `Install ${tool?.text ?? "pip for your Python, or uv"}.`);
  }
}

/** Asks the index for TensorFlow's versions, with the user's own configuration; downloads nothing else. */
async function checkIndex(downloader: Downloader, host: Host, signal?: AbortSignal): Promise<Checked> {
  const requirement = findPlatform(host)?.requirement ?? "";
  const [name = ""] = requirement.split("==");
  const target = ["--python-version", WHEEL_PYTHON, "--only-binary=:all:"];
  const result = await inScratch((cwd) =>
    runCommand(
      downloader.command,
      downloader.kind === "pip"
        ? [...downloader.args, "index", "versions", name, ...target, "--disable-pip-version-check"]
        : [
            "pip",
            "install",
            "--dry-run",
            "--no-deps",
            requirement,
            ...target,
            "--target",
            path.join(cwd, "target"),
          ],
      { env: { ...host.env, PIP_RETRIES: "1", UV_HTTP_RETRIES: "1" }, cwd, signal, limit: 60_000 },
    ),
  );
  if (result.code === 0 && result.output.includes(TENSORFLOW_VERSION)) return ok(`It has ${requirement}.`);
  const unknown = /unknown command|no such option/i.test(result.output);
  if (unknown)
    return { state: "warning", text: "This pip is too old to ask the index.", fix: "Upgrade pip." };
  const { code, message } =
    result.code === 0
      ? new NativeError("no-wheel", `The package index has no ${requirement}.`)
      : explainFailure(result, { downloader, requirement, host });
  return problem(message, code === "no-network" ? proxyFix(host) : "Use an index that mirrors PyPI in full.");
}

/** Names the proxy variables that are set, but not their values, which may hold passwords. */
function proxyFix({ env }: Host): string {
  const names = ["HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY"].flatMap((name) => [name, name.toLowerCase()]);
  const set = names.filter((name) => env[name]);
  return set.length === 0
    ? "Check the network. Behind a proxy, set HTTPS_PROXY, or configure index, proxy and certificates in pip.conf or uv.toml."
    : `Check the proxy in ${set.join(" and ")}, and the certificates and index in pip.conf or uv.toml.`;
}

function checkBinding(binding: BindingSources, host: Host): Checked {
  if (binding.prebuilt !== undefined) return ok("It ships with Layerwise; no compiler is needed.");
  const compiler = findCompiler(host);
  if (compiler !== undefined) return ok(`It will be compiled with ${compiler}.`);
  const text = toolsNotFound(host).find(({ tool }) => tool === "compiler")?.text ?? "a C++ compiler";
  return problem(
    "This Layerwise ships no binding that fits, and there is no C++ compiler.",
    `Install ${text}.`,
  );
}

/** Runs a body in an empty folder of this user's: Python imports modules from the current folder. */
async function inScratch<T>(body: (folder: string) => Promise<T>): Promise<T> {
  const folder = await fs.mkdtemp(path.join(os.tmpdir(), "layerwise-doctor-"));
  try {
    return await body(folder);
  } finally {
    await fs.rm(folder, { recursive: true, force: true });
  }
}
