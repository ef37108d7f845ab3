// PyTorch's older constructors: `torch.Tensor(2, 3)`, `torch.LongTensor([1, 2])`.
import { SCALAR_TYPE, type DType } from "../../core/dtype.ts";
import { checkedDType, type OtherDType } from "../../platform/checkedDType.ts";
import { TensorError } from "../../core/errors.ts";
import { isSize } from "../../core/size.ts";
import { castTo } from "../pointwise/operands.ts";
import { Tensor as Class } from "../../core/tensor.ts";
import { tensor, zeros, type TensorData } from "./creation.ts";

/** Makes tensors of one type, of sizes or of data; with `new` or without. */
export interface TensorClass {
  new (...sizes: number[]): Class;
  new (data: TensorData): Class;
  (...sizes: number[]): Class;
  (data: TensorData): Class;
  readonly prototype: Class;
}

/** A tensor as an older constructor of its type makes it. */
export function made(dtype: DType, args: readonly unknown[]): Class {
  const [first] = args;
  if (first instanceof Class) {
    if (first.dtype === dtype) return first.detach();
    const [expected, got] = [SCALAR_TYPE[dtype], SCALAR_TYPE[first.dtype]].map((name) => name.toLowerCase());
    throw new TensorError(
      "dtype",
      `expected TensorOptions(dtype=${expected}) (got TensorOptions(dtype=${got}))`,
      "convert it with x.to(dtype)",
    );
  }
  if (args.length === 0) return zeros(0, { dtype });
  if (Array.isArray(first) && isSize(first)) return zeros([...first], { dtype });
  if (typeof first === "number" && !Number.isInteger(first))
    throw new TensorError("value", "new(): data must be a sequence (got float)");
  if (typeof first === "number") return zeros([...args] as number[], { dtype });
  return tensor(first as TensorData, { dtype });
}

const classOf = (dtype: DType): TensorClass =>
  new Proxy(Class, {
    apply: (_, __, args) => made(dtype, args),
    construct: (_, args) => made(dtype, args),
  }) as unknown as TensorClass;

/** A tensor, and its older constructor: `torch.Tensor(2, 3)` is float32 of these sizes, `torch.Tensor([1, 2])` of these values. */
export const Tensor = classOf("float32");
export type Tensor = Class;
/** As {@link Tensor}. */
export const FloatTensor = classOf("float32");
/** The same of int64: `torch.LongTensor([1, 2])`. */
export const LongTensor = classOf("int64");
const missing = (dtype: OtherDType): TensorClass => {
  const refuse = (): never => checkedDType(dtype) as never;
  return new Proxy(Class, { apply: refuse, construct: refuse }) as unknown as TensorClass;
};

/** @throws TensorError: there is no float64 */
export const DoubleTensor = missing("float64");
/** @throws TensorError: there is no float16 */
export const HalfTensor = missing("float16");
/** @throws TensorError: there is no bfloat16 */
export const BFloat16Tensor = missing("bfloat16");
/** @throws TensorError: there is no int32 */
export const IntTensor = missing("int32");
/** @throws TensorError: there is no int16 */
export const ShortTensor = missing("int16");
/** @throws TensorError: there is no int8 */
export const CharTensor = missing("int8");
/** @throws TensorError: there is no uint8 */
export const ByteTensor = missing("uint8");
/** The same of bool. */
export const BoolTensor = classOf("bool");

/** A type, which may have PyTorch's older name: `torch.LongTensor`, "torch.LongTensor". */
export type TypeLike = DType | typeof FloatTensor | `torch.${string}Tensor`;

const CLASSES = { float32: [FloatTensor, Tensor], int64: [LongTensor], bool: [BoolTensor] } as const;

/**
 * The tensor as another type, or the name of its own: "torch.FloatTensor".
 * @throws TensorError for a type that tensors don't have here
 */
export function typeOf(input: Class, dtype?: TypeLike): Class | string {
  if (dtype === undefined) return nameOf(input.dtype);
  const found = (Object.keys(CLASSES) as (keyof typeof CLASSES)[]).find(
    (name) => (CLASSES[name] as readonly unknown[]).includes(dtype) || nameOf(name) === dtype,
  );
  return castTo(input, found ?? checkedDType(dtype));
}

const nameOf = (dtype: DType): string => `torch.${SCALAR_TYPE[dtype]}Tensor`;
