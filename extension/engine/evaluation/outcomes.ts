import type { Batch, Loss } from "../../nn/experiment/experiment.ts";
import type { SampleQuery, Task } from "../../protocol/evaluation.ts";
import { valuesOf } from "../../tensor/planning/barrier.ts";
import { fromHost, type Tensor } from "../../tensor/core/tensor.ts";
import { loadTensors, saveTensors } from "../files/tensorFiles.ts";
import { decisions, MAX_NUMBERS, sampleLosses, taskOf, widthOf } from "./decisions.ts";

/** Most samples whose outcomes are kept one by one; further ones only count in the metrics. */
export const MAX_LISTED = 500_000;

/** Targets and predictions of all samples, for one number of the output. */
export interface Numbers {
  actual: number[];
  predicted: number[];
}

/** Outcome of each sample in an evaluation, in the order of the data set. */
export class Outcomes {
  readonly #loss: Loss | undefined;
  #task: Task | undefined;
  readonly losses: number[] = [];
  readonly actual: number[] = [];
  readonly predicted: number[] = [];
  /** Of a regression: its first outputs. */
  readonly numbers: Numbers[] = [];

  constructor(loss?: Loss) {
    this.#loss = loss;
  }

  /** Undefined before the first batch. */
  get task(): Task | undefined {
    return this.#task;
  }

  get length(): number {
    return this.losses.length;
  }

  add(batch: Batch, output: Tensor, target: Tensor): void {
    if (this.length >= MAX_LISTED) return;
    const loss = this.#loss;
    this.#task ??= taskOf(output, target, { loss, single: batch.length === 1 });
    const samples = output.shape[0] ?? 0;
    const losses = sampleLosses(output, target, loss);
    for (let n = 0; n < samples; n++) this.losses.push(losses?.[n] ?? Number.NaN);
    if (this.#task === "classification") {
      const found = decisions(output, target, loss);
      for (let n = 0; n < samples; n++) {
        this.actual.push(found?.actual[n] ?? -1);
        this.predicted.push(found?.predicted[n] ?? -1);
      }
    } else if (this.#task === "regression") this.#addNumbers(output, target);
  }

  #addNumbers(output: Tensor, target: Tensor): void {
    const width = Math.min(widthOf(output), MAX_NUMBERS);
    const step = widthOf(output);
    const [said, is] = [valuesOf(output.value), valuesOf(target.value)];
    for (let k = 0; k < width; k++) {
      const numbers = (this.numbers[k] ??= { actual: [], predicted: [] });
      for (let at = k; at < said.length; at += step) {
        numbers.actual.push(is[at]!);
        numbers.predicted.push(said[at]!);
      }
    }
  }

  /** Numbers of the samples that match a query, in its order. */
  select({ order, actual, predicted, wrong = false }: Omit<SampleQuery, "offset" | "count">): number[] {
    const chosen: number[] = [];
    for (let n = 0; n < this.length; n++) {
      if (actual !== undefined && this.actual[n] !== actual) continue;
      if (predicted !== undefined && this.predicted[n] !== predicted) continue;
      if (wrong && this.actual[n] === this.predicted[n]) continue;
      chosen.push(n);
    }
    // A loss that is no number is the worst of all.
    const weight = (n: number): number => {
      const loss = this.losses[n]!;
      return Number.isNaN(loss) ? Infinity : loss;
    };
    return order === "index" ? chosen : chosen.sort((a, b) => weight(b) - weight(a) || a - b);
  }

  save(file: string): void {
    const tensors = new Map([["loss", fromHost(Float32Array.from(this.losses), [this.length], "float32")]]);
    for (const name of ["actual", "predicted"] as const)
      if (this[name].length > 0)
        tensors.set(name, fromHost(Int32Array.from(this[name]), [this.length], "int64"));
    saveTensors(file, tensors);
  }

  /** @throws an error saying what is wrong with the file */
  static load(file: string): Outcomes {
    const { tensors } = loadTensors(file);
    const outcomes = new Outcomes();
    const fill = (list: number[], name: string): void => {
      const tensor = tensors.get(name);
      if (tensor !== undefined) for (const value of valuesOf(tensor.value)) list.push(value);
    };
    fill(outcomes.losses, "loss");
    fill(outcomes.actual, "actual");
    fill(outcomes.predicted, "predicted");
    return outcomes;
  }
}
