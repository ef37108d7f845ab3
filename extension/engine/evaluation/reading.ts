// One input of a model, and how its output is read.
import type { Batch } from "../../nn/experiment/experiment.ts";
import { EngineError } from "../../protocol/errors.ts";
import type { SampleView, Subject, Task } from "../../protocol/evaluation.ts";
import { valuesOf } from "../../tensor/planning/barrier.ts";
import type { Shape } from "../../tensor/core/shape.ts";
import { fromHost, type Tensor } from "../../tensor/core/tensor.ts";
import { probabilities, widthOf } from "./decisions.ts";
import { inputsAndTarget } from "./evaluator.ts";
import { indexOfLargest, inputsOf, sampleViews, textLength, type SamplesContext } from "./samples.ts";
import type { Evaluated } from "./subject.ts";

/** A sample of the set, or an input that a person made, as a batch of one. */
export interface AskedSample {
  inputs: readonly Tensor[];
  /** Of a sample of the set: its number, and its tensors with the target. */
  known: { index: number; batch: Batch } | undefined;
}

/** @throws EngineError when there is no such sample, or the input doesn't fit */
export function askedSample({ prepared, held, form }: Evaluated, subject: Subject): AskedSample {
  if (subject.kind !== "sample")
    return { inputs: inputsOf(subject, form, prepared.train.sample()[0]!), known: undefined };
  const { index } = subject;
  if (!(held.listed && index < (held.samples ?? 0)))
    throw new EngineError({ code: "index", message: `There is no sample ${index}.` });
  const batch = held.pick([index]);
  return { inputs: inputsAndTarget(batch).inputs, known: { index, batch } };
}

/** A batch of one, several times. */
export function repeated(inputs: readonly Tensor[], rows: number): Tensor[] {
  if (rows === 1) return [...inputs];
  return inputs.map(({ value, shape, dtype }) => {
    const values = valuesOf(value);
    const all = new (values.constructor as new (length: number) => typeof values)(values.length * rows);
    for (let row = 0; row < rows; row++) all.set(values, row * values.length);
    const [, ...rest]: Shape = shape;
    return fromHost(all, [rows, ...rest], dtype);
  });
}

/** Context for reading probabilities and names. */
export interface ReadingContext {
  subject: Evaluated;
  task: Task;
}

export interface Read {
  chances: number[];
  /** The score of a class, from the output. */
  choose: (output: Tensor, best: number) => Tensor;
  labels?: string[];
}

/**
 * Probabilities of classes, or of a text's next token.
 * @param input The sample's first input, a batch of one
 * @param row The sample's place in the output's batch
 */
export function readOutput(
  output: Tensor,
  input: Tensor,
  { subject: { prepared, form }, task }: ReadingContext,
  row = 0,
): Read | undefined {
  const width = widthOf(output);
  const scores = valuesOf(output.value).subarray(row * width, (row + 1) * width);
  if (task === "classification")
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

/** @param output The model's, for the sample alone */
export function answerOf(
  { inputs, known }: AskedSample,
  output: Tensor,
  reading: ReadingContext,
): { sample: SampleView; read: Read | undefined } {
  const { subject, task } = reading;
  const context = { form: subject.form, task, loss: subject.prepared.loss };
  const sample =
    known === undefined
      ? unknownSample(inputs, output, context)
      : sampleViews(known.batch, output, [known.index], context)[0]!;
  const read = readOutput(output, inputs[0]!, reading);
  if (read === undefined) return { sample, read };
  const predicted = indexOfLargest(read.chances);
  return { sample: { ...sample, predicted, confidence: read.chances[predicted]! }, read };
}

/** A user's own input, without a known target. */
function unknownSample(inputs: readonly Tensor[], output: Tensor, context: SamplesContext): SampleView {
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
