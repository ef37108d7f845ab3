// Ops whose values come from all processes of a group. Each process records the same op with the same key.
import { applyAll } from "../../recording/apply.ts";
import {
  attr,
  scalar,
  type TfAttribute,
  type TfBuilder,
  type TfRef,
  type TfType,
} from "../../lowering/lowering.ts";
import { castNode, INDEX, reshapeNode } from "../../lowering/nodes.ts";
import { internal, TensorError } from "../../core/errors.ts";
import type { DType } from "../../core/dtype.ts";
import type { Meta } from "../../core/meta.ts";
import { numel } from "../../core/shape.ts";
import { defineOp, type Op } from "../../recording/op.ts";
import { zeros } from "../expressions.ts";

/** The exchange that a collective op takes part in. */
export interface Collective {
  /** Processes of the group; 1 for the process alone. */
  readonly size: number;
  /** Names the exchange in all processes. TensorFlow refuses to reuse a key for another size. */
  readonly key: number;
  /** Seconds after which a process stops waiting for the others; 0 for never. */
  readonly timeout: number;
}

const NO_ONNX = { none: "a model that is exported runs in one process" };
const ONE_BY_ONE = { none: "each call is an exchange with the other processes" };

/** TensorFlow's number of the only group there is: all processes. */
const GROUP = 1;

function alone<T>(size: number, values: T): T {
  return size === 1 ? values : internal("a collective op without TensorFlow");
}

/**
 * Attributes of a collective node. The key is an attribute, as in the first version of these ops: TensorFlow counts the steps
 * of graphs by the keys in them, so that calls of two graphs may overlap in any order.
 */
const exchange = ({ size, key, timeout }: Collective, type: TfType): Record<string, TfAttribute> => ({
  T: attr.type(type),
  group_size: attr.int(size),
  group_key: attr.int(GROUP),
  instance_key: attr.int(key),
  communication_hint: attr.string("ring"),
  timeout_seconds: attr.float(timeout),
});

const sumNode = (b: TfBuilder, x: TfRef, attributes: Collective, type: TfType): TfRef =>
  b.node("CollectiveReduce", [x], {
    ...exchange(attributes, type),
    merge_op: attr.string("Add"),
    final_op: attr.string("Id"),
    subdiv_offsets: attr.ints([0]),
    wait_for: attr.ints([]),
  });

/**
 * The sums of tensors over the processes of a group. All tensors of a call are one exchange: they are joined into a bucket,
 * since each exchange costs about a millisecond on its own.
 */
export const allReduce: Op<Collective> = defineOp<Collective>({
  name: "allReduce",
  collective: true,
  infer(inputs) {
    const [{ dtype }] = inputs as [Meta];
    const other = inputs.find((m) => m.dtype !== dtype);
    if (other !== undefined)
      throw new TensorError("dtype", `Tensors must have identical type, got ${dtype} and ${other.dtype}`);
    if (dtype === "bool") throw new TensorError("dtype", "Tensors of dtype bool can't be added up");
    return inputs;
  },
  // Another exchange with a key of its own, which all processes derive alike.
  gradient: ({ grads, outputs, attributes }) =>
    applyAll(
      allReduce,
      outputs.map((y, i) => grads[i] ?? zeros(y.shape, y.dtype)),
      { ...attributes, key: gradientKey(attributes.key) },
    ),
  batch: ONE_BY_ONE,
  onnx: NO_ONNX,
  tensorflow(b, inputs, attributes, { inputs: metas }) {
    const [{ dtype }] = metas as [Meta];
    const type = attr.type(dtype);
    const copy = (x: TfRef): TfRef => b.node("Identity", [x], { T: type });
    if (attributes.size === 1) return inputs.map(copy);
    const flat = inputs.map((x, i) => (metas[i]!.shape.length === 1 ? x : reshapeNode(b, x, [-1], type)));
    if (flat.length === 1)
      return reshapeNode(b, sumNode(b, flat[0]!, attributes, dtype), metas[0]!.shape, type);
    const axis = scalar(b, 0, "int64");
    const bucket = b.node("ConcatV2", [...flat, axis], { T: type, N: attr.int(flat.length), Tidx: INDEX });
    const sums = sumNode(b, bucket, attributes, dtype);
    const sizes = b.constant(
      metas.map(({ shape }) => numel(shape)),
      [metas.length],
      "int64",
    );
    const parts = b.nodes(
      "SplitV",
      [sums, sizes, axis],
      { T: type, Tlen: INDEX, num_split: attr.int(metas.length) },
      metas.length,
    );
    return parts.map((part, i) =>
      metas[i]!.shape.length === 1 ? part : reshapeNode(b, part, metas[i]!.shape, type),
    );
  },
  tfjs: (k, inputs, { size }) =>
    alone(
      size,
      inputs.map((x) => k.clone(x)),
    ),
});

/** Keys of gradients lie above those of the exchanges that they belong to. */
export const MOST_KEYS = 2 ** 28;
const gradientKey = (key: number): number => (key + MOST_KEYS) % (4 * MOST_KEYS);

/** A tensor of each process, in the order of their ranks: [size, …shape]. All have the same shape. */
export const allGather: Op<Collective> = defineOp<Collective>({
  name: "allGather",
  collective: true,
  infer: ([x], { size }) => ({ shape: [size, ...x!.shape], dtype: x!.dtype }),
  gradient: { none: "sums over processes are differentiated, by allReduce" },
  batch: ONE_BY_ONE,
  onnx: NO_ONNX,
  tensorflow(b, [x], attributes, { inputs: [meta], outputs }) {
    const { dtype } = meta!;
    const { shape } = outputs[0]!;
    const one = [1, ...meta!.shape];
    if (attributes.size === 1) return reshapeNode(b, x!, one, attr.type(dtype));
    // TensorFlow gathers numbers only.
    const type: DType = dtype === "bool" ? "int64" : dtype;
    const numbers = dtype === "bool" ? castNode(b, x!, "bool", type) : x!;
    const own = reshapeNode(b, numbers, one, attr.type(type));
    const all = b.node("CollectiveGather", [own], {
      ...exchange(attributes, type),
      shape: attr.shape(shape),
    });
    return dtype === "bool" ? castNode(b, all, type, "bool") : all;
  },
  tfjs: (k, [x], { size }) => alone(size, k.expandDims(x!, 0)),
});
