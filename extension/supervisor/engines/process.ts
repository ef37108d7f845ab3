import { fork, type ChildProcess, type StdioOptions } from "node:child_process";
import { availableParallelism } from "node:os";
import { basename, dirname } from "node:path";
import { StringDecoder } from "node:string_decoder";
import { makeFolder } from "../../files/folders.ts";
import { openAppend } from "../../files/append.ts";
import { runPath } from "../../files/runFiles.ts";
import { endDescendants, endFamily, newFamily } from "../../processes/family.ts";
import { isThere, killTree, signalGroup } from "../../processes/signals.ts";
import { newToken, tokenArgument } from "../../processes/token.ts";
import { FOLDERS_VARIABLE } from "../../protocol/engine.ts";
import { demandTrust } from "../trust.ts";
import { guardChannel } from "./guardedChannel.ts";

/** How engines are started; the same for all of a window or a command line. */
export interface EngineOptions {
  /** Folder of the bundled engines: `runEngine.js`, `previewEngine.js`. */
  dist: string;
  /** Added to the environment of engines, such as thread counts, which must be set before TensorFlow loads. */
  env?: Readonly<Record<string, string>>;
  /**
   * Folders of an editor's window: user code runs in the one that has its file. By default it runs in this process's
   * working directory.
   */
  folders?: readonly string[];
  /** Node to run engines with; by default the one that runs this. */
  execPath?: string;
  /** Whether engines' stdout and stderr also go to this process's. Default false. */
  inheritOutput?: boolean;
  /** Milliseconds an engine has to say hello. Default 20,000. */
  helloTimeout?: number;
  /** Milliseconds a run has to end after `stop` before it is killed. Default 10,000. */
  stopTimeout?: number;
  /** Milliseconds a process has to exit after its last message before it is killed. Default 3,000. */
  exitTimeout?: number;
}

export interface ExitInfo {
  code: number | null;
  signal: NodeJS.Signals | null;
  /** The last few kilobytes the process wrote to stderr. */
  stderr: string;
}

export interface ForkOptions extends EngineOptions {
  /** File in `dist`. */
  entry: string;
  /** Options of Node. */
  nodeOptions?: readonly string[];
  /** Reads this process's standard input, unless that is a terminal: a process group of its own can't read there. */
  inheritInput?: boolean;
  /** Bytes of one message that it may send. Default 1 GiB. */
  messageLimit?: number;
  /** The engine outlives this process: its output goes to this file, since a pipe would break. */
  outliveTo?: string;
  /** Text as it comes, cut at arbitrary places. */
  onOutput?(stream: "stdout" | "stderr", text: string): void;
}

export interface EngineProcess {
  readonly child: ChildProcess;
  readonly pid: number | undefined;
  /** A secret of its command line, with which the run's lock is made. */
  readonly token: string;
  /** Settles when the process is gone and its output is read; never rejects. */
  readonly exited: Promise<ExitInfo>;
  /** Ends the process and all that it started, at once. */
  kill(): Promise<ExitInfo>;
  /** Waits for the process to exit by itself, and kills it after `grace` milliseconds. */
  exit(grace: number): Promise<ExitInfo>;
}

const MESSAGE_LIMIT = 2 ** 30;

/** Enough for a native crash report or a long stack. */
const TAIL_CHARACTERS = 8192;

/**
 * Options of Node for the processes that compute, on a machine with so many cores. A step's graph is young and alive when its memory is
 * collected: with 16 MB of young objects, V8's default, copying them took a fifth of the time of programs with thousands of small ops.
 * Measured 16, 32 and 64 MB on three of them: 0.93 to 0.76 of the time with 32, no less with 64.
 *
 * V8 compiles hot functions on threads of its own, four by default, for half the time of a short training: these took the cores from
 * kernels and from one another. So one core stays free of them, and functions are inlined less, which compiles faster. Measured on seven
 * programs of test/programs, 2 cores, interleaved: 0.81 to 0.86 of a whole run's time, 0.85 to 0.94 of a step's; with the thread alone
 * 0.84 to 0.9 of a run's.
 *
 * V8 allocates objects as old where many from the same line of code outlived a collection, as those of a large step's graph do. Later
 * graphs, which are garbage at once, were then kept with all that they point to until the next full collection. Sampling from RWKV after
 * its training takes 0.46 of the processor time without that, and 0.75 of the memory; 16 other programs take 0.8 to 1.05 of the time.
 *
 * The engine collects young objects once itself, when it has started: see `settleHeap`.
 */
export function computingOptions(cores: number): string[] {
  return [
    "--max-semi-space-size=32",
    "--min-semi-space-size=16",
    `--v8-pool-size=${Math.min(4, Math.max(1, cores - 1))}`,
    "--max-inlined-bytecode-size-cumulative=300",
    "--no-allocation-site-pretenuring",
    "--expose-gc",
  ];
}

/**
 * Options of Node for a run that may be debugged. The address of its inspector has a secret, which it otherwise tells each user of the
 * machine who asks its port.
 */
const INSPECTED_OPTIONS = ["--inspect-publish-uid=stderr"];

/**
 * Forks an engine as the leader of a process group, so that it can be killed with whatever user code started. It
 * talks over fork IPC with structured clone, which carries NaN and errors; its output streams are logs.
 */
export async function forkEngine(options: ForkOptions): Promise<EngineProcess> {
  const log = options.outliveTo === undefined ? undefined : await openLog(options.outliveTo);
  const family = newFamily();
  try {
    const output = log?.fd ?? "pipe";
    const input = options.inheritInput === true && !process.stdin.isTTY ? "inherit" : "ignore";
    const stdio: StdioOptions = [input, output, output, "ipc"];
    const token = newToken();
    const child = fork(`${options.dist}/${options.entry}`, [tokenArgument(token)], {
      stdio,
      env: {
        ...engineEnvironment(options.env),
        ...family.env,
        // Also where there are none: a command line that user code starts has inherited those of the editor.
        [FOLDERS_VARIABLE]: JSON.stringify(options.folders ?? []),
      },
      // Not the host's: two processes can't share an inspector's port.
      execArgv: [
        ...(options.entry === "runEngine.js"
          ? [...computingOptions(availableParallelism()), ...INSPECTED_OPTIONS]
          : []),
        ...(options.nodeOptions ?? []),
      ],
      serialization: "advanced",
      // On Windows a detached child gets a console window, and groups don't exist there anyway.
      detached: process.platform !== "win32",
      ...(options.execPath === undefined ? {} : { execPath: options.execPath }),
    });
    return watch(child, { token, family: family.token }, options);
  } finally {
    await log?.close();
  }
}

async function openLog(file: string): Promise<{ fd: number; close(): Promise<void> }> {
  demandTrust();
  const path = await runPath(dirname(file), basename(file));
  await makeFolder(dirname(path));
  return openAppend(path);
}

/** The environment of every process started from here. */
export function engineEnvironment(added: EngineOptions["env"]): NodeJS.ProcessEnv {
  // A debugger's or a test runner's preload has no business in an engine.
  const { NODE_OPTIONS: _, ...inherited } = process.env;
  return { ...inherited, ...addedEnvironment(added) };
}

/** The variables of {@link engineEnvironment} that this process's own environment doesn't have. */
export function addedEnvironment(added: EngineOptions["env"]): Record<string, string> {
  const electron = process.versions["electron"] === undefined ? {} : { ELECTRON_RUN_AS_NODE: "1" };
  return { ...electron, ...added };
}

/** TensorFlow's output while it loads, at any log level: not about the user's run. */
const BANNER = /^(WARNING: All log messages before absl::|I0000 .*oneDNN custom operations are on).*\n?/gm;

function watch(
  child: ChildProcess,
  { token, family }: { token: string; family: string },
  options: ForkOptions,
): EngineProcess {
  let stderr = "";
  const listen = (stream: "stdout" | "stderr"): void => {
    const decoder = new StringDecoder("utf8");
    child[stream]?.on("data", (bytes: Buffer) => {
      const text = decoder.write(bytes).replace(BANNER, "");
      if (text === "") return;
      if (stream === "stderr") stderr = (stderr + text).slice(-TAIL_CHARACTERS);
      if (options.inheritOutput === true) process[stream].write(text);
      options.onOutput?.(stream, text);
    });
  };
  listen("stdout");
  listen("stderr");

  const exited = new Promise<ExitInfo>((resolve) => {
    const done = (code: number | null, signal: NodeJS.Signals | null): void =>
      resolve({ code, signal, stderr });
    child.once("error", (error) => {
      // Failed to start: there is no exit to come.
      if (child.pid !== undefined) return;
      stderr += error.message;
      done(null, null);
    });
    child.once("exit", (code, signal) => {
      // Children of the engine that it left behind, and that may hold its pipes open.
      signalGroup(child, "SIGKILL");
      const strays = endFamily(family).catch(() => undefined);
      // "close" means that the pipes are read to the end; a stray process may hold them open for ever.
      const finish = (): void => void strays.finally(() => done(code, signal));
      const timer = setTimeout(finish, 500);
      child.once("close", () => {
        clearTimeout(timer);
        finish();
      });
    });
  });

  const kill = async (): Promise<ExitInfo> => {
    // Afterwards, processes that left the group have no parent to find them by. Meanwhile it runs: a stopped process
    // would stay for ever if this one were killed now, as VS Code's host is when a window closes.
    if (child.pid !== undefined && isThere(child)) await endDescendants(child.pid).catch(() => undefined);
    await killTree(child);
    return exited;
  };
  guardChannel(child, options.messageLimit ?? MESSAGE_LIMIT, (reason) => {
    stderr = `${stderr}\nIt sent what is no message: ${reason}`.slice(-TAIL_CHARACTERS);
    void kill();
  });
  const exit = (grace: number): Promise<ExitInfo> => {
    const timer = setTimeout(() => void kill(), grace);
    return exited.finally(() => clearTimeout(timer));
  };
  return { child, pid: child.pid, token, exited, kill, exit };
}

/** V8's messages before it aborts. */
export const OUT_OF_MEMORY = /JavaScript heap out of memory|Array buffer allocation failed/;

/** Describes the unexpected end of a process for people. */
export function describeExit(exit: ExitInfo): string {
  const { signal } = exit;
  if (OUT_OF_MEMORY.test(exit.stderr)) return "it ran out of memory";
  if (signal === "SIGKILL") return "signal SIGKILL (killed from outside, or the system ran out of memory)";
  if (signal === "SIGSEGV" || signal === "SIGABRT" || signal === "SIGBUS")
    return `signal ${signal} (a crash in native code)`;
  if (signal !== null) return `signal ${signal}`;
  if (exit.code === null) return `it could not be started: ${exit.stderr.trim()}`;
  return `exit code ${exit.code}`;
}

/** The relevant last lines of stderr; undefined without any. */
export function lastLines(exit: ExitInfo, count = 12): string | undefined {
  const lines = exit.stderr
    .split(/\r?\n/)
    .map((line) => line.trimEnd())
    .filter((line) => line !== "");
  // When the heap is full, V8 prints its collector's last attempts.
  if (lines.length === 0 || OUT_OF_MEMORY.test(exit.stderr)) return undefined;
  // Node prints the exception above its stack, and the stack would hide it.
  const exception = lines.findLastIndex((line) => /^(?:Uncaught )?\w*Error\b.*:/.test(line));
  return (exception < 0 ? lines.slice(-count) : lines.slice(exception, exception + count)).join("\n");
}
