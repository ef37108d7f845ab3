import { existsSync } from "node:fs";
import fs from "node:fs/promises";
import path from "node:path";
import { makeFolder } from "../../files/folders.ts";
import { cacheDirectory, thisHost, type Host } from "../cache.ts";
import { NativeError } from "../errors.ts";
import { runCommand, type CommandResult } from "./command.ts";
import { NETWORK } from "./download.ts";
import { withLock } from "./lock.ts";
import { findPythons } from "./tools.ts";
import { findExecutable } from "../../processes/programs.ts";

/** The installed version: part of the folder's name, so that another version never finds an old environment. */
export const OPTUNA_VERSION = "4.9.0";

/** Milliseconds for a question to Python, and for an installation. */
const QUESTION = 60_000;
const INSTALLATION = 600_000;

const CHECK = "import optuna; print(optuna.__version__)";
const PACKAGES = "import sysconfig; print(sysconfig.get_path('purelib'))";

export interface OptunaOptions {
  signal?: AbortSignal | undefined;
  /** Called with what is being done, if anything is. */
  onProgress?: (text: string) => void;
  host?: Host;
}

/** The environment's folder. If it exists, it is complete. */
const optunaDirectory = (host: Host = thisHost()): string =>
  path.join(cacheDirectory(host), "python", `optuna-${OPTUNA_VERSION}`);

/** The interpreter of a virtual environment. */
const interpreter = (folder: string, { platform }: Host): string =>
  path.join(folder, ...(platform === "win32" ? ["Scripts", "python.exe"] : ["bin", "python"]));

/**
 * Installs Optuna into a virtual environment in the user's cache, with uv or with any Python's pip, and the user's own
 * configuration of both. Only wheels are installed, so no code of packages runs.
 * @returns the environment's interpreter
 * @throws NativeError "no-python", "no-pip", "no-network" or "download-failed"; the signal's reason
 */
export async function ensureOptuna({
  signal,
  onProgress,
  host = thisHost(),
}: OptunaOptions = {}): Promise<string> {
  const directory = optunaDirectory(host);
  const python = interpreter(directory, host);
  await makeFolder(path.dirname(directory));
  const works = async (file: string): Promise<boolean> =>
    (await run(host, signal, QUESTION, file, "-I", "-c", CHECK)).stdout.trim() === OPTUNA_VERSION;
  if (existsSync(python)) {
    if (await works(python)) return python;
    // Its Python was removed or replaced.
    onProgress?.("The environment of Optuna is damaged: installing it again");
  }
  return withLock(
    `${directory}.lock`,
    { signal, onWait: () => onProgress?.("Waiting for another installation") },
    async () => {
      if (existsSync(python) && (await works(python))) return python;
      onProgress?.(`Installing Optuna ${OPTUNA_VERSION} into ${directory}`);
      const staging = `${directory}.partial`;
      await fs.rm(staging, { recursive: true, force: true });
      try {
        await install(staging, host, signal);
        if (!(await works(interpreter(staging, host))))
          throw new NativeError("download-failed", "Optuna was installed, but Python can't import it.");
        await fs.rm(directory, { recursive: true, force: true });
        await fs.rename(staging, directory);
      } finally {
        await fs.rm(staging, { recursive: true, force: true });
      }
      return python;
    },
  );
}

function run(
  host: Host,
  signal: AbortSignal | undefined,
  limit: number,
  command: string,
  ...args: string[]
): Promise<CommandResult> {
  // Python imports modules from the current folder: one that only this user may write to.
  return runCommand(command, args, {
    env: host.env,
    signal,
    limit,
    cwd: path.dirname(optunaDirectory(host)),
  });
}

/** Makes the environment with the first tool that can. */
async function install(folder: string, host: Host, signal: AbortSignal | undefined): Promise<void> {
  const requirement = `optuna==${OPTUNA_VERSION}`;
  const into = interpreter(folder, host);
  const pip = ["--only-binary=:all:", "--no-input", "--disable-pip-version-check", requirement];
  const failures: CommandResult[] = [];
  for (const [python, ...first] of findPythons(host)) {
    const ask = (...args: string[]): Promise<CommandResult> =>
      run(host, signal, INSTALLATION, python, ...first, ...args);
    if ((await ask("-m", "pip", "--version")).code !== 0) continue;
    // Without pip inside: Debian's Python has ensurepip in a package of its own.
    const made = await ask("-m", "venv", "--without-pip", folder);
    // pip's own `--python` needs pip 22.3; the environment has the same Python.
    const place = made.code === 0 ? await run(host, signal, QUESTION, into, "-I", "-c", PACKAGES) : made;
    const target = ["--target", place.stdout.trim()];
    const result = place.code === 0 ? await ask("-m", "pip", "install", ...target, ...pip) : place;
    if (result.code === 0) return;
    failures.push(result);
    await fs.rm(folder, { recursive: true, force: true });
  }
  const uv = findExecutable(["uv"], host);
  if (uv !== undefined) {
    const made = await run(host, signal, INSTALLATION, uv, "venv", "--no-project", folder);
    const result =
      made.code === 0
        ? await run(
            host,
            signal,
            INSTALLATION,
            uv,
            "pip",
            "install",
            "--python",
            into,
            "--only-binary=:all:",
            requirement,
          )
        : made;
    if (result.code === 0) return;
    failures.push(result);
  }
  throw explain(failures, host);
}

function explain(failures: readonly CommandResult[], host: Host): NativeError {
  const [failure] = failures;
  if (failure === undefined) {
    const [code, found] =
      findPythons(host).length === 0 ? ["no-python", "is not on PATH"] : ["no-pip", "has no pip"];
    return new NativeError(
      code as "no-python" | "no-pip",
      `This search needs Optuna, which needs Python 3 with pip, or uv: Python 3 ${found}. ` +
        "Install either, or use --search random with --pruner asha, which need neither.",
    );
  }
  const detail = failure.output;
  if (NETWORK.test(detail))
    return new NativeError("no-network", "Optuna can't be downloaded: the package index can't be reached.", {
      detail,
    });
  return new NativeError("download-failed", `Optuna ${OPTUNA_VERSION} can't be installed.`, { detail });
}
