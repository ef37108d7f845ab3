// Small pictures of what layers give for one input, as a training goes.
import { withHeadHook } from "../../nn/functional/attention/attention.ts";
import type { Batch } from "../../nn/experiment/experiment.ts";
import { keepModes } from "../../nn/module/modes.ts";
import type { Module } from "../../nn/module/module.ts";
import { SpatialLayer } from "../../nn/modules/spatial.ts";
import {
  LEVELS,
  MAX_DRAWN,
  MAX_POINTS,
  MAX_SIDE,
  NOT_FINITE,
  type LayerPicture,
  type PictureInput,
  type PictureRow,
} from "../../protocol/layers/pictures.ts";
import { narrow } from "../../tensor/functions/shape/parts.ts";
import { cat, reshape } from "../../tensor/functions/shape/shape.ts";
import { fromHost, Tensor } from "../../tensor/core/tensor.ts";
import { valuesOf } from "../../tensor/planning/barrier.ts";
import { hidden, noGrad } from "../../tensor/recording/scope.ts";
import { untraced } from "../data/splits.ts";
import { forward, inputsAndTarget } from "../evaluation/evaluator.ts";
import { shrunk } from "../evaluation/pictures.ts";
import { evenly } from "../evaluation/report.ts";
import type { Prepared } from "../training/prepare.ts";

/** Points along either side of a plane: the boundary of two classes is seen, and the model computes 576 samples. */
const SIDE = 24;
/** Numbers of all pictures of a row: with them, a line of the file has about 90 KB. */
const MAX_NUMBERS = 1 << 15;
/** Numbers of a layer's output that are read for its pictures: larger ones have none. */
const MAX_READ = 1 << 20;
/** Training samples that a plane is laid around, evenly taken. */
const MAX_SAMPLES = 1000;

/** An input, and what it is. */
interface Given {
  inputs: readonly Tensor[];
  input: PictureInput;
}

/** A layer's output, or its attention, on the way to a picture. */
interface Seen extends Pick<LayerPicture, "kind" | "units"> {
  path: string;
  /** [drawn, height, width], of a plane [points, units]. */
  values: Tensor;
  shape: readonly [drawn: number, height: number, width: number];
}

export type Pictures = Pick<PictureRow, "input" | "layers">;

/** Draws the layers of a model in training. Leaves no trace in random numbers, modes and gradients. */
export class LayerPictures {
  readonly #prepared: Prepared;
  /** Undefined until the first pictures; null where there are none. */
  #given: Given | null | undefined;

  constructor(prepared: Prepared) {
    this.#prepared = prepared;
  }

  /** Makes the input, before the first step: a data set may draw random numbers. */
  begin(): void {
    if (this.#given !== undefined) return;
    try {
      this.#given = untraced(() => givenOf(this.#prepared)) ?? null;
    } catch {
      // Data that can't be read ends the training with a message of its own.
      this.#given = null;
    }
  }

  /** Pictures with the weights of now; undefined for models that have none. */
  take(): Pictures | undefined {
    const { model } = this.#prepared;
    this.begin();
    if (this.#given === undefined || this.#given === null) return undefined;
    const { inputs, input } = this.#given;
    const restoreModes = keepModes(model);
    model.eval();
    try {
      const layers = untraced(() => drawn(see(model, inputs, input.kind === "plane")));
      if (Object.keys(layers).length > 0) return { input, layers };
      // A model without convolution and attention has no picture of a sample.
      this.#given = null;
      return undefined;
    } catch {
      // A model may refuse an input that is no batch of the training, which is no reason to end that.
      this.#given = null;
      return undefined;
    } finally {
      restoreModes();
    }
  }
}

/** The plane of a model of two numbers; else the first sample of the validation. */
function givenOf({ experiment, train, validation }: Prepared): Given | undefined {
  // With a `trainStep` of the experiment's own, the inputs of its models are unknown.
  if (experiment.options.trainStep !== undefined || !train.listed) return undefined;
  const [first, ...others] = inputsAndTarget(train.sample()).inputs;
  if (first?.dtype === "float32" && first.shape.length === 1 && first.shape[0] === 2 && others.length === 0)
    return planeOf(train);
  const split = validation?.listed === true && validation.samples !== 0 ? "validation" : "train";
  const held = split === "validation" ? validation! : train;
  return {
    inputs: fixed(inputsAndTarget(held.pick([0])).inputs),
    input: { kind: "sample", split, index: 0 },
  };
}

/** Inputs whose numbers are known: they are used again and again. */
const fixed = (inputs: readonly Tensor[]): Tensor[] =>
  inputs.map(({ value, shape, dtype }) => fromHost(valuesOf(value), shape, dtype));

function planeOf(train: Prepared["train"]): Given {
  const batch: Batch = train.pick(evenly(train.samples ?? 0, MAX_SAMPLES));
  const { inputs, target } = inputsAndTarget(batch);
  const numbers = valuesOf(inputs[0]!.value);
  const targets = valuesOf(target.value);
  const count = numbers.length / 2;
  const column = (at: number): number[] => Array.from({ length: count }, (_, i) => numbers[2 * i + at]!);
  const [x, y] = [rangeOf(column(0)), rangeOf(column(1))];
  const grid = new Float32Array(2 * SIDE * SIDE);
  for (let row = 0; row < SIDE; row++)
    for (let at = 0; at < SIDE; at++) {
      const cell = 2 * (row * SIDE + at);
      grid[cell] = x[0] + ((at + 0.5) / SIDE) * (x[1] - x[0]);
      grid[cell + 1] = y[1] - ((row + 0.5) / SIDE) * (y[1] - y[0]);
    }
  const single = batch.length > 1 && targets.length === count;
  const classes = single && (target.dtype === "int64" || targets.every((one) => one === 0 || one === 1));
  const names: unknown = Reflect.get(train.source, "featureNames");
  const [first = "x₁", second = "x₂"] = Array.isArray(names) ? (names as string[]) : [];
  const points = evenly(single ? count : 0, MAX_POINTS).map((i): [number, number, number] => [
    numbers[2 * i]!,
    numbers[2 * i + 1]!,
    targets[i]!,
  ]);
  return {
    inputs: [fromHost(grid, [SIDE * SIDE, 2], "float32")],
    input: {
      kind: "plane",
      names: [first, second],
      x,
      y,
      points: points.filter((point) => point.every(Number.isFinite)),
      classes,
    },
  };
}

/** From the least to the greatest finite number, with a margin. */
function rangeOf(values: readonly number[]): [number, number] {
  let [low, high] = [Infinity, -Infinity];
  for (const value of values)
    if (Number.isFinite(value)) [low, high] = [Math.min(low, value), Math.max(high, value)];
  if (low > high) return [-1, 1];
  const margin = 0.08 * (high - low) || 1;
  return [low - margin, high + margin];
}

/** Runs the model, and sees what its layers give. */
function see(model: Module, inputs: readonly Tensor[], plane: boolean): Map<string, Seen> {
  const seen = new Map<string, Seen>();
  const calls = new Map<string, number>();
  const outputs: Tensor[] = [];
  const add = (one: Seen | undefined): void => {
    if (one === undefined) return;
    const key = `${one.kind} ${one.path}`;
    const call = (calls.get(key) ?? 0) + 1;
    calls.set(key, call);
    seen.set(callName(one.path, call), one);
  };
  const handles = model.namedModules().flatMap(([path, module]) =>
    module.namedChildren().length > 0 || path === ""
      ? []
      : [
          module.registerForwardHook((_module, _input, output: unknown) => {
            if (!(output instanceof Tensor)) return undefined;
            outputs.push(output);
            if (output.dtype === "float32")
              add(plane ? planeSeen(path, output) : mapSeen(path, module, output));
            return undefined;
          }),
        ],
  );
  const run = (): Tensor => noGrad(() => forward(model, inputs));
  try {
    const output = plane
      ? run()
      : withHeadHook((heads, path, weights) => {
          outputs.push(heads);
          add(attentionSeen(path, weights));
          return undefined;
        }, run);
    outputs.push(output);
    if (plane && output.dtype === "float32") add(planeSeen("", output));
  } finally {
    for (const handle of handles) handle.remove();
    // The next step would compute what a hook has seen: its plan would be another one.
    for (const { value } of outputs) value.visible = false;
  }
  return seen;
}

/** As boxes of diagrams are named. */
const callName = (path: string, call: number): string => (call === 1 ? path : `${path}#${call}`);

function planeSeen(path: string, output: Tensor): Seen | undefined {
  const points = SIDE * SIDE;
  if (output.shape[0] !== points || output.ndim > 2) return undefined;
  const units = output.shape[1] ?? 1;
  if (units === 0) return undefined;
  const drawn = Math.min(units, MAX_DRAWN);
  const flat = output.ndim === 1 ? reshaped(output, [points, 1]) : part(output, 1, drawn);
  return { path, kind: "plane", units, values: flat, shape: [drawn, SIDE, SIDE] };
}

/** Channels with height and width; of one dimension as a line, of three the middle of the first. */
function mapSeen(path: string, module: Module, output: Tensor): Seen | undefined {
  const [batch, units = 0, ...size] = output.shape;
  if (batch === undefined || batch === 0 || units === 0) return undefined;
  const spatial = module instanceof SpatialLayer;
  if (size.length !== 2 && !(spatial && (size.length === 1 || size.length === 3))) return undefined;
  const positions = size.reduce((product, extent) => product * extent, 1);
  const drawn = Math.min(units, MAX_DRAWN);
  if (positions <= 1 || drawn * positions > MAX_READ) return undefined;
  let values = part(part(output, 0, 1), 1, drawn);
  if (size.length === 3) values = hidden(() => noGrad(() => narrow(values, 2, size[0]! >> 1, 1)));
  const [height, width] = size.length === 1 ? [1, size[0]!] : (size.slice(-2) as [number, number]);
  return height * width <= 1
    ? undefined
    : { path, kind: "map", units, values, shape: [drawn, height, width] };
}

/** @param weights [*, heads, L, S] */
function attentionSeen(path: string, weights: Tensor): Seen | undefined {
  const { shape } = weights;
  const [height = 0, width = 0] = shape.slice(-2);
  const units = shape.length === 4 ? shape[1]! : 1;
  const drawn = Math.min(units, MAX_DRAWN);
  if (weights.dtype !== "float32" || shape.length > 4 || weights.numel() === 0) return undefined;
  if (drawn * height * width > MAX_READ) return undefined;
  let values = weights;
  if (shape.length > 2) values = part(values, 0, 1);
  if (shape.length === 4) values = part(values, 1, drawn);
  return { path, kind: "attention", units, values, shape: [drawn, height, width] };
}

/** The first entries of a dimension. */
const part = (x: Tensor, dim: number, length: number): Tensor =>
  length === x.shape[dim] ? x : hidden(() => noGrad(() => narrow(x, dim, 0, length)));

const reshaped = (x: Tensor, shape: number[]): Tensor => hidden(() => noGrad(() => reshape(x, shape)));

/** Computes all pictures in one call. */
function drawn(seen: ReadonlyMap<string, Seen>): PictureRow["layers"] {
  const layers: PictureRow["layers"] = {};
  if (seen.size === 0) return layers;
  const flat = [...seen.values()].map(({ values }) => values);
  const all = noGrad(() => hidden(() => cat(flat.map((values) => reshape(values, [-1])))));
  const numbers = valuesOf(all.value) as Float32Array;
  let at = 0;
  let left = MAX_NUMBERS;
  for (const [name, { kind, units, shape, values: tensor }] of seen) {
    const values = numbers.subarray(at, (at += tensor.numel()));
    const [count, height, width] = shape;
    const plane = kind === "plane" ? columns(values, count) : values;
    const all = { values: plane, channels: count, height, width, low: [], high: [] };
    const { values: small, height: h, width: w } = shrunk(all, MAX_SIDE);
    if ((left -= small.length) < 0) break;
    layers[name] = {
      kind,
      units,
      drawn: count,
      height: h,
      width: w,
      size: [height, width],
      ...levels(small),
    };
  }
  return layers;
}

/** Numbers of points [points, units] as those of units [units, points]. */
function columns(values: Float32Array, units: number): Float32Array {
  const points = values.length / units;
  const out = new Float32Array(values.length);
  for (let unit = 0; unit < units; unit++)
    for (let point = 0; point < points; point++) out[unit * points + point] = values[point * units + unit]!;
  return out;
}

function levels(values: ArrayLike<number>): Pick<LayerPicture, "low" | "high" | "values"> {
  let [low, high] = [Infinity, -Infinity];
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    if (Number.isFinite(value)) [low, high] = [Math.min(low, value), Math.max(high, value)];
  }
  if (low > high) [low, high] = [0, 0];
  const bytes = Buffer.alloc(2 * values.length);
  for (let i = 0; i < values.length; i++) {
    const share = high > low ? (values[i]! - low) / (high - low) : 0;
    bytes.writeUInt16LE(Number.isFinite(values[i]!) ? Math.round(share * LEVELS) : NOT_FINITE, 2 * i);
  }
  return { low, high, values: bytes.toString("base64") };
}
