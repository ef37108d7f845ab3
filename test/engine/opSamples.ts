// Samples of every op, with PyTorch's values: test/fixtures/ops.
import { readdirSync, readFileSync } from "node:fs";
import { toHostArray, type DType } from "../../extension/tensor/core/dtype.ts";
import { fromHost, type Tensor } from "../../extension/tensor/core/tensor.ts";

export interface Recorded {
  dtype: DType;
  shape: number[];
  data: (number | string)[];
}

export interface Sample {
  inputs: Recorded[];
  attributes: object;
  outputs: Recorded[];
  gradOutputs: (Recorded | null)[] | null;
  grads?: (Recorded | null)[];
  /** false where PyTorch's gradient is not the derivative. */
  derivative?: false;
  /** Inputs by which PyTorch has no derivative. */
  fixed?: number[];
}

const folder = new URL("../fixtures/ops/", import.meta.url);

/** By the names of ops. */
export const samples: Readonly<Record<string, readonly Sample[]>> = Object.assign(
  {},
  ...readdirSync(folder)
    .filter((name) => name.endsWith(".json"))
    .map((file) => (JSON.parse(readFileSync(new URL(file, folder), "utf8")) as { ops: object }).ops),
);

export const hostOf = ({ data, dtype }: Recorded): ReturnType<typeof toHostArray> =>
  toHostArray(data.map(Number), dtype);

export const given = (recorded: Recorded): Tensor =>
  fromHost(hostOf(recorded), recorded.shape, recorded.dtype);

/** Whether an input of a sample with gradients has one. */
export const hasGradient = ({ inputs, fixed }: Sample, i: number): boolean =>
  inputs[i]!.dtype === "float32" && fixed?.includes(i) !== true;
