// Runs as jobs of a cluster that takes packages and starts jobs as Ray does, in this process.
import fs from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { readRun, useWorkspace } from "../../engine/workspace.ts";
import { unzip } from "../../fakeRay.ts";
import { around } from "../../folders.ts";
import { curves, rowsOf, useProgram, weightsOf } from "./program.ts";
import { until } from "../until.ts";
import { useFakeRay } from "./useFakeRay.ts";
import { slow } from "../../slow.ts";

const workspace = useWorkspace();
const { write, hold } = useProgram(workspace);
const own = useWorkspace("all");
const local = useProgram(own);
let expected = "";
around(
  "all",
  async () => {
    local.write("net.nn.ts");
    expected = await local.here("net.nn.ts");
  },
  () => undefined,
);
const cluster = useFakeRay();
const { folder, there } = cluster;
const env = (more: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv => cluster.env(more);
const workers = (): { pid: number }[] => cluster.workers();
const TRAIN = ["train", "net.nn.ts", "--on", "cluster", "--device", "cpu", "--no-progress"];

test("has the weights, curves and log of a run here; nothing goes up twice", async () => {
  write("net.nn.ts", { wait: 5, holdAt: 4 });
  const resume = hold();
  const command = workspace.start(TRAIN, env());
  await command.printed("Epoch [4/20]");
  const [directory = ""] = workspace.runs();
  expect(readRun(directory)).toMatchObject({ state: "running", on: { name: "cluster" } });
  expect((await workspace.run(["runs"], { env: env() })).stdout).toContain("running on cluster");
  resume();
  const { code, stdout, stderr } = await command.ended;
  expect(code, stderr).toBe(0);
  expect(stdout + stderr).toContain("Sent Layerwise to cluster");
  expect(stdout).toContain("seen 3");
  expect(weightsOf(directory)).toEqual(weightsOf(expected));
  expect(curves(directory)).toEqual(curves(expected));
  expect(readRun(directory)).toMatchObject({ state: "finished", file: workspace.file("net.nn.ts") });
  expect(fs.readFileSync(path.join(directory, "log.txt"), "utf8")).toContain("seen 3");
  // Layerwise, the data and the program are packages of their own: another program is all that goes up.
  expect(cluster.ray.packages.size).toBe(3);
  const [, job] = [...cluster.ray.jobs][0]!;
  expect(job.submission.metadata).toEqual({ layerwise: path.basename(directory) });
  fs.appendFileSync(workspace.file("net.nn.ts"), "\n// changed\n");
  const again = await workspace.run([...TRAIN, "--epochs", "1"], { env: env() });
  expect(again.code, again.stderr).toBe(0);
  expect(cluster.ray.packages.size).toBe(4);
  const puts = cluster.ray.requests.filter(({ method }) => method === "PUT").map(({ path: name }) => name);
  expect(new Set(puts).size).toBe(puts.length);
  expect(again.stdout + again.stderr).not.toContain("Sent Layerwise");
  for (const [name, zip] of cluster.ray.packages) await unzip(zip, path.join(folder, name));
  expect(
    fs.existsSync(path.join(folder, job.submission.runtime_env.working_dir.slice(6), "dist/remoteAgent.cjs")),
  ).toBe(true);
});

test("continues when the connection is lost, with each row exactly once", async () => {
  write("net.nn.ts", { wait: 20 });
  const command = workspace.start(TRAIN, env());
  await command.printed("Epoch [2/20]");
  cluster.ray.cut();
  await command.printed("Connected to cluster again");
  await command.printed("Epoch [8/20]");
  cluster.ray.cut();
  const { code, stdout, stderr } = await command.ended;
  expect(code, stderr).toBe(0);
  const [directory = ""] = workspace.runs();
  expect(curves(directory)).toEqual(curves(expected));
  expect(weightsOf(directory)).toEqual(weightsOf(expected));
  expect(stdout.match(/^seen 1$/gm)).toHaveLength(1);
});

test(
  "survives the command that started it, and is attached to while it runs and after it has ended",
  slow,
  async () => {
    write("net.nn.ts", { wait: 20 });
    const started = await workspace.run([...TRAIN, "--detach"], { env: env() });
    expect(started.code, started.stderr).toBe(0);
    const [directory = ""] = workspace.runs();
    const first = workspace.start(["attach", path.basename(directory), "--no-progress"], env());
    await until(() => rowsOf(directory) > 20, "rows arrive");
    first.child.kill("SIGKILL");
    await first.ended;
    await until(
      () => [...cluster.ray.jobs.values()].every(({ status }) => status === "SUCCEEDED"),
      "the job's end",
    );
    // The job's files on its node are no longer needed.
    fs.rmSync(there, { recursive: true });
    const { code, stderr } = await workspace.run(["attach", path.basename(directory)], { env: env() });
    expect(code, stderr).toBe(0);
    expect(curves(directory)).toEqual(curves(expected));
    expect(weightsOf(directory)).toEqual(weightsOf(expected));
  },
);

test("is stopped from another command with its weights, and resumes to the identical ones", async () => {
  write("net.nn.ts", { wait: 20 });
  const command = workspace.start(TRAIN, env());
  await until(() => rowsOf(workspace.runs()[0] ?? "") > 5, "rows arrive");
  const [directory = ""] = workspace.runs();
  const stopped = await workspace.run(["runs", "--stop", path.basename(directory)], { env: env() });
  expect(stopped.stdout, stopped.stderr).toContain("stopped after step");
  expect((await command.ended).code).toBe(130);
  const record = readRun(directory);
  expect(record.state).toBe("stopped");
  expect(record.checkpoints.map(({ kind }) => kind)).toContain("last");
  for (const { file } of record.checkpoints) expect(fs.existsSync(path.join(directory, file))).toBe(true);
  await until(() => workers().length === 0, "no process is left there");
  const { code, stderr } = await workspace.run(["train", "--resume", path.basename(directory)], {
    env: env(),
  });
  expect(code, stderr).toBe(0);
  expect([...cluster.ray.jobs.keys()].map((id) => id.replace(/.*[0-9a-f]{12}/, ""))).toEqual(["", ".2"]);
  expect(curves(directory)).toEqual(curves(expected));
  expect(weightsOf(directory)).toEqual(weightsOf(expected));
});

test("resumes on no node that hasn't its state, and says so", slow, async () => {
  write("net.nn.ts", { wait: 20, epochs: 10_000 });
  const command = workspace.start(TRAIN, env());
  await until(() => rowsOf(workspace.runs()[0] ?? "") > 5, "rows arrive");
  command.child.kill("SIGINT");
  expect((await command.ended).code).toBe(130);
  fs.rmSync(there, { recursive: true });
  const [directory = ""] = workspace.runs();
  const { code, stderr } = await workspace.run(["train", "--resume", path.basename(directory)], {
    env: env(),
  });
  expect(code).toBe(1);
  expect(stderr).toMatch(/no saved state of run[\s\S]*"folder"/);
  expect(rowsOf(directory)).toBeGreaterThan(5);
});

test("whose job is killed is reported as killed, with what the cluster says", async () => {
  write("net.nn.ts", { wait: 20, epochs: 10_000 });
  const command = workspace.start(TRAIN, env());
  await command.printed("Running on cluster");
  await until(() => rowsOf(workspace.runs()[0] ?? "") > 5, "rows arrive");
  const [job] = cluster.ray.jobs.values();
  process.kill(job!.child!.pid!, "SIGKILL");
  const { code, stderr } = await command.ended;
  expect(code).toBe(1);
  expect(stderr).toContain("The job failed on cluster before the run had ended");
  expect(readRun(workspace.runs()[0]!)).toMatchObject({ state: "failed", error: { code: "killed" } });
});

test("wants the token that the cluster wants, and tells it to nothing else", async () => {
  write("net.nn.ts", { epochs: 1 });
  cluster.ray.token = "hunter2";
  const without = await workspace.run(TRAIN, { env: env() });
  expect(without.code).toBe(1);
  expect(without.stderr).toMatch(/it requires a token \(HTTP 401\)[\s\S]*RAY_AUTH_TOKEN/);
  expect(workspace.runs()).toEqual([]);
  const { code, stderr } = await workspace.run(TRAIN, { env: env({ RAY_AUTH_TOKEN: "hunter2" }) });
  expect(code, stderr).toBe(0);
  expect(
    JSON.stringify([...cluster.ray.jobs].map(([, { submission, log }]) => [submission, log])),
  ).not.toContain("hunter2");
  const texts = [workspace.folder, folder].flatMap((root) =>
    fs
      .readdirSync(root, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => fs.readFileSync(path.join(entry.parentPath, entry.name), "latin1")),
  );
  expect(texts.filter((text) => text.includes("hunter2"))).toEqual([]);
});

test("has too large a file, and says which", slow, async () => {
  write("net.nn.ts", { epochs: 1 });
  const noise = Buffer.alloc(101 * 2 ** 20);
  for (let at = 0; at < noise.length; at += 4) noise.writeUInt32LE((at * 2654435761) % 2 ** 32, at);
  fs.writeFileSync(workspace.file("points.csv"), noise);
  const { code, stderr } = await workspace.run(TRAIN, { env: env() });
  expect(code).toBe(1);
  expect(stderr).toMatch(
    /points\.csv \(106 MB\) is too large for a Ray cluster, which takes packages of up to 105 MB/,
  );
});

test("whose program fails there names the user's line here", async () => {
  write("net.nn.ts");
  const file = workspace.file("net.nn.ts");
  const text = fs.readFileSync(file, "utf8");
  fs.writeFileSync(
    file,
    text.replace('console.log("seen", epoch)', '{ if (epoch === 2) throw new Error("broken"); }'),
  );
  const { code, stderr } = await workspace.run(TRAIN, { env: env() });
  expect(code).toBe(1);
  expect(stderr).toContain("broken");
  expect(stderr).not.toContain(there);
  expect(readRun(workspace.runs()[0]!).error?.position?.file).toBe(file);
});
