/** Texts of a measured training step, in the architecture panel; part of strings.ts. */
import { formatCount } from "../format.ts";

export const profileStrings = {
  measure: "Profile",
  measureHint: "Profile a training step: measure the time of each layer",
  again: "Profile again",
  close: "Close profile",
  cancel: "Cancel",
  title: "Measured training step",
  failed: "The training step can't be measured",
  outdated: "The file has changed since.",
  step: (batch: number, engine: string) =>
    `A step of ${formatCount(batch)} ${batch === 1 ? "sample" : "samples"} on ${engine}`,
  compiled: "As trained",
  opByOp: "Op by op",
  times: (factor: string) => `${factor} times as fast`,
  optimizer: "Optimizer",
  outside: "Outside layers",
  outsideHint: "The model's own forward, the loss and the step's own code",
  limit: "Matrix product",
  limitHint: "A single large matrix product, run like the ops of the layers",
  peak: "Peak memory of values",
  explanation:
    "Times of layers are medians of a step computed op by op. A compiled step, as in training, fuses ops and runs them in parallel, so its layers can't be timed.",
  fellBack: "Not compiled",
  allCompiled: "Nothing fell back: the whole step is compiled.",
  choices: "What the engine chose",
  measured: "Measured",
  forward: "Forward",
  backward: "Backward",
  share: "Share of the step",
  speed: (value: string) => `${value} GFLOP/s`,
  speedOf: { forward: "Forward speed", backward: "Backward speed" },
  activations: "Kept for backward",
  gradients: "Gradients of weights",
  heats: {
    time: "Heat: measured time",
    forwardTime: "Heat: forward time",
    backwardTime: "Heat: backward time",
  },
};
