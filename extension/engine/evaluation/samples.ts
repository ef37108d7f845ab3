import type { Batch, Loss } from "../../nn/experiment/experiment.ts";
import type { SampleView, Subject, Task, TensorView } from "../../protocol/evaluation.ts";
import { toHostArray, type HostArray } from "../../tensor/core/dtype.ts";
import { TensorError } from "../../tensor/core/errors.ts";
import { valuesOf } from "../../tensor/planning/barrier.ts";
import { numel, type Shape } from "../../tensor/core/shape.ts";
import { fromHost, Tensor } from "../../tensor/core/tensor.ts";
import { inputsAndTarget } from "./evaluator.ts";
import { EngineError } from "../../protocol/errors.ts";
import { probabilities, sampleLosses, widthOf } from "./decisions.ts";
import { formSize, type Form } from "./inputForm.ts";
import { picture } from "./pictures.ts";

/** Numbers of a tensor that are shown. */
const MAX_SHOWN = 64;

/** One row of a tensor as a person can look at it. */
export function viewOf(values: HostArray, shape: Shape, dtype: Tensor["dtype"], form: Form): TensorView {
  const size = numel(shape);
  if (form.kind === "image" && dtype === "float32" && size === formSize(form))
    return picture({ ...form, values });
  if (form.kind === "text" && dtype === "int64" && shape.length === 1) {
    let { length } = values;
    while (length > 1 && values[length - 1] === form.pad) length--;
    return { kind: "text", tokens: Array.from(values.subarray(0, length), (id) => form.coder.token(id)) };
  }
  if (dtype === "float32" && shape.length === 3 && [1, 3].includes(shape[0]!) && shape[1]! > 3) {
    const [channels, height, width] = shape as [number, number, number];
    const [low, high] = [Math.min(...values), Math.max(...values)];
    const all = (value: number): number[] => Array.from({ length: channels }, () => value);
    return picture({ values, channels, height, width, low: all(low), high: all(high) });
  }
  const shown = Array.from(values.subarray(0, MAX_SHOWN));
  const row = form.kind === "row" && size === form.names.length ? form : undefined;
  return {
    kind: "numbers",
    shape: [...shape],
    values: row === undefined ? shown : row.decode(Array.from(values)).slice(0, MAX_SHOWN),
    ...(row === undefined || shape.length !== 1 ? {} : { names: row.names.slice(0, MAX_SHOWN) }),
  };
}

export interface SamplesContext {
  form: Form;
  task: Task;
  loss: Loss | undefined;
}

/** Samples of a batch with what the model made of them. @param indices Their numbers in the data set */
export function sampleViews(
  batch: Batch,
  output: Tensor,
  indices: readonly number[],
  { form, task, loss }: SamplesContext,
): SampleView[] {
  const { inputs, target } = inputsAndTarget(batch);
  const losses = task === "generation" ? undefined : sampleLosses(output, target, loss);
  const row = (tensor: Tensor, n: number): HostArray => {
    const width = widthOf(tensor);
    return valuesOf(tensor.value).subarray(n * width, (n + 1) * width);
  };
  const view = (tensor: Tensor, n: number): TensorView =>
    viewOf(row(tensor, n), tensor.shape.slice(1), tensor.dtype, form);
  return indices.map((index, n): SampleView => {
    const sample: SampleView = {
      index,
      inputs: inputs.map((input) => view(input, n)),
      ...(losses === undefined ? {} : { loss: losses[n]! }),
    };
    if (task !== "classification") {
      if (batch.length > 1) sample.target = view(target, n);
      return { ...sample, output: view(output, n) };
    }
    const chances = probabilities(row(output, n), loss);
    const predicted = indexOfLargest(chances);
    return { ...sample, actual: row(target, n)[0]!, predicted, confidence: chances[predicted]! };
  });
}

export function indexOfLargest(values: readonly number[]): number {
  return values.reduce((best, value, i) => (value > values[best]! ? i : best), 0);
}

/**
 * Turns a drawn, typed or edited input into a batch of one like those of the data set, without a target.
 * @param sample The first input of the data set, without a batch
 * @throws EngineError when it doesn't fit
 */
export function inputsOf(
  subject: Exclude<Subject, { kind: "sample" }>,
  form: Form,
  sample: Tensor,
): [Tensor, ...Tensor[]] {
  const batch = (values: readonly number[], shape: Shape = sample.shape, dtype = sample.dtype): Tensor =>
    fromHost(toHostArray([...values], dtype), [1, ...shape], dtype);
  if (subject.kind === "image" && form.kind === "image") {
    const { channels, height, width, low, high } = form;
    if (subject.pixels.length !== height * width)
      throw mismatch(`${subject.pixels.length} pixels, expected ${height} × ${width}`);
    const all = Array.from({ length: channels }, (_, c) =>
      subject.pixels.map((share) => low[c]! + share * (high[c]! - low[c]!)),
    );
    return [batch(all.flat())];
  }
  if (subject.kind === "row" && form.kind === "row") {
    if (subject.values.length !== form.names.length)
      throw mismatch(`${subject.values.length} numbers, expected ${form.names.length}`);
    const values = form.encode(subject.values);
    let at = 0;
    const [first, ...rest] = form.parts.map(({ size, shape, dtype }) => {
      const own = values.slice(at, (at += size));
      return batch(dtype === "float32" ? own : own.map(Math.round), shape, dtype);
    });
    return [first!, ...rest];
  }
  if (subject.kind === "text" && form.kind === "text") return [batch(...tokensOf(subject.text, form))];
  throw mismatch(`a ${subject.kind}, which is no input of this model`);
}

/** A sample's inputs as a person would edit them; undefined if they can't be made by hand. */
export function madeOf(inputs: readonly Tensor[], form: Form): Subject | undefined {
  const values = inputs.flatMap(({ value }) => Array.from(valuesOf(value)));
  if (form.kind === "row") return { kind: "row", values: form.decode(values) };
  if (form.kind === "image" && form.channels === 1) {
    const [low = 0, high = 1] = [form.low[0], form.high[0]];
    const share = (value: number): number => Math.min(1, Math.max(0, (value - low) / (high - low)));
    return { kind: "image", pixels: values.map(share) };
  }
  if (form.kind !== "text") return undefined;
  const length = textLength(inputs[0]!, form);
  const own = values.slice(form.lead === undefined ? 0 : 1, length);
  const tokens = own.map((id) => form.coder.token(id));
  const text = { words: tokens.join(" "), characters: tokens.join(""), pieces: tokens.join(" ") };
  const given = text[form.coder.unit].replaceAll(" ##", "");
  // A text that the vocabulary doesn't keep completely can't be made by hand.
  const again = form.coder.encode(given);
  return again.length === own.length && again.every((id, i) => id === own[i])
    ? { kind: "text", text: given }
    : undefined;
}

const mismatch = (what: string): EngineError => new EngineError({ code: "shape", message: `Got ${what}.` });

function tokensOf(text: string, form: Extract<Form, { kind: "text" }>): [number[], Shape] {
  const { coder, length, pad, lead } = form;
  let ids = coder.encode(text);
  if (lead !== undefined && ids[0] !== lead) ids = [lead, ...ids];
  ids = ids.slice(0, length);
  if (ids.length === 0) throw new TensorError("value", "None of the text's tokens is in the vocabulary.");
  const filled =
    pad === undefined ? ids : [...ids, ...Array.from({ length: length - ids.length }, () => pad)];
  return [filled, [filled.length]];
}

/** How many tokens of a text's input are the text's own. */
export function textLength(input: Tensor, form: Extract<Form, { kind: "text" }>): number {
  const ids = valuesOf(input.value);
  let { length } = ids;
  while (length > 1 && ids[length - 1] === form.pad) length--;
  return length;
}
