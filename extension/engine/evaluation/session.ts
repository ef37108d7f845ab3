import path from "node:path";
import { loadExecutor } from "../../executors/index.ts";
import { listCoders } from "../../nn/data/tokenizers.ts";
import type {
  Answer,
  SamplePage,
  SampleQuery,
  SessionRequest,
  Subject,
  Task,
} from "../../protocol/evaluation.ts";
import { EngineError, type UserError } from "../../protocol/errors.ts";
import { valuesOf } from "../../tensor/planning/barrier.ts";
import { noGrad } from "../../tensor/recording/scope.ts";
import type { Tensor } from "../../tensor/core/tensor.ts";
import { forward, inputsAndTarget } from "./evaluator.ts";
import { findExperiment } from "../host/exports.ts";
import { library } from "../host/library.ts";
import { loadLimit } from "../host/loadLimit.ts";
import { prepare } from "../training/prepare.ts";
import { loadUserModule } from "../host/userModule.ts";
import type { Watchdog } from "../host/watchdog.ts";
import { experimentOf, randomSeed, readWeights } from "../resume/startingWeights.ts";
import { probabilities, taskOf } from "./decisions.ts";
import { featureMaps, inputGradient, saliencyOf } from "./explain.ts";
import { Outcomes, OUTCOMES_FILE } from "./outcomes.ts";
import { indexOfLargest, inputsOf, madeOf, sampleViews, textLength } from "./samples.ts";
import { evaluated, lookAt, type Evaluated } from "./subject.ts";

/** A model with its data, at hand to be asked. */
export class ModelSession {
  readonly #subject: Evaluated;
  readonly #outcomes: Outcomes;
  readonly #task: Task;

  private constructor(subject: Evaluated, outcomes: Outcomes) {
    this.#subject = subject;
    this.#outcomes = outcomes;
    this.#task = taskOfSubject(subject);
  }

  /** @param fail Told when the file's code hangs, as the last word */
  static async open(
    request: SessionRequest,
    watchdog: Watchdog,
    fail: (error: UserError) => void,
  ): Promise<ModelSession> {
    const { file, exportName } = request;
    const weights = readWeights(request.checkpoint);
    await loadExecutor(request.device);
    const coders = listCoders();
    const module = await watchdog.guard(loadLimit(file, fail), () => loadUserModule(file, { library }));
    const experiment = experimentOf(findExperiment(module, exportName).experiment, weights);
    const seed = request.seed ?? weights.seed ?? experiment.options.seed ?? randomSeed();
    const prepared = await prepare(experiment, seed);
    coders.end();
    prepared.model.loadStateDict(weights.tensors);
    prepared.model.eval();
    const outcomes = Outcomes.load(path.join(request.directory, OUTCOMES_FILE));
    return new ModelSession(evaluated(prepared, coders.made), outcomes);
  }

  samples({ offset, count, ...query }: SampleQuery): SamplePage {
    const all = this.#outcomes.select(query);
    return {
      total: all.length,
      samples: lookAt(this.#subject, this.#task, all.slice(offset, offset + count)),
    };
  }

  ask(subject: Subject, explain: boolean): Answer {
    const { prepared, held, form } = this.#subject;
    const { model, loss } = prepared;
    model.eval();
    if (subject.kind === "sample" && !(held.listed && subject.index < (held.samples ?? 0)))
      throw new EngineError({ code: "index", message: `There is no sample ${subject.index}.` });
    const known = subject.kind === "sample" ? held.pick([subject.index]) : undefined;
    const inputs =
      subject.kind === "sample"
        ? inputsAndTarget(known!).inputs
        : inputsOf(subject, form, prepared.train.sample()[0]!);
    const output = noGrad(() => forward(model, inputs));
    const context = { form, task: this.#task, loss };
    const answer: Answer =
      known !== undefined && subject.kind === "sample"
        ? { sample: sampleViews(known, output, [subject.index], context)[0]! }
        : { sample: { ...unknownSample(inputs, output, context) } };
    const made = subject.kind === "sample" ? madeOf(inputs, form) : undefined;
    if (made !== undefined) answer.made = made;
    const read = this.#read(output, inputs[0]!);
    if (read !== undefined) {
      const { chances, labels } = read;
      answer.probabilities = chances;
      if (labels !== undefined) answer.labels = labels;
      const predicted = indexOfLargest(chances);
      answer.sample = { ...answer.sample, predicted, confidence: chances[predicted]! };
    }
    if (explain) this.#explain(answer, inputs, read);
    return answer;
  }

  /** Probabilities of classes, or of what follows a text, and where in the output they stand. */
  #read(output: Tensor, input: Tensor): Read | undefined {
    const { prepared, form } = this.#subject;
    const scores = valuesOf(output.value);
    if (this.#task === "classification")
      return {
        chances: probabilities(scores, prepared.loss),
        choose: (out, best) => (out.numel() === 1 ? out.sum() : out.select(1, best).sum()),
      };
    if (form.kind !== "text" || output.ndim !== 3 || output.shape[2] !== input.shape[1]) return undefined;
    const [, classes, length] = output.shape as [number, number, number];
    const last = textLength(input, form) - 1;
    const column = Float32Array.from({ length: classes }, (_, c) => scores[c * length + last]!);
    const { size } = form.coder;
    return {
      chances: probabilities(column, prepared.loss),
      choose: (out, best) => out.select(2, last).select(1, best).sum(),
      ...(size === classes ? { labels: Array.from({ length: size }, (_, id) => form.coder.token(id)) } : {}),
    };
  }

  #explain(answer: Answer, inputs: readonly Tensor[], read: Read | undefined): void {
    const { prepared, form } = this.#subject;
    const { predicted = 0 } = answer.sample;
    const gradient = inputGradient(prepared.model, inputs, (output) =>
      read === undefined ? output.sum() : read.choose(output, predicted),
    );
    const tokens = form.kind === "text" ? textLength(inputs[0]!, form) : undefined;
    const saliency = gradient === undefined ? undefined : saliencyOf(gradient, form, tokens);
    if (saliency !== undefined) answer.saliency = saliency;
    const features = featureMaps(prepared.model, inputs);
    if (features !== undefined) answer.features = features;
  }
}

interface Read {
  chances: number[];
  /** The score of a class, from the output. */
  choose: (output: Tensor, best: number) => Tensor;
  labels?: string[];
}

/** A user's own input, without a known target. */
function unknownSample(
  inputs: readonly Tensor[],
  output: Tensor,
  context: Parameters<typeof sampleViews>[3],
): Answer["sample"] {
  // Where it has no use, the output stands for a target of its own shape.
  const {
    target: _,
    loss: _none,
    ...view
  } = sampleViews([...inputs, output], output, [0], {
    ...context,
    task: context.task === "classification" ? "other" : context.task,
  })[0]!;
  return view;
}

/** By the first sample, as by the first batch of an evaluation. */
function taskOfSubject({ prepared: { model, loss }, held }: Evaluated): Task {
  for (const batch of held.listed ? [held.pick([0])] : held.inOrder()) {
    const { inputs, target } = inputsAndTarget(batch);
    model.eval();
    return taskOf(
      noGrad(() => forward(model, inputs)),
      target,
      { loss, single: batch.length === 1 },
    );
  }
  return "other";
}
