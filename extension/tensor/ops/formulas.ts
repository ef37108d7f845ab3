// Ops that are written with other ops: once, for all engines.
import type * as tfjs from "@tensorflow/tfjs-core";
import { toHostArray, type DType } from "../core/dtype.ts";
import type { Meta, Signature } from "../core/meta.ts";
import type { Shape } from "../core/shape.ts";
import { fromHost, type Tensor } from "../core/tensor.ts";
import type { TfBuilder, TfRef } from "../lowering/lowering.ts";
import type { OnnxBuilder, OnnxRef } from "../lowering/onnx.ts";
import { apply } from "../recording/apply.ts";
import type { Op, Tfjs } from "../recording/op.ts";
import {
  abs,
  add,
  div,
  eq,
  erf,
  exp,
  expm1,
  floor,
  le,
  logicalAnd,
  logicalOr,
  lt,
  maximum,
  mul,
  neg,
  reciprocal,
  round,
  sigmoid,
  softplus,
  sqrt,
  square,
  sub,
  tanh,
  where,
} from "./elementwise/elementwise.ts";
import { remainder } from "./elementwise/remainder.ts";
import { filled } from "./expressions.ts";

/** Writes a formula: `V` are tensors that are recorded, nodes of a graph, or tensors of tfjs. */
export interface Writer<V extends Meta> {
  make<A extends object>(op: Op<A>, inputs: readonly V[], attributes: A): V;
  constant(values: readonly number[], shape: Shape, dtype: DType): V;
}

/** Returns the outputs of an op. */
export type Formula<A> = <V extends Meta>(w: Writer<V>, inputs: readonly V[], attributes: A) => readonly V[];

interface Valued<X> extends Meta {
  readonly value: X;
}

/** @param run one rule of an op's record */
function writerOf<X>(
  run: (op: Op<object>, inputs: readonly X[], attributes: object, signature: Signature) => X | readonly X[],
  constant: (values: readonly number[], shape: Shape, dtype: DType) => X,
): Writer<Valued<X>> {
  return {
    make(op, inputs, attributes) {
      const outputs: readonly Meta[] = [op.infer(inputs, attributes)].flat();
      const own = inputs.map(({ value }) => value);
      const results = [run(op as unknown as Op<object>, own, attributes, { inputs, outputs })].flat();
      return { ...outputs[0]!, value: results[0] as X };
    },
    constant: (values, shape, dtype) => ({ shape, dtype, value: constant(values, shape, dtype) }),
  };
}

/** Writes formulas whose gradients are those of their ops. */
export const RECORDED: Writer<Tensor> = {
  make: apply,
  constant: (values, shape, dtype) =>
    values.length === 1
      ? filled(values[0]!, shape, dtype)
      : fromHost(toHostArray(values, dtype), shape, dtype),
};

/** The arithmetic of formulas. */
export interface Functions<V> {
  readonly add: (x: V, y: V) => V;
  readonly sub: (x: V, y: V) => V;
  readonly mul: (x: V, y: V) => V;
  readonly div: (x: V, y: V) => V;
  readonly remainder: (x: V, y: V) => V;
  readonly maximum: (x: V, y: V) => V;
  readonly neg: (x: V) => V;
  readonly abs: (x: V) => V;
  readonly square: (x: V) => V;
  readonly sqrt: (x: V) => V;
  readonly reciprocal: (x: V) => V;
  readonly floor: (x: V) => V;
  readonly round: (x: V) => V;
  readonly exp: (x: V) => V;
  readonly expm1: (x: V) => V;
  readonly erf: (x: V) => V;
  readonly tanh: (x: V) => V;
  readonly sigmoid: (x: V) => V;
  readonly softplus: (x: V) => V;
  readonly less: (x: V, y: V) => V;
  readonly atMost: (x: V, y: V) => V;
  readonly equal: (x: V, y: V) => V;
  readonly and: (x: V, y: V) => V;
  readonly or: (x: V, y: V) => V;
  readonly where: (condition: V, x: V, y: V) => V;
  readonly number: (value: number) => V;
}

/** @param dtype type of its numbers */
export function functionsOf<V extends Meta>(w: Writer<V>, dtype: DType = "float32"): Functions<V> {
  const one = (op: Op<object>) => (x: V) => w.make(op, [x], {});
  const two = (op: Op<object>) => (x: V, y: V) => w.make(op, [x, y], {});
  return {
    add: two(add),
    sub: two(sub),
    mul: two(mul),
    div: two(div),
    remainder: two(remainder),
    maximum: two(maximum),
    neg: one(neg),
    abs: one(abs),
    square: one(square),
    sqrt: one(sqrt),
    reciprocal: one(reciprocal),
    floor: one(floor),
    round: one(round),
    exp: one(exp),
    expm1: one(expm1),
    erf: one(erf),
    tanh: one(tanh),
    sigmoid: one(sigmoid),
    softplus: one(softplus),
    less: two(lt),
    atMost: two(le),
    equal: two(eq),
    and: two(logicalAnd),
    or: two(logicalOr),
    where: (condition, x, y) => w.make(where, [condition, x, y], {}),
    number: (value) => w.constant([value], [], dtype),
  };
}

/** The rules of a record by a formula. */
export function formulaRules<A extends object>(
  formula: Formula<A>,
): Pick<Op<A>, "tensorflow" | "tfjs"> & { onnx: (...args: OnnxArguments<A>) => readonly OnnxRef[] } {
  const written = <X>(
    w: Writer<Valued<X>>,
    refs: readonly X[],
    attributes: A,
    { inputs }: Signature,
  ): readonly X[] => {
    const values = inputs.map((meta, i): Valued<X> => ({ ...meta, value: refs[i]! }));
    return formula(w, values, attributes).map(({ value }) => value);
  };
  return {
    tensorflow: (b, ...given) => written(nodesOf(b), ...given),
    onnx: (b, ...given) => written(onnxOf(b), ...given),
    tfjs: (k, ...given) => written(onTfjs(k), ...given),
  };
}

type OnnxArguments<A> = [b: OnnxBuilder, inputs: readonly OnnxRef[], attributes: A, signature: Signature];

const nodesOf = (b: TfBuilder): Writer<Valued<TfRef>> =>
  writerOf(
    (op, inputs, attributes, signature) => op.tensorflow(b, inputs, attributes, signature),
    (values, shape, dtype) => b.constant(values, shape, dtype),
  );

const onnxOf = (b: OnnxBuilder): Writer<Valued<OnnxRef>> =>
  writerOf(
    (op, inputs, attributes, signature) => {
      if (typeof op.onnx !== "function") throw new Error(`${op.name} is not for ONNX: ${op.onnx.none}`);
      return op.onnx(b, inputs, attributes, signature);
    },
    (values, shape, dtype) => b.constant(values, shape, dtype),
  );

const onTfjs = (k: Tfjs): Writer<Valued<tfjs.Tensor>> =>
  writerOf(
    (op, inputs, attributes, signature) => op.tfjs(k, inputs, attributes, signature),
    (values, shape, dtype) => k.tensor([...values], [...shape], dtype === "int64" ? "int32" : dtype),
  );
