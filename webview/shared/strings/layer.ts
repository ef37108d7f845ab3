/** Texts of what each layer did over a training; part of shared/strings.ts. */
import { formatCount } from "../format.ts";

export const layerStrings = {
  title: "Layers",
  notWatched:
    "Set watch: true in the experiment to see each layer's weights, gradients and activations here.",
  notYet: "The first figures appear with the first check of the layers.",
  layer: "Layer",
  model: "(model)",
  measure: "Measure",
  measures: {
    gradNorm: "Gradient norm",
    updateRatio: "Update ratio",
    meanActivation: "Mean |activation|",
    deadUnits: "Dead units",
  },
  hints: {
    gradNorm: "Norm of the gradient of the layer's own parameters, after clipping",
    updateRatio: "Norm of a step's update by the norm of the weights: about 0.001 is usual",
    meanActivation: "Mean absolute value of the layer's output",
    deadUnits: "Share of the layer's ReLU units that are 0 for the whole batch",
  },
  heats: {
    gradNorm: "Training: gradient norm",
    updateRatio: "Training: update ratio",
    meanActivation: "Training: mean |activation|",
    deadUnits: "Training: dead units",
  },
  view: "View of the values",
  views: { heat: "Heat", ridge: "Ridge" },
  kinds: { weights: "Weights", gradients: "Gradients", activations: "Activations" },
  overTime: "Over the training",
  position: "Position in the training",
  at: (step: number, epoch: number) => `Step ${formatCount(step)}, epoch ${formatCount(epoch)}`,
  latest: "Follow the End",
  training: "Layers of a training",
  noTraining: "No training",
  during: (at: string) => `In training: ${at}`,
  advice: "Advice",
  atStep: (step: number) => `Step ${formatCount(step)}`,
  show: (layer: string) => `Show ${layer}`,
  omitted: (layers: number) => `${formatCount(layers)} more layers are not shown.`,
  values: (layer: string) => `Values of ${layer}`,
  none: "No values at this step.",
  noKind: {
    weights: "No parameters that are trained.",
    gradients: "No gradients.",
    activations: "No output was recorded.",
  },
  meanStd: (mean: string, std: string) => `${mean} ± ${std}`,
  range: (low: string, high: string) => `${low} to ${high}`,
  describe: (kind: string, layer: string, at: string, mean: string, std: string) =>
    `${kind} of ${layer} at ${at}: mean ${mean}, standard deviation ${std}`,
  scale: (low: string, high: string) => `Colours from ${low} to ${high}`,
  units: (dead: number, units: number) => `${formatCount(dead)} of ${formatCount(units)}`,
  download: "Download CSV",
  downloadHint: (layer: string) => `Download the histograms of ${layer} as CSV`,
};
