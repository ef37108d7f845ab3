// A run directory of a stranger whose every text tries to steer what shows it.
import fs from "node:fs";
import path from "node:path";
import type { CheckpointRecord, RunRecord } from "../../extension/protocol/run.ts";

/** Links and icons of VS Code, its variables, Markdown and HTML, escape sequences, controls that hide or reorder. */
export const HOSTILE =
  "[Trust](command:workbench.action.quit) $(alert) ${command:x} <img src=x onerror=a()> ![p](https://evil.example/p.png) " +
  "\u001b[2J\u001b]0;owned\u0007\u001b]8;;https://evil.example\u001b\\\u009b31m\u0000\r\nFAKE LINE\u2028\u202e\u2066\u200b\u200f\ufeff";

/** Raw forms of what the text above would do. */
export const STEERS = /(?![\n\t])[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}\u200b\ufeff]/u;

export const checkpoint: CheckpointRecord = {
  file: "checkpoints/best.safetensors",
  kind: "best",
  epoch: 1,
  step: 1,
  savedAt: "2026-01-01T00:00:00.000Z",
  bytes: 3,
  metrics: {},
};

export const hostileRecord = (file: string): RunRecord => ({
  version: 1,
  id: "20260101-000000-net",
  kind: "train",
  state: "failed",
  file,
  exportName: `export ${HOSTILE}`,
  model: `Model ${HOSTILE}`,
  createdAt: "2026-01-01T00:00:00.000Z",
  endedAt: "2026-01-01T00:00:01.000Z",
  epochs: 2,
  epoch: 1,
  step: 3,
  executor: { backend: "cpu", version: `cpu ${HOSTILE}`, reason: `reason ${HOSTILE}` },
  settings: { [`setting ${HOSTILE}`]: `value ${HOSTILE} | x |` },
  metrics: { [`loss ${HOSTILE}`]: 0.5 },
  checkpoints: [
    {
      file: "checkpoints/last.safetensors",
      kind: "last",
      epoch: 1,
      step: 3,
      savedAt: "2026-01-01T00:00:01.000Z",
      bytes: 8,
      metrics: { [`loss ${HOSTILE}`]: 0.5 },
    },
  ],
  error: { code: `code ${HOSTILE}`, message: `error ${HOSTILE}`, hint: `hint ${HOSTILE}` },
  outlive: false,
});

/** Writes a run into a folder, and answers its directory. */
export function writeRun(folder: string, name: string, record: unknown): string {
  const directory = path.join(folder, ".layerwise", "runs", name);
  fs.mkdirSync(directory, { recursive: true });
  const text = typeof record === "string" ? record : JSON.stringify(record);
  fs.writeFileSync(path.join(directory, "run.json"), text);
  return directory;
}

/** A safetensors file whose tensors and metadata have those names. */
export function safetensors(names: readonly string[], metadata: Record<string, string>): Buffer {
  const tensors = names.map((name, i) => [
    name,
    { dtype: "F32", shape: [1], data_offsets: [4 * i, 4 * i + 4] },
  ]);
  const header = Buffer.from(JSON.stringify({ __metadata__: metadata, ...Object.fromEntries(tensors) }));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  return Buffer.concat([length, header, Buffer.alloc(4 * names.length)]);
}
