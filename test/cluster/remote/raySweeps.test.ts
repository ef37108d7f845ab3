// Sweeps and evaluations as jobs of a cluster that takes packages and starts jobs as Ray does, in this process.
import fs from "node:fs";
import path from "node:path";
import { expect, test, vi } from "vitest";
import { findSweep, outcomesOf, slowLosers } from "../../engine/sweeps/sweepFiles.ts";
import { readRun, useWorkspace } from "../../engine/workspace.ts";
import { rowsOf, useProgram } from "./program.ts";
import { until } from "../until.ts";
import { writeSwept } from "./sweptProgram.ts";
import { useFakeRay } from "./useFakeRay.ts";
import { slow } from "../../slow.ts";

const workspace = useWorkspace();
const { write } = useProgram(workspace);
const cluster = useFakeRay();
const env = (): NodeJS.ProcessEnv => cluster.env();
const LOCAL = ["sweep", "net.nn.ts", "--trials", "4", "--seed", "4", "--no-progress", "--parallel", "2"];
const SWEEP = [...LOCAL, "--on", "cluster", "--device", "cpu"];
const none = (): Promise<void> => until(() => cluster.workers().length === 0, "no process is left there");

// Several commands of several trials each.
vi.setConfig({ testTimeout: 240_000 });

test("has the values of a sweep here; each trial is a job, and files go up once", async () => {
  writeSwept(workspace);
  await workspace.run(LOCAL);
  const expected = outcomesOf(workspace);
  fs.rmSync(workspace.file(".layerwise"), { recursive: true });
  const { code, stderr } = await workspace.run(SWEEP, { env: env() });
  expect(code, stderr).toBe(0);
  expect(outcomesOf(workspace)).toEqual(expected);
  expect(cluster.ray.jobs.size).toBe(4);
  // Layerwise, the data, the program.
  expect(cluster.ray.packages.size).toBe(3);
  const puts = cluster.ray.requests.filter(({ method }) => method === "PUT").map(({ path: name }) => name);
  expect(new Set(puts).size).toBe(puts.length);
  await none();
});

test("is stopped with its jobs, and resumed; a trial whose state is gone begins again", slow, async () => {
  writeSwept(workspace, { wait: 100, epochs: 40 });
  const command = workspace.start(SWEEP, env());
  await until(() => workspace.runs().filter((one) => rowsOf(one) > 8).length === 2, "two trials train");
  command.child.kill("SIGINT");
  expect((await command.ended).code).toBe(130);
  await none();
  const { record, trials } = findSweep(workspace);
  expect(trials.map(({ state }) => state)).toEqual(["interrupted", "interrupted"]);
  const [first, second] = trials.map(({ run }) => run);
  fs.rmSync(path.join(cluster.there, "runs", readRun(workspace.file(`.layerwise/runs/${first}`)).on!.run), {
    recursive: true,
  });
  writeSwept(workspace, { epochs: 40 });
  const resumed = await workspace.run(["sweep", "resume", record.id, "--no-progress"], { env: env() });
  expect(resumed.code, resumed.stderr).toBe(0);
  expect(resumed.stderr).toContain("The trial is tried again");
  const now = findSweep(workspace).trials;
  expect(now.map(({ state }) => state)).toEqual(["complete", "complete", "complete", "complete"]);
  expect(now[0]!.run).not.toBe(first);
  expect(now[1]!.run).toBe(second);
});

test("ends pruned trials there, and jobs that wait with it", slow, async () => {
  writeSwept(workspace, {
    callbacks: slowLosers("onEpochEnd", 300),
    epochs: 30,
    sweep: "{ lr: sweep.choice(0.1, 1e-9, 1e-8) }",
    model: "() => new nn.Linear(4, 3)",
  });
  const { code, stderr } = await workspace.run(
    "sweep net.nn.ts --search grid --pruner asha --grace-period 2 --on cluster --device cpu --no-progress".split(
      " ",
    ),
    { env: env() },
  );
  expect(code, stderr).toBe(0);
  expect(findSweep(workspace).trials.map(({ state }) => state)).toEqual(["complete", "pruned", "pruned"]);
  await none();
  // From now on, jobs wait for the cluster.
  cluster.ray.submitted = undefined;
  const jobs = cluster.ray.jobs.size;
  const command = workspace.start(SWEEP, env());
  await until(() => cluster.ray.jobs.size === jobs + 2, "two jobs wait");
  command.child.kill("SIGINT");
  expect((await command.ended).code).toBe(130);
  expect([...cluster.ray.jobs.values()].slice(-2).map(({ status }) => status)).toEqual([
    "STOPPED",
    "STOPPED",
  ]);
  expect(findSweep(workspace).trials.map(({ state }) => state)).toEqual(["interrupted", "interrupted"]);
});

test("fails no trial where there is no cluster", slow, async () => {
  writeSwept(workspace);
  cluster.ray.token = "hunter2";
  const { code, stderr } = await workspace.run(SWEEP, { env: env() });
  expect(code).toBe(1);
  expect(stderr).toContain("it requires a token");
  expect(workspace.runs()).toEqual([]);
  expect(findSweep(workspace).record.state).toBe("failed");
});

test.each(["RAY_AUTH_TOKEN", "LAYERWISE_RAY_TOKENS"])(
  "has the token of %s, which the file's code doesn't get",
  async (variable) => {
    writeSwept(workspace);
    const check = `if (process.env["${variable}"] !== undefined) throw new Error("There is a token.");\n`;
    fs.appendFileSync(workspace.file("net.nn.ts"), check);
    const { ray } = cluster;
    ray.token = "hunter2";
    const value =
      variable === "RAY_AUTH_TOKEN" ? ray.token : JSON.stringify({ [`127.0.0.1:${ray.port}`]: ray.token });
    const words = "sweep net.nn.ts --trials 1 --epochs 2 --on cluster --device cpu --no-progress".split(" ");
    const { code, stderr } = await workspace.run(words, { env: cluster.env({ [variable]: value }) });
    expect(code, stderr).toBe(0);
    expect(ray.jobs.size).toBe(1);
  },
);

test("evaluates as a job, with the result of an evaluation here; weights go up once", slow, async () => {
  write("net.nn.ts", { epochs: 2 });
  await workspace.run(["train", "net.nn.ts", "--out", "trained"]);
  const words = ["evaluate", "net.nn.ts", "--checkpoint", "trained/checkpoints/final.safetensors"];
  const local = await workspace.run([...words, "--out", "here"]);
  expect(local.code, local.stderr).toBe(0);
  const there = [...words, "--on", "cluster", "--device", "cpu"];
  const { code, stderr } = await workspace.run([...there, "--out", "there"], { env: env() });
  expect(code, stderr).toBe(0);
  for (const file of ["evaluation.json", "report.json"]) {
    const [a, b] = ["there", "here"].map(
      (one) => JSON.parse(fs.readFileSync(workspace.file(`${one}/${file}`), "utf8")) as unknown,
    );
    expect(a, file).toEqual(b);
  }
  expect(fs.readFileSync(workspace.file("there/outcomes.safetensors"))).toEqual(
    fs.readFileSync(workspace.file("here/outcomes.safetensors")),
  );
  expect(cluster.ray.packages.size).toBe(4);
  // Layerwise, the data, the weights, the program.
  const again = await workspace.run(there, { env: env() });
  expect(again.code, again.stderr).toBe(0);
  expect(cluster.ray.packages.size).toBe(4);
});
