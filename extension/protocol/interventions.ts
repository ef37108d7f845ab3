import * as v from "valibot";
import { Subject, TensorView } from "./evaluation.ts";
import { PngText } from "./pictures.ts";
import { MetricValue } from "./run.ts";
import type { KeptTensorMethods, OpenTensor } from "./tensorValues.ts";

/**
 * Changing a layer's output, unit by unit: questions to a session with an evaluated model, and its answers. The answers
 * are bounded, whatever the size of the model.
 */

const Index = v.pipe(v.number(), v.integer(), v.minValue(0));

/** A layer's own output, or the outputs of its attention's heads before they are concatenated and projected. */
export const LayerPart = v.picklist(["output", "heads"]);
export type LayerPart = v.InferOutput<typeof LayerPart>;

export const LayerOf = {
  /** Dotted path of the module; "" for heads of the model's own forward. */
  layer: v.pipe(v.string(), v.maxLength(1000)),
  part: LayerPart,
  /** From 1, of a module whose calls give different shapes; left out: all calls. */
  call: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1))),
};

/** The value that replaces a unit's own. */
export const Replacement = v.variant("mode", [
  v.object({ mode: v.literal("zero") }),
  /** Its mean over samples of the evaluated set and over positions. */
  v.object({ mode: v.literal("mean") }),
  /** Its value for another sample of the set. */
  v.object({ mode: v.literal("sample"), sample: Index }),
]);
export type Replacement = v.InferOutput<typeof Replacement>;

export const Intervention = v.object({ ...LayerOf, unit: Index, by: Replacement });
export type Intervention = v.InferOutput<typeof Intervention>;

/** Units that are changed at once. */
export const MAX_INTERVENTIONS = 256;
/** Units of a layer in an answer, the first of more. */
export const MAX_UNITS = 512;

/** An input of the model, and the units to change. */
export const InterventionQuery = v.object({
  subject: Subject,
  interventions: v.pipe(v.array(Intervention), v.maxLength(MAX_INTERVENTIONS)),
  /** The layer whose units the answer lists; the first one when left out. */
  of: v.optional(v.object(LayerOf)),
});
export type InterventionQuery = v.InferOutput<typeof InterventionQuery>;

/** Kind of a layer's units: numbers of the last dimension, channels of a convolution, heads of an attention. */
export const UnitKind = v.picklist(["unit", "channel", "head"]);
export type UnitKind = v.InferOutput<typeof UnitKind>;

/** A layer whose units can be changed. */
export const UnitLayer = v.object({
  ...LayerOf,
  /** Class of the module. */
  type: v.string(),
  kind: UnitKind,
  units: v.number(),
});
export type UnitLayer = v.InferOutput<typeof UnitLayer>;

/** A layer whose units can't be changed. */
export const RefusedLayer = v.object({ layer: v.string(), reason: v.string() });
export type RefusedLayer = v.InferOutput<typeof RefusedLayer>;

/** The model's prediction for an input. */
export const Outcome = v.object({
  /** Of a classification, or of the next token. */
  predicted: v.optional(v.number()),
  probabilities: v.optional(v.array(MetricValue)),
  /** Of samples of the set. */
  loss: v.optional(MetricValue),
  output: v.optional(TensorView),
});
export type Outcome = v.InferOutput<typeof Outcome>;

export const InterventionAnswer = v.object({
  /** In the order of their calls. */
  layers: v.array(UnitLayer),
  refused: v.array(RefusedLayer),
  /** The units of one of the layers, for this input and without interventions; absent where there is no such layer. */
  units: v.optional(
    v.object({
      ...LayerOf,
      /** Means over positions; of a head the root of its mean square. */
      values: v.array(MetricValue),
      /** Channels with height and width, or attention weights of heads (rows are queries): a PNG in base64 for each. */
      maps: v.optional(v.array(PngText)),
    }),
  ),
  before: Outcome,
  after: Outcome,
  /** Names of the predictions where they are no classes, such as characters. */
  labels: v.optional(v.array(v.string())),
});
export type InterventionAnswer = v.InferOutput<typeof InterventionAnswer>;

/** A tensor of a layer, for one input and without interventions. */
export const ActivationQuery = v.object({
  subject: Subject,
  ...LayerOf,
  /** The layer's output, or the attention weights of its heads, [batch, heads, queries, keys]. */
  of: v.picklist(["output", "attention"]),
});
export type ActivationQuery = v.InferOutput<typeof ActivationQuery>;

/** The inputs that units are switched off for. */
export const AblationScope = v.variant("kind", [
  v.object({ kind: v.literal("subject"), subject: Subject }),
  /** Samples of a class, by the data. */
  v.object({ kind: v.literal("class"), actual: Index }),
  /** Samples of the whole set. */
  v.object({ kind: v.literal("set") }),
]);
export type AblationScope = v.InferOutput<typeof AblationScope>;

/** Samples of a class or a set that are computed, taken evenly. */
export const MAX_ABLATION_SAMPLES = 64;
/** Units that are switched off, one after the other: of more, those with the largest activations. */
export const MAX_ABLATED_UNITS = 1024;
/** Units in an answer, those that matter most. */
export const MAX_RANKED = 128;

export const AblationQuery = v.object({
  ...LayerOf,
  scope: AblationScope,
  /** The value of a switched-off unit. */
  mode: v.picklist(["zero", "mean"]),
});
export type AblationQuery = v.InferOutput<typeof AblationQuery>;

/** Effect of switching one unit off, as means over the samples. */
export const RankedUnit = v.object({
  unit: v.number(),
  /** Loss without the unit minus loss with it. */
  loss: v.optional(MetricValue),
  /** The same difference, in the probability of the class that the whole model predicts. */
  probability: v.optional(MetricValue),
  /** Mean absolute change of the outputs. */
  output: MetricValue,
  /** Samples whose predicted class changes. */
  changed: v.optional(v.number()),
});
export type RankedUnit = v.InferOutput<typeof RankedUnit>;

export const Ranking = v.object({
  ...UnitLayer.entries,
  /** Units that were switched off, and samples that they were switched off for. */
  ablated: v.number(),
  samples: v.number(),
  /** All samples in the scope. */
  of: v.number(),
  /** With all units. */
  loss: v.optional(MetricValue),
  probability: v.optional(MetricValue),
  /** The largest change first: of the loss, else of the probability, else of the output. */
  ranked: v.array(RankedUnit),
  /** True if samples of a batch influence each other in the model, so each was computed alone. */
  alone: v.boolean(),
});
export type Ranking = v.InferOutput<typeof Ranking>;

export const AblationProgress = v.object({ done: v.number(), of: v.number() });
export type AblationProgress = v.InferOutput<typeof AblationProgress>;

/** Methods of a model's session for interventions. */
export interface InterventionMethods extends KeptTensorMethods {
  intervene(query: InterventionQuery): Promise<InterventionAnswer>;
  /** Keeps a layer's tensor for the viewer. */
  openActivation(query: ActivationQuery): Promise<OpenTensor>;
  /** Null when it was stopped. */
  rankUnits(query: AblationQuery): Promise<Ranking | null>;
  /** Stops a ranking after the forward pass under way; the model stays loaded. */
  stopRanking(): Promise<void>;
}

export interface InterventionEvents {
  /** Forward passes of a ranking so far, at most ten times a second. */
  ranking(progress: AblationProgress): void;
}
