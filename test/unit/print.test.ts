import { readFileSync } from "node:fs";
import { inspect } from "node:util";
import { afterEach, describe, expect, test, vi } from "vitest";
import "../../extension/tensor/methods.ts";
import { toHostArray, type DType, type HostArray } from "../../extension/tensor/core/dtype.ts";
import {
  formatTensor,
  getPrintOptions,
  setPrintOptions,
  type PrintOptions,
} from "../../extension/tensor/core/print.ts";
import { setExecutor } from "../../extension/tensor/planning/barrier.ts";
import { fromHost, Parameter, type Tensor } from "../../extension/tensor/core/tensor.ts";
import * as torch from "../../extension/tensor/torch.ts";

interface Case {
  dtype: DType;
  shape: number[];
  bits?: number[];
  data?: number[];
  options?: Partial<PrintOptions> & { profile?: "default" | "short" | "full" };
  requiresGrad?: "leaf" | "mul" | "parameter";
  text: string;
}

const { cases } = JSON.parse(
  readFileSync(new URL("../fixtures/print/tensors.json", import.meta.url), "utf8"),
) as { cases: Case[] };

afterEach(() => {
  setPrintOptions({ profile: "default" });
  setExecutor(undefined);
});

function made({ bits, data, dtype, shape, requiresGrad }: Case): Tensor {
  const values: HostArray =
    bits === undefined ? toHostArray(data!, dtype) : new Float32Array(Int32Array.from(bits).buffer);
  const x = fromHost(values, shape, dtype);
  if (requiresGrad === undefined) return x;
  if (requiresGrad === "parameter") return new Parameter(x);
  x.requiresGrad_();
  if (requiresGrad === "leaf") return x;
  const y = x.mul(1);
  y.value.data = values;
  return y;
}

test("tensors print as PyTorch prints them", () => {
  // Values are there, so that nothing is computed: any executor will do.
  setExecutor({ run: vi.fn<() => void>(), read: () => new Float32Array() });
  cases.forEach((c, i) => {
    setPrintOptions({ profile: "default" });
    if (c.options) setPrintOptions(c.options);
    expect(formatTensor(made(c)), `case ${i}`).toBe(c.text);
  });
});

describe("without an executor", () => {
  test("what has values prints them, what would have to be computed shows its size", () => {
    const x = torch.tensor([1.5, 2]);
    expect(String(x)).toBe("tensor([1.5000, 2.0000])");
    expect(String(x.add(1))).toBe("tensor(..., size=(2,))");
    expect(String(torch.ones(2, 3).long().add(1))).toBe("tensor(..., size=(2, 3), dtype=torch.int64)");
    expect(String(x.requiresGrad_().exp())).toBe("tensor(..., size=(2,), grad_fn=<ExpBackward0>)");
  });

  test("console.log and String show the same text", () => {
    const x = torch.tensor([[1, 2]]);
    expect(inspect(x)).toBe("tensor([[1, 2]])");
    expect(String(x)).toBe("tensor([[1, 2]])");
  });
});

test("options: sciMode returns to automatic unless it is given", () => {
  setPrintOptions({ sciMode: true, precision: 2 });
  expect(String(torch.tensor([1.5]))).toBe("tensor([1.50e+00])");
  setPrintOptions({ precision: 3 });
  expect(getPrintOptions()).toEqual({
    precision: 3,
    threshold: 1000,
    edgeitems: 3,
    linewidth: 80,
    sciMode: null,
  });
  expect(String(torch.tensor([1.5]))).toBe("tensor([1.500])");
});
