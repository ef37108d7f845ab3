/** A recorded training of a digits CNN (PyTorch, seed 0) at any moment of it. */
import ELK from "elkjs/lib/elk.bundled.js";
import { graphOf, positionsOf, sketchOf } from "../../../extension/diagram/layout.ts";
import type { DiagramLook, FlowLayout } from "../../../extension/protocol/flow.ts";
import type { Progress } from "../../../extension/protocol/engine.ts";
import type { ModelReport } from "../../../extension/protocol/preview.ts";
import type { CheckpointRecord, MetricRow, RunRecord } from "../../../extension/protocol/run.ts";
import type { TrainingSnapshot } from "../../../extension/protocol/views.ts";
import { readFixture } from "./page.ts";

interface Recording {
  stepsPerEpoch: number;
  epochs: number;
  best: { metric: string; value: number; epoch: number };
  rows: MetricRow[];
}

export const FILE = "/home/ada/models/digits.nn.ts";
/** Seconds of each epoch; PyTorch's program saves no checkpoints. */
const SPENT = { validation: 0.008, checkpoints: 0.002 };

export function recording(): Recording {
  const { rows, ...rest } = readFixture("digits-run.json") as Recording;
  return { ...rest, rows: rows.map((row) => (row.kind === "epoch" ? { ...row, spent: SPENT } : row)) };
}

export const models = (): ModelReport[] => readFixture("models.json") as ModelReport[];

/** A model with its diagram: "residual" or "bert". */
export const flowModel = (name: string): ModelReport =>
  (readFixture("flows", `${name}.json`) as [ModelReport])[0];

/** Where what is shown of a model stands in its diagram, by the engine of the preview's process. */
export async function placesOf({ flow, rows }: ModelReport, look: DiagramLook): Promise<FlowLayout> {
  const graph = graphOf(sketchOf(flow!, new Map(rows.map((row) => [row.path, row])), look), look);
  return positionsOf(await new ELK().layout(graph));
}

const SAMPLES_PER_SECOND = 9210;

/** The run after `rows` of its rows, still running. */
export function runningAt(rows: number, record: Partial<RunRecord> = {}): TrainingSnapshot {
  const { stepsPerEpoch, epochs, rows: all } = recording();
  const seen = all.slice(0, rows);
  const last = seen.at(-1);
  const step = last?.step ?? 0;
  const epoch = Math.floor(step / stepsPerEpoch);
  const metrics = Object.assign({}, ...seen.map((row) => row.values)) as Record<string, number>;
  const done = step / (stepsPerEpoch * epochs);
  const progress: Progress = {
    epoch: Math.min(epochs, epoch + 1),
    epochs,
    stepInEpoch: step - epoch * stepsPerEpoch,
    stepsPerEpoch,
    samplesPerSecond: SAMPLES_PER_SECOND,
    eta: done > 0 ? ((last?.time ?? 0) / done) * (1 - done) : 0,
    metrics,
  };
  const best = bestOf(seen);
  const run: RunRecord = {
    version: 1,
    id: "20260131-142501-digits",
    kind: "train",
    state: "running",
    file: FILE,
    exportName: "default",
    model: "DigitsCNN",
    createdAt: "2026-01-31T14:25:01.000Z",
    pid: 4242,
    seed: 0,
    epochs,
    epoch,
    step,
    stepsPerEpoch,
    executor: { backend: "tensorflow", version: "TensorFlow 2.21.0 with Layerwise's own kernels" },
    parameters: { total: 13_706, trainable: 13_706 },
    settings: {
      optimizer: "Adam (lr=0.002)",
      loss: "CrossEntropyLoss",
      batchSize: 32,
      samples: "1,077 training, 360 validation",
    },
    metrics,
    ...(best ? { best } : {}),
    checkpoints: epoch > 0 ? checkpoints(epoch, stepsPerEpoch, metrics, best?.epoch) : [],
    outlive: false,
    ...record,
  };
  return { run, rows: seen, progress, live: true };
}

/** The run, over after `rows` of its rows; all of them by default. */
export function ended(
  state: RunRecord["state"],
  record: Partial<RunRecord> = {},
  rows = recording().rows.length,
): TrainingSnapshot {
  const { progress: _none, ...snapshot } = runningAt(rows);
  return {
    ...snapshot,
    run: { ...snapshot.run, state, endedAt: "2026-01-31T14:25:03.400Z", ...record },
    live: false,
  };
}

function bestOf(rows: readonly MetricRow[]): RunRecord["best"] {
  const epochs = rows.filter((row) => row.values["val_loss"] !== undefined);
  const best = epochs.toSorted((a, b) => (a.values["val_loss"] ?? 0) - (b.values["val_loss"] ?? 0))[0];
  return best && { metric: "val_loss", value: best.values["val_loss"] ?? 0, epoch: best.epoch };
}

function checkpoints(
  epoch: number,
  stepsPerEpoch: number,
  metrics: Record<string, number>,
  best = epoch,
): CheckpointRecord[] {
  const make = (kind: CheckpointRecord["kind"], at: number, second: number): CheckpointRecord => ({
    file: `checkpoints/${kind}.safetensors`,
    kind,
    epoch: at,
    step: at * stepsPerEpoch,
    savedAt: `2026-01-31T14:25:${String(second).padStart(2, "0")}.000Z`,
    bytes: 55_440,
    metrics,
  });
  return [make("manual", Math.min(3, epoch), 4), make("best", best, 5), make("last", epoch, 6)];
}
