// Trainings by several processes, as a user starts them: by the command line.
import { spawn, type ChildProcess } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { nativeStatus } from "../../../extension/native/status.ts";
import { canIsolate } from "../../../extension/supervisor/parallel/isolation.ts";
import { patience } from "../../patience.ts";
import { outerAddresses } from "../../../extension/supervisor/parallel/addresses.ts";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const cli = path.join(root, "dist", "cli.js");
const models = fileURLToPath(new URL("models.nn.ts", import.meta.url));

/** Why trainings by several workers can't be tested here; undefined where they can. */
export const unable: string | undefined =
  nativeStatus().state !== "installed"
    ? "the native engine is not installed"
    : outerAddresses().length > 0 && !canIsolate()
      ? "there is no network namespace with only a loopback (unshare -rn)"
      : undefined;

/** Weights by name. */
export type Weights = readonly (readonly [name: string, values: readonly number[]])[];

export interface Training {
  readonly child: ChildProcess;
  readonly folder: string;
  readonly ended: Promise<{ code: number | null; text: string }>;
  /** Resolves when the line of this epoch or of a later one is printed, or when the training has ended. */
  epoch(count: number): Promise<void>;
  /** Resolves when this text is printed, or when the training has ended. */
  printed(part: string): Promise<void>;
  /** Resolves when anything more is printed, or when the training has ended. */
  more(): Promise<void>;
}

interface Surroundings {
  env?: NodeJS.ProcessEnv;
}

/** Starts `layerwise train`. */
export function start(folder: string, model: string, ...options: (string | Surroundings)[]): Training {
  fs.mkdirSync(path.join(folder, "weights"), { recursive: true });
  const words = options.filter((one) => typeof one === "string");
  const device = words.includes("--device") ? [] : ["--device", "native"];
  const out = ["--out", path.join(folder, "run")];
  return command(folder, [`${models}#${model}`, ...out, ...device, ...words], surroundings(options));
}

/** Resumes a training that has ended. */
export const resume = ({ folder }: Training, { env }: Surroundings): Training =>
  command(folder, ["--resume", path.join(folder, "run"), "--outside"], env);

const surroundings = (options: readonly (string | Surroundings)[]): NodeJS.ProcessEnv | undefined =>
  options.find((one) => typeof one !== "string")?.env;

function command(folder: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): Training {
  const child = spawn(process.execPath, [cli, "train", ...args, "--no-check", "--no-progress"], {
    cwd: folder,
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, WEIGHTS: path.join(folder, "weights"), NODE_OPTIONS: "", ...env },
  });
  let text = "";
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (bytes: Buffer) => (text += bytes.toString()));
  const ended = new Promise<{ code: number | null; text: string }>((resolve) =>
    child.once("close", (code) => resolve({ code, text })),
  );
  const when = (condition: () => boolean): Promise<void> =>
    new Promise((resolve) => {
      const streams = [child.stdout, child.stderr];
      const look = (over = false): void => {
        if (!over && !condition()) return;
        for (const stream of streams) stream.off("data", onData);
        resolve();
      };
      const onData = (): void => look();
      for (const stream of streams) stream.on("data", onData);
      void ended.then(() => look(true));
      look();
    });
  const epoch = (count: number): Promise<void> =>
    when(() => Number([...text.matchAll(/^Epoch \[(\d+)\//gm)].at(-1)?.[1]) >= count);
  const printed = (part: string): Promise<void> => when(() => text.includes(part));
  const more = (): Promise<void> => {
    const before = text.length;
    return when(() => text.length > before);
  };
  return { child, folder, ended, epoch, printed, more };
}

/** Longest time in milliseconds in which a training that was disturbed may show no progress. */
const HANG = patience(30_000);

/**
 * Waits for a disturbed training to start again.
 * @param notice what it prints then
 * @throws Error if that hangs; the training is killed
 */
export const restarted = (training: Training, notice: string): Promise<void> =>
  within(training, notice, training.printed(notice));

/**
 * Waits for the end of a training.
 * @throws Error if it hangs before; the training is killed
 */
export async function progressed(training: Training): Promise<Awaited<Training["ended"]>> {
  const ended = training.ended.then(() => true);
  const next = (): Promise<boolean> => Promise.race([ended, training.more().then(() => false)]);
  while (!(await within(training, "progress", next())));
  return training.ended;
}

async function within<T>(training: Training, what: string, wait: Promise<T>): Promise<T> {
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    training.child.kill("SIGKILL");
  }, HANG);
  const result = await wait;
  clearTimeout(timer);
  if (late) throw new Error(`${what}: not within ${HANG / 1000} s\n${(await training.ended).text}`);
  return result;
}

/** The final weights of each process. */
export function weightsOf({ folder }: Pick<Training, "folder">): Weights[] {
  const weights = path.join(folder, "weights");
  return fs
    .readdirSync(weights)
    .map((name) => JSON.parse(fs.readFileSync(path.join(weights, name), "utf8")) as Weights);
}

/** The largest difference between weights. */
export function distance(a: Weights, b: Weights): number {
  let largest = 0;
  a.forEach(([name, values], i) => {
    if (b[i]![0] !== name || b[i]![1].length !== values.length) largest = Infinity;
    values.forEach((value, k) => (largest = Math.max(largest, Math.abs(value - b[i]![1][k]!))));
  });
  return largest;
}
