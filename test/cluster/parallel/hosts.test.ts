// Trainings by workers on two machines: one sshd, two folders, and for each connection a network of its own.
import fs from "node:fs";
import path from "node:path";
import { afterEach, beforeAll, expect, it } from "vitest";
import { useFolder } from "../../folders.ts";
import { describeUnless } from "../../unless.ts";
import { familyOf, processes } from "../../processes.ts";
import { curves } from "../remote/program.ts";
import { noSshd } from "../remote/sshd.ts";
import { useSshd } from "../remote/useSshd.ts";
import { readRun } from "../../engine/workspace.ts";
import { progressed, restarted, resume, start, unable, weightsOf, type Training } from "./training.ts";
import { until } from "../until.ts";
import { slow } from "../../slow.ts";

const reason = noSshd ?? unable;
const folder = useFolder("all");
const sshd = useSshd();

const run = ({ folder: place }: Pick<Training, "folder">): string => path.join(place, "run");
const finalOf = (training: Pick<Training, "folder">): Buffer =>
  fs.readFileSync(path.join(run(training), "checkpoints", "final.safetensors"));

const onHosts = (name: string, model: string, ...options: string[]): Training =>
  start(path.join(folder, name), model, { env: sshd.env }, ...options);

/** The run engines on both machines. */
const workers = (): { pid: number; command: string }[] =>
  sshd.runProcesses().filter(({ command }) => command.includes("runEngine.js"));

function isRunning(pid: number | undefined): boolean {
  return processes().some((one) => one.pid === pid);
}

describeUnless(reason, "workers on hosts", () => {
  let undisturbed: Training;

  beforeAll(async () => {
    undisturbed = start(path.join(folder, "here"), "long", "--workers", "2");
    const { code, text } = await undisturbed.ended;
    expect(code, text).toBe(0);
  }, 300_000);

  afterEach(async () => {
    fs.rmSync(sshd.weights, { recursive: true, force: true });
    fs.mkdirSync(sshd.weights);
    await until(() => sshd.runProcesses().length === 0, "no process is left there");
  });

  /** Waits for a training that was disturbed. */
  async function finished(training: Training): Promise<string> {
    const { code, text } = await progressed(training);
    expect(code, text).toBe(0);
    expect(finalOf(training).equals(finalOf(undisturbed)), "bit for bit").toBe(true);
    expect(curves(run(training))).toEqual(curves(run(undisturbed)));
    return text;
  }

  it("train as the workers of one machine, bit for bit", { timeout: 120_000 }, async () => {
    const training = onHosts("undisturbed", "long", "--hosts", "one,two");
    await finished(training);
    expect(readRun(run(training))).toMatchObject({
      state: "finished",
      on: { name: "one, two", kind: "hosts" },
    });
    const replicas = fs
      .readdirSync(sshd.weights)
      .map((name) => fs.readFileSync(path.join(sshd.weights, name), "utf8"));
    expect(replicas).toHaveLength(2);
    for (const one of replicas) expect(JSON.parse(one), "bit for bit").toEqual(weightsOf(undisturbed)[0]);
  });

  it(
    "start again when one is killed, and when a connection is lost or silent",
    { ...slow, timeout: 240_000 },
    async () => {
      const training = onHosts("disturbed", "long", "--hosts", "one,two");
      const lines = (): number[] =>
        familyOf(training.child.pid!)
          .filter(({ command }) => /\bssh .*LAYERWISE_OWN_NETWORK/.test(command))
          .map(({ pid }) => pid)
          .sort((a, b) => a - b);
      await training.epoch(20);
      const victim = workers().find(({ command }) => command.includes(path.join(sshd.there, "two")));
      process.kill(victim!.pid, "SIGKILL");
      await restarted(training, "(1 of 3)");
      await training.epoch(40);
      // Which host a connection leads to, only the machine behind it knows.
      process.kill(lines()[0]!, "SIGKILL");
      await restarted(training, "(2 of 3)");
      await training.epoch(60);
      process.kill(lines().at(-1)!, "SIGSTOP");
      const text = await finished(training);
      expect(text).toMatch(
        /Worker 1 on two has ended: .*SIGKILL.*start again from the last saved state \(1 of 3\)/,
      );
      expect(text).toMatch(/Worker \d on (one|two) has ended: The connection to \1 .*\(2 of 3\)/);
      expect(text).toMatch(/Worker \d on \w+ has ended: it gave no sign of life for 12 s.*\(3 of 3\)/);
    },
  );

  it("stop at Ctrl-C with their state, and resume bit for bit", { ...slow, timeout: 120_000 }, async () => {
    const training = onHosts("stopped", "long", "--hosts", "one,two");
    await training.epoch(20);
    training.child.kill("SIGINT");
    expect((await training.ended).code).toBe(130);
    expect(readRun(run(training)).state).toBe("stopped");
    await until(() => sshd.runProcesses().length === 0, "no process is left there");
    const resumed = resume(training, { env: sshd.env });
    await resumed.epoch(60);
    // As when the terminal is gone: no host has an orphan.
    resumed.child.kill("SIGKILL");
    await resumed.ended;
    await until(() => sshd.runProcesses().length === 0, "no process is left there");
    // The one here that follows the run notices it, too.
    await until(() => !isRunning(readRun(run(training)).pid), "the run is free here");
    await finished(resume(training, { env: sshd.env }));
  });

  it("end with the user's error, and are not started again", async () => {
    const { code, text } = await onHosts("faulty", "faulty", "--hosts", "one,two").ended;
    expect(code).toBe(1);
    expect(text).toContain("No such model");
    expect(text).toContain("models.nn.ts:");
    expect(text).not.toContain("start again");
  });

  it("need the native engine on each host, and name the one without", slow, async () => {
    const training = onHosts("bare", "sgd", "--hosts", "one,bare", "--device", "auto");
    const { code, text } = await training.ended;
    expect(code).toBe(1);
    expect(text).toMatch(/Worker 1 on bare: Several workers can train on the native engine only/);
  });

  it("need a login on each host, and leave no run", slow, async () => {
    for (const [host, message] of [
      ["refused", /refused refused the login/],
      ["ssh://nowhere.invalid", /ssh finds no machine named nowhere\.invalid/],
    ] as const) {
      const training = onHosts("login", "sgd", "--hosts", `one,${host}`);
      const { code, text } = await training.ended;
      expect(code).toBe(1);
      expect(text).toMatch(message);
      expect(fs.existsSync(path.join(run(training), "run.json"))).toBe(false);
    }
  });

  it("leave no process when the launcher is killed as they start", slow, async () => {
    const training = onHosts("early", "long", "--hosts", "one:2,two");
    await until(() => workers().length === 3, "workers");
    training.child.kill("SIGKILL");
    await training.ended;
    const left = new Set(processes().map(({ pid }) => pid));
    expect(left.has(training.child.pid!)).toBe(false);
  });
});
