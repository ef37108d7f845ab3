// Stands for an ssh to a machine that is another's by now: it speaks the protocol, and answers what it likes.
// Its behaviour is in LAYERWISE_TEST_HOSTILE; it needs neither sshd nor ssh.
import { createHash } from "node:crypto";
import { readSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { MARK, ofFollowed } from "../../../extension/remote/messages.ts";
import { EngineError } from "../../../extension/protocol/errors.ts";
import type { RunRecord } from "../../../extension/protocol/run.ts";
import { Peer, type Parcel } from "../../../extension/remote/wire.ts";

const behaviour = process.env["LAYERWISE_TEST_HOSTILE"] ?? "";

function read(count: number): Buffer {
  const bytes = Buffer.alloc(count);
  for (let done = 0; done < count;) done += readSync(0, bytes, done, count - done, null);
  return bytes;
}

if (behaviour === "noise") process.stdout.write("motd ".repeat(50_000));
process.stdout.write(`welcome\n${MARK}\n`);
read(read(4).readUInt32BE(0));

const checkpoint = {
  file: "checkpoints/final.safetensors",
  kind: "final" as const,
  epoch: 1,
  step: 1,
  savedAt: new Date().toISOString(),
  bytes: 5,
  metrics: {},
};
const record: RunRecord = {
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
  settings: {},
  metrics: {},
  checkpoints: [checkpoint],
  outlive: true,
  on: { name: "elsewhere", run: "x-000000000000" },
};
const content = Buffer.from("hello");
const hash = createHash("sha256").update(content).digest("hex");

/** Records that differ from a good one. */
const RECORDS: Record<string, object> = {
  path: { ...record, checkpoints: [{ ...checkpoint, file: "checkpoints/../../../escape.safetensors" }] },
  absolute: { ...record, checkpoints: [{ ...checkpoint, file: "/tmp/escape.safetensors" }] },
  form: { ...record, checkpoints: "all" },
  id: { ...record, id: "../../elsewhere" },
  hint: {
    ...record,
    state: "failed",
    error: { code: "shape", message: "failed there", hint: "look\u001b[2J at\u009b31m this" },
  },
  names: {
    ...record,
    kind: "evaluate",
    state: "failed",
    settings: { checkpoint: "/etc/passwd", optimizer: "SGD" },
    trial: { sweep: "../elsewhere", number: 1 },
    error: {
      code: "shape",
      message: "failed there",
      position: { file: "/etc/passwd", line: 1, column: 1 },
      stack: [
        { file: "/etc/passwd", line: 1, column: 1 },
        { file: "/there/runs/../../etc/passwd", line: 1, column: 1 },
        { file: "\\\\elsewhere\\share", line: 1, column: 1 },
      ],
      layer: {
        className: "Linear",
        detail: "",
        inputs: [],
        position: { file: "/etc/passwd", line: 1, column: 1 },
        fix: { option: "in_features", argument: 0, value: 1 },
      },
    },
  },
};

const answers: Record<string, (params: { hashes?: string[] }) => Parcel> = {
  open: () => ({
    value: { node: "v20.0.0", platform: "linux-x64", folder: behaviour === "folder" ? "there" : "/there" },
  }),
  missing: ({ hashes = [] }) => ({
    value: behaviour === "hashes" ? ["x".repeat(64)] : hashes.slice(0, 1),
  }),
  start: () => ({ value: "started" }),
  follow: () => ({ value: ofFollowed(() => true) }),
  record: () => ({ value: record }),
  openFile: () => {
    if (behaviour === "refusal") throw new EngineError({ code: "x", message: "no\u001b]0;owned\u0007 file" });
    return openedFile();
  },
  readFile: () => ({ value: null, body: behaviour === "short" ? Buffer.alloc(0) : content }),
};

const openedFile = (): Parcel => ({
  value: { size: behaviour === "huge" ? 2 ** 52 : 5, hash: behaviour === "hash" ? "0".repeat(64) : hash },
});

const progress = { epoch: 1, epochs: 1, stepInEpoch: 1, stepsPerEpoch: 1, samplesPerSecond: 1, eta: 1 };
const row = { kind: "step", step: 1, epoch: 1, time: 0, values: { loss: 1 } };

async function misbehave(): Promise<void> {
  switch (behaviour) {
    case "rows":
      return line.tell("rows", { file: "metrics", rows: [row, { ...row, step: "many" }] });
    case "file":
      return line.tell("rows", { file: "../../../../.bashrc", rows: [row] });
    case "event":
      return line.tell("__proto__", {});
    case "length": {
      const prefix = Buffer.alloc(8, 0xff);
      return void process.stdout.write(prefix);
    }
    case "flood":
      for (;;) await line.tell("log", null, Buffer.alloc(2 ** 20, "x"));
    case "calls":
      for (; ; await delay(1)) line.call("open", null, Buffer.alloc(2 ** 20, "x")).catch(() => undefined);
    case "records":
      for (;;) await line.tell("record", { ...record, state: "running", model: "x".repeat(2 ** 20) });
    case "progress":
      for (;;) await line.tell("progress", { ...progress, metrics: { ["x".repeat(2 ** 20)]: 1 } });
    case "prints":
      for (let i = 0; i < 80; i++)
        await line.tell("said", { level: "info", text: `${"x".repeat(2 ** 20)}\n` });
      break;
    case "text":
      await line.tell("said", { level: "info", text: "a\u001b[2Jb" });
  }
  await line.tell("record", RECORDS[behaviour] ?? record);
  await line.tell("ended", null);
}

const line: Peer = new Peer(process.stdin, process.stdout, {
  answer: async (method, params) => {
    if (behaviour === "silent" && method === "layRun") return new Promise(() => undefined);
    if (method === "go") setTimeout(() => void misbehave(), 50);
    return Promise.resolve(answers[method]?.(params as { hashes?: string[] }) ?? { value: null });
  },
  closed: () => process.exit(0),
});
