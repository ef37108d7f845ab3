// Runs that are killed at random moments and resumed. LAYERWISE_KILLS sets how often (200 for a full run).
import fs from "node:fs";
import path from "node:path";
import process from "node:process";
import { describe, expect, test } from "vitest";
import { readPth } from "../../../extension/formats/pth/pth.ts";
import { loadSafetensors } from "../../../extension/formats/safetensors/safetensors.ts";
import { patience } from "../../patience.ts";
import { experimentFile, readRows, readRun, useWorkspace } from "../workspace.ts";

const KILLS = Number(process.env["LAYERWISE_KILLS"] ?? 4);
/** Longest time before a run is killed, in milliseconds. */
const LIFE = 1500;
const DEVICE = process.env["LAYERWISE_KILL_DEVICE"] ?? "cpu";

const workspace = useWorkspace();

/** Steps after which the state is saved. */
const INTERVAL = 4;
const EPOCHS = 60;

/** Dropout, an order of samples, a schedule, a validation set: all that draws numbers or remembers something. */
function write(): void {
  const text = experimentFile({
    model:
      "() => new nn.Sequential(new nn.Linear(4, 16), new nn.ReLU(), new nn.Dropout(0.2), new nn.Linear(16, 3))",
    optimizer: "(parameters) => new optim.Adam(parameters, { lr: 0.01 })",
    lrScheduler:
      '(optimizer) => ({ scheduler: new optim.lrScheduler.CosineAnnealingLR(optimizer, 500), interval: "step" })',
    validation: "0.25",
    epochs: String(EPOCHS),
    checkpoints: `{ everyNTrainSteps: ${INTERVAL} }`,
    callbacks: '{ onEpochEnd: ({ model }) => torch.save(model.stateDict(), "export.pth") }',
  }).replace(/export class Net[\s\S]*?\n}\n/, "");
  workspace.write("net.nn.ts", text);
}

const env = { LAYERWISE_DEVICE: DEVICE };
const run = (name: string): string => workspace.file(name);

function weights(directory: string): Record<string, string> {
  const { entries } = loadSafetensors(path.join(directory, "checkpoints", "final.safetensors"));
  return Object.fromEntries(entries.map(({ name, data }) => [name, Buffer.from(data).toString("hex")]));
}

const rowsOf = (directory: string): object[] =>
  readRows(directory).map((row) => ({ ...row, time: 0, spent: undefined }));

async function whole(): Promise<string> {
  const { code, stderr } = await workspace.run(["train", "net.nn.ts", "--out", "whole", "--no-progress"], {
    env,
  });
  expect(stderr).toContain(`Trained ${EPOCHS} epochs`);
  expect(code).toBe(0);
  return run("whole");
}

const sleep = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, milliseconds);
  });

describe("kill -9", () => {
  test(
    `at ${KILLS} random moments: the weights are bit for bit those of an uninterrupted run`,
    async () => {
      write();
      const expected = await whole();
      let killed = 0;
      /** Kills in the middle of writing a file, and steps that had to be done again. */
      const found = { saving: 0, exporting: 0, before: 0, most: 0 };
      let directory = "";
      for (let round = 0; killed < KILLS; round++) {
        directory = run(`run-${round}`);
        for (
          let args = ["train", "net.nn.ts", "--out", directory];
          ;
          args = ["train", "--resume", directory]
        ) {
          const begun = fs.existsSync(path.join(directory, "run.json"));
          const [before, last] = begun ? [savedStep(directory), readRun(directory).pid] : [0, undefined];
          const command = workspace.start([...args, "--no-progress"], env);
          const aim = [directory, directory, path.join(directory, "checkpoints"), workspace.folder][
            killed % 4
          ]!;
          const moment = killed < KILLS ? momentToKill(aim, command.ended) : command.ended;
          await Promise.race([moment, command.ended]);
          const told = kill(directory, last);
          const { code, stderr } = await command.ended;
          if (code === 0) break;
          // A run that has ended by itself just then has ended well.
          if (told === undefined) expect(stderr).toBe("");
          killed++;
          if (!fs.existsSync(path.join(directory, "run.json"))) {
            found.before++;
            break;
          }
          if (interrupted(path.join(directory, "checkpoints"))) found.saving++;
          if (interrupted(workspace.folder)) found.exporting++;
          // Whatever was interrupted, the file of that name is whole.
          if (fs.existsSync(workspace.file("export.pth"))) readPth(workspace.file("export.pth"));
          // The run repeats at most one interval. The curves show how far it was; the record is written once a second.
          const saved = savedStep(directory);
          const done = Math.max(told ?? 0, lastStep(directory));
          expect(saved).toBeGreaterThanOrEqual(Math.max(before, done - INTERVAL));
          found.most = Math.max(found.most, done - saved);
        }
        if (!fs.existsSync(path.join(directory, "run.json"))) continue;
        expect(weights(directory)).toEqual(weights(expected));
        expect(rowsOf(directory)).toEqual(rowsOf(expected));
      }
      if (process.env["LAYERWISE_KILLS"] !== undefined)
        process.stdout.write(
          `${killed} kills on ${DEVICE}: ${found.saving} in the middle of a save, ${found.exporting} of an export, ${found.before} before there was a run; ${found.most} steps done again at most\n`,
        );
    },
    patience(60_000 + KILLS * 10_000),
  );
});

/** Waits a random time, and in half of the cases until a file is being written among checkpoints or exports. */
async function momentToKill(folder: string, ended: Promise<unknown>): Promise<void> {
  await sleep(300 + Math.random() * LIFE);
  if (fs.existsSync(path.join(folder, "run.json")) || !fs.existsSync(folder)) return;
  await new Promise<void>((resolve) => {
    const watcher = fs.watch(folder, (_, name) => {
      if (name?.endsWith(".tmp") === true) close();
    });
    const close = (): void => {
      watcher.close();
      resolve();
    };
    void ended.then(close);
  });
}

/**
 * Kills a run's engine alone; returns the last step that it reported, or undefined when no engine ran.
 * @param last The engine before it, whose process id may be another program's by now
 */
function kill(directory: string, last: number | undefined): number | undefined {
  try {
    const record = fs.readFileSync(path.join(directory, "run.json"), "utf8");
    const { pid, step } = JSON.parse(record) as { pid: number; step: number };
    if (pid === last) return undefined;
    process.kill(pid, "SIGKILL");
    return step;
  } catch {
    return undefined;
  }
}

/** Whether a file was being written in a folder; forgets it. */
function interrupted(folder: string): boolean {
  const names = fs.readdirSync(folder).filter((name) => name.endsWith(".tmp"));
  for (const name of names) fs.rmSync(path.join(folder, name));
  return names.length > 0;
}

/** The last step that the curves have. */
function lastStep(directory: string): number {
  const file = path.join(directory, "metrics.jsonl");
  if (!fs.existsSync(file)) return 0;
  const lines = fs.readFileSync(file, "utf8").split("\n").slice(0, -1);
  return lines.reduce((most, line) => Math.max(most, (JSON.parse(line) as { step: number }).step), 0);
}

/** The step at which the state was saved last; 0 before the first time. */
function savedStep(directory: string): number {
  const checkpoints = path.join(directory, "checkpoints");
  const names = ["training.pth", "training.next.pth", "training.previous.pth"];
  const file = names.map((name) => path.join(checkpoints, name)).find((name) => fs.existsSync(name));
  if (file === undefined) return 0;
  const saved = readPth(file) as ReadonlyMap<string, ReadonlyMap<string, number>>;
  return saved.get("state")!.get("step")!;
}

describe("layerwise train --resume", () => {
  test("resumes a stopped run by its name, and a finished one with more epochs", async () => {
    write();
    const expected = await whole();
    const command = workspace.start(["train", "net.nn.ts", "--no-progress"], env);
    await command.printed("Epoch [3/");
    command.child.kill("SIGINT");
    expect((await command.ended).code).toBe(130);
    const [directory] = workspace.runs();
    const stopped = readRun(directory!);
    expect(stopped.state).toBe("stopped");
    const again = await workspace.run(["train", "--resume", path.basename(directory!), "--no-progress"], {
      env,
    });
    expect(again.stdout).toContain(`Resumed after step ${stopped.step}`);
    expect(again.code).toBe(0);
    expect(weights(directory!)).toEqual(weights(expected));
    expect(rowsOf(directory!)).toEqual(rowsOf(expected));
    expect(readRun(directory!)).toMatchObject({ state: "finished", epoch: EPOCHS, seed: 0 });

    const more = await workspace.run(["train", "--resume", directory!, "--epochs", "62", "--no-progress"], {
      env,
    });
    expect(more.code).toBe(0);
    expect(readRun(directory!)).toMatchObject({ state: "finished", epoch: 62, epochs: 62 });
  });

  test("says what it can't do", async () => {
    write();
    const refused = async (...args: string[]): Promise<string> => {
      const { code, stderr } = await workspace.run(["train", ...args], { env });
      expect(code).toBe(2);
      return stderr;
    };
    expect(await refused("--resume", "nothing")).toContain("There is no run nothing.");
    expect(await refused("net.nn.ts", "--resume", "x")).toContain("leave out net.nn.ts");
    expect(await refused()).toContain("missing required argument 'file'");
  });
});
