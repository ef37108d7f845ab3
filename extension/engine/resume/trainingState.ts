import type { Optimizer, OptimizerStateDict } from "../../nn/optim/optimizer.ts";
import type { StateDict } from "../../nn/module/stateDict.ts";
import { TensorError } from "../../tensor/core/errors.ts";
import { clone, detach } from "../../tensor/functions/creation/conversion.ts";
import { defaultStream, type RandomStream } from "../../tensor/random/stream.ts";
import { noGrad } from "../../tensor/recording/scope.ts";
import type { Tensor } from "../../tensor/core/tensor.ts";
import type { Prepared } from "../training/prepare.ts";
import { isOptimizer } from "../reporting/settings.ts";
import type { RecorderState } from "../reporting/recorder.ts";
import type { Stop, TrainerState } from "../training/trainerState.ts";

/** An optimizer's exact numbers, by parameter and name: PyTorch's structure has float32 tensors instead. */
type ExactNumbers = Readonly<Record<string, Readonly<Record<string, number>>>>;

interface SavedOptimizer {
  state_dict: OptimizerStateDict;
  exact: ExactNumbers;
}

/** A trainer's {@link TrainerState}, with the rest of its own progress. */
export interface TrainerProgress {
  state: TrainerState;
  /** Means and measures of the epoch so far. */
  numbers: RecorderState;
  /** Pending end of the training, which takes effect as soon as it may. */
  stop: Stop | undefined;
  /** Whether a validation in the middle of the epoch is due before the next batch. */
  validationDue: boolean;
  callbacks: readonly unknown[];
}

/** All state of a training between two batches, as `training.pth` holds it, with the names of PyTorch's tutorials. */
export interface TrainingState extends TrainerProgress {
  format: typeof FORMAT;
  version: typeof VERSION;
  model_state_dict: StateDict;
  /** Names of the parameters that are not trained. */
  frozen: readonly string[];
  /** Paths of the modules in evaluation mode; older states lack them. */
  evaluating?: readonly string[];
  /** Optimizers by name; a single one has the name "". */
  optimizers: Readonly<Record<string, SavedOptimizer>>;
  schedulers: readonly Record<string, unknown>[];
  /** Gradients that wait for their step, by the parameter's name. */
  gradients: StateDict;
  generators: GeneratorStates;
  facts: TrainingFacts;
}

/** The origin of a training: changes since are reported. */
export interface TrainingFacts {
  seed: number;
  epochs: number;
  model: string;
  experiment: string;
  /** SHA-256 of the file with all that it imports. */
  source: string;
  executor: string;
  node: string;
  savedAt: string;
}

/** States of the global generator and of those that the program has made, at the epoch's start and now. */
export interface GeneratorStates {
  epoch: readonly Uint8Array[];
  now: readonly Uint8Array[];
}

export const FORMAT = "layerwise-training";
export const VERSION = 1;

/** The generators of a training, the global one first. */
export class Generators {
  readonly #all: readonly RandomStream[];

  constructor(own: readonly RandomStream[]) {
    this.#all = [defaultStream, ...own];
  }

  states(): Uint8Array[] {
    // Plain bytes: a state would become a tensor in the file.
    return this.#all.map((stream) => Uint8Array.from(stream.getState()));
  }

  /** @throws TensorError when there are not as many as there were */
  restore(states: readonly Uint8Array[]): void {
    if (states.length !== this.#all.length)
      throw new TensorError(
        "value",
        `the training had ${states.length - 1} generators of its own, now there are ${this.#all.length - 1}`,
      );
    this.#all.forEach((stream, i) => stream.setState(states[i]!));
  }
}

/** Gathers everything that resuming needs. The tensors share the model's memory: write them before the next step. */
export function collectTraining(
  prepared: Prepared,
  progress: TrainerProgress,
  generators: GeneratorStates,
  facts: TrainingFacts,
): TrainingState {
  const { model, optimizers, schedules } = prepared;
  const named = [...model.namedParameters()];
  const gradients = new Map<string, Tensor>();
  // After a step they are of no use.
  if (progress.state.accumulated > 0)
    for (const [name, { grad }] of named) if (grad !== null) gradients.set(name, detach(grad));
  return {
    format: FORMAT,
    version: VERSION,
    model_state_dict: model.stateDict(),
    frozen: named.filter(([, parameter]) => !parameter.requiresGrad).map(([name]) => name),
    evaluating: model.namedModules().flatMap(([path, { training }]) => (training ? [] : [path])),
    optimizers: Object.fromEntries(
      namedOptimizers(optimizers).map(([name, one]) => [
        name,
        { state_dict: one.stateDict(), exact: exactNumbers(one) },
      ]),
    ),
    schedulers: schedules.all.map(({ scheduler }) => scheduler.stateDict()),
    gradients,
    generators,
    facts,
    ...progress,
  };
}

/**
 * Restores a model, its optimizers and schedules.
 * @throws TensorError when the experiment has changed so that they don't fit any more
 */
export function restoreTraining(prepared: Prepared, saved: TrainingState): void {
  const { model, optimizers, schedules } = prepared;
  model.loadStateDict(saved.model_state_dict);
  const evaluating = saved.evaluating && new Set(saved.evaluating);
  if (evaluating) for (const [path, module] of model.namedModules()) module.training = !evaluating.has(path);
  const named = new Map(model.namedParameters());
  const frozen = new Set(saved.frozen);
  for (const [name, parameter] of named) parameter.requiresGrad_(!frozen.has(name));
  for (const [name, one] of namedOptimizers(optimizers)) {
    const own = saved.optimizers[name];
    if (own === undefined)
      throw new TensorError("value", `the training had no optimizer ${name === "" ? "alone" : `"${name}"`}`);
    one.loadStateDict(own.state_dict);
    setExactNumbers(one, own.exact);
    one.stepped = saved.state.step > 0;
  }
  if (schedules.all.length !== saved.schedulers.length)
    throw new TensorError(
      "value",
      `the training had ${saved.schedulers.length} schedules, now there are ${schedules.all.length}`,
    );
  schedules.all.forEach(({ scheduler }, i) => scheduler.loadStateDict(saved.schedulers[i]!));
  noGrad(() => {
    for (const [name, grad] of saved.gradients as ReadonlyMap<string, Tensor>) {
      const parameter = named.get(name);
      if (parameter !== undefined) parameter.grad = clone(grad);
    }
  });
}

function namedOptimizers(optimizers: Prepared["optimizers"]): [name: string, optimizer: Optimizer][] {
  return isOptimizer(optimizers) ? [["", optimizers]] : Object.entries(optimizers);
}

function parametersOf({ paramGroups }: Optimizer): Tensor[] {
  return paramGroups.flatMap(({ params }) => params);
}

function exactNumbers(optimizer: Optimizer): ExactNumbers {
  const exact: Record<string, Record<string, number>> = {};
  parametersOf(optimizer).forEach((parameter, i) => {
    const numbers = Object.entries(optimizer.state.get(parameter) ?? {}).filter(
      (entry): entry is [string, number] => typeof entry[1] === "number",
    );
    if (numbers.length > 0) exact[i] = Object.fromEntries(numbers);
  });
  return exact;
}

function setExactNumbers(optimizer: Optimizer, exact: ExactNumbers): void {
  const parameters = parametersOf(optimizer);
  for (const [i, numbers] of Object.entries(exact))
    Object.assign(optimizer.state.get(parameters[Number(i)]!) ?? {}, numbers);
}
