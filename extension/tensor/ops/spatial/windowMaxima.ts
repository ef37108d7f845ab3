// Where the maxima of windows are: any windows, for which no kernel of pooling serves.
import { range } from "../../core/shape.ts";
import { rowwise } from "../../planning/parts.ts";
import { apply } from "../../recording/apply.ts";
import { defineOp, type Meta, type Op } from "../../recording/op.ts";
import { isnan, lt, where } from "../elementwise/elementwise.ts";
import { remainder } from "../elementwise/remainder.ts";
import { call, constant } from "../expressions.ts";
import { formulaRules, type Writer } from "../formulas.ts";
import { gatherLast } from "../movement/elements.ts";
import { amongAll, indexSelect } from "../movement/indexing.ts";
import { cast, expand, reshape } from "../movement/movement.ts";
import { amax, argmax } from "../reduction/reduction.ts";

/**
 * Where each row's maximum is: the first one, or the last NaN, as in PyTorch's pooling.
 * @param rows [batch, channels, windows, cells], or without the channels
 */
export function placesOfMaxima<V extends Meta>(w: Writer<V>, rows: V): V {
  const dim = rows.shape.length - 1;
  const length = rows.shape[dim]!;
  const order = w.constant(range(length), [length], "float32");
  const nans = w.make(where, [w.make(isnan, [rows], {}), order, w.constant([-1], [], "float32")], {});
  const nan = w.make(cast, [w.make(amax, [nans], { dims: [dim], keepdim: false })], { dtype: "int64" });
  const none = w.make(lt, [nan, w.constant([0], [], "int64")], {});
  return w.make(where, [none, w.make(argmax, [rows], { dim }), nan], {});
}

const rules = formulaRules<object>((w, [x, table]) => {
  const lead = x!.shape.slice(0, -1);
  const [windows, cells] = table!.shape as [number, number];
  const flat = w.make(reshape, [table!], { shape: [windows * cells] });
  const picked = w.make(indexSelect, [x!, flat], { dim: lead.length });
  const candidates = w.make(reshape, [picked], { shape: [...lead, windows, cells] });
  const at = w.make(reshape, [placesOfMaxima(w, candidates)], { shape: [...lead, windows, 1] });
  const tables = w.make(expand, [table!], { shape: candidates.shape });
  return [w.make(reshape, [w.make(gatherLast, [tables, at], {})], { shape: [...lead, windows] })];
});

/** For rows [*, n] and a table [windows, cells] of places, the place of each window's maximum: [*, windows]. */
export const windowMaxima: Op<object> = defineOp({
  name: "windowMaxima",
  infer: ([x, table]) => ({ shape: [...x!.shape.slice(0, -1), table!.shape[0]!], dtype: "int64" }),
  gradient: { none: "places have no gradient" },
  batch(c) {
    if (!c.batched[1]) return c.apply(c.inputs);
    const [{ shape }, { shape: table }] = c.signature.inputs as [Meta, Meta];
    const last = shape.length - 1;
    // The rows of all samples in one: each has its own table there.
    const places = apply(reshape, [amongAll(c, c.inputs[1]!, shape[last]!)], {
      shape: [c.size * table[0]!, table[1]!],
    });
    const found = c.split(c.apply([c.merged(c.whole(0), last), places]), last);
    return call(remainder, found, constant(shape[last]!, "int64"));
  },
  ...rules,
  tensorflow: (b, inputs, ...rest) =>
    b.exact === true ? b.node("WindowMaxima", inputs, {}) : rules.tensorflow(b, inputs, ...rest),
  parts: rowwise(1),
});
