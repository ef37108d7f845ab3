import type { DataBatch } from "../../protocol/data/data.ts";
import { RandomStream } from "../../tensor/random/stream.ts";
import { describeError } from "../host/userErrors.ts";
import { asBatch } from "../training/batches.ts";
import type { Prepared } from "../training/prepare.ts";
import { fieldsOf, inputNames, type FieldValue } from "./fields.ts";

/** Samples that are read to see what a large batch is like. */
const FEW = 32;

/** The first batch as a training gets it, of a large one its form. */
export function batchOf(prepared: Prepared): DataBatch {
  let fields: FieldValue[] = [];
  let size: number | undefined;
  try {
    const { batch, samples } = firstBatch(prepared);
    fields = fieldsOf(batch, true, inputNames(prepared));
    const whole = fields.every((one) => lengthOf(one) === lengthOf(fields[0]!));
    size = whole ? samples : undefined;
    asBatch(batch);
    return { tensors: fields.map((field) => describe(field, size)) };
  } catch (error) {
    return { tensors: fields.map((field) => describe(field, size)), error: describeError(error) };
  }
}

/** A batch of few samples stands for a larger one of `samples`. */
function firstBatch({ train, experiment }: Prepared): { batch: unknown; samples?: number } {
  const { loader, samples: all } = train;
  const size = train.loaderBatch ?? experiment.options.batchSize ?? all;
  if (train.listed && size !== undefined && size > FEW && all !== undefined) {
    const samples = Math.min(size, all);
    const few = Math.min(samples, FEW);
    return { batch: loader.pick(Array.from({ length: few }, (_, i) => i)), samples };
  }
  for (const batch of loader.inOrder(new RandomStream())) return { batch };
  return { batch: [] };
}

const lengthOf = (field: FieldValue): number | undefined =>
  "texts" in field ? field.texts.length : field.tensor.shape[0];

function describe(field: FieldValue, size: number | undefined): DataBatch["tensors"][number] {
  const { name, role } = field;
  const shape = "texts" in field ? [field.texts.length] : [...field.tensor.shape];
  if (size !== undefined && shape.length > 0) shape[0] = size;
  return { name, role, dtype: "texts" in field ? "text" : field.tensor.dtype, shape };
}
