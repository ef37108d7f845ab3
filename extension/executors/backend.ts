import type { Value } from "../tensor/recording/graph.ts";
import { attr, vector, type TfBuilder, type TfRef } from "../tensor/lowering/lowering.ts";
import { errorOf } from "./errors.ts";
import type { Backend } from "./nhwc.ts";

/** The table's `tensorflow` parts through a builder, which writes nodes or runs them. */
export function tensorflowBackend(b: TfBuilder, leaf: (value: Value) => TfRef): Backend<TfRef> {
  const index = attr.type("int64");
  return {
    leaf,
    lower(node, inputs) {
      const { op } = node;
      try {
        const result = op.tensorflow(b, inputs, node.attributes, node);
        return Array.isArray(result) ? (result as readonly TfRef[]) : [result as TfRef];
      } catch (error) {
        throw errorOf(node, error, () => b.read && op.refusal?.(inputs.map(b.read), node));
      }
    },
    empty: (shape, dtype) => b.constant([], shape, dtype),
    transpose: (ref, order, dtype) =>
      b.node("Transpose", [ref, vector(b, order)], { T: attr.type(dtype), Tperm: index }),
    reshape: (ref, shape, dtype) =>
      b.node("Reshape", [ref, vector(b, shape)], { T: attr.type(dtype), Tshape: index }),
  };
}
