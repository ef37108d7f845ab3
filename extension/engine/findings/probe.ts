import type { Batch } from "../../nn/experiment/experiment.ts";
import { keepModes } from "../../nn/module/modes.ts";
import { Module } from "../../nn/module/module.ts";
import { BCEWithLogitsLoss, CrossEntropyLoss } from "../../nn/modules/loss/loss.ts";
import * as nn from "../../nn/nn.ts";
import { findingOf, type Finding } from "../../protocol/findings.ts";
import { zerosLike } from "../../tensor/functions/creation/creation.ts";
import { valuesOf } from "../../tensor/planning/barrier.ts";
import type { Value } from "../../tensor/recording/graph.ts";
import { hidden, noGrad, scope } from "../../tensor/recording/scope.ts";
import { Tensor } from "../../tensor/core/tensor.ts";
import { forward, inputsAndTarget } from "../evaluation/evaluator.ts";
import type { Prepared } from "../training/prepare.ts";
import { toNumber } from "../training/metrics.ts";
import { scaleOf } from "./statistics.ts";

/** Scales of inputs between which the usual initial weights work, and how much columns of a table may differ. */
const SCALE = { least: 0.01, most: 10, columns: 100 };
/**
 * How far an untrained cross entropy may be above that of guessing, and how many times a squared error may be that of
 * predicting 0.
 */
const INITIAL = { excess: 2, factor: 100 };
/** Samples of the first batch that are tried. */
const TRIED = 256;

/** Losses whose value is 0 where output and target are equal, and grows with their difference. */
const DIFFERENCES = [nn.MSELoss, nn.L1Loss, nn.SmoothL1Loss, nn.HuberLoss];

/** Results of an untrained model on a batch. */
export interface Probe {
  /**
   * The loss on it; undefined where the experiment has a step of its own, and of models with running statistics, which
   * an untrained model has not collected.
   */
  loss: number | undefined;
  /** The loss of predicting 0, for losses of differences. */
  baseline: number | undefined;
  /** Paths of the modules that were called. */
  called: ReadonlySet<string>;
  findings: Finding[];
}

/** Runs the untrained model on a batch, without gradients, and without a trace in generators and running statistics. */
export function probe(prepared: Prepared, loaded: boolean): Probe {
  const { model, experiment, loss } = prepared;
  const called = new Set<string>();
  const nothing: Probe = { loss: undefined, baseline: undefined, called, findings: [] };
  // Only the experiment's own step knows the inputs of its models.
  if (experiment.options.trainStep !== undefined) {
    for (const [path] of model.namedModules()) called.add(path);
    return nothing;
  }
  const paths = new Map<object, string>(model.namedModules().map(([path, module]) => [module, path]));
  const readers = new Map<string, Tensor>();
  const { onCall } = scope;
  const restoreModes = keepModes(model);
  model.eval();
  scope.onCall = (module, [input]) => {
    const path = paths.get(module);
    if (path !== undefined) {
      called.add(path);
      if (input instanceof Tensor && hasWeights(module) && !readers.has(path) && isData(input.value))
        readers.set(path, input);
    }
    return onCall?.(module, [input]) ?? (() => undefined);
  };
  try {
    const batch = firstBatch(prepared);
    if (batch === undefined) return nothing;
    const { inputs, target } = inputsAndTarget(batch);
    const output = noGrad(() => forward(model, inputs));
    scope.onCall = onCall;
    const running = [...model.namedBuffers()].length > 0;
    const value =
      loss === undefined || running ? undefined : hidden(() => noGrad(() => loss(output, target)));
    const compared = DIFFERENCES.some((type) => loss instanceof type) && loss !== undefined;
    const zero = compared ? hidden(() => noGrad(() => loss(zerosLike(output), target))) : undefined;
    const first = value === undefined ? undefined : toNumber(value, "loss");
    const baseline = zero === undefined ? undefined : toNumber(zero, "loss");
    const findings = [...readers].flatMap(([path, input]) => inputScale(path, input));
    if (!loaded && findings.length === 0 && first !== undefined)
      findings.push(...initialLoss(prepared, output, first, baseline));
    return { loss: first, baseline, called, findings };
  } catch {
    // Evaluation mode may fail where training doesn't; the first step reports what fails in both.
    return nothing;
  } finally {
    scope.onCall = onCall;
    restoreModes();
  }
}

function firstBatch({ train }: Prepared): Batch | undefined {
  const { samples } = train;
  if (train.listed && samples !== undefined)
    return train.pick(Array.from({ length: Math.min(samples, TRIED) }, (_, i) => i));
  // Reading a stream may consume it.
  return undefined;
}

/** Whether a module multiplies its input by weights of its own. */
function hasWeights(module: object): boolean {
  if (!(module instanceof Module) || module instanceof nn.Embedding) return false;
  return (
    module.namedChildren().length === 0 &&
    module.namedParameters("", false).some(([, parameter]) => parameter.ndim >= 2)
  );
}

/** Whether a value is computed from the data alone: no parameter or running statistic has a part in it. */
function isData(value: Value): boolean {
  const waiting = [value];
  const met = new Set<Value>();
  for (let one = waiting.pop(); one !== undefined; one = waiting.pop()) {
    const { producer } = one;
    if (producer.kind === "state") return false;
    if (producer.kind !== "node" || met.has(one)) continue;
    met.add(one);
    waiting.push(...producer.inputs);
  }
  return value.dtype === "float32";
}

function inputScale(path: string, input: Tensor): Finding[] {
  const values = hidden(() => noGrad(() => valuesOf(input.value)));
  const layer = path === "" ? "the model" : path;
  const scale = scaleOf(values);
  if (scale > SCALE.most || scale < SCALE.least)
    return [
      findingOf(
        "inputScale",
        `${layer} reads inputs with a root mean square of ${short(scale)}; about 1 is usual.`,
        { layer: path },
      ),
    ];
  const [, columns = 0] = input.shape;
  if (input.ndim !== 2 || columns < 2) return [];
  const scales = Array.from({ length: columns }, (_, i) => scaleOf(values, i, columns)).filter(
    (one) => one > 0,
  );
  const [least, most] = [Math.min(...scales), Math.max(...scales)];
  if (!(most > SCALE.columns * least)) return [];
  return [
    findingOf(
      "inputScale",
      `${layer} reads columns of very different scales: from ${short(least)} to ${short(most)}.`,
      { layer: path },
    ),
  ];
}

function initialLoss(
  { loss }: Prepared,
  output: Tensor,
  first: number,
  baseline: number | undefined,
): Finding[] {
  const classes =
    loss instanceof CrossEntropyLoss ? output.shape[1] : loss instanceof BCEWithLogitsLoss ? 2 : 0;
  const guess = Math.log(classes ?? 0);
  if (guess > 0 && first > guess + INITIAL.excess)
    return [
      findingOf(
        "initialLoss",
        `The untrained model's loss is ${short(first)}; guessing among ${classes} classes gives ${short(guess)}.`,
      ),
    ];
  if (baseline !== undefined && baseline > 0 && first > INITIAL.factor * baseline)
    return [
      findingOf(
        "initialLoss",
        `The untrained model's loss is ${short(first)}; predicting 0 gives ${short(baseline)}.`,
      ),
    ];
  return [];
}

const short = (x: number): string => String(Number(x.toPrecision(3)));
