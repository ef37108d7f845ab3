import * as v from "valibot";
import { SourcePosition } from "./errors.ts";

/** A rule for a probable mistake: its condition, and the source of its reasoning. */
interface Rule {
  /** The mistake, in a few words. */
  title: string;
  /** The condition under which it is reported, with its constants. */
  rule: string;
  /** The reason or its source. */
  reason: string;
  /** The usual fix. */
  fix: string;
}

/**
 * The rules by which probable mistakes are found. The engine applies them, once, and every view shows the same findings: a
 * run's log, its `findings.jsonl`, and the tools of `layerwise mcp`. docs/agents.md lists them from here.
 */
export const FINDING_RULES = {
  inputScale: {
    title: "Inputs are not normalised",
    rule: "Before the first step, a Linear or Conv layer reads data whose non-zero values have a root mean square above 10 or below 0.01, or, of a table, columns whose scales differ more than 100 times.",
    reason:
      "LeCun et al., Efficient BackProp (1998), section 4.3. PyTorch's initial weights turn a root mean square of 10 into outputs of about 6, where sigmoid and tanh have a slope below 0.003.",
    fix: "Scale each column to mean 0 and standard deviation 1 with the training set's statistics (data.csv's normalize, transforms.normalize), or begin the model with BatchNorm.",
  },
  labelLeak: {
    title: "A column gives the label away",
    rule: "The class explains at least 99 % of one input column's variance (the correlation ratio), or one column explains 99.9 % of a numeric target's variance and every other leaves at least ten times as much unexplained; among at least 50 samples and 2 columns.",
    reason:
      "Kaufman et al., Leakage in Data Mining (2012): an input that exists only because the label is known. Without a relation, the expected ratio is (classes - 1) / (samples - 1), which has to be below 0.2.",
    fix: "Remove the column, or check that it is known before the label is.",
  },
  duplicates: {
    title: "Validation samples are also trained on",
    rule: "The share of validation or test samples whose inputs equal a training sample's, byte for byte, exceeds 0.5 / √n, n being the number of those samples. Of inputs that are whole numbers, such as words, it also has to exceed the share of training samples with a copy among the others by three standard errors.",
    reason:
      "0.5 / √n is the largest standard error of an accuracy measured on n samples: with more duplicates, the copies alone can move the result beyond its own uncertainty.",
    fix: "Remove duplicates before the split, and split before augmentation or oversampling; keep samples of one origin in one split.",
  },
  classImbalance: {
    title: "Classes are imbalanced",
    rule: "The largest class of the training set has at least ten times as many samples as the smallest, and neither class weights nor a sampler make up for it. Not applied to language models.",
    reason:
      "Chawla et al., SMOTE (2002), and He and Garcia, Learning from Imbalanced Data (2009), for ratios of an order of magnitude and more. Accuracy then says little: always predicting the largest class scores as high.",
    fix: "Weight the classes (weight of CrossEntropyLoss, posWeight of BCEWithLogitsLoss), draw them evenly (data.WeightedRandomSampler), and measure recall or F1 of each class.",
  },
  unrelatedLabels: {
    title: "Labels seem unrelated to the inputs",
    rule: "At the end, the validation's accuracy is at most two standard errors above that of always predicting the most frequent class (of one number with a squared error: R² at most 2 / √n), and so is the nearest neighbour's among up to 500 training samples, though training moved the weights by at least 10 %. At least 50 validation samples; not with another finding that explains it.",
    reason:
      "A permutation baseline: shuffled labels leave nothing but the class frequencies. The nearest neighbour's error is at most twice the best possible (Cover and Hart, 1967), so it finds most relations that exist.",
    fix: "Check that inputs and labels are shuffled, sorted and filtered together, and look at some samples with their labels.",
  },
  initialLoss: {
    title: "The loss begins far too high",
    rule: "Before the first step, cross entropy is more than 2 above log(classes), or a squared, absolute or Huber error more than 100 times that of predicting 0. Not where weights were loaded, the inputs are not normalised, or the model has running statistics.",
    reason:
      "Logits of standard deviation s raise the cross entropy of an untrained model by about s² / 2 over log(classes): 2 means s = 2, a confident wrong model.",
    fix: "Normalise the inputs, or initialise the last layers with smaller weights.",
  },
  learningRateHigh: {
    title: "The learning rate is too high",
    rule: "In two consecutive checks a step changed a layer by more than 10 % of its weights, or the mean loss of the last tenth of the training is above the untrained model's by more than two standard errors and by more than 10 %, or ten times as large.",
    reason:
      "About 0.1 % of the weights a step is usual (Karpathy, CS231n); at 100 times that, a step leaves the region where its gradient is valid.",
    fix: "Try a smaller learning rate: `layerwise lr-find` suggests one.",
  },
  learningRateLow: {
    title: "The learning rate is too low",
    rule: "All steps together change no layer by more than 1 % of its weights, and the loss is still above 90 % of its first value.",
    reason:
      "The sum of the relative updates bounds the distance from the initial weights: the model is still the one that was initialised.",
    fix: "Try a larger learning rate: `layerwise lr-find` suggests one.",
  },
  deadUnits: {
    title: "ReLUs are dead",
    rule: "More than half of a ReLU's units are 0 for every sample in the last half of the checks: at least 64 samples, or as many as the training set has. In two checks at least at the end of a training, in 20 before.",
    reason:
      "No gradient passes a unit that is 0 for every sample. Of a unit that is silent for 64 samples, at most 5 % of inputs activate it, with 95 % confidence (the rule of three).",
    fix: "Try a smaller learning rate, LeakyReLU, or nn.init.kaimingNormal_.",
  },
  vanishingGradient: {
    title: "Gradients vanish",
    rule: "In two consecutive checks a layer's gradient norm is below a millionth of the largest layer's; or below a thousandth, while all steps together change the layer by less than 1 % of its weights and another by ten times as much.",
    reason:
      "Glorot and Bengio (2010): each saturating layer multiplies the gradient by less than 1. The second rule is about its effect: the layer stays as it was initialised.",
    fix: "Normalisation (BatchNorm, LayerNorm), residual connections, ReLU in place of sigmoid or tanh, or nn.init.kaimingNormal_ help.",
  },
  explodingGradient: {
    title: "Gradients explode",
    rule: "In two consecutive checks a layer's gradient norm is above 1000. Not where a squared or absolute error's target explains it: a first loss within 100 times that of predicting 0, and a relative change of the weights that changes the loss by less than 1000 times as much.",
    reason: "Pascanu et al., On the Difficulty of Training Recurrent Neural Networks (2013).",
    fix: "Clip it (gradientClipVal: 1), or try a smaller learning rate or normalised inputs.",
  },
  nonFinite: {
    title: "The loss is not a finite number",
    rule: "A loss or a weight is NaN or infinite.",
    reason: "Every later value of the training would be NaN too.",
    fix: "See the first operation that gave such a value in the run's error; try a smaller learning rate or clipped gradients.",
  },
  frozenLayer: {
    title: "A layer with random weights is never trained",
    rule: "The model calls a layer whose weights were drawn at random, and no check of the training saw them change: they are frozen, missing in the optimizer, or cut off from the loss.",
    reason: "Freezing is for weights that were learned; a random layer only loses information.",
    fix: "Set requiresGrad, pass model.parameters() to the optimizer, and look for detach() or noGrad() on the way to the loss; or load pretrained weights.",
  },
  softmaxTwice: {
    title: "Softmax is applied twice",
    rule: "The loss that takes a softmax or sigmoid itself is given the result of one.",
    reason: "Its gradients become small, and the loss can't come near 0.",
    fix: "Give the loss the scores, without the activation.",
  },
  targetShape: {
    title: "The target's shape doesn't fit the output's",
    rule: "Output and target have different sizes, so that an elementwise loss pairs each output with every target.",
    reason: "[N, 1] and [N] broadcast to [N, N]: the model learns the mean of all targets.",
    fix: "Give both one shape: output.squeeze(1), or target.unsqueeze(1).",
  },
} as const satisfies Record<string, Rule>;
export type FindingKind = keyof typeof FINDING_RULES;
const KINDS = Object.keys(FINDING_RULES) as [FindingKind, ...FindingKind[]];

/** A probable mistake that a rule has found. */
export const Finding = v.object({
  kind: v.picklist(KINDS),
  /** The finding with its numbers, and the fix. */
  text: v.string(),
  /** Dotted path of the layer, if it is about one. */
  layer: v.optional(v.string()),
  /** Optimizer steps done when it was found. */
  step: v.optional(v.number()),
  position: v.optional(SourcePosition),
});
export type Finding = v.InferOutput<typeof Finding>;

/** In a run directory: one {@link Finding} a line, append-only. */
export const FINDINGS_FILE = "findings.jsonl";
/** Most names of fields in a line of it, and colons in its texts. */
export const FINDING_NAMES = 1000;

/** Returns a finding with its rule's fix. */
export function findingOf(kind: FindingKind, what: string, more: Partial<Finding> = {}): Finding {
  return { kind, text: `${what} ${FINDING_RULES[kind].fix}`, ...more };
}

/** Kinds of findings for a preview's warnings, by their codes. */
export const WARNING_KINDS: Readonly<Partial<Record<string, FindingKind>>> = {
  softmaxBeforeLoss: "softmaxTwice",
  targetSize: "targetShape",
};
