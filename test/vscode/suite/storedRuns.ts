/** Runs that are over, as trainings leave them on the disk. */
import fs from "node:fs";
import path from "node:path";
import { writeSafetensors } from "../../../extension/formats/safetensors/safetensors.ts";
import { startingRecord } from "../../../extension/protocol/engine.ts";
import {
  CHECKPOINTS_FOLDER,
  type CheckpointRecord,
  METRICS_FILE,
  type RunRecord,
} from "../../../extension/protocol/run.ts";
import { runsRoot, writeRecord } from "../../../extension/supervisor/runs/runDirectory.ts";

interface StoredRun extends Partial<RunRecord> {
  id: string;
  /** Absolute path of the model's file, in the folder of the run. */
  file: string;
  /** A checkpoint of each kind. */
  kinds?: CheckpointRecord["kind"][];
  /** The loss of each step. */
  losses?: number[];
}

/** Answers the run's directory. */
export async function storeRun({ id, file, kinds = [], losses = [], ...more }: StoredRun): Promise<string> {
  const directory = path.join(runsRoot(path.dirname(file)), id);
  fs.mkdirSync(path.join(directory, CHECKPOINTS_FOLDER), { recursive: true });
  const checkpoints = kinds.map((kind, index): CheckpointRecord => {
    const relative = `${CHECKPOINTS_FOLDER}/${kind}.safetensors`;
    const data = new Uint8Array(new Float32Array([index, 1, 2, 3]).buffer);
    writeSafetensors(path.join(directory, relative), [{ name: "w", dtype: "F32", shape: [4], data }]);
    const savedAt = `2026-01-01T00:00:0${index}.000Z`;
    const { size: bytes } = fs.statSync(path.join(directory, relative));
    return {
      file: relative,
      kind,
      epoch: index + 1,
      step: index,
      savedAt,
      bytes,
      metrics: { val_loss: 0.5 },
    };
  });
  const rows = losses.map((loss, index) => ({
    kind: "step",
    step: index + 1,
    epoch: 1,
    time: index + 1,
    values: { loss },
  }));
  if (rows.length > 0)
    fs.writeFileSync(
      path.join(directory, METRICS_FILE),
      rows.map((row) => `${JSON.stringify(row)}\n`).join(""),
    );
  const base = startingRecord({
    kind: "train",
    file,
    exportName: "default",
    directory,
    device: "auto",
    outlive: false,
  });
  await writeRecord(directory, { ...base, state: "finished", checkpoints, ...more });
  return directory;
}
