import { expect, test } from "vitest";
import { GraphBuilder } from "../../../extension/executors/tensorflow/graph/graphBuilder.ts";
import { attr } from "../../../extension/tensor/lowering/lowering.ts";

test("each of the tensors that are taken together waits for all others", () => {
  const b = new GraphBuilder();
  const T = attr.type("float32");
  const [x, grad] = ["x", "grad"].map((name) =>
    b.node("Relu", [b.constant([1], [1], "float32")], { T }, name),
  );
  b.together([x!, grad!], ["float32", "float32"]);
  const copies = b.graph.filter(({ op }) => op === "Identity");
  expect(copies.map(({ inputs }) => inputs)).toEqual([
    ["x", "^x", "^grad"],
    ["grad", "^x", "^grad"],
  ]);
});
