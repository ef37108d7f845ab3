// Names of tensors' dimensions, where the layer that made them defines them: never guessed from sizes.
import * as modules from "../../nn/modules/index.ts";
import type { Module } from "../../nn/module/module.ts";
import type { Node, Value } from "../../tensor/recording/graph.ts";
import { sameShape, type Shape } from "../../tensor/core/shape.ts";

/** Names of a tensor's dimensions in their order; "" for those that aren't known. */
export type Axes = readonly string[];

const SPATIAL = [["length"], ["height", "width"], ["depth", "height", "width"]] as const;

/** Name of a class of the library; "" for a user's class that extends one, whose output may be anything. */
function ownName(module: Module): string {
  const { name } = module.constructor;
  return Reflect.get(modules, name) === module.constructor ? name : "";
}

/**
 * The axes of a module's output.
 * @param input Axes of its first input
 * @param index Which of its outputs
 */
export function axesOf(module: Module, input: Axes | undefined, shape: Shape, index = 0): Axes | undefined {
  const name = ownName(module);
  const rank = shape.length;
  const leading = (count: number): Axes =>
    input?.length === rank ? input.slice(0, count) : Array.from({ length: count }, () => "");
  const spatial = /^(?!.*Dropout).*([123])d$/.exec(name)?.[1];
  if (spatial !== undefined) {
    const names = ["channels", ...SPATIAL[Number(spatial) - 1]!];
    if (rank === names.length + 1) return ["batch", ...names];
    if (name.endsWith("BatchNorm1d")) return rank === 2 ? ["batch", "features"] : undefined;
    return rank === names.length ? names : undefined;
  }
  switch (name) {
    case "Linear":
    case "Bilinear":
    case "LazyLinear":
      return rank === 0 ? undefined : [...leading(rank - 1), "features"];
    case "Embedding":
      return input?.length === rank - 1 ? [...input, "features"] : [...leading(rank - 1), "features"];
    case "LayerNorm":
    case "RMSNorm": {
      const { normalizedShape } = module as unknown as { normalizedShape: Shape };
      if (input?.length === rank && input.at(-1) !== "") return input;
      return normalizedShape.length === 1 ? [...leading(rank - 1), "features"] : input;
    }
    case "GroupNorm":
      return input?.length === rank && input[1] !== ""
        ? input
        : ["batch", "channels", ...leading(rank).slice(2)];
    case "Flatten": {
      const { startDim, endDim } = module as unknown as { startDim: number; endDim: number };
      return startDim === 1 && endDim === -1 && rank === 2 ? [input?.[0] ?? "", "features"] : undefined;
    }
    case "RNN":
    case "LSTM":
    case "GRU":
      if (index > 0) return rank === 3 ? ["layers", "batch", "features"] : ["layers", "features"];
      return sequence(module, rank);
    case "MultiheadAttention":
      if (index > 0)
        return ["batch", "heads", "queries", "keys"]
          .filter((axis) => rank === 4 || axis !== "heads")
          .slice(-rank);
      return sequence(module, rank);
    case "TransformerEncoderLayer":
    case "TransformerDecoderLayer":
      return sequence((module as unknown as { selfAttn: Module }).selfAttn, rank);
    case "Transformer":
      return sequence(module, rank);
    default:
      return undefined;
  }
}

function sequence(module: Module, rank: number): Axes | undefined {
  if (rank === 2) return ["sequence", "features"];
  if (rank !== 3) return undefined;
  const { batchFirst } = module as unknown as { batchFirst: boolean };
  return batchFirst ? ["batch", "sequence", "features"] : ["sequence", "batch", "features"];
}

/** Notes the output axes of an op that keeps or reorders dimensions. If its inputs disagree, there are none. */
export function passAxes(node: Node, known: Map<Value, Axes>): void {
  const { layout } = node.op;
  const [output] = node.outputs;
  if (output === undefined) return;
  if (layout === "elementwise") {
    const own = node.inputs.flatMap((value) => {
      const axes = known.get(value);
      return axes !== undefined && sameShape(value.shape, output.shape) ? [axes] : [];
    });
    const [first, ...others] = own;
    if (first !== undefined)
      known.set(
        output,
        first.map((axis, d) => (others.every((axes) => axes[d] === axis) ? axis : "")),
      );
  } else if (node.op.name === "permute") {
    const axes = known.get(node.inputs[0]!);
    const { order } = node.attributes as { order: readonly number[] };
    if (axes !== undefined)
      known.set(
        output,
        order.map((d) => axes[d]!),
      );
  }
}

/** Axes in the notation of shapes; undefined if none is known. */
export function axesText(axes: readonly (Axes | undefined)[]): string | undefined {
  if (!axes.some((one) => one?.some((axis) => axis !== ""))) return undefined;
  const texts = axes.map((one) =>
    one === undefined ? "[…]" : `[${one.map((axis) => axis || "·").join(", ")}]`,
  );
  return texts.length === 1 ? texts[0] : `(${texts.join(", ")})`;
}
