import { expect, test } from "vitest";
import { EagerBuilder } from "../../../extension/executors/tensorflow/eagerBuilder.ts";
import type { NativeBinding } from "../../../extension/native/binding.ts";

/** A binding that only counts: ids of live tensors. */
function counting(): { binding: NativeBinding; live: Set<number> } {
  const live = new Set<number>();
  let next = 0;
  const make = (): number => {
    live.add(next);
    return next++;
  };
  const binding = {
    createTensor: make,
    deleteTensor: (id: number) => void live.delete(id),
    executeOp: (_op: string, _attributes: unknown, _inputs: unknown, outputs: number) =>
      Array.from({ length: outputs }, () => ({ id: make(), shape: [], dtype: 1 })),
  } as unknown as NativeBinding;
  return { binding, live };
}

test("a step lets go of what it made on its way, and release of the rest", () => {
  const { binding, live } = counting();
  const b = new EagerBuilder(binding);
  const x = b.constant([1], [1], "float32");
  for (let i = 0; i < 10; i++) {
    b.step(() => {
      const [a] = b.nodes("Split", [x], {}, 3);
      return { state: [b.node("Tanh", [a!], {})], outputs: [x, b.node("Relu", [a!], {})] };
    });
  }
  expect(live.size).toBe(1 + 10 * 2);
  b.release();
  expect(live.size).toBe(0);
});

test("a step that fails leaves nothing behind", () => {
  const { binding, live } = counting();
  const b = new EagerBuilder(binding);
  const fails = (): never => {
    b.node("Tanh", [], {});
    throw new Error("no such kernel");
  };
  expect(() => b.step(fails)).toThrow("no such kernel");
  expect(live.size).toBe(0);
});
