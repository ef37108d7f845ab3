// Programs over tensors against PyTorch: functions, types, gradients, views, writes, and what is refused.
import { describe, expect, test } from "vitest";
import "../../../extension/tensor/methods.ts";
import { TensorError } from "../../../extension/tensor/core/errors.ts";
import { gradientName } from "../../../extension/tensor/core/print.ts";
import { valuesOf } from "../../../extension/tensor/planning/barrier.ts";
import { fromHost, Tensor } from "../../../extension/tensor/core/tensor.ts";
import { cases, execute, host, type Case, type Names, type Result } from "../../functionPrograms.ts";
import { ENGINES, useEngine } from "../../engines.ts";

const flat = (x: unknown): unknown[] => (Array.isArray(x) ? x.flatMap(flat) : [x]);

function expectEqual(actual: unknown, expected: Result, rtol: number, atol: number): void {
  if (Array.isArray(expected)) {
    expect(Array.isArray(actual) ? actual.length : typeof actual).toBe(expected.length);
    expected.forEach((e, i) => expectEqual((actual as unknown[])[i], e, rtol, atol));
    return;
  }
  if (typeof expected !== "object") {
    if (typeof expected === "number") expect(actual).toBeCloseTo(expected, 5);
    else expect(actual).toBe(expected);
    return;
  }
  const x = actual as Tensor;
  expect([x.dtype, ...x.shape]).toEqual([expected.dtype, ...expected.shape]);
  const [values, wanted] = [valuesOf(x.value), host(expected)];
  const wrong = values.findIndex((v, i) => {
    const w = wanted[i]!;
    return !(Object.is(v, w) || v === w || Math.abs(v - w) <= atol + rtol * Math.abs(w));
  });
  expect(wrong, `${[...values].join()} is not ${[...wanted].join()}`).toBe(-1);
}

/** The loss that the recorded gradients belong to. */
function loss(names: Names, recorded: Record<string, Result>): Tensor {
  const floats = Object.keys(recorded)
    .flatMap((name) => flat(names[name]))
    .filter((t): t is Tensor => t instanceof Tensor && t.requiresGrad);
  const weighted = floats.map((t) => {
    const weights = Float32Array.from({ length: t.numel() }, (_, k) => (((7 * k) % 11) - 5) / 5);
    return t.mul(fromHost(weights, t.shape, "float32")).sum();
  });
  return weighted.reduce((a, b) => a.add(b));
}

const title = ({ steps }: Case): string =>
  steps
    .map(({ on, call, args = [], kwargs }) => {
      const list = [...args, ...(kwargs ? [kwargs] : [])].map((a) => JSON.stringify(a));
      return `${on}.${call}(${list.join(", ")})`;
    })
    .join("; ")
    .replaceAll(/\{"\$":"(\w+)"\}/g, "$1");

function suite(): void {
  test.each(cases.filter((c) => c.error !== undefined).map((c) => [title(c), c] as const))(
    "%s is refused",
    (_, c) => {
      let message = "";
      try {
        execute(c, []);
      } catch (error) {
        expect(error).toBeInstanceOf(TensorError);
        message = (error as Error).message;
      }
      expect(message).toBe(c.error);
    },
  );

  test.each(cases.filter((c) => c.expect !== undefined).map((c) => [title(c), c] as const))("%s", (_, c) => {
    const differentiate = Object.keys(c.grads ?? {});
    const names = execute(c, differentiate);
    for (const [name, expected] of Object.entries(c.expect!)) expectEqual(names[name], expected, 1e-5, 1e-6);
    if (c.grads === undefined) return;
    if (c.gradFn !== undefined) expect(gradientName(flat(names.out)[0] as Tensor)).toBe(c.gradFn);
    loss(names, c.expect!).backward();
    for (const [name, expected] of Object.entries(c.grads)) {
      const { grad } = names[name] as Tensor;
      if (expected !== null) expectEqual(grad, expected, 1e-4, 1e-5);
      else if (grad !== null) expect(valuesOf(grad.value).every((g) => g === 0)).toBe(true);
    }
  });
}

describe.each([...ENGINES, "cpu"] as const)("on %s", (device) => {
  useEngine(device);
  suite();
});
