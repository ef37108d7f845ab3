import type { Codes } from "../../nn/data/tokenizers.ts";
import type { Batch } from "../../nn/experiment/experiment.ts";
import { Vocabulary } from "../../nn/data/text.ts";
import type { SampleView, Task } from "../../protocol/evaluation.ts";
import { noGrad } from "../../tensor/recording/scope.ts";
import type { Batches } from "../training/batches.ts";
import { forward, inputsAndTarget } from "./evaluator.ts";
import type { Prepared } from "../training/prepare.ts";
import { formOf, LOOKED_AT, type Form } from "./inputForm.ts";
import { sampleViews } from "./samples.ts";

/** The model that is evaluated, and the data it is evaluated on. */
export interface Evaluated {
  prepared: Prepared;
  held: Batches;
  split: "test" | "validation" | "train";
  form: Form;
}

/** The data that the model was not trained on, where there is some. */
export function heldOut({ test, validation, train }: Prepared): Pick<Evaluated, "held" | "split"> {
  if (test !== undefined) return { held: test, split: "test" };
  return validation === undefined
    ? { held: train, split: "train" }
    : { held: validation, split: "validation" };
}

/** @param codes What the file made to code texts with */
export function evaluated(prepared: Prepared, codes: readonly Codes[]): Evaluated {
  const { held, split } = heldOut(prepared);
  const { source } = held;
  const own: unknown = Reflect.get(source, "vocabulary");
  const names: unknown = Reflect.get(source, "featureNames");
  const form = formOf(fewSamples(held), {
    model: prepared.model,
    codes: own instanceof Vocabulary ? [own, ...codes] : codes,
    names: Array.isArray(names) ? (names as readonly string[]) : undefined,
    encodeRow: (row) => held.encodeRow(row),
  });
  return { prepared, held, split, form };
}

/** Some samples, evenly taken from all; of a stream, the first batch. */
function fewSamples(held: Batches): Batch {
  const { samples = 0 } = held;
  if (!held.listed) {
    for (const batch of held.inOrder()) return batch;
    return [];
  }
  const count = Math.min(samples, LOOKED_AT);
  return held.pick(Array.from({ length: count }, (_, i) => Math.floor((i * samples) / count)));
}

/** Samples of the data set by number, with what the model makes of them. */
export function lookAt(
  { prepared, held, form }: Evaluated,
  task: Task,
  indices: readonly number[],
): SampleView[] {
  if (indices.length === 0) return [];
  const batch = held.pick(indices);
  const { model, loss } = prepared;
  model.eval();
  const output = noGrad(() => forward(model, inputsAndTarget(batch).inputs));
  return sampleViews(batch, output, indices, { form, task, loss });
}
