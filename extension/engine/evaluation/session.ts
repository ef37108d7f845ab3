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
import type { UserError } from "../../protocol/errors.ts";
import type {
  AblationProgress,
  AblationQuery,
  ActivationQuery,
  InterventionAnswer,
  InterventionQuery,
  Ranking,
} from "../../protocol/interventions.ts";
import type { OpenTensor } from "../../protocol/tensorValues.ts";
import { noGrad } from "../../tensor/recording/scope.ts";
import type { Tensor } from "../../tensor/core/tensor.ts";
import { forward, inputsAndTarget } from "./evaluator.ts";
import { findExperiment } from "../host/exports.ts";
import { KeptTensors } from "../host/keptTensors.ts";
import { library } from "../host/library.ts";
import { loadLimit } from "../host/loadLimit.ts";
import { prepare } from "../training/prepare.ts";
import { loadUserModule } from "../host/userModule.ts";
import type { Watchdog } from "../host/watchdog.ts";
import { experimentOf, randomSeed, readWeights } from "../resume/startingWeights.ts";
import { taskOf } from "./decisions.ts";
import { featureMaps, inputGradient, saliencyOf } from "./explain.ts";
import { ModelInterventions } from "./modelInterventions.ts";
import { OUTCOMES_FILE } from "../../protocol/run.ts";
import { Outcomes } from "./outcomes.ts";
import { answerOf, askedSample, type Read } from "./reading.ts";
import { madeOf, textLength } from "./samples.ts";
import { evaluated, lookAt, type Evaluated } from "./subject.ts";

/** A loaded model with its data, ready for queries. */
export class ModelSession {
  readonly #subject: Evaluated;
  readonly #outcomes: Outcomes;
  readonly #task: Task;
  readonly #interventions: ModelInterventions;
  /** Tensors of layers that the viewer shows. */
  readonly tensors = new KeptTensors();
  #stop: AbortController | undefined;

  private constructor(subject: Evaluated, outcomes: Outcomes) {
    this.#subject = subject;
    this.#outcomes = outcomes;
    this.#task = taskOfSubject(subject);
    this.#interventions = new ModelInterventions({ subject, task: this.#task, outcomes });
  }

  /** @param fail Called when the file's code hangs, as the last message */
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
    const { prepared, form } = this.#subject;
    prepared.model.eval();
    const asked = askedSample(this.#subject, subject);
    const { inputs } = asked;
    const output = noGrad(() => forward(prepared.model, inputs));
    const { sample, read } = answerOf(asked, output, { subject: this.#subject, task: this.#task });
    const answer: Answer = { sample };
    const made = subject.kind === "sample" ? madeOf(inputs, form) : undefined;
    if (made !== undefined) answer.made = made;
    if (read !== undefined) {
      answer.probabilities = read.chances;
      if (read.labels !== undefined) answer.labels = read.labels;
    }
    if (explain) this.#explain(answer, inputs, read);
    return answer;
  }

  /** The model's answer with replaced values of its layers' units. */
  intervene(query: InterventionQuery): InterventionAnswer {
    this.#subject.prepared.model.eval();
    return this.#interventions.intervene(query);
  }

  /** Keeps a layer's output or attention for the viewer. */
  openActivation(query: ActivationQuery): OpenTensor {
    this.#subject.prepared.model.eval();
    const { shape, values, axes } = this.#interventions.activation(query);
    return this.tensors.keep("float32", shape, values, axes);
  }

  /** Ranks a layer's units; null when `stopRanking` ended it. @param tell Called with the forward passes so far */
  async rankUnits(query: AblationQuery, tell: (progress: AblationProgress) => void): Promise<Ranking | null> {
    this.#subject.prepared.model.eval();
    const stop = (this.#stop = new AbortController());
    return this.#interventions.rank(query, { tell, signal: stop.signal });
  }

  stopRanking(): void {
    this.#stop?.abort();
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

/** The task by the first sample, as an evaluation finds it by its first batch. */
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
