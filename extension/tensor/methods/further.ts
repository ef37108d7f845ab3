// Methods that few programs use.
import { install, installAs, type Method } from "./install.ts";
import { BYTES } from "../core/dtype.ts";
import * as triangular from "../functions/shape/triangular.ts";
import * as decompositions from "../functions/linalg/decompositions.ts";
import * as differences from "../functions/reduction/differences.ts";
import * as joining from "../functions/shape/joining.ts";
import * as orientation from "../functions/shape/orientation.ts";
import * as placing from "../functions/shape/placing.ts";
import * as products from "../functions/linalg/products.ts";
import * as special from "../functions/pointwise/special.ts";
import * as statistics from "../functions/reduction/statistics.ts";
import * as distinct from "../functions/indexing/unique.ts";
import type { Unique, UniqueOptions } from "../functions/indexing/unique.ts";
import { clamp } from "../functions/pointwise/arithmetic.ts";
import { full, tensor, type TensorData } from "../functions/creation/creation.ts";
import { sizesAndOptions, type SizesAndOptions, type TensorOptions } from "../functions/creation/options.ts";
import { where } from "../functions/pointwise/elementwise.ts";
import { made } from "../functions/creation/legacy.ts";
import type { Operand } from "../functions/pointwise/operands.ts";
import { movedim, transpose } from "../functions/shape/shape.ts";
import { nonzero } from "../functions/indexing/gathering.ts";
import { strides } from "../core/shape.ts";
import type { Tensor } from "../core/tensor.ts";

/** `(2, 3)`, `([2, 3])` or `({ size: [2, 3] })`, with options. */
type NewTensor = (...args: SizesAndOptions | [TensorOptions & { size: readonly number[] }]) => Tensor;

declare module "../core/tensor.ts" {
  interface Tensor {
    /** Parts of nearly equal size, or up to given places. */
    tensorSplit: Method<typeof joining.tensorSplit, "tensorSplit">;
    /** Equal parts along columns. */
    hsplit: Method<typeof joining.hsplit, "hsplit">;
    /** Equal parts along rows. */
    vsplit: Method<typeof joining.vsplit, "vsplit">;
    /** All elements as a vector. */
    ravel: Method<typeof orientation.ravel, "ravel">;
    /** Columns in reverse order. */
    fliplr: Method<typeof orientation.fliplr, "fliplr">;
    /** Rows in reverse order. */
    flipud: Method<typeof orientation.flipud, "flipud">;
    /** Turned by 90 degrees. */
    rot90: Method<typeof orientation.rot90, "rot90">;
    /** The diagonal of two dimensions; a view. */
    diagonal: Method<typeof orientation.diagonal, "diagonal">;
    /** Matrices with these diagonals. */
    diagEmbed: Method<typeof orientation.diagEmbed, "diagEmbed">;
    /** A matrix with all elements as its diagonal. */
    diagflat: Method<typeof orientation.diagflat, "diagflat">;
    /** Windows along a dimension. */
    unfold: Method<typeof orientation.unfold, "unfold">;
    /** Sum of the diagonal of a matrix. */
    trace: Method<typeof orientation.trace, "trace">;
    /** Rows added at the places of an index. */
    indexAdd: Method<typeof placing.indexAdd, "indexAdd">;
    /** Rows at the places of an index. */
    indexCopy: Method<typeof placing.indexCopy, "indexCopy">;
    /** One value in the rows at the places of an index. */
    indexFill: Method<typeof placing.indexFill, "indexFill">;
    /** Elements of the flattened tensor. */
    take: Method<typeof placing.take, "take">;
    /** Elements of a source where the mask holds. */
    maskedScatter: Method<typeof placing.maskedScatter, "maskedScatter">;
    /** Values combined at the places of an index. */
    scatterReduce: Method<typeof placing.scatterReduce, "scatterReduce">;
    /** With a source in the place of one element of a dimension. */
    selectScatter: Method<typeof placing.selectScatter, "selectScatter">;
    /** With a source on a diagonal. */
    diagonalScatter: Method<typeof placing.diagonalScatter, "diagonalScatter">;
    /** 1 − erf(x). */
    erfc: Method<typeof special.erfc, "erfc">;
    /** The inverse of erf. */
    erfinv: Method<typeof special.erfinv, "erfinv">;
    /** ln |Γ(x)|. */
    lgamma: Method<typeof special.lgamma, "lgamma">;
    /** The derivative of lgamma. */
    digamma: Method<typeof special.digamma, "digamma">;
    /** ln(x / (1 − x)). */
    logit: Method<typeof special.logit, "logit">;
    /** x ln y, 0 where x is 0. */
    xlogy: Method<typeof special.xlogy, "xlogy">;
    /** ln(eˣ + eʸ). */
    logaddexp: Method<typeof special.logaddexp, "logaddexp">;
    /** log₂(2ˣ + 2ʸ). */
    logaddexp2: Method<typeof special.logaddexp2, "logaddexp2">;
    /** √(x² + y²). */
    hypot: Method<typeof special.hypot, "hypot">;
    /** |x| with the sign of another. */
    copysign: Method<typeof special.copysign, "copysign">;
    /** 0 below 0, 1 above. */
    heaviside: Method<typeof special.heaviside, "heaviside">;
    /** Degrees as radians. */
    deg2rad: Method<typeof special.deg2rad, "deg2rad">;
    /** Radians as degrees. */
    rad2deg: Method<typeof special.rad2deg, "rad2deg">;
    /** sin(πx) / (πx). */
    sinc: Method<typeof special.sinc, "sinc">;
    /** −1, 0 or 1. */
    sgn: Method<typeof special.sgn, "sgn">;
    /** Where negative. */
    signbit: Method<typeof special.signbit, "signbit">;
    /** Where +∞. */
    isposinf: Method<typeof special.isposinf, "isposinf">;
    /** Where −∞. */
    isneginf: Method<typeof special.isneginf, "isneginf">;
    /** The larger of two numbers. */
    fmax: Method<typeof special.fmax, "fmax">;
    /** The smaller of two numbers. */
    fmin: Method<typeof special.fmin, "fmin">;
    /** A power computed in floats. */
    floatPower: Method<typeof special.floatPower, "floatPower">;
    /** x · 2ᵉ. */
    ldexp: Method<typeof special.ldexp, "ldexp">;
    /** Where an element is one of others. */
    isin: Method<typeof special.isin, "isin">;
    /** Both, bit by bit. */
    bitwiseAnd: Method<typeof special.bitwiseAnd, "bitwiseAnd">;
    /** Either, bit by bit. */
    bitwiseOr: Method<typeof special.bitwiseOr, "bitwiseOr">;
    /** Exactly one, bit by bit. */
    bitwiseXor: Method<typeof special.bitwiseXor, "bitwiseXor">;
    /** Every bit turned over. */
    bitwiseNot: Method<typeof special.bitwiseNot, "bitwiseNot">;
    /** Bits moved up. */
    bitwiseLeftShift: Method<typeof special.bitwiseLeftShift, "bitwiseLeftShift">;
    /** Bits moved down. */
    bitwiseRightShift: Method<typeof special.bitwiseRightShift, "bitwiseRightShift">;
    /** Elements moved up to a bound. */
    clampMin: Method<typeof special.clampMin, "clampMin">;
    /** Elements moved down to a bound. */
    clampMax: Method<typeof special.clampMax, "clampMax">;
    /** Smallest and largest element. */
    aminmax: Method<typeof statistics.aminmax, "aminmax">;
    /** Sum of what is not NaN. */
    nansum: Method<typeof statistics.nansum, "nansum">;
    /** Mean of what is not NaN. */
    nanmean: Method<typeof statistics.nanmean, "nanmean">;
    /** The most frequent element along a dimension. */
    mode: Method<typeof statistics.mode, "mode">;
    /** The k-th smallest element along a dimension. */
    kthvalue: Method<typeof statistics.kthvalue, "kthvalue">;
    /** Rows in ascending order. */
    msort: Method<typeof statistics.msort, "msort">;
    /** Largest element so far. */
    cummax: Method<typeof statistics.cummax, "cummax">;
    /** Smallest element so far. */
    cummin: Method<typeof statistics.cummin, "cummin">;
    /** log Σ eˣ so far. */
    logcumsumexp: Method<typeof statistics.logcumsumexp, "logcumsumexp">;
    /** Value below which a fraction of the elements lies. */
    quantile: Method<typeof statistics.quantile, "quantile">;
    /** How often each number occurs. */
    bincount: Method<typeof statistics.bincount, "bincount">;
    /** The number of elements in each of equal parts of a range. */
    histc: Method<typeof statistics.histc, "histc">;
    /** Differences of neighbours. */
    diff: Method<typeof differences.diff, "diff">;
    /** Covariances of the rows. */
    cov: Method<typeof differences.cov, "cov">;
    /** Correlations of the rows. */
    corrcoef: Method<typeof differences.corrcoef, "corrcoef">;
    /** The distinct elements, in ascending order. */
    unique<O extends UniqueOptions & { sorted?: boolean }>(options?: O): Unique<O>;
    /** The elements that differ from the one before. */
    uniqueConsecutive<O extends UniqueOptions>(options?: O): Unique<O>;
    /** The inverse of square matrices. */
    inverse: Method<typeof decompositions.inv, "inverse">;
    /** The determinant. */
    det: Method<typeof decompositions.det, "det">;
    /** Sign and logarithm of the size of the determinant. */
    slogdet: Method<typeof decompositions.slogdet, "slogdet">;
    /** The logarithm of the determinant. */
    logdet: Method<typeof decompositions.logdet, "logdet">;
    /** The pseudoinverse. */
    pinverse: Method<typeof decompositions.pinverse, "pinverse">;
    /** L of A = L Lᵀ. */
    cholesky: Method<typeof decompositions.cholesky, "cholesky">;
    /** The inverse of the matrix whose triangle this is. */
    choleskyInverse: Method<typeof triangular.choleskyInverse, "choleskyInverse">;
    /** X of A X = B, given A's triangle. */
    choleskySolve: Method<typeof triangular.choleskySolve, "choleskySolve">;
    /** Q and R of A = Q R. */
    qr: Method<typeof decompositions.qr, "qr">;
    /** A power of a matrix. */
    matrixPower: Method<typeof decompositions.matrixPower, "matrixPower">;
    /** Kronecker's product. */
    kron: Method<typeof products.kron, "kron">;
    /** Sums of products along the last dimensions. */
    inner: Method<typeof products.inner, "inner">;
    /** The cross product. */
    cross: Method<typeof products.cross, "cross">;
    /** The norm of the difference. */
    dist: Method<typeof products.dist, "dist">;
    /** beta · input + alpha · mat @ vec. */
    addmv: Method<typeof products.addmv, "addmv">;
    /** beta · input + alpha · the outer product of two vectors. */
    addr: Method<typeof products.addr, "addr">;
    /** beta · input + alpha · the sum of products of matrices. */
    addbmm: Method<typeof products.addbmm, "addbmm">;
    /** PyTorch's other name of clamp. */
    clip: Method<typeof clamp, "clip">;
    /** PyTorch's other names of transpose. */
    swapaxes: Method<typeof transpose, "swapaxes">;
    swapdims: Method<typeof transpose, "swapdims">;
    /** PyTorch's other name of movedim. */
    moveaxis: Method<typeof movedim, "moveaxis">;
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
    /** Number of elements. */
    nelement(): number;
    /** Bytes of one element. */
    elementSize(): number;
    /** Whether elements are floats. */
    isFloatingPoint(): boolean;
  }
}

install(joining, ["tensorSplit", "hsplit", "vsplit"]);
install(orientation, [
  "ravel",
  "fliplr",
  "flipud",
  "rot90",
  "diagonal",
  "diagEmbed",
  "diagflat",
  "unfold",
  "trace",
]);
install(placing, [
  "indexAdd",
  "indexCopy",
  "indexFill",
  "take",
  "maskedScatter",
  "scatterReduce",
  "selectScatter",
  "diagonalScatter",
]);
install(differences, ["diff", "cov", "corrcoef"]);
install(special, [
  "erfc",
  "erfinv",
  "lgamma",
  "digamma",
  "logit",
  "xlogy",
  "logaddexp",
  "logaddexp2",
  "hypot",
  "copysign",
  "heaviside",
  "deg2rad",
  "rad2deg",
  "sinc",
  "sgn",
  "signbit",
  "isposinf",
  "isneginf",
  "fmax",
  "fmin",
  "floatPower",
  "ldexp",
  "isin",
  "bitwiseAnd",
  "bitwiseOr",
  "bitwiseXor",
  "bitwiseNot",
  "bitwiseLeftShift",
  "bitwiseRightShift",
  "clampMin",
  "clampMax",
]);
install(statistics, [
  "aminmax",
  "nansum",
  "nanmean",
  "mode",
  "kthvalue",
  "msort",
  "cummax",
  "cummin",
  "logcumsumexp",
  "quantile",
  "bincount",
  "histc",
]);
install(distinct, ["unique", "uniqueConsecutive"]);
install(decompositions, ["det", "slogdet", "logdet", "cholesky", "qr", "matrixPower"]);
install(triangular, ["choleskyInverse", "choleskySolve"]);
installAs("inverse", decompositions.inv);
installAs("pinverse", decompositions.pinverse);
install(products, ["kron", "inner", "cross", "dist", "addmv", "addr", "addbmm"]);
installAs("clip", clamp);
installAs("swapaxes", transpose);
installAs("swapdims", transpose);
installAs("moveaxis", movedim);
installAs("argwhere", nonzero);
installAs("where", (x: Tensor, condition: Tensor, other: Operand) => where(condition, x, other));
installAs("new", (x: Tensor, ...args: unknown[]) => made(x.dtype, args));
installAs("newTensor", (x: Tensor, data: TensorData, options?: TensorOptions) =>
  tensor(data, { dtype: x.dtype, ...options }),
);
for (const [name, value] of [
  ["newZeros", 0],
  ["newEmpty", 0],
  ["newOnes", 1],
] as const) {
  installAs(name, (x: Tensor, ...args: SizesAndOptions) => {
    const { shape, options } = sizesAndOptions(args, name);
    return full(shape, value, { dtype: x.dtype, ...options });
  });
}
installAs("newFull", (x: Tensor, size: readonly number[], value: number, options?: TensorOptions) =>
  full(size, value, { dtype: x.dtype, ...options }),
);
installAs("stride", (x: Tensor, dim?: number) => {
  const steps = x.viewStrides() ?? strides(x.shape);
  return dim === undefined ? steps : steps.at(dim);
});
installAs("nelement", (x: Tensor) => x.numel());
installAs("elementSize", (x: Tensor) => BYTES[x.dtype]);
installAs("isFloatingPoint", (x: Tensor) => x.dtype === "float32");
