import type { Command } from "commander";
import { diagnose } from "../native/install/doctor.ts";
import { nativeDirectory, thisHost } from "../native/cache.ts";
import { bytesOf, earlierEngines, removeEarlier } from "../native/install/earlier.ts";
import { gigabytes } from "../native/install/libraries.ts";
import { machineOf, SCARCE_MEMORY } from "../native/machine.ts";
import { NativeError } from "../native/errors.ts";
import { installNative, removeNative } from "../native/install/install.ts";
import { deviceOfEnvironment, nativeStatus, type NativeStatus } from "../native/status.ts";
import type { EngineCheck, InstallLine, InstallProgress } from "../protocol/native.ts";
import { CliError, EXIT, interruptSignal } from "./exit.ts";
import { isTerminal, newBar, print, printJson, writeStdout } from "./output.ts";
import { engineThere } from "./remote/options.ts";

export function register(program: Command): void {
  const engine = program
    .command("engine")
    .description(
      "the native engine: TensorFlow for this machine (without it, the kernels that ship with Layerwise compute)",
    );
  engine
    .command("install")
    .description("download TensorFlow with pip or uv; once per user, about 900 MB")
    .option(
      "--gpu",
      "install the build for NVIDIA's GPUs beside it, with CUDA; --device gpu uses it (Linux x64)",
    )
    .option("--on <machine>", "install it on another machine: ssh://[user@]host[:port], or a name")
    .option("--json", "print progress and result as JSON, one object a line")
    .option("--verbose", "after a failure, print what pip or the compiler said")
    .addHelpText(
      "after",
      "\nNeeds Python 3 with pip, or uv. LAYERWISE_CACHE replaces the user's cache folder.",
    )
    .action(install);
  engine
    .command("status")
    .description("say which backend will run, and why")
    .option("--on <machine>", "on another machine: ssh://[user@]host[:port], or a name")
    .option("--json", "print one JSON object")
    .action(async ({ json, on }: { json?: true; on?: string }) => {
      if (on !== undefined) return engineThere(on, "status");
      checkDevice();
      const { manifest: _, ...report } = nativeStatus();
      if (json) printJson(report);
      else writeStdout(describeStatus(report) + describeEarlier(builds()));
    });
  engine
    .command("doctor")
    .description("check what the native engine needs, and say what to do about each problem")
    .option("--json", "print one JSON object")
    .action(({ json }: { json?: true }) => doctor(json ?? false));
  engine
    .command("remove")
    .description("delete the native engine and its downloads from the user's cache")
    .option("--earlier", "delete only the engines that earlier versions of Layerwise have installed")
    .option("--json", "print one JSON object")
    .action(remove);
}

interface InstallFlags {
  json?: true;
  verbose?: true;
  gpu?: true;
  on?: string;
}

async function install({ json, verbose, gpu, on }: InstallFlags): Promise<void> {
  if (on !== undefined) return engineThere(on, gpu ? "install --gpu" : "install");
  const signal = interruptSignal();
  const printLine = (line: InstallLine): void => printJson(line);
  const progress = json
    ? { show: (step: InstallProgress) => printLine({ type: "progress", ...step }), end: () => undefined }
    : progressDisplay();
  const { memory } = machineOf(thisHost());
  if (memory < SCARCE_MEMORY && !json)
    print(
      `This machine has ${gigabytes(memory)} of memory. TensorFlow alone needs about 0.5 GB, and training more.`,
    );
  try {
    const { directory, installed } = await installNative({
      signal,
      onProgress: progress.show,
      build: gpu ? "gpu" : "cpu",
    });
    progress.end();
    if (json) printLine({ type: "installed", directory, installed });
    else
      print(
        `The native engine ${gpu ? "for GPUs " : ""}is ${installed ? "" : "already "}installed in ${directory}.`,
      );
  } catch (error) {
    progress.end();
    if (signal.aborted) {
      if (json) printLine({ type: "cancelled" });
      throw new CliError(
        json ? "" : "Cancelled. What was downloaded is kept for the next time.",
        EXIT.interrupted,
      );
    }
    if (!(error instanceof NativeError)) throw error;
    const { code, message, detail } = error;
    if (!json) {
      const more = detail === undefined ? "" : verbose ? `\n\n${detail.trimEnd()}` : " (--verbose says more)";
      throw new CliError(message + more, EXIT.failure, { cause: error });
    }
    printLine({ type: "failed", code, message, ...(detail === undefined ? {} : { detail }) });
    throw new CliError("", EXIT.failure, { cause: error });
  }
}

/** Fails if there is a problem, so that scripts notice. */
async function doctor(json: boolean): Promise<void> {
  const checks = await diagnose({ signal: interruptSignal() });
  if (json) printJson(checks);
  else writeStdout(describeChecks(checks));
  if (checks.some(({ state }) => state === "problem")) throw new CliError("", EXIT.failure);
}

/** Describes the findings, a line for each and one for what to do. */
export function describeChecks(checks: readonly EngineCheck[]): string {
  const width = Math.max(...checks.map(({ name }) => name.length));
  const lines = checks.flatMap(({ name, state, text, fix }) => [
    `${state.padEnd(8)} ${name.padEnd(width)}  ${text}`,
    ...(fix === undefined ? [] : [`${" ".repeat(width + 11)}${fix}`]),
  ]);
  return lines.map((line) => `${line}\n`).join("");
}

async function remove({ earlier, json }: { earlier?: true; json?: true }): Promise<void> {
  const signal = interruptSignal();
  let removed: boolean;
  try {
    if (earlier) {
      removed = false;
      for (const directory of builds()) if ((await removeEarlier(directory, signal)) > 0) removed = true;
    } else removed = await removeNative({ signal });
  } catch (error) {
    if (interruptSignal().aborted) throw new CliError("Cancelled.", EXIT.interrupted);
    throw error instanceof NativeError ? new CliError(error.message, EXIT.failure, { cause: error }) : error;
  }
  if (json) printJson({ removed });
  else if (earlier)
    print(removed ? "The earlier engines are removed." : "There is no earlier engine to remove.");
  else print(removed ? "The native engine is removed." : "There is no native engine to remove.");
}

function checkDevice(): void {
  try {
    deviceOfEnvironment();
  } catch (error) {
    throw error instanceof RangeError ? new CliError(error.message, EXIT.usage) : error;
  }
}

/** Describes a status, a line for each: the backend, the reason for it, the state, the folder, GPU and Windows. */
export function describeStatus(status: Omit<NativeStatus, "manifest">): string {
  const state = status.state.replace("-", " ");
  const experimental = process.platform === "win32" ? " (experimental on Windows)" : "";
  const native =
    status.version === undefined ? state : `${state}, TensorFlow ${status.version}${experimental}`;
  const rows = [
    ["Backend", status.backend],
    ...(status.reason === undefined ? [] : [["Reason", status.reason]]),
    ["Native engine", native],
    ["Folder", status.directory],
    ...(status.gpu === undefined ? [] : [["GPU", describeGpu(status.gpu)]]),
    ...(status.wsl === true
      ? [
          [
            "Windows",
            "this is Linux in Windows, with an engine of its own; keep projects off /mnt/c, which is slow",
          ],
        ]
      : []),
  ];
  return rows.map(([name, value]) => `${`${name}:`.padEnd(15)} ${value}\n`).join("");
}

function describeGpu({ installed, problem, driver }: NonNullable<NativeStatus["gpu"]>): string {
  const build = installed ? "the build for GPUs is installed" : "the build for GPUs is not installed";
  if (problem !== undefined) return `${build}. ${problem}`;
  const found = driver === undefined ? "there is an NVIDIA driver" : `there is NVIDIA's driver ${driver}`;
  return `${build}, and ${found}; ${installed ? "--device gpu uses it" : "layerwise engine install --gpu"}`;
}

/** The folders of this version's engines: for the CPU, and for GPUs. */
const builds = (): string[] => (["cpu", "gpu"] as const).map((build) => nativeDirectory(thisHost(), build));

/** Describes what earlier versions have left beside folders of engines, in a line; nothing if there is none. */
export function describeEarlier(directories: readonly string[]): string {
  const earlier = directories.flatMap(earlierEngines);
  if (earlier.length === 0) return "";
  const disk = gigabytes(bytesOf(earlier));
  return `${"Earlier:".padEnd(15)} ${earlier.length}, ${disk}; "layerwise engine remove --earlier" deletes them\n`;
}

/** Shows progress as a bar on a terminal; elsewhere as a line for each phase and each tenth. */
function progressDisplay(): { show: (step: InstallProgress) => void; end: () => void } {
  if (isTerminal("stderr")) {
    const bar = newBar({
      format: "{bar} {percentage}% {text}",
      hideCursor: true,
      clearOnComplete: true,
    });
    let started = false;
    return {
      show: ({ fraction, text }) => {
        if (started) bar.update(fraction, { text });
        else bar.start(1, fraction, { text });
        started = true;
      },
      end: () => bar.stop(),
    };
  }
  let shown: { phase: string; tenth: number } | undefined;
  return {
    show: ({ phase, fraction, text }) => {
      const tenth = Math.floor(fraction * 10);
      if (shown?.phase === phase && shown.tenth === tenth) return;
      shown = { phase, tenth };
      print(`${String(Math.floor(fraction * 100)).padStart(3)} % ${text}`);
    },
    end: () => undefined,
  };
}
