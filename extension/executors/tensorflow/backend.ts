import type { Value } from "../../tensor/recording/graph.ts";
import { attr, vector, type TfBuilder, type TfRef } from "../../tensor/lowering/lowering.ts";
import { naming } from "../errors.ts";
import { signatureOf, type Backend } from "../nhwc.ts";

/** The table's `tensorflow` parts through a builder, which writes nodes or runs them. */
export function tensorflowBackend(b: TfBuilder, leaf: (value: Value) => TfRef): Backend<TfRef> {
  const index = attr.type("int64");
  return {
    leaf,
    lower(node, inputs) {
      const { op } = node;
      const signature = signatureOf(node);
      const result = naming(
        op,
        () => op.tensorflow(b, inputs, node.attributes, signature),
        () => b.read && op.refusal?.(inputs.map(b.read), signature),
      );
      return Array.isArray(result) ? (result as readonly TfRef[]) : [result as TfRef];
    },
    empty: (shape, dtype) => b.constant([], shape, dtype),
    transpose: (ref, order, dtype) =>
      b.node("Transpose", [ref, vector(b, order)], { T: attr.type(dtype), Tperm: index }),
    reshape: (ref, shape, dtype) =>
      b.node("Reshape", [ref, vector(b, shape)], { T: attr.type(dtype), Tshape: index }),
  };
}
