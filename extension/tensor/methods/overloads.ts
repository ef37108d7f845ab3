// Methods whose signature is not that of a function, and PyTorch's other names of methods.
import { BYTES } from "../core/dtype.ts";
import { strides } from "../core/shape.ts";
import type { Tensor } from "../core/tensor.ts";
import { isNonzero, item } from "../functions/creation/conversion.ts";
import { full, tensor, type TensorData } from "../functions/creation/creation.ts";
import { toTypedArray } from "../functions/creation/data.ts";
import { made, typeOf, type TypeLike } from "../functions/creation/legacy.ts";
import { sizesAndOptions, type SizesAndOptions, type TensorOptions } from "../functions/creation/options.ts";
import { vdot } from "../functions/linalg/products.ts";
import { inv, legacySvd } from "../functions/linalg/decompositions.ts";
import { legacyLuSolve } from "../functions/linalg/lu.ts";
import { geqrf, householderProduct, ormqr } from "../functions/linalg/reflections.ts";
import type { Dims, Operand } from "../functions/pointwise/operands.ts";
import type { ValuesAndIndices } from "../functions/results.ts";
import * as functions from "../functions/tensorFunctions.ts";
import { installAs, type Method } from "./install.ts";

/** `(2, 3)`, `([2, 3])` or `({ size: [2, 3] })`, with options. */
type NewTensor = (...args: SizesAndOptions | [TensorOptions & { size: readonly number[] }]) => Tensor;

declare module "../core/tensor.ts" {
  interface Tensor {
    /**
     * The value of a tensor of one element: a number, or a boolean of a bool tensor. Computes what is pending.
     * It is typed as a number unless a boolean is expected: `const found: boolean = mask.any().item()`.
     */
    // oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- the expected type chooses
    item<T extends number | boolean = number>(): T;
    /** The name of the tensor's type, "torch.FloatTensor"; or the tensor as another type. */
    type(): string;
    type(dtype: TypeLike): Tensor;
    /** A copy of the values, row-major, in a typed array. */
    toTypedArray: Method<typeof toTypedArray, "toTypedArray">;
    /** The same as `toTypedArray()`. */
    numpy: Method<typeof toTypedArray, "numpy">;
    /** Without dimensions of length 1: all, or those named. */
    squeeze(...dim: number[]): Tensor;
    squeeze(dim: Dims | { dim: Dims }): Tensor;
    /** Positions of the elements that are not 0, one per row: reads the tensor now. */
    nonzero(options?: { asTuple?: false }): Tensor;
    nonzero(options: { asTuple: true }): Tensor[];
    /** The lower median of all elements, or `[values, indices]` along a dimension. */
    median(): Tensor;
    median(dim: number | functions.ReduceOptions, keepdim?: functions.KeepdimArgument): ValuesAndIndices;
    /** The lower median of all elements that are not NaN, or `[values, indices]` along a dimension. */
    nanmedian(): Tensor;
    nanmedian(dim: number | functions.ReduceOptions, keepdim?: functions.KeepdimArgument): ValuesAndIndices;
    /** Largest element of all, or `[values, indices]` along a dimension, or of two tensors. */
    max(): Tensor;
    max(other: Tensor): Tensor;
    max(dim: number | functions.ReduceOptions, keepdim?: functions.KeepdimArgument): ValuesAndIndices;
    /** Smallest element of all, or `[values, indices]` along a dimension, or of two tensors. */
    min(): Tensor;
    min(other: Tensor): Tensor;
    min(dim: number | functions.ReduceOptions, keepdim?: functions.KeepdimArgument): ValuesAndIndices;
    /** Variance over dimensions, divided by N − correction (1). */
    var: Method<typeof functions.variance, "var">;
    /** The distinct elements, in ascending order. */
    unique<O extends functions.UniqueOptions & { sorted?: boolean }>(options?: O): functions.Unique<O>;
    /** The elements that differ from the one before. */
    uniqueConsecutive<O extends functions.UniqueOptions>(options?: O): functions.Unique<O>;
    /** The inverse of square matrices. */
    inverse: Method<typeof inv, "inverse">;
    /** As `torch.svd`. */
    svd: Method<typeof legacySvd, "svd">;
    /** PyTorch's other name of clamp. */
    clip: Method<typeof functions.clamp, "clip">;
    /** PyTorch's other name of transpose. */
    swapaxes: Method<typeof functions.transpose, "swapaxes">;
    /** PyTorch's other name of transpose. */
    swapdims: Method<typeof functions.transpose, "swapdims">;
    /** PyTorch's other name of movedim. */
    moveaxis: Method<typeof functions.movedim, "moveaxis">;
    /** PyTorch's other name of abs. */
    absolute: Method<typeof functions.abs, "absolute">;
    /** PyTorch's other name of acos. */
    arccos: Method<typeof functions.acos, "arccos">;
    /** PyTorch's other name of acosh. */
    arccosh: Method<typeof functions.acosh, "arccosh">;
    /** PyTorch's other name of asin. */
    arcsin: Method<typeof functions.asin, "arcsin">;
    /** PyTorch's other name of asinh. */
    arcsinh: Method<typeof functions.asinh, "arcsinh">;
    /** PyTorch's other name of atan. */
    arctan: Method<typeof functions.atan, "arctan">;
    /** PyTorch's other name of atan2. */
    arctan2: Method<typeof functions.atan2, "arctan2">;
    /** PyTorch's other name of atanh. */
    arctanh: Method<typeof functions.atanh, "arctanh">;
    /** PyTorch's other name of div. */
    divide: Method<typeof functions.div, "divide">;
    /** PyTorch's other name of trunc. */
    fix: Method<typeof functions.trunc, "fix">;
    /** PyTorch's other name of outer. */
    ger: Method<typeof functions.outer, "ger">;
    /** PyTorch's other name of gt. */
    greater: Method<typeof functions.gt, "greater">;
    /** PyTorch's other name of ge. */
    greaterEqual: Method<typeof functions.ge, "greaterEqual">;
    /** PyTorch's other name of lt. */
    less: Method<typeof functions.lt, "less">;
    /** PyTorch's other name of le. */
    lessEqual: Method<typeof functions.le, "lessEqual">;
    /** PyTorch's other name of mul. */
    multiply: Method<typeof functions.mul, "multiply">;
    /** PyTorch's other name of neg. */
    negative: Method<typeof functions.neg, "negative">;
    /** PyTorch's other name of ne. */
    notEqual: Method<typeof functions.ne, "notEqual">;
    /** PyTorch's other name of sub. */
    subtract: Method<typeof functions.sub, "subtract">;
    /** PyTorch's other name of div. */
    trueDivide: Method<typeof functions.div, "trueDivide">;
    /** As `torch.geqrf`. */
    geqrf: Method<typeof geqrf, "geqrf">;
    /** X of A X = this, from the result of `linalg.luFactor` for A. */
    luSolve: Method<typeof legacyLuSolve, "luSolve">;
    /** As `torch.orgqr`. */
    orgqr: Method<typeof householderProduct, "orgqr">;
    /** As `torch.ormqr`. */
    ormqr: Method<typeof ormqr, "ormqr">;
    /** PyTorch's other name of chunk. */
    unsafeChunk: Method<typeof functions.chunk, "unsafeChunk">;
    /** PyTorch's other name of split. */
    unsafeSplit: Method<typeof functions.split, "unsafeSplit">;
    /** PyTorch's other name of splitWithSizes. */
    unsafeSplitWithSizes: Method<typeof functions.splitWithSizes, "unsafeSplitWithSizes">;
    /** PyTorch's other name of nonzero. */
    argwhere(): Tensor;
    /** This tensor where the condition holds, else `other`. */
    where(condition: Tensor, other: Operand): Tensor;
    /** A tensor of this type from values. */
    newTensor(data: TensorData, options?: TensorOptions): Tensor;
    /** As the older constructors do, in this tensor's type: of sizes, or of data. */
    new: ((...sizes: number[]) => Tensor) & ((data: TensorData) => Tensor);
    /** Zeros of this type. */
    newZeros: NewTensor;
    /** Ones of this type. */
    newOnes: NewTensor;
    /** One value of this type everywhere. */
    newFull(size: readonly number[], value: number | boolean, options?: TensorOptions): Tensor;
    /** A tensor of this type whose values don't matter. */
    newEmpty: NewTensor;
    /** Steps of the dimensions in PyTorch's memory, in elements; of one dimension, its step. */
    stride(): readonly number[];
    stride(dim: number): number;
    /** The sum of the products of two vectors' elements. */
    vdot: Method<typeof vdot, "vdot">;
    /** The n-th derivative of `digamma`. */
    polygamma(n: number): Tensor;
    /** This tensor. */
    positive(): Tensor;
    /** Number of dimensions. */
    ndimension(): number;
    /** Whether the type has negative numbers. */
    isSigned(): boolean;
    /** Whether the one element is not 0: reads it. */
    isNonzero(): boolean;
    /** Number of elements. */
    nelement(): number;
    /** Bytes of one element. */
    elementSize(): number;
    /** Whether elements are floats. */
    isFloatingPoint(): boolean;
    /** The number of the tensor's GPU: -1 on the CPU. */
    getDevice(): number;
  }
}

const filledWith =
  (name: string, value: number) =>
  (x: Tensor, ...args: SizesAndOptions): Tensor => {
    const { shape, options } = sizesAndOptions(args, name);
    return full(shape, value, { dtype: x.dtype, ...options });
  };

const { max, median, min, nonzero, squeeze, transpose, unique, uniqueConsecutive } = functions;
for (const [name, f] of Object.entries({
  item,
  type: typeOf,
  max,
  median,
  nanmedian: functions.nanmedian,
  vdot,
  polygamma: (x: Tensor, n: number) => functions.polygamma(n, x),
  positive: functions.positive,
  ndimension: (x: Tensor) => x.ndim,
  isSigned: (x: Tensor) => x.dtype !== "bool",
  isNonzero: (x: Tensor) => isNonzero(x),
  min,
  nonzero,
  toTypedArray,
  unique,
  uniqueConsecutive,
  absolute: functions.abs,
  arccos: functions.acos,
  arccosh: functions.acosh,
  arcsin: functions.asin,
  arcsinh: functions.asinh,
  arctan: functions.atan,
  arctan2: functions.atan2,
  arctanh: functions.atanh,
  divide: functions.div,
  fix: functions.trunc,
  ger: functions.outer,
  greater: functions.gt,
  greaterEqual: functions.ge,
  less: functions.lt,
  lessEqual: functions.le,
  multiply: functions.mul,
  negative: functions.neg,
  notEqual: functions.ne,
  subtract: functions.sub,
  trueDivide: functions.div,
  geqrf,
  luSolve: legacyLuSolve,
  orgqr: householderProduct,
  ormqr,
  unsafeChunk: functions.chunk,
  unsafeSplit: functions.split,
  unsafeSplitWithSizes: functions.splitWithSizes,
  argwhere: nonzero,
  clip: functions.clamp,
  inverse: inv,
  svd: legacySvd,
  moveaxis: functions.movedim,
  numpy: toTypedArray,
  swapaxes: transpose,
  swapdims: transpose,
  var: functions.variance,
  squeeze: (x: Tensor, ...dims: number[] | [Dims?]) =>
    squeeze(x, dims.length > 1 ? (dims as number[]) : dims[0]),
  where: (x: Tensor, condition: Tensor, other: Operand) => functions.where(condition, x, other),
  new: (x: Tensor, ...args: unknown[]) => made(x.dtype, args),
  newTensor: (x: Tensor, data: TensorData, options?: TensorOptions) =>
    tensor(data, { dtype: x.dtype, ...options }),
  newZeros: filledWith("newZeros", 0),
  newOnes: filledWith("newOnes", 1),
  newEmpty: filledWith("newEmpty", 0),
  newFull: (x: Tensor, size: readonly number[], value: number, options?: TensorOptions) =>
    full(size, value, { dtype: x.dtype, ...options }),
  stride: (x: Tensor, dim?: number) => {
    const steps = x.viewStrides() ?? strides(x.shape);
    return dim === undefined ? steps : steps.at(dim);
  },
  nelement: (x: Tensor) => x.numel(),
  elementSize: (x: Tensor) => BYTES[x.dtype],
  isFloatingPoint: (x: Tensor) => x.dtype === "float32",
  getDevice: () => -1,
})) {
  installAs(name, f);
}
