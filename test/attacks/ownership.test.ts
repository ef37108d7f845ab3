/** Attempts to take a run away from its owner, or to have two processes write into one directory. */
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { describe, expect, it, vi } from "vitest";
import { takeLock } from "../../extension/processes/lock.ts";
import { newToken } from "../../extension/processes/token.ts";
import { LOCK_FILE, type RunRecord } from "../../extension/protocol/run.ts";
import { openRun } from "../../extension/supervisor/runs/attach.ts";
import { exportPath } from "../../extension/supervisor/engines/export.ts";
import { lifeText } from "../../extension/supervisor/runs/liveness.ts";
import { resumeRequest } from "../../extension/supervisor/runs/resume.ts";
import { listRuns, readRun } from "../../extension/supervisor/runs/runDirectory.ts";
import { spawnRun, type RunHandle } from "../../extension/supervisor/runs/run.ts";
import { dist, experimentFile, readRows, readRun as recordOf, useWorkspace } from "../engine/workspace.ts";
import { age, killed, useSleepers, writeLock } from "../locks.ts";
import { assertUnbroken } from "../runDirectories.ts";
import { startingRecord } from "../../extension/protocol/engine.ts";
import { PATIENT } from "../patience.ts";

const workspace = useWorkspace();

const posix = it.skipIf(process.platform === "win32");

const running = useSleepers();

function store(id: string, more: Partial<RunRecord> = {}): string {
  const directory = workspace.file(`.layerwise/runs/${id}`);
  fs.mkdirSync(path.join(directory, "checkpoints"), { recursive: true });
  const file = workspace.file("net.nn.ts");
  const request = { kind: "train" as const, file, exportName: "default", directory, device: "cpu" as const };
  const record = { ...startingRecord({ ...request, outlive: true }), state: "running", ...more };
  fs.writeFileSync(path.join(directory, "run.json"), JSON.stringify(record));
  return directory;
}

/** Everything in a directory, with contents. */
function contents(directory: string): Record<string, string> {
  const names = fs.readdirSync(directory, { recursive: true, encoding: "utf8" });
  const files = names.filter((name) => fs.statSync(path.join(directory, name)).isFile());
  return Object.fromEntries(
    files.map((name) => [name, fs.readFileSync(path.join(directory, name), "latin1")]),
  );
}

describe("one directory", () => {
  it("starts four trainings in the same second", async () => {
    workspace.write("net.nn.ts", experimentFile({ epochs: "3" }));
    const train = ["train", "net.nn.ts", "--no-progress"];
    const results = await Promise.all([1, 2, 3, 4].map(() => workspace.run(train)));
    expect(results.map(({ code }) => code)).toEqual([0, 0, 0, 0]);
    expect(workspace.runs()).toHaveLength(4);
    for (const directory of workspace.runs()) {
      const epochs = readRows(directory).filter(({ kind }) => kind === "epoch");
      expect(epochs.map(({ epoch }) => epoch)).toEqual([1, 2, 3]);
      expect(fs.existsSync(path.join(directory, LOCK_FILE))).toBe(false);
    }
  });

  it("trains with --out into a run that is over", async () => {
    workspace.write("net.nn.ts", experimentFile({ epochs: "2" }));
    const train = ["train", "net.nn.ts", "--no-progress", "--out", "run"];
    expect((await workspace.run(train)).code).toBe(0);
    const before = contents(workspace.file("run"));
    const again = await workspace.run(train);
    expect(again.code).toBe(1);
    expect(again.stderr).toContain("holds a run already");
    expect(again.stderr).toContain("--resume");
    expect(contents(workspace.file("run"))).toEqual(before);
  });

  it("evaluates with --out into a folder that has something in it", async () => {
    workspace.write("net.nn.ts", experimentFile({ epochs: "1" }));
    await workspace.run(["train", "net.nn.ts", "--no-progress"]);
    workspace.write("mine/thesis.txt", "precious");
    const result = await workspace.run(["evaluate", "net.nn.ts", "--out", "mine"]);
    expect(result.code).toBe(1);
    expect(result.stderr).toContain("is not empty");
    expect(contents(workspace.file("mine"))).toEqual({ "thesis.txt": "precious" });
  });

  it("exports two experiments of one file", () => {
    const path = (exportName: string): string => exportPath("/w/net.nn.ts", exportName, "onnx");
    expect([path("default"), path("small")]).toEqual(["/w/net.onnx", "/w/net-small.onnx"]);
    expect(path("../../x")).toBe("/w/net-------x.onnx");
    expect(exportPath("/w/.bashrc", "default", "typescript")).toBe("/w/.bashrc.model.ts");
  });

  it("starts two trainings with the same --out at once", async () => {
    workspace.write("net.nn.ts", experimentFile({ epochs: "3" }));
    const train = ["train", "net.nn.ts", "--no-progress", "--out", "run"];
    const results = await Promise.all([1, 2].map(() => workspace.run(train)));
    expect(new Set(results.map(({ code }) => code))).toEqual(new Set([0, 1]));
    const refused = results.find(({ code }) => code === 1)!;
    expect(refused.stderr).toMatch(
      /holds a run already|another process's run: process \d+ on host|not empty/,
    );
    const epochs = readRows(workspace.file("run")).filter(({ kind }) => kind === "epoch");
    expect(epochs.map(({ epoch }) => epoch)).toEqual([1, 2, 3]);
    expect(recordOf(workspace.file("run")).state).toBe("finished");
  });
});

describe("resuming", () => {
  const slow = "{ onEpochEnd: () => new Promise((resolve) => setTimeout(resolve, 20)) }";

  /** A training that was stopped. */
  async function stopped(): Promise<string> {
    workspace.write("net.nn.ts", experimentFile({ callbacks: slow }));
    const command = workspace.start(["train", "net.nn.ts", "--out", "run", "--no-progress"]);
    await vi.waitFor(() => expect(recordOf(workspace.file("run")).epoch).toBeGreaterThan(1), PATIENT);
    command.child.kill("SIGINT");
    await command.ended;
    return workspace.file("run");
  }

  it("resumes a run twice at once", async () => {
    const directory = await stopped();
    const resume = ["train", "--resume", "run", "--no-progress"];
    const commands = [workspace.start(resume), workspace.start(resume)];
    const first = await Promise.race(commands.map(({ ended: end }) => end));
    expect(first.code).toBe(1);
    expect(first.stderr).toMatch(
      /(running here|another process's run): process \d+ on host \S+ since \d{4}-/,
    );
    await vi.waitFor(() => expect(recordOf(directory).state).toBe("running"), PATIENT);
    const { epoch } = recordOf(directory);
    await vi.waitFor(() => expect(recordOf(directory).epoch).toBeGreaterThan(epoch), PATIENT);
    for (const { child } of commands) if (child.exitCode === null) child.kill("SIGINT");
    await Promise.all(commands.map(({ ended: end }) => end));
    expect(recordOf(directory).state).toBe("stopped");
    const epochs = readRows(directory).flatMap((row) => (row.kind === "epoch" ? [row.epoch] : []));
    assertUnbroken(epochs, "epoch");
  });

  it.each([
    ["another host", { host: "cluster-17" }],
    ["a container", { namespace: "pid:[1]" }],
    ["a container that has no boot id", { boot: "" }],
  ])("resumes a run of %s", async (_, place) => {
    const directory = store("a");
    const lock = await writeLock(directory, await killed(running()), place);
    const before = contents(directory);
    const resume = ["train", "--resume", "a"];
    const fresh = await workspace.run(resume);
    expect(fresh.code).toBe(1);
    expect(fresh.stderr).toContain(
      `Run a is running elsewhere: process ${lock.pid} on host ${lock.host} since`,
    );
    expect(fresh.stderr).toContain("--force-unlock");
    age(directory, 3_600_000);
    const silent = await workspace.run(resume);
    expect(silent.code).toBe(1);
    expect(silent.stderr).toContain("There was no sign of life since");
    expect(contents(directory)).toEqual(before);
    expect(await resumeRequest(directory, { forceUnlock: true })).toMatchObject({
      resume: true,
      forceUnlock: true,
    });
  });

  it("names a process that lives as the owner, with another token", async () => {
    const directory = store("a");
    const { pid } = await running();
    await writeLock(directory, { pid, token: newToken() });
    expect(await resumeRequest(directory)).toMatchObject({ resume: true });
  });

  it("keeps the owner's main thread busy, so that it might look dead", async () => {
    const callbacks = `{ onEpochEnd: ({ epoch }) => { if (epoch === 2) { fs.writeFileSync("hung", ""); for (;;); } } }`;
    workspace.write("net.nn.ts", experimentFile({ callbacks }, 'import fs from "node:fs";'));
    workspace.start(["train", "net.nn.ts", "--out", "run", "--no-progress"]);
    const lock = workspace.file(`run/${LOCK_FILE}`);
    await vi.waitFor(() => expect(fs.existsSync(workspace.file("hung"))).toBe(true), PATIENT);
    const { mtimeMs } = fs.statSync(lock);
    await vi.waitFor(() => expect(fs.statSync(lock).mtimeMs).toBeGreaterThan(mtimeMs), PATIENT);
    expect((await readRun(workspace.file("run"))).life?.kind).toBe("here");
    await expect(resumeRequest(workspace.file("run"))).rejects.toThrow("is still running here: process");
  });

  it("takes a run from its owner under way: that one writes nothing more", async () => {
    workspace.write("net.nn.ts", experimentFile({ callbacks: slow }));
    const command = workspace.start(["train", "net.nn.ts", "--out", "run", "--no-progress"]);
    const directory = workspace.file("run");
    await vi.waitFor(() => expect(recordOf(directory).epoch).toBeGreaterThan(1), PATIENT);
    fs.renameSync(path.join(directory, LOCK_FILE), workspace.file("old"));
    const owner = await running();
    await writeLock(directory, owner);
    const result = await command.ended;
    expect(result.code).toBe(1);
    expect(result.stderr).toContain("Another process has taken this run over");
    expect((await readRun(directory)).life?.kind).toBe("here");
    expect(recordOf(directory).state).toBe("running");
  });
});

describe("a debugged run", () => {
  it("is asked by another user for the address at which a debugger takes it over", async () => {
    const file = workspace.write("net.nn.ts", experimentFile({ epochs: "1" }));
    const directory = workspace.file(".layerwise/runs/20260101-000000-net");
    fs.mkdirSync(directory, { recursive: true });
    let run: RunHandle | undefined;
    const url = await new Promise<string>((resolve) => {
      const request = { kind: "train", file, exportName: "default", directory, device: "cpu" } as const;
      run = spawnRun({ ...request, outlive: false, inspect: true }, { inspecting: resolve }, { dist });
    });
    const { port, pathname } = new URL(url);
    expect(pathname).toMatch(/^\/[\da-f-]{36}$/);
    for (const asked of ["json", "json/list", "json/version"]) {
      const answer = await fetch(`http://127.0.0.1:${port}/${asked}`).then(
        (response) => response.text(),
        () => "",
      );
      expect(answer).not.toContain(pathname);
    }
    await run?.kill();
  });
});

describe("a lock that is none", () => {
  const forms: [string, (file: string) => void][] = [
    ["a link to a user's file", (file) => fs.symlinkSync(workspace.write("thesis.txt", "precious"), file)],
    ["a link to a device", (file) => fs.symlinkSync("/dev/zero", file)],
    ["a named pipe", (file) => void execFileSync("mkfifo", [file])],
    ["a folder", (file) => fs.mkdirSync(path.join(file, "inner"), { recursive: true })],
    ["10 MB", (file) => fs.writeFileSync(file, Buffer.alloc(10_000_000, "{"))],
    ["a terabyte", (file) => (fs.writeFileSync(file, ""), fs.truncateSync(file, 2 ** 40))],
    ["deep JSON", (file) => fs.writeFileSync(file, `${"[".repeat(2000)}${"]".repeat(2000)}`)],
    ["no JSON", (file) => fs.writeFileSync(file, "\0\xff lock")],
    ["empty", (file) => fs.writeFileSync(file, "")],
    ["null", (file) => fs.writeFileSync(file, "null")],
    ["of another version", (file) => fs.writeFileSync(file, '{"version":2}')],
  ];

  posix.each(forms)("puts one that is %s", async (_, put) => {
    const directory = store("a");
    put(path.join(directory, LOCK_FILE));
    const [run] = await listRuns(workspace.folder);
    expect(run?.record.state).toBe("killed");
    expect(run?.record.error?.message).toContain("Its lock.json is no lock: ");
    expect((await openRun(directory)).session.live).toBe(false);
    expect(await resumeRequest(directory)).toMatchObject({ resume: true });
    const held = await takeLock(directory, newToken());
    expect(fs.lstatSync(held.file).isFile()).toBe(true);
    held.release();
    expect(fs.readdirSync(directory).toSorted()).toEqual(["checkpoints", "run.json"]);
    const thesis = workspace.file("thesis.txt");
    if (fs.existsSync(thesis)) expect(fs.readFileSync(thesis, "utf8")).toBe("precious");
  });

  posix("puts a named pipe there, and the run is resumed", async () => {
    workspace.write("net.nn.ts", experimentFile({ epochs: "1" }));
    const directory = store("a", { seed: 1 });
    execFileSync("mkfifo", [path.join(directory, LOCK_FILE)]);
    const resumed = await workspace.run(["train", "--resume", "a", "--epochs", "1", "--no-progress"]);
    expect(resumed.stderr).not.toContain("internal");
    expect(resumed.code).toBe(0);
    expect(fs.existsSync(path.join(directory, LOCK_FILE))).toBe(false);
  });

  it("writes escape sequences into the name of a host", async () => {
    const directory = store("a");
    await writeLock(directory, await killed(running()), { host: "\u001b]0;owned\u0007" });
    expect((await readRun(directory)).record.error?.message).toContain("is no lock");
  });
});

describe("what others show", () => {
  it.each([
    ["another host", { host: "cluster-17" }, "cluster-17"],
    ["a container of this host", { namespace: "pid:[1]" }, undefined],
  ])("looks at a run of %s: it runs elsewhere, and was never killed", async (_, place, host) => {
    const directory = store("a");
    const lock = await writeLock(directory, await killed(running()), place);
    const [run] = await listRuns(workspace.folder);
    expect(run?.record.state).toBe("running");
    expect(lifeText(run?.life)).toBe(`running elsewhere (host ${host ?? lock.host})`);
    expect((await workspace.run(["runs"])).stdout).toContain(`running elsewhere (host ${host ?? lock.host})`);
    const stop = await workspace.run(["runs", "--stop", "a"]);
    expect(stop.code).toBe(1);
    expect(stop.stderr).toContain("can't be stopped from here");
    age(directory, 120_000);
    expect((await workspace.run(["runs"])).stdout).toMatch(/no sign of life since \d{4}-/);
  });

  it("sets the time of a lock far into the future", async () => {
    const directory = store("a");
    await writeLock(directory, await killed(running()), { host: "cluster-17" });
    age(directory, -50 * 365 * 24 * 3_600_000);
    expect((await readRun(directory)).life?.kind).toBe("silent");
    expect((await openRun(directory)).session.live).toBe(false);
  });

  it.each(["9999-12-31T23:59:59.000Z", "-271821-04-20T00:00:00.000Z", "never", ""])(
    "says that a run without a lock began at %j",
    async (createdAt) => {
      const directory = store("a", { createdAt });
      expect((await readRun(directory)).record.state).toBe("killed");
    },
  );
});
