// Learned factors and offsets: what they do is arithmetic, but they count as multiply-adds, which arithmetic does not.
import { defineOp, type Op, type OpRecord } from "../../recording/op.ts";
import { numel } from "../../core/shape.ts";
import { add, mul } from "../elementwise/elementwise.ts";

/** The input times a learned weight, broadcast. */
export const weigh: Op<object> = defineOp({
  ...(mul as OpRecord<object>),
  name: "weigh",
  cost: ({ outputs }) => numel(outputs[0]!.shape),
});

/** The input plus a learned bias, broadcast. */
export const shift: Op<object> = defineOp({
  ...(add as OpRecord<object>),
  name: "shift",
  cost: ({ outputs }) => numel(outputs[0]!.shape),
});
