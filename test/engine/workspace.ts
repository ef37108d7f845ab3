import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import * as v from "valibot";
import { expect } from "vitest";
import { CLI_JSON, problemOfLine, type JsonCommand } from "../../extension/protocol/cliJson.ts";
import { RunRecord, RUNS_FOLDER, MetricRow } from "../../extension/protocol/run.ts";
import { around, useFolder, type Scope } from "../folders.ts";

/** The built engines and command line. */
export const dist = fileURLToPath(new URL("../../dist", import.meta.url));
export const examples = fileURLToPath(new URL("../../media/examples", import.meta.url));

export interface Result {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

/** A command under way. */
export interface Command {
  child: ChildProcess;
  ended: Promise<Result>;
  /** Resolves when what was printed so far, to either stream, has the text. */
  printed(text: string): Promise<void>;
}

/** In a name space of its own, so that nothing stays mounted. @param then What the shell does after the command */
function onDisk(size: string, then?: string): string[] {
  const script = `mkdir -p disk && mount -t tmpfs -o size=${size} tmpfs disk || exit 99
    "$@"; code=$?
    ${then === undefined ? "" : `${then}; code=$?`}
    cp -a disk kept; exit $code`;
  return ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"];
}

/** Whether a small disk can be had here: Linux, and name spaces allowed. */
export const hasDisks = (): boolean =>
  process.platform === "linux" &&
  spawnSync("unshare", ["--user", "--map-root-user", "--mount", "sh", "-c", "mount -t tmpfs tmpfs /tmp"], {
    stdio: "ignore",
  }).status === 0;

/** A folder with models, and the command line in it. */
export class Workspace {
  readonly folder: string;
  readonly #commands: ChildProcess[] = [];

  constructor(folder: string) {
    this.folder = folder;
  }

  file(name: string): string {
    return path.join(this.folder, name);
  }

  write(name: string, text: string): string {
    fs.mkdirSync(path.dirname(this.file(name)), { recursive: true });
    fs.writeFileSync(this.file(name), text);
    return this.file(name);
  }

  /** Starts the command line on plain JavaScript: it is always there, and quick for small networks. */
  start(args: readonly string[], env: NodeJS.ProcessEnv = {}): Command {
    const command = [process.execPath, path.join(dist, "cli.js"), ...args];
    // Blocks that a file may have, for a disk that is full.
    const limit = env["LAYERWISE_TEST_FILE_LIMIT"];
    if (limit !== undefined) command.unshift("sh", "-c", `ulimit -f ${limit}; exec "$@"`, "sh");
    // A small disk of its own, in the folder "disk"; what is on it at the end is found in "kept".
    const disk = env["LAYERWISE_TEST_DISK"];
    if (disk !== undefined) command.unshift(...onDisk(disk, env["LAYERWISE_TEST_THEN"]));
    // The network of another process.
    const network = env["LAYERWISE_TEST_NETWORK"];
    if (network !== undefined)
      command.unshift("nsenter", "--preserve-credentials", "--user", "--net", "--target", network);
    const child = spawn(command[0]!, command.slice(1), {
      cwd: this.folder,
      env: { ...process.env, LAYERWISE_DEVICE: "cpu", LAYERWISE_NO_CHECK: "1", NO_COLOR: "1", ...env },
      stdio: ["pipe", "pipe", "pipe"],
    });
    this.#commands.push(child);
    let stdout = "";
    let stderr = "";
    const waiting = new Set<() => void>();
    child.stdout.on("data", (bytes: Buffer) => {
      stdout += bytes.toString();
      for (const look of waiting) look();
    });
    child.stderr.on("data", (bytes: Buffer) => {
      stderr += bytes.toString();
      for (const look of waiting) look();
    });
    const ended = new Promise<Result>((resolve) => {
      child.once("close", (code, signal) => resolve({ code, signal, stdout, stderr }));
    });
    const printed = (text: string): Promise<void> =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          if (!(stdout + stderr).includes(text)) return;
          waiting.delete(look);
          resolve();
        };
        waiting.add(look);
        look();
        void ended.then(() =>
          reject(new Error(`it ended without printing "${text}":\n${stdout}\n${stderr}`)),
        );
      });
    return { child, ended, printed };
  }

  /** Runs a command to its end. */
  async run(
    args: readonly string[],
    { input = "", env = {} }: { input?: string; env?: NodeJS.ProcessEnv } = {},
  ): Promise<Result> {
    const command = this.start(args, env);
    command.child.stdin?.end(input);
    const result = await command.ended;
    if (args.includes("--json")) checkJson(args, result);
    return result;
  }

  /** Directories of the runs, oldest first. */
  runs(): string[] {
    const root = this.file(RUNS_FOLDER);
    if (!fs.existsSync(root)) return [];
    return fs
      .readdirSync(root)
      .sort()
      .map((name) => path.join(root, name));
  }

  /** Ends the commands that still run. */
  endCommands(): void {
    for (const child of this.#commands.splice(0)) if (child.exitCode === null) child.kill("SIGKILL");
  }
}

/** A workspace, empty when a test starts (`"all"`: the first test); what it leaves is ended and removed. */
export function useWorkspace(scope: Scope = "each"): Workspace {
  const workspace = new Workspace(useFolder(scope));
  around(scope, undefined, () => workspace.endCommands());
  return workspace;
}

export function readRun(directory: string): RunRecord {
  return v.parse(RunRecord, JSON.parse(fs.readFileSync(path.join(directory, "run.json"), "utf8")));
}

export function readRows(directory: string): MetricRow[] {
  const text = fs.readFileSync(path.join(directory, "metrics.jsonl"), "utf8");
  return text
    .trimEnd()
    .split("\n")
    .map((line) => v.parse(MetricRow, JSON.parse(line)));
}

/** Compares each line of a command's --json output with what is documented of it. */
function checkJson([name = "", ...args]: readonly string[], { stdout, signal }: Result): void {
  const command = name === "engine" ? `${name} ${args[0]}` : name;
  if (!(command in CLI_JSON) || signal !== null) return;
  for (const line of stdout.split("\n").filter((text) => text !== ""))
    expect(problemOfLine(command as JsonCommand, JSON.parse(line)), line.slice(0, 500)).toBeUndefined();
}

/** Objects of a command's --json output. */
export function jsonLines(stdout: string): Record<string, unknown>[] {
  return stdout
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

/** A small experiment of many epochs, with any options changed. */
export function experimentFile(options: Readonly<Record<string, string>> = {}, before = ""): string {
  const all: Record<string, string> = {
    seed: "0",
    model: "() => new Net()",
    data: "() => new data.TensorDataset(torch.randn(32, 4), torch.randint(0, 3, [32]))",
    loss: "new nn.CrossEntropyLoss()",
    optimizer: "(parameters) => new optim.SGD(parameters, { lr: 0.1 })",
    batchSize: "8",
    epochs: "100000",
    logEvery: "1",
    ...options,
  };
  const lines = Object.entries(all).map(([name, value]) => `  ${name}: ${value},`);
  return `import { torch, nn, optim, data, experiment, type Tensor } from "layerwise";
export class Net extends nn.Module {
  fc = new nn.Linear(4, 3);
  forward(x: Tensor): Tensor {
    return this.fc(x);
  }
}
${before}
export default experiment({
${lines.join("\n")}
});
`;
}
