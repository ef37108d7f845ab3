import type { Module } from "../../nn/module/module.ts";
import { Conv2d } from "../../nn/modules/conv/convolution.ts";
import { Embedding } from "../../nn/modules/embedding.ts";
import type { FeatureMaps, Saliency } from "../../protocol/evaluation.ts";
import { grad } from "../../tensor/recording/autograd.ts";
import { withGradients } from "../../tensor/recording/scope.ts";
import { valuesOf } from "../../tensor/planning/barrier.ts";
import { fromHost, Tensor } from "../../tensor/core/tensor.ts";
import { forward } from "./evaluator.ts";
import { MAX_NUMBERS } from "./decisions.ts";
import type { Form } from "./inputForm.ts";
import { mask, picture } from "./pictures.ts";

/** Channels of a layer that are shown. */
const MAX_MAPS = 32;
/** Pixels along a map's longer side. */
const MAP_SIDE = 64;

/**
 * The gradient of one output number with respect to the input's numbers, or to the embeddings of its tokens. Undefined
 * when there is none.
 * @param choose Picks the number from the output
 */
export function inputGradient(
  model: Module,
  inputs: readonly Tensor[],
  choose: (output: Tensor) => Tensor,
): Tensor | undefined {
  const [first, ...rest] = inputs;
  if (first === undefined) return undefined;
  return withGradients(true, () => {
    if (first.dtype === "float32") {
      const leaf = fromHost(valuesOf(first.value), first.shape, "float32").requiresGrad_();
      return grad(choose(forward(model, [leaf, ...rest])), leaf, { allowUnused: true })[0] ?? undefined;
    }
    let embedded: Tensor | undefined;
    const embedding = model.modules().find((one) => one instanceof Embedding);
    const hook = embedding?.registerForwardHook((_module, _input, output) => {
      if (embedded !== undefined || !(output instanceof Tensor)) return undefined;
      // A leaf of its own, so that a frozen embedding has a gradient too.
      return (embedded = fromHost(valuesOf(output.value), output.shape, "float32").requiresGrad_());
    });
    try {
      const chosen = choose(forward(model, inputs));
      if (embedded === undefined) return undefined;
      return grad(chosen, embedded, { allowUnused: true })[0] ?? undefined;
    } finally {
      hook?.remove();
    }
  });
}

/** @param gradient For one input [1, …], or its embedded tokens [1, L, E]; @param tokens How many are the text's own */
export function saliencyOf(gradient: Tensor, form: Form, tokens?: number): Saliency | undefined {
  const values = valuesOf(gradient.value);
  if (form.kind === "image") {
    const size = form.height * form.width;
    const largest = Float32Array.from({ length: size }, (_, at) => {
      let most = 0;
      for (let c = 0; c < form.channels; c++) most = Math.max(most, Math.abs(values[c * size + at]!));
      return most;
    });
    return { kind: "image", png: mask(largest, form.height, form.width) };
  }
  if (tokens !== undefined) {
    const width = gradient.shape.at(-1)!;
    const lengths = Array.from({ length: tokens }, (_, t) =>
      Math.hypot(...values.subarray(t * width, (t + 1) * width)),
    );
    return { kind: "values", values: lengths };
  }
  return values.length <= Math.max(MAX_NUMBERS, 200) ? { kind: "values", values: [...values] } : undefined;
}

/** The output of the model's first convolution for an input; undefined when it has none, or doesn't call it. */
export function featureMaps(model: Module, inputs: readonly Tensor[]): FeatureMaps | undefined {
  const found = model.namedModules().find(([, one]) => one instanceof Conv2d);
  if (found === undefined) return undefined;
  const [layer, convolution] = found;
  let output: Tensor | undefined;
  const hook = convolution.registerForwardHook((_module, _input, given) => {
    if (given instanceof Tensor) output ??= given;
  });
  try {
    // It is pending until it is read, and must be read while it can be.
    withGradients(false, () => void valuesOf(forward(model, inputs).value));
    if (output?.ndim !== 4) return undefined;
    const values = valuesOf(output.value);
    const [, channels, height, width] = output.shape as [number, number, number, number];
    const size = height * width;
    const shown = Array.from({ length: Math.min(channels, MAX_MAPS) }, (_, c) => {
      const map = values.subarray(c * size, (c + 1) * size);
      let [low, high] = [Infinity, -Infinity];
      for (const value of map) [low, high] = [Math.min(low, value), Math.max(high, value)];
      return picture({ values: map, channels: 1, height, width, low: [low], high: [high] }, MAP_SIDE);
    });
    return { layer, channels, width, height, maps: shown.map(({ png }) => png) };
  } finally {
    hook.remove();
  }
}
