/** Runs of other tools that are followed by a process, while the tool logs. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import path from "node:path";
import { expect, test, vi } from "vitest";
import { eventRecord, fileVersion } from "../../../extension/formats/tensorboard.ts";
import { isAlive } from "../../../extension/processes/identity.ts";
import { problemOfLine } from "../../../extension/protocol/cliJson.ts";
import {
  followForeignRuns,
  importForeignRuns,
  type ChangedRun,
} from "../../../extension/supervisor/engines/importRuns.ts";
import { readRows } from "../../../extension/supervisor/runs/metrics.ts";
import { dist, useWorkspace } from "../workspace.ts";
import { PATIENT } from "../../patience.ts";

const workspace = useWorkspace();
const engine = { dist };
const HOUR = 3600;

const scalar = (step: number): Uint8Array =>
  eventRecord({ wallTime: 1000 + step, step, values: [{ tag: "loss", scalar: 1 / (step + 1) }] });

/** An event file with two values, last written so many seconds ago. */
function events(age = 0): string {
  fs.mkdirSync(workspace.file("logs"), { recursive: true });
  const file = workspace.file("logs/events.out.tfevents.1");
  fs.writeFileSync(file, Buffer.concat([fileVersion(1), scalar(0), scalar(1)]));
  const written = Date.now() / 1000 - age;
  fs.utimesSync(file, written, written);
  return file;
}

async function imported(): Promise<string> {
  const { runs } = await importForeignRuns(workspace.folder, [workspace.file("logs")], {
    engine,
    signal: new AbortController().signal,
  });
  expect(runs).toHaveLength(1);
  return runs[0]!.directory;
}

test("a followed run has what its tool logs, until it is no longer wanted", async () => {
  const file = events();
  const directory = await imported();
  const changes: ChangedRun[] = [];
  const onFollowing = vi.fn();
  const abort = new AbortController();
  const followed = followForeignRuns(workspace.folder, path.dirname(file), {
    engine,
    signal: abort.signal,
    onRun: (run) => changes.push(run),
    onFollowing,
  });
  const ended = followed.catch((error: unknown) => error);
  await vi.waitFor(() => expect(onFollowing).toHaveBeenCalled(), PATIENT);
  expect(changes).toMatchObject([{ directory, appended: false, record: { step: 1 } }]);
  fs.appendFileSync(file, Buffer.concat([scalar(2), scalar(3)]));
  // Another run below is none of this one.
  fs.mkdirSync(workspace.file("logs/other"));
  fs.copyFileSync(file, workspace.file("logs/other/events.out.tfevents.2"));
  await vi.waitFor(() => expect(changes).toHaveLength(2), PATIENT);
  expect(changes[1]).toMatchObject({
    directory,
    appended: true,
    record: { step: 3, metrics: { loss: 0.25 } },
  });
  expect((await readRows(directory, 100)).map(({ step }) => step)).toEqual([0, 1, 2, 3]);
  expect(fs.readdirSync(path.dirname(directory))).toEqual([path.basename(directory)]);
  abort.abort();
  expect(await ended).toMatchObject({ cause: { code: "cancelled" } });
});

test("a run that nothing was logged to for an hour is brought up to date, and following ends", async () => {
  const file = events(2 * HOUR);
  const directory = await imported();
  const onRun = vi.fn();
  const onFollowing = vi.fn();
  const signal = new AbortController().signal;
  await followForeignRuns(workspace.folder, path.dirname(file), { engine, signal, onRun, onFollowing });
  expect(onRun).toHaveBeenCalledWith(expect.objectContaining({ directory }));
  expect(onFollowing).not.toHaveBeenCalled();
});

test("a record chooses no files: what was not imported on this computer is not read", async () => {
  const file = events();
  const directory = await imported();
  const record = path.join(directory, "run.json");
  // As a stranger's folder has it.
  const elsewhere = workspace.file("private");
  fs.mkdirSync(elsewhere);
  fs.copyFileSync(file, path.join(elsewhere, "events.out.tfevents.1"));
  fs.writeFileSync(
    record,
    fs.readFileSync(record, "utf8").replaceAll(JSON.stringify(path.dirname(file)), JSON.stringify(elsewhere)),
  );
  const onRun = vi.fn();
  const followed = followForeignRuns(workspace.folder, elsewhere, {
    engine,
    signal: new AbortController().signal,
    onRun,
    onFollowing: vi.fn(),
  });
  await expect(followed).rejects.toThrow("was not imported on this computer");
  expect(onRun).not.toHaveBeenCalled();
});

test("the command prints documented lines, and ends with the process that has started it", async () => {
  events();
  // It holds the other end of the channel, as a window does.
  const holder = spawn(
    process.execPath,
    [
      "-e",
      `const child = require("node:child_process").spawn(process.execPath, process.argv.slice(1), { stdio: ["ignore", "inherit", "inherit", "ipc"] });
       console.log(JSON.stringify({ pid: child.pid }));
       setInterval(() => {}, 1000);`,
      path.join(dist, "cli.js"),
      "import",
      "--json",
      "--follow",
      "--folder",
      workspace.folder,
      workspace.file("logs"),
    ],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  let printed = "";
  holder.stdout.on("data", (bytes: Buffer) => (printed += bytes.toString()));
  const lines = (): Record<string, unknown>[] =>
    printed
      .split("\n")
      .slice(0, -1)
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  try {
    await vi.waitFor(() => expect(lines().at(-1)).toEqual({ event: "following" }), PATIENT);
    const [{ pid } = {}, ...rest] = lines();
    for (const line of rest) expect(problemOfLine("import", line)).toBeUndefined();
    expect(rest.map(({ event }) => event)).toEqual(["reading", "imported", "following"]);
    expect(await isAlive(pid as number)).toBe(true);
    holder.kill("SIGKILL");
    await once(holder, "exit");
    await vi.waitFor(async () => expect(await isAlive(pid as number)).toBe(false), PATIENT);
  } finally {
    holder.kill("SIGKILL");
  }
});
