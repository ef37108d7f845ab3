import { expect, test } from "vitest";
import type { Meta } from "../../extension/tensor/core/meta.ts";
import { permute } from "../../extension/tensor/ops/movement/movement.ts";

test("a kernel that is only asked for what it is finds no places of elements", () => {
  const matrix: Meta = { shape: [100_000, 100_000], dtype: "float32" };
  // So many places fit into no array.
  const kernel = permute.plain!({ inputs: [matrix], outputs: [matrix] }, { order: [1, 0] });
  expect(kernel?.scattered).toBe(true);
});
