// The layers of a model whose output can be changed unit by unit, and where the units are in it.
import { withHeadHook } from "../../nn/functional/attention/attention.ts";
import type { Module } from "../../nn/module/module.ts";
import {
  BatchNormBase,
  InstanceNorm1d,
  InstanceNorm2d,
  InstanceNorm3d,
} from "../../nn/modules/norm/batchNorm.ts";
import { Dropout1d, Dropout2d, Dropout3d } from "../../nn/modules/dropout.ts";
import { Embedding } from "../../nn/modules/embedding.ts";
import { Bilinear, Linear } from "../../nn/modules/linear.ts";
import { GroupNorm, LayerNorm, RMSNorm } from "../../nn/modules/norm/normalization.ts";
import { AvgPool1d, AvgPool2d, AvgPool3d } from "../../nn/modules/pooling/pooling.ts";
import { SpatialLayer } from "../../nn/modules/spatial.ts";
import { EngineError } from "../../protocol/errors.ts";
import type { LayerPart, RefusedLayer, UnitKind, UnitLayer } from "../../protocol/interventions.ts";
import { formatShape, numel, sameShape, type Shape } from "../../tensor/core/shape.ts";
import { Tensor } from "../../tensor/core/tensor.ts";
import { noGrad } from "../../tensor/recording/scope.ts";

/** A layer whose units can be changed, with the places of the units in its output. */
export interface Units extends UnitLayer {
  /** Of one sample, with its batch dimension. */
  shape: Shape;
  batchDim: number;
  unitDim: number;
  /** Last dimensions that a mean keeps beside the unit's: of a head, the numbers that it gives at a position. */
  kept: number;
  /** Calls in one forward pass. */
  calls: number;
}

export interface LayerList {
  layers: Units[];
  refused: RefusedLayer[];
}

/** A place in a forward pass: a layer, and which of its calls, from 1; left out: all of them. */
export interface LayerAt {
  layer: string;
  part: LayerPart;
  call?: number | undefined;
}

interface Called extends LayerAt {
  call: number;
  module: Module;
  /** Of heads: their attention, [*, heads, L, S]. */
  weights?: Tensor;
}

/** Sees every output, and may replace it. */
type OutputHook = (output: unknown, at: Called) => Tensor | undefined;

/** Runs `body`; `hook` sees the outputs of all modules below `model` and of all heads, in the order of calls' ends. */
export function withOutputs<T>(model: Module, hook: OutputHook, body: () => T): T {
  const modules = new Map(model.namedModules());
  const counts = new Map<string, number>();
  const pass = (
    output: unknown,
    layer: string,
    part: LayerPart,
    seen: Pick<Called, "module" | "weights">,
  ): Tensor | undefined => {
    const key = keyOf({ layer, part });
    const call = (counts.get(key) ?? 0) + 1;
    counts.set(key, call);
    return hook(output, { layer, part, call, ...seen });
  };
  const handles = [...modules].flatMap(([path, module]) =>
    path === ""
      ? []
      : [
          module.registerForwardHook((_module, _input, output: unknown) =>
            pass(output, path, "output", { module }),
          ),
        ],
  );
  try {
    return withHeadHook(
      (heads, path, weights) => pass(heads, path, "heads", { module: modules.get(path) ?? model, weights }),
      body,
    );
  } finally {
    for (const handle of handles) handle.remove();
  }
}

interface Call extends Called {
  output: unknown;
  /** Its place among all calls. */
  order: number;
}

/** Two batch sizes: the dimension that changes with them is the batch. */
const [FEW, MORE] = [2, 3];

/**
 * Lists the layers that a forward pass calls. Nothing is computed for it.
 * @param run Runs the model on that many copies of one sample
 */
export function unitLayers(model: Module, run: (rows: number) => unknown): LayerList {
  const few = callsOf(model, () => run(FEW));
  const more = callsOf(model, () => run(MORE));
  const list: LayerList = { layers: [], refused: [] };
  /** Where the units are in outputs of a shape, by the last layer that determined it. */
  const known: { shape: Shape; channels: boolean }[] = [];
  const groups = [...few].flatMap(([key, calls]) => split(calls, more.get(key) ?? []));
  for (const { few: calls, more: others, ...call } of groups.sort(
    (a, b) => a.few[0].order - b.few[0].order,
  )) {
    const [{ layer, part, module }] = calls;
    const found = unitsOf(calls, others, known);
    if (typeof found === "string") {
      // The output of an attention is a pair, whose heads are listed.
      if (!few.has(keyOf({ layer, part: "heads" })))
        list.refused.push({ layer, reason: `${layer} (${module.constructor.name}) ${found}` });
    } else list.layers.push({ layer, part, ...call, type: module.constructor.name, ...found });
  }
  return list;
}

interface Group {
  few: [Call, ...Call[]];
  more: Call[];
  call?: number;
}

/** The calls of a layer, or each alone where they give different shapes. */
function split(few: Call[], more: Call[]): Group[] {
  const [first] = few as [Call];
  const same = few.every(
    ({ output }) =>
      !(output instanceof Tensor && first.output instanceof Tensor) ||
      sameShape(output.shape, first.output.shape),
  );
  if (same || more.length !== few.length) return [{ few: few as Group["few"], more }];
  return few.map((one, i) => ({ few: [one], more: [more[i]!], call: one.call }));
}

/** @throws EngineError that says why its units can't be changed */
export function unitsAt({ layers, refused }: LayerList, at: LayerAt, model: Module): Units {
  const found = layers.find((one) => keyOf(one) === keyOf(at));
  if (found !== undefined) return found;
  const { layer, part } = at;
  const name = model.constructor.name;
  const reason = part === "output" ? refused.find((one) => one.layer === layer)?.reason : undefined;
  const calls = layers.filter((one) => one.layer === layer && one.part === part);
  const exists = model.namedModules().some(([path]) => path === layer);
  throw new EngineError({
    code: "layer",
    message:
      reason !== undefined
        ? `${reason}.`
        : calls.length > 0
          ? `${layer} has no such call: ${calls[0]!.call === undefined ? "leave it out" : `choose one from 1 to ${calls.length}`}.`
          : !exists
            ? `${name} has no module ${JSON.stringify(layer)}.`
            : part === "heads"
              ? `${layer === "" ? name : layer} computes no attention of several heads for this input.`
              : layer === ""
                ? "The model's own output is no layer: choose one of its modules."
                : `${name}.forward() doesn't call ${layer} for this input.`,
  });
}

/** Copies the fields of the place alone. */
export const placeOf = ({ layer, part, call }: LayerAt): LayerAt =>
  call === undefined ? { layer, part } : { layer, part, call };

export const keyOf = ({ layer, part, call }: LayerAt): string => `${part}:${call ?? ""}:${layer}`;

/** Looks up the entry of a layer, else that of one of its calls. */
export const foundAt = <T>(known: ReadonlyMap<string, T>, { layer, part, call }: LayerAt): T | undefined =>
  known.get(keyOf({ layer, part })) ?? known.get(keyOf({ layer, part, call }));

function callsOf(model: Module, body: () => unknown): Map<string, Call[]> {
  const calls = new Map<string, Call[]>();
  let order = 0;
  const note = (output: unknown, at: Called): undefined => {
    const key = keyOf({ layer: at.layer, part: at.part });
    calls.set(key, [...(calls.get(key) ?? []), { ...at, output, order: order++ }]);
  };
  noGrad(() => withOutputs(model, note, body));
  return calls;
}

type Place = Pick<Units, "kind" | "units" | "shape" | "batchDim" | "unitDim" | "kept" | "calls">;

/** Where the units are, or why that is unknown: a phrase after the layer's name. */
function unitsOf(
  few: readonly Call[],
  more: readonly Call[],
  known: { shape: Shape; channels: boolean }[],
): Place | string {
  const [{ module, part }] = few as [Call];
  for (const { output: one } of [...few, ...more])
    if (!(one instanceof Tensor)) return `gives ${described(one)} in place of one tensor`;
    else if (one.dtype !== "float32") return `gives ${one.dtype} values, which aren't changed`;
  const first = (few[0]!.output as Tensor).shape;
  if (more.length !== few.length)
    return `is called ${few.length} times for ${FEW} samples and ${more.length} for ${MORE}`;
  const second = (more[0]!.output as Tensor).shape;
  const batchDim = batchOf(first, second);
  if (batchDim === undefined)
    return `gives ${formatShape(first)} for ${FEW} samples and ${formatShape(second)} for ${MORE}: no dimension is the batch`;
  const shape = first.map((size, d) => (d === batchDim ? 1 : size));
  if (numel(shape) === 0) return "gives no numbers";
  const own = shape.flatMap((_, d) => (d === batchDim ? [] : [d]));
  if (own.length === 0) return "gives one number for each sample";
  const place = { shape, batchDim, calls: few.length };
  if (part === "heads") {
    if (shape.length !== 4 || batchDim !== 0) return "has one head";
    return { ...place, kind: "head", units: shape[1]!, unitDim: 1, kept: shape[3]! };
  }
  const channels =
    channelsFirst(module) ?? known.findLast((one) => sameShape(one.shape, shape))?.channels ?? own.length > 2;
  known.push({ shape, channels });
  const unitDim = channels ? own[0]! : own.at(-1)!;
  const kind: UnitKind = channels && own.length > 1 ? "channel" : "unit";
  return { ...place, kind, units: shape[unitDim]!, unitDim, kept: 1 };
}

/** The dimension that is 2 for two samples and 3 for three, when all others are equal. */
function batchOf(few: Shape, more: Shape): number | undefined {
  if (few.length !== more.length) return undefined;
  const differ = few.flatMap((size, d) => (size === more[d] ? [] : [d]));
  const [dim] = differ;
  return differ.length === 1 && few[dim!] === FEW && more[dim!] === MORE ? dim : undefined;
}

const CHANNELS_FIRST = [
  SpatialLayer,
  AvgPool1d,
  AvgPool2d,
  AvgPool3d,
  BatchNormBase,
  InstanceNorm1d,
  InstanceNorm2d,
  InstanceNorm3d,
  GroupNorm,
  Dropout1d,
  Dropout2d,
  Dropout3d,
];
const FEATURES_LAST = [Linear, Bilinear, Embedding, LayerNorm, RMSNorm];

/** Whether the units of a module's output are in its first dimension after the batch; undefined where any may be. */
function channelsFirst(module: Module): boolean | undefined {
  if (CHANNELS_FIRST.some((one) => module instanceof one)) return true;
  return FEATURES_LAST.some((one) => module instanceof one) ? false : undefined;
}

function described(output: unknown): string {
  if (Array.isArray(output)) return `${output.length} values`;
  return output === null || typeof output !== "object" ? typeof output : "an object";
}
