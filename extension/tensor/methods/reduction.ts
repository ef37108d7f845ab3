// Methods that combine elements.
import { install, installAs, type Method } from "./install.ts";
import type { ValuesAndIndices } from "../functions/results.ts";
import * as linalg from "../functions/linalg/linalg.ts";
import * as reduction from "../functions/reduction/reduction.ts";

declare module "../core/tensor.ts" {
  interface Tensor {
    /** Sum over dimensions (all by default). */
    sum: Method<typeof reduction.sum, "sum">;
    /** Mean over dimensions. */
    mean: Method<typeof reduction.mean, "mean">;
    /** Product over dimensions. */
    prod: Method<typeof reduction.prod, "prod">;
    /** Largest element over dimensions; equal ones share the gradient. */
    amax: Method<typeof reduction.amax, "amax">;
    /** Smallest element over dimensions; equal ones share the gradient. */
    amin: Method<typeof reduction.amin, "amin">;
    /** Index of the first largest element: flattened, or along a dimension. */
    argmax: Method<typeof reduction.argmax, "argmax">;
    /** Index of the first smallest element: flattened, or along a dimension. */
    argmin: Method<typeof reduction.argmin, "argmin">;
    /** Largest element of all, or `[values, indices]` along a dimension, or of two tensors. */
    max(): Tensor;
    max(other: Tensor): Tensor;
    max(dim: number | reduction.ReduceOptions, keepdim?: reduction.KeepdimArgument): ValuesAndIndices;
    /** Smallest element of all, or `[values, indices]` along a dimension, or of two tensors. */
    min(): Tensor;
    min(other: Tensor): Tensor;
    min(dim: number | reduction.ReduceOptions, keepdim?: reduction.KeepdimArgument): ValuesAndIndices;
    /** Variance over dimensions, divided by N − correction (1). */
    var: Method<typeof reduction.variance, "var">;
    /** Standard deviation over dimensions. */
    std: Method<typeof reduction.std, "std">;
    /** Whether any element is true (not 0). */
    any: Method<typeof reduction.any, "any">;
    /** Whether every element is true (not 0). */
    all: Method<typeof reduction.all, "all">;
    /** Number of elements that are not 0. */
    countNonzero: Method<typeof reduction.countNonzero, "countNonzero">;
    /** (Σ|x|ᵖ)^(1/p) over dimensions; p is 2 by default. */
    norm: Method<typeof reduction.norm, "norm">;
    /** log Σ eˣ over dimensions, without overflow. */
    logsumexp: Method<typeof reduction.logsumexp, "logsumexp">;
    /** exp(x) / Σ exp(x) along a dimension. */
    softmax: Method<typeof reduction.softmax, "softmax">;
    /** log(softmax(x)) along a dimension. */
    logSoftmax: Method<typeof reduction.logSoftmax, "logSoftmax">;
    /** Running sum along a dimension. */
    cumsum: Method<typeof reduction.cumsum, "cumsum">;
    /** Running product along a dimension. */
    cumprod: Method<typeof reduction.cumprod, "cumprod">;
    /** PyTorch's matrix product of any two tensors; leading dimensions broadcast. */
    matmul: Method<typeof linalg.matmul, "matmul">;
    /** Product of two matrices. */
    mm: Method<typeof linalg.mm, "mm">;
    /** Products of two batches of matrices. */
    bmm: Method<typeof linalg.bmm, "bmm">;
    /** Product of a matrix and a vector. */
    mv: Method<typeof linalg.mv, "mv">;
    /** Sum of the products of two vectors' elements. */
    dot: Method<typeof linalg.dot, "dot">;
    /** All products of an element of one vector and one of the other. */
    outer: Method<typeof linalg.outer, "outer">;
    /** beta · input + alpha · mat1 @ mat2. */
    addmm: Method<typeof linalg.addmm, "addmm">;
    /** beta · input + alpha · batch1 @ batch2. */
    baddbmm: Method<typeof linalg.baddbmm, "baddbmm">;
  }
}

install(reduction, [
  "sum",
  "mean",
  "prod",
  "amax",
  "amin",
  "argmax",
  "argmin",
  "max",
  "min",
  "std",
  "any",
  "all",
  "countNonzero",
  "norm",
  "logsumexp",
  "softmax",
  "logSoftmax",
  "cumsum",
  "cumprod",
]);
install(linalg, ["matmul", "mm", "bmm", "mv", "dot", "outer", "addmm", "baddbmm"]);
installAs("var", reduction.variance);
