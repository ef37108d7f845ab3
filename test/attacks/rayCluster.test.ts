// A Ray dashboard may be another's by now, or anybody may have answered at its address: what it says is a stranger's data.
import { createHash, randomBytes } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import { deflateRawSync } from "node:zlib";
import { expect, test } from "vitest";
import { FakeRay, type FakeJob } from "../fakeRay.ts";
import { JOB_MARK, JobLog } from "../../extension/remote/ray/jobLog.ts";
import { findTarget } from "../../extension/remote/targets.ts";
import { experimentFile, readRun, useWorkspace } from "../engine/workspace.ts";
import { around, useFolder } from "../folders.ts";

const workspace = useWorkspace();
const cache = useFolder("all");
/** Temporary files of the commands alone: other test files have jobs of their own. */
const temporary = useFolder();

let ray: FakeRay;
around(
  "each",
  async () => {
    ray = new FakeRay();
    await ray.start();
  },
  () => ray.stop(),
);

const content = Buffer.from("hello");
const FILE = {
  file: "checkpoints/final.safetensors",
  size: content.length,
  hash: createHash("sha256").update(content).digest("hex"),
  offset: 0,
};
const checkpoint = {
  file: FILE.file,
  kind: "final",
  epoch: 1,
  step: 1,
  savedAt: new Date().toISOString(),
  bytes: 5,
  metrics: {},
};
const record = {
  version: 1,
  id: "elsewhere",
  kind: "train",
  state: "finished",
  file: "/etc/passwd",
  exportName: "default",
  model: "\u001b]0;owned\u0007Net",
  createdAt: new Date().toISOString(),
  epochs: 1,
  epoch: 1,
  step: 1,
  settings: { checkpoint: "/etc/passwd" },
  metrics: {},
  checkpoints: [checkpoint],
  outlive: true,
};
const row = { kind: "step", step: 1, epoch: 1, time: 0, values: { loss: 1 } };

interface Outcome {
  code: number | null;
  text: string;
  directory: string;
}

/** Trains on a cluster whose job writes what it likes. */
async function trained(says: (log: JobLog, job: FakeJob) => Promise<void>): Promise<Outcome> {
  ray.submitted = (job) => {
    job.status = "RUNNING";
    const log = new JobLog((text) => ray.write(job, text));
    void says(log, job).finally(() => {
      if (job.status === "RUNNING") ray.end(job, "SUCCEEDED");
    });
  };
  return outcome();
}

async function outcome(): Promise<Outcome> {
  workspace.write("net.nn.ts", experimentFile({ epochs: "1" }));
  const { code, stdout, stderr } = await workspace.run(
    ["train", "net.nn.ts", "--on", ray.url, "--device", "cpu"],
    {
      env: { LAYERWISE_CACHE: cache, RAY_AUTH_TOKEN: "hunter2", TMPDIR: temporary },
    },
  );
  return { code, text: stdout + stderr, directory: workspace.runs()[0] ?? "" };
}

/** Files of the workspace, without those that a run has. */
const others = (): string[] =>
  fs
    .readdirSync(workspace.folder, { recursive: true, encoding: "utf8" })
    .filter(
      (name) =>
        !/^(?:net\.nn\.ts|\.layerwise(?:\/runs(?:\/[^/]+(?:\/(?:run\.json|metrics\.jsonl|log\.txt|source\.ts|checkpoints(?:\/final\.safetensors)?))?)?)?)$/.test(
          name,
        ),
    );
const spools = (): string[] => fs.readdirSync(temporary).filter((name) => name.startsWith("layerwise-job-"));

test("a job can say how its run went, and nothing of where it is here", async () => {
  const before = spools();
  const { code, text, directory } = await trained(async (log) => {
    await log.tell("said", { level: "info", text: "a\u001b[2Jb" });
    await log.tell("rows", { file: "metrics", rows: [row] });
    await log.tell("record", record);
    await log.tell("file", FILE, content);
    await log.tell("ended", null);
  });
  expect(code, text).toBe(0);
  expect(readRun(directory)).toMatchObject({
    id: path.basename(directory),
    file: workspace.file("net.nn.ts"),
    state: "finished",
    settings: {},
  });
  expect(fs.readFileSync(path.join(directory, FILE.file), "utf8")).toBe("hello");
  expect(text).not.toContain("\u001b");
  expect(others()).toEqual([]);
  expect(spools()).toEqual(before);
});

const raw = (job: FakeJob, bytes: Buffer): void => {
  const packed = deflateRawSync(bytes);
  for (let at = 0; at < packed.length; at += 9000)
    ray.write(job, `${JOB_MARK}${packed.toString("base64", at, at + 9000)}\n`);
};

const LIES: [what: string, says: (log: JobLog, job: FakeJob) => Promise<void>][] = [
  [
    "names a checkpoint outside of the run",
    (log) => log.tell("file", { ...FILE, file: "checkpoints/../../../x" }, content),
  ],
  [
    "names a checkpoint by an absolute path",
    (log) => log.tell("file", { ...FILE, file: "/tmp/escape" }, content),
  ],
  ["names another file for its rows", (log) => log.tell("rows", { file: "../../.bashrc", rows: [row] })],
  [
    "sends a row that is none",
    (log) => log.tell("rows", { file: "metrics", rows: [{ ...row, step: "many" }] }),
  ],
  ["sends a record that is none", (log) => log.tell("record", { ...record, checkpoints: "all" })],
  ["sends an event that doesn't exist", (log) => log.tell("__proto__", {})],
  ["sends parts of a file in the wrong order", (log) => log.tell("file", { ...FILE, offset: 3 }, content)],
  ["sends more of a file than it has", (log) => log.tell("file", { ...FILE, size: 2 }, content)],
  [
    "sends files without end",
    async (log) => {
      for (let i = 0; i < 200; i++)
        await log.tell("file", { ...FILE, file: `checkpoints/${i}.safetensors` }, content);
    },
  ],
  [
    "sends a log without end, in few bytes",
    async (log) => {
      for (let i = 0; i < 80; i++) await log.tell("log", null, Buffer.alloc(2 ** 20, "x"));
    },
  ],
  [
    "sends records without end",
    async (log) => {
      for (let i = 0; i < 80; i++)
        await log.tell("record", { ...record, state: "running", model: "x".repeat(2 ** 20) });
    },
  ],
  ["sends a message that is longer than any may be", async (_, job) => raw(job, Buffer.alloc(8, 0xff))],
  ["sends bytes that are no message", async (_, job) => raw(job, randomBytes(100))],
  [
    "sends what can't be unpacked",
    async (_, job) => ray.write(job, `${JOB_MARK}${Buffer.alloc(1000, 0xff).toString("base64")}\n`),
  ],
  [
    "writes a log without end that is not a run's",
    async (_, job) => {
      for (let i = 0; i < 20; i++) ray.write(job, `${"x".repeat(2 ** 20)}\n`);
    },
  ],
  [
    "sends a line of the log in too large a message",
    async (_, job) => {
      for (const tail of job.tails) tail.send("x".repeat(5 * 2 ** 20));
    },
  ],
];

test.each(LIES)("a job is left when it %s", async (_, says) => {
  const before = spools();
  const { code, text } = await trained(async (log, job) => {
    // Followed by now.
    while (job.tails.size === 0) await new Promise((done) => setTimeout(done, 20));
    await says(log, job);
    await log.tell("record", record);
    await log.tell("ended", null);
  });
  expect(code, text).toBe(1);
  expect(text).toMatch(/doesn't keep to the protocol|was refused|was lost: Max payload/);
  expect(others()).toEqual([]);
  expect(fs.existsSync("/tmp/escape")).toBe(false);
  expect(spools()).toEqual(before);
});

test.each([
  ["is damaged", { ...FILE, hash: "0".repeat(64) }, content, /arrived damaged/],
  ["ends before its end", { ...FILE, size: 10 }, content, /is truncated/],
  ["is larger than the disk", { ...FILE, size: 2 ** 52 }, content, /more than the disk/],
])("a checkpoint that %s is not kept", async (_, file, body, reason) => {
  const { text, directory } = await trained(async (log) => {
    await log.tell("record", record);
    await log.tell("file", file, body);
    await log.tell("ended", null);
  });
  expect(text).toMatch(reason);
  expect(fs.readdirSync(path.join(directory, "checkpoints"))).toEqual([]);
});

test.each([
  ["a redirect", 302, ""],
  ["another's page", 200, "<html>"],
  ["JSON that is Ray's in nothing", 200, '{"ray_version": {"toString": 1}}'],
  ["an answer without end", 200, " ".repeat(2 ** 21)],
  ["text that steers the terminal", 500, "\u001b]0;owned\u0007\u001b[2Jfailed"],
])("a cluster that answers with %s starts nothing here", async (_, status, body) => {
  const asked: string[] = [];
  ray.instead = (request, response) => {
    asked.push(`${request.method} ${request.url}`);
    response.writeHead(status, { location: "/stolen" }).end(body);
    return true;
  };
  const { code, text } = await outcome();
  expect(code).toBe(1);
  expect(text).not.toContain("\u001b");
  expect(text).not.toContain("hunter2");
  expect(asked).toEqual(["GET /api/version"]);
  expect(workspace.runs()).toEqual([]);
});

test.each([
  "ray://host/path",
  "ray://user@host",
  "ray://user:password@host",
  "ray://host?x",
  "ray://ho st",
  "ray://-host",
  "ray://host:0",
  "ray://host:99999",
  "ray://",
  "http://host:8265",
])("%j names no cluster", (text) => {
  expect(() => findTarget(text)).toThrow(/names no (?:machine|cluster)|runs go to ssh/);
});

test("a cluster's own settings bring no command into a job", () => {
  for (const one of [
    { node: '/bin/node"; touch x; "' },
    { node: "$(id)" },
    { folder: "/tmp/$(id)" },
    { cpus: -1 },
  ])
    expect(() => findTarget("c", { c: { host: "ray://head", ...one } })).toThrow(/names no machine/);
});
