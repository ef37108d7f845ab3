// PyTorch's numbers of gradients of gradients: test/fixtures/gradients/make.py.
import { readFileSync } from "node:fs";
import { expect } from "vitest";
import { nn, torch, type Tensor } from "../../../extension/nn/index.ts";
import { numel } from "../../../extension/tensor/core/shape.ts";
import { fromHost } from "../../../extension/tensor/core/tensor.ts";

const { cases } = JSON.parse(
  readFileSync(new URL("../../fixtures/gradients/second.json", import.meta.url), "utf8"),
) as { cases: Record<string, number[]> };

export const CASES: readonly string[] = Object.keys(cases);

/** The fixture's inputs: data, since what TensorFlow fuses depends on shapes that it finds in the graph. */
export function wave(shape: readonly number[], seed: number, scale = 1): Tensor {
  const values = Float32Array.from(
    { length: numel(shape) },
    (_, i) => Math.fround(Math.sin(1.7 * i + seed)) * scale,
  );
  return fromHost(values, shape, "float32");
}

export function expectCase(name: string, tensors: readonly Tensor[], tolerance = 2e-5): void {
  const expected = cases[name]!;
  const found = tensors.flatMap((t) => [...t.toTypedArray()]);
  expect(found.length, `${name}: how many numbers`).toBe(expected.length);
  const scale = Math.max(1, ...expected.map(Math.abs));
  const wrong = found.findIndex((v, i) => !(Math.abs(v - expected[i]!) <= tolerance * scale));
  expect(wrong, `${name}: ${found[wrong]} is not ${expected[wrong]}`).toBe(-1);
}

export function filled<M extends nn.Module>(module: M, scale = 0.4): M {
  torch.noGrad(() => [...module.parameters()].forEach((p, i) => void p.copy_(wave(p.shape, i + 1, scale))));
  return module;
}

/** As the fixture's: exp of a multiple. */
export class Exp extends torch.autograd.Function {
  static forward(ctx: torch.FunctionCtx, x: Tensor, scale: number): Tensor {
    const y = x.mul(scale).exp();
    ctx.saveForBackward(y);
    ctx.scale = scale;
    return y;
  }

  static backward(ctx: torch.FunctionCtx, grad: Tensor): [Tensor, null] {
    const [y] = ctx.savedTensors;
    return [grad.mul(y!).mul(ctx.scale as number), null];
  }
}
