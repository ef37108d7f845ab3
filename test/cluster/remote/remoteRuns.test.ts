// Runs on a machine that ssh reaches: an sshd of the test's own, on the loopback.
import fs from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { ROW_NAMES } from "../../../extension/remote/messages.ts";
import { experimentFile, readRun, useWorkspace } from "../../engine/workspace.ts";
import { gone } from "../../gone.ts";
import { describeUnless } from "../../unless.ts";
import { curves, rowsOf, useProgram, weightsOf } from "./program.ts";
import { until } from "../until.ts";
import { noSshd } from "./sshd.ts";
import { useSshd } from "./useSshd.ts";
import { slow } from "../../slow.ts";

const workspace = useWorkspace();
const sshd = useSshd();

const { write, hold, here } = useProgram(workspace);

const env = (): Record<string, string> => sshd.env;

describeUnless(noSshd, "a run by ssh", () => {
  test("has the weights, curves and log of a local run, and is followed live", async () => {
    write("net.nn.ts", { wait: 5, holdAt: 4 });
    const expected = await here("net.nn.ts");
    const resume = hold();
    const command = workspace.start(["train", "net.nn.ts", "--on", "box", "--no-progress"], env());
    await command.printed("Epoch [4/20]");
    const [directory = ""] = workspace.runs();
    expect(readRun(directory)).toMatchObject({ state: "running", on: { name: "box" } });
    const listed = await workspace.run(["runs"], { env: env() });
    expect(listed.stdout).toContain("running on box");
    resume();
    const { code, stdout, stderr } = await command.ended;
    expect(stderr).toContain("Running on box: ");
    expect(stdout).toContain("seen 3");
    expect(code, stderr).toBe(0);
    expect(weightsOf(directory)).toEqual(weightsOf(expected));
    expect(curves(directory)).toEqual(curves(expected));
    const record = readRun(directory);
    expect(record.state).toBe("finished");
    expect(record.file).toBe(workspace.file("net.nn.ts"));
    expect(fs.readFileSync(path.join(directory, "log.txt"), "utf8")).toContain("seen 3");
    expect(JSON.parse(fs.readFileSync(path.join(directory, "sources.json"), "utf8"))).toHaveProperty(
      "parts/net.ts",
    );
    // Files are sent once.
    const again = await workspace.run(["train", "net.nn.ts", "--on", "box", "--epochs", "1"], {
      env: env(),
    });
    expect(again.code, again.stderr).toBe(0);
    expect(again.stdout).not.toContain("Sent Layerwise");
    expect(again.stdout).toMatch(/were there already/);
  });

  test("has what a watched training writes of its layers", slow, async () => {
    workspace.write(
      "moons.nn.ts",
      experimentFile({
        model: "() => new nn.Sequential(new nn.Linear(2, 6), new nn.Tanh(), new nn.Linear(6, 2))",
        data: "() => data.twoMoons({ samples: 60 })",
        epochs: "4",
        watch: "{ logFreq: 3 }",
      }),
    );
    const expected = await here("moons.nn.ts");
    const { code, stderr } = await workspace.run(["train", "moons.nn.ts", "--on", "box"], { env: env() });
    expect(code, stderr).toBe(0);
    const [directory = ""] = workspace.runs();
    for (const name of ROW_NAMES.filter((one) => one.startsWith("layer"))) {
      const rows = (of: string): unknown[] =>
        fs
          .readFileSync(path.join(of, `${name}.jsonl`), "utf8")
          .trimEnd()
          .split("\n")
          .map((line) => JSON.parse(line) as unknown);
      expect(rows(directory), name).toEqual(rows(expected));
      expect(rows(directory).length, name).toBeGreaterThan(1);
    }
  });

  test("continues after a lost connection, with each row once", async () => {
    write("net.nn.ts", { wait: 20 });
    const expected = await here("net.nn.ts");
    const command = workspace.start(["train", "net.nn.ts", "--on", "box", "--no-progress"], env());
    await command.printed("Epoch [2/20]");
    expect(sshd.cut()).toBeGreaterThan(0);
    await command.printed("Connected to box again");
    await command.printed("Epoch [8/20]");
    sshd.cut();
    const { code, stderr } = await command.ended;
    expect(code, stderr).toBe(0);
    const [directory = ""] = workspace.runs();
    expect(curves(directory)).toEqual(curves(expected));
    expect(weightsOf(directory)).toEqual(weightsOf(expected));
  });

  test("says why reconnecting fails, and continues once it works", slow, async () => {
    write("net.nn.ts", { wait: 20 });
    const command = workspace.start(["train", "net.nn.ts", "--on", "box", "--no-progress"], env());
    await command.printed("Epoch [2/20]");
    const keys = path.join(sshd.folder, "authorized");
    const authorized = fs.readFileSync(keys);
    fs.writeFileSync(keys, "");
    try {
      expect(sshd.cut()).toBeGreaterThan(0);
      await command.printed("box refused the login");
    } finally {
      fs.writeFileSync(keys, authorized);
    }
    const { code, stderr } = await command.ended;
    expect(code, stderr).toBe(0);
    expect(stderr.split("refused the login")).toHaveLength(2);
  });

  test("of a file outside of the folder is attached to", slow, async () => {
    write("net.nn.ts", { epochs: 2 });
    const below = workspace.file("below");
    fs.mkdirSync(path.join(below, ".layerwise"), { recursive: true });
    const target = workspace.file("net.nn.ts");
    const started = await workspace.run(
      ["train", target, "--on", "box", "--detach", "--out", "below/.layerwise/runs/one"],
      { env: env() },
    );
    expect(started.code, started.stderr).toBe(0);
    const { code, stderr } = await workspace.run(["attach", "below/.layerwise/runs/one"], { env: env() });
    expect(code, stderr).toBe(0);
    expect(readRun(path.join(below, ".layerwise/runs/one")).state).toBe("finished");
  });

  test("survives the command that started it, and is attached to again", slow, async () => {
    write("net.nn.ts", { wait: 20 });
    const expected = await here("net.nn.ts");
    const started = await workspace.run(["train", "net.nn.ts", "--on", "box", "--detach"], { env: env() });
    expect(started.code, started.stderr).toBe(0);
    expect(started.stderr).toContain("layerwise attach");
    const [directory = ""] = workspace.runs();
    const listed = await workspace.run(["runs"], { env: env() });
    expect(listed.stdout).toContain("on box, not followed");
    const first = workspace.start(["attach", path.basename(directory), "--no-progress"], env());
    await until(() => rowsOf(directory) > 20, "rows arrive");
    // As when a window or a terminal is closed.
    first.child.kill("SIGKILL");
    await first.ended;
    await gone(readRun(directory).pid);
    const { code, stderr } = await workspace.run(["attach", path.basename(directory)], { env: env() });
    expect(code, stderr).toBe(0);
    expect(curves(directory)).toEqual(curves(expected));
    expect(weightsOf(directory)).toEqual(weightsOf(expected));
    expect(readRun(directory).state).toBe("finished");
  });

  test("that is killed there resumes to the identical weights", async () => {
    write("net.nn.ts", { holdAt: 6 });
    const expected = await here("net.nn.ts");
    const resume = hold();
    const command = workspace.start(["train", "net.nn.ts", "--on", "box", "--no-progress"], env());
    await command.printed("Epoch [6/20]");
    expect(sshd.killRuns()).toBeGreaterThanOrEqual(2);
    const killed = await command.ended;
    resume();
    expect(killed.code).toBe(1);
    const [directory = ""] = workspace.runs();
    expect(readRun(directory)).toMatchObject({ state: "killed" });
    const { code, stderr } = await workspace.run(["train", "--resume", path.basename(directory)], {
      env: env(),
    });
    expect(code, stderr).toBe(0);
    expect(curves(directory)).toEqual(curves(expected));
    expect(weightsOf(directory)).toEqual(weightsOf(expected));
  });

  test("is stopped from another command, with its weights", async () => {
    write("net.nn.ts", { wait: 20, epochs: 10_000 });
    const command = workspace.start(["train", "net.nn.ts", "--on", "box", "--no-progress"], env());
    await until(() => rowsOf(workspace.runs()[0] ?? "") > 5, "rows arrive");
    const [directory = ""] = workspace.runs();
    const stopped = await workspace.run(["runs", "--stop", path.basename(directory)], { env: env() });
    expect(stopped.stdout, stopped.stderr).toContain("stopped after step");
    expect((await command.ended).code).toBe(130);
    const record = readRun(directory);
    expect(record.state).toBe("stopped");
    expect(record.checkpoints.map(({ kind }) => kind)).toContain("last");
    for (const { file } of record.checkpoints) expect(fs.existsSync(path.join(directory, file))).toBe(true);
    await until(() => sshd.runProcesses().length === 0, "no process is left there");
  });

  test("that still runs is followed by a resume; one whose files are gone is reported", slow, async () => {
    write("net.nn.ts", { wait: 20, epochs: 10_000 });
    const started = await workspace.run(["train", "net.nn.ts", "--on", "box", "--detach"], { env: env() });
    expect(started.code, started.stderr).toBe(0);
    const [directory = ""] = workspace.runs();
    const before = sshd.runProcesses().map(({ pid }) => pid);
    const resumed = workspace.start(["train", "--resume", path.basename(directory), "--no-progress"], env());
    await resumed.printed("is still running on box");
    await until(() => rowsOf(directory) > 5, "rows arrive");
    expect(sshd.runProcesses().map(({ pid }) => pid)).toEqual(before);
    resumed.child.kill("SIGINT");
    expect((await resumed.ended).code).toBe(130);
    expect(readRun(directory).state).toBe("stopped");
    fs.rmSync(path.join(sshd.there, "runs"), { recursive: true });
    const { code, stderr } = await workspace.run(["attach", path.basename(directory)], { env: env() });
    expect(code).toBe(1);
    expect(stderr).toContain("There is no run");
  });

  test("of another user's record connects to no machine that the record names", async () => {
    write("net.nn.ts", { epochs: 1 });
    const { code } = await workspace.run(["train", "net.nn.ts", "--out", "strange"]);
    expect(code).toBe(0);
    const file = path.join(workspace.file("strange"), "run.json");
    const record = readRun(workspace.file("strange"));
    fs.writeFileSync(file, JSON.stringify({ ...record, on: { name: "box", run: "strange-0123456789ab" } }));
    const attached = await workspace.run(["attach", "strange"], { env: env() });
    expect(attached.code).toBe(1);
    expect(attached.stderr).toMatch(/was not started from here[\s\S]*--on/);
    expect(attached.stdout).not.toContain("Connecting");
  });

  test("uses the machine's engine, which a command describes", async () => {
    const { code, stdout, stderr } = await workspace.run(["engine", "status", "--on", "box"], {
      env: env(),
    });
    expect(code, stderr).toBe(0);
    expect(stdout).toMatch(/^Backend: +\w+/m);
    expect(stdout).toMatch(/^Native engine: /m);
  });

  test("whose program fails there names the user's line here", async () => {
    write("net.nn.ts");
    const file = workspace.file("net.nn.ts");
    fs.writeFileSync(
      file,
      fs
        .readFileSync(file, "utf8")
        .replace('console.log("seen", epoch)', '{ if (epoch === 2) throw new Error("broken"); }'),
    );
    const { code, stderr } = await workspace.run(["train", "net.nn.ts", "--on", "box"], { env: env() });
    expect(code).toBe(1);
    expect(stderr).toContain("broken");
    expect(stderr).toContain("net.nn.ts:");
    expect(stderr).not.toContain(sshd.there);
    expect(readRun(workspace.runs()[0]!).error?.position?.file).toBe(file);
  });
});

describeUnless(noSshd, "errors of a machine name the remedy", () => {
  const failed = async (name: string, more: NodeJS.ProcessEnv = {}): Promise<string> => {
    write("net.nn.ts");
    const { code, stderr } = await workspace.run(["train", "net.nn.ts", "--on", name], {
      env: { ...env(), ...more },
    });
    expect(code).toBe(1);
    expect(workspace.runs()).toEqual([]);
    return stderr;
  };

  test("a key that is refused", async () => {
    expect(await failed("refused")).toMatch(/refused refused the login[\s\S]*ssh-copy-id/);
  });

  test("a host key that isn't known", async () => {
    expect(await failed("unknown")).toMatch(
      /doesn't know the host key of unknown[\s\S]*Connect once by hand/,
    );
  });

  test("a port where nothing listens", async () => {
    expect(await failed("ssh://127.0.0.1:1")).toMatch(/127\.0\.0\.1:1 can't be reached: .*refused/);
  });

  test("no ssh", async () => {
    expect(await failed("box", { LAYERWISE_SSH: "/nowhere/ssh" })).toContain("names no program");
  });

  test("files that are too large, with the largest", async () => {
    write("net.nn.ts");
    fs.writeFileSync(workspace.file("points.csv"), "x".repeat(3_000_000));
    const { code, stderr } = await workspace.run(["train", "net.nn.ts", "--on", "box", "--send-limit", "1"], {
      env: env(),
    });
    expect(code).toBe(1);
    expect(stderr).toMatch(/more than the limit of 1\.0 MB\. The largest: points\.csv \(3\.0 MB\)/);
  });
});
