// Runs on a real Ray cluster: Node comes from pip, the token is wanted.
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { readRun, useWorkspace } from "../../engine/workspace.ts";
import { around } from "../../folders.ts";
import { describeUnless } from "../../unless.ts";
import { curves, rowsOf, useProgram, weightsOf } from "./program.ts";
import { until } from "../until.ts";
import { prepareRay, Ray } from "./ray.ts";
import { outcomesOf } from "../../engine/sweeps/sweepFiles.ts";
import { writeSwept } from "./sweptProgram.ts";
import { slow } from "../../slow.ts";

const workspace = useWorkspace();
const { write, here } = useProgram(workspace);
const parallel = fileURLToPath(new URL("../parallel/", import.meta.url));
const noRay = prepareRay();
const ray = new Ray();

describeUnless(noRay, "a run on Ray", () => {
  around(
    "all",
    () => ray.start(),
    () => ray.stop(),
  );
  const train = (): string[] => {
    const cluster = { host: ray.url, folder: ray.there };
    workspace.write("config/layerwise/targets.json", JSON.stringify({ cluster }));
    return ["train", "net.nn.ts", "--on", "cluster", "--device", "cpu", "--no-progress"];
  };
  /** On TensorFlow's kernels, as several workers are. */
  const native = (): NodeJS.ProcessEnv => ({ LAYERWISE_DEVICE: "native" });
  const env = (): NodeJS.ProcessEnv => ({ ...ray.env, XDG_CONFIG_HOME: workspace.file("config") });

  test(
    "is followed live to the weights, curves and log of one that runs here",
    { timeout: 240_000 },
    async () => {
      write("net.nn.ts", { wait: 20 });
      const expected = await here("net.nn.ts");
      const command = workspace.start(train(), env());
      await until(() => rowsOf(workspace.runs()[0] ?? "") > 5, "rows arrive");
      const [directory = ""] = workspace.runs();
      expect(readRun(directory)).toMatchObject({ state: "running", on: { name: "cluster" } });
      const { code, stdout, stderr } = await command.ended;
      expect(code, stderr).toBe(0);
      expect(stdout).toContain("seen 3");
      expect(curves(directory)).toEqual(curves(expected));
      expect(weightsOf(directory)).toEqual(weightsOf(expected));
      expect(fs.readFileSync(path.join(directory, "log.txt"), "utf8")).toContain("seen 20");
    },
  );

  test(
    "has workers in a placement group, which start again when one is killed, to the weights of workers here",
    { ...slow, timeout: 240_000 },
    async () => {
      const file = path.join(parallel, "models.nn.ts");
      fs.copyFileSync(file, workspace.file("models.nn.ts"));
      const target = { host: ray.url, folder: ray.there };
      workspace.write("config/layerwise/targets.json", JSON.stringify({ cluster: target }));
      const words = [
        "train",
        "models.nn.ts#long",
        "--device",
        "native",
        "--no-progress",
        "--epochs",
        "300",
        "--workers",
        "2",
      ];
      const local = await workspace.run([...words, "--out", "here"], { env: native() });
      expect(local.code, local.stderr).toBe(0);
      const there = [...words, "--on", "cluster"];
      const refused = await workspace.run(there, { env: { ...env(), ...native() } });
      expect(refused.code).toBe(2);
      expect(refused.stderr).toMatch(/anyone who reaches them can run code there.*--open-network/);
      const command = workspace.start([...there, "--open-network"], { ...env(), ...native() });
      await until(() => rowsOf(workspace.runs()[0] ?? "") > 50, "rows arrive");
      const engines = ray.engines();
      expect(engines).toHaveLength(2);
      process.kill(engines.at(-1)!.pid, "SIGKILL");
      await command.printed("(1 of 3)");
      const [directory = ""] = workspace.runs();
      await until(() => readRun(directory).epoch > 50, "epochs after the restart");
      const stopped = await workspace.run(["runs", "--stop", path.basename(directory)], { env: env() });
      expect(stopped.stdout, stopped.stderr).toContain("stopped after step");
      const { code, stdout, stderr } = await command.ended;
      expect(code, stdout + stderr).toBe(130);
      expect(stdout + stderr).toMatch(
        /Worker \d on .* has ended: .*start again from the last saved state \(1 of 3\)/,
      );
      // With as many workers as before.
      const resumed = await workspace.run(["train", "--resume", path.basename(directory)], {
        env: { ...env(), ...native() },
      });
      expect(resumed.code, resumed.stderr).toBe(0);
      expect(weightsOf(directory)).toEqual(weightsOf(workspace.file("here")));
      expect(curves(directory)).toEqual(curves(workspace.file("here")));
      await until(() => ray.workers().length + ray.engines().length === 0, "no process is left there");
    },
  );

  test("has the trials of a sweep as jobs, and an evaluation", { ...slow, timeout: 240_000 }, async () => {
    writeSwept(workspace);
    const words = ["sweep", "net.nn.ts", "--trials", "3", "--seed", "4", "--parallel", "2", "--no-progress"];
    await workspace.run(words);
    const expected = outcomesOf(workspace);
    fs.rmSync(workspace.file(".layerwise"), { recursive: true });
    const there = train().slice(2);
    const { code, stderr } = await workspace.run([...words, ...there], { env: env() });
    expect(code, stderr).toBe(0);
    expect(outcomesOf(workspace)).toEqual(expected);
    for (const run of workspace.runs())
      expect(readRun(run)).toMatchObject({ state: "finished", on: { name: "cluster", kind: "ray" } });
    const trained = await workspace.run(["train", "net.nn.ts", "--out", "trained"]);
    expect(trained.code, trained.stderr).toBe(0);
    const evaluate = ["evaluate", "net.nn.ts", "--checkpoint", "trained/checkpoints/final.safetensors"];
    const local = await workspace.run([...evaluate, "--out", "here"]);
    expect(local.code, local.stderr).toBe(0);
    const device = ["--on", "cluster", "--device", "cpu"];
    const evaluated = await workspace.run([...evaluate, ...device, "--out", "elsewhere"], { env: env() });
    expect(evaluated.code, evaluated.stderr).toBe(0);
    const json = (name: string): unknown =>
      JSON.parse(fs.readFileSync(workspace.file(`${name}/evaluation.json`), "utf8"));
    expect(json("elsewhere")).toEqual(json("here"));
    await until(() => ray.workers().length === 0, "no process is left there");
  });

  test("is stopped with its state; without the token there is none", slow, async () => {
    write("net.nn.ts", { wait: 20, epochs: 10_000 });
    const refused = await workspace.run(train(), { env: { ...env(), RAY_AUTH_TOKEN: "" } });
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain("it requires a token (HTTP 401)");
    const command = workspace.start(train(), env());
    await until(() => rowsOf(workspace.runs()[0] ?? "") > 5, "rows arrive");
    const [directory = ""] = workspace.runs();
    const { stdout, stderr } = await workspace.run(["runs", "--stop", path.basename(directory)], {
      env: env(),
    });
    expect(stdout, stderr).toContain("stopped after step");
    expect((await command.ended).code).toBe(130);
    expect(readRun(directory).checkpoints.map(({ kind }) => kind)).toContain("last");
    await until(() => ray.workers().length === 0, "no process is left there");
  });
});
