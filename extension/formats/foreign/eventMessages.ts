// TensorBoard's events, as TensorFlow, PyTorch, tensorboardX and JAX write them.
// https://github.com/tensorflow/tensorboard/tree/master/tensorboard/compat/proto: event, summary, tensor
import type { ForeignHistogram } from "../../protocol/history/foreignRun.ts";
import { numbers, readFields } from "./protobuf.ts";

/** A value of a summary. */
export interface SummaryValue {
  tag: string;
  /** Name of the plugin that shows it; only the first value of a tag has it. */
  plugin: string | undefined;
  pluginContent: Uint8Array | undefined;
  scalar: number | undefined;
  histogram: Omit<ForeignHistogram, "name" | "step"> | undefined;
  image: Uint8Array | undefined;
  tensor: EventTensor | undefined;
}

export interface EventTensor {
  numbers: readonly number[];
  strings: readonly Uint8Array[];
  shape: readonly number[];
}

export interface ForeignEvent {
  wallTime: number;
  step: number;
  values: readonly SummaryValue[];
  /** A training was resumed at this step: values of it and later ones, logged before, are void. */
  restart: boolean;
}

const SESSION_START = 1;

/** @throws Error for bytes that are no event */
export function readEvent(bytes: Uint8Array): ForeignEvent {
  let [wallTime, step, restart] = [0, 0, false];
  const values: SummaryValue[] = [];
  readFields(bytes, {
    1: (r) => (wallTime = r.double()),
    2: (r) => (step = Number(r.int64())),
    5: (r) => readFields(r.bytes(), { 1: (summary) => void values.push(readValue(summary.bytes())) }),
    7: (r) => readFields(r.bytes(), { 1: (log) => (restart = log.int32() === SESSION_START) }),
  });
  return { wallTime, step, values, restart };
}

function readValue(bytes: Uint8Array): SummaryValue {
  const value: SummaryValue = {
    tag: "",
    plugin: undefined,
    pluginContent: undefined,
    scalar: undefined,
    histogram: undefined,
    image: undefined,
    tensor: undefined,
  };
  readFields(bytes, {
    1: (r) => (value.tag = r.string()),
    2: (r) => (value.scalar = r.float()),
    4: (r) => readFields(r.bytes(), { 4: (image) => (value.image = image.bytes()) }),
    5: (r) => (value.histogram = readHistogram(r.bytes())),
    8: (r) => (value.tensor = readTensor(r.bytes())),
    9: (r) =>
      readFields(r.bytes(), {
        1: (metadata) =>
          readFields(metadata.bytes(), {
            1: (data) => (value.plugin = data.string()),
            2: (data) => (value.pluginContent = data.bytes()),
          }),
      }),
  });
  return value;
}

function readHistogram(bytes: Uint8Array): SummaryValue["histogram"] {
  let [min, max, count, sum, squares] = [0, 0, 0, 0, 0];
  const [limits, counts]: [number[], number[]] = [[], []];
  readFields(bytes, {
    1: (r) => (min = r.double()),
    2: (r) => (max = r.double()),
    3: (r) => (count = r.double()),
    4: (r) => (sum = r.double()),
    5: (r) => (squares = r.double()),
    6: numbers(limits, (r) => r.double()),
    7: numbers(counts, (r) => r.double()),
  });
  if (limits.length === 0 || limits.length !== counts.length) return undefined;
  const mean = sum / count;
  // The outermost buckets reach to infinity.
  const clip = (edge: number): number => Math.min(max, Math.max(min, edge));
  return {
    edges: [min, ...limits.map(clip)],
    counts,
    ...(count > 0 ? { mean, std: Math.sqrt(Math.max(0, squares / count - mean * mean)) } : {}),
  };
}

const FLOAT = 1;
const DOUBLE = 2;
const INT32 = 3;

function readTensor(bytes: Uint8Array): EventTensor {
  let dtype = 0;
  let content: Uint8Array | undefined;
  const [found, strings, shape]: [number[], Uint8Array[], number[]] = [[], [], []];
  readFields(bytes, {
    1: (r) => (dtype = r.int32()),
    2: (r) =>
      readFields(r.bytes(), {
        2: (dims) => readFields(dims.bytes(), { 1: (size) => void shape.push(Number(size.int64())) }),
      }),
    4: (r) => (content = r.bytes()),
    5: numbers(found, (r) => r.float()),
    6: numbers(found, (r) => r.double()),
    7: numbers(found, (r) => r.int32()),
    8: (r) => {
      const text = r.bytes();
      if (strings.length < 100) strings.push(text);
    },
    10: numbers(found, (r) => Number(r.int64())),
  });
  return { numbers: content === undefined ? found : rawNumbers(content, dtype), strings, shape };
}

function rawNumbers(content: Uint8Array, dtype: number): number[] {
  const view = new DataView(content.buffer, content.byteOffset, content.length);
  const size = dtype === DOUBLE ? 8 : 4;
  if (dtype !== FLOAT && dtype !== DOUBLE && dtype !== INT32) return [];
  const length = Math.min(10_000, Math.floor(content.length / size));
  return Array.from({ length }, (_, i) =>
    dtype === DOUBLE
      ? view.getFloat64(i * size, true)
      : dtype === FLOAT
        ? view.getFloat32(i * size, true)
        : view.getInt32(i * size, true),
  );
}

/** A histogram that is a tensor of [bucket, left edge, right edge and count]. */
export function tensorHistogram({ numbers: all, shape }: EventTensor): SummaryValue["histogram"] {
  const buckets = shape[0] ?? 0;
  if (buckets === 0 || shape[1] !== 3 || all.length !== 3 * buckets) return undefined;
  const at = (bucket: number, column: number): number => all[3 * bucket + column]!;
  return {
    edges: [at(0, 0), ...Array.from({ length: buckets }, (_, i) => at(i, 1))],
    counts: Array.from({ length: buckets }, (_, i) => at(i, 2)),
  };
}

/** The hyperparameters of a session: `HParamsPluginData.session_start_info.hparams`. */
export function sessionParameters(content: Uint8Array): Map<string, unknown> {
  const found = new Map<string, unknown>();
  readFields(content, {
    3: (r) =>
      readFields(r.bytes(), {
        1: (info) => {
          let name = "";
          let value: unknown;
          readFields(info.bytes(), {
            1: (entry) => (name = entry.string()),
            2: (entry) =>
              readFields(entry.bytes(), {
                2: (one) => (value = one.double()),
                3: (one) => (value = one.string()),
                4: (one) => (value = one.bool()),
              }),
          });
          if (value !== undefined) found.set(name, value);
        },
      }),
  });
  return found;
}
