// PyTorch's `torch` namespace: `export * as torch from "./torch.ts"`.
import { detectAnomaly, isAnomalyEnabled, setDetectAnomaly } from "./recording/anomaly.ts";
import { gradOfAny } from "./complex/gradients.ts";
import { backwardAll } from "./recording/autograd.ts";
import { gradcheck, GradcheckError, gradgradcheck } from "./differentiation/gradcheck.ts";
import { hessian, hvp, jacobian, jvp, vhp, vjp } from "./differentiation/functional.ts";
import { Function, onceDifferentiable } from "./differentiation/function.ts";
import { enableGrad, inferenceMode, setGradEnabled } from "./functions/grad.ts";
import type { MemoryFormat } from "./functions/creation/conversion.ts";
import { noGrad } from "./recording/scope.ts";

export type { FunctionCtx } from "./differentiation/function.ts";
export { noGrad };
export * from "./functions/grad.ts";
export { getPrintOptions, setPrintOptions } from "./core/print.ts";
export { defaultStream as defaultGenerator, RandomStream as Generator } from "./random/stream.ts";
export {
  BFloat16Tensor,
  BoolTensor,
  ByteTensor,
  CharTensor,
  DoubleTensor,
  FloatTensor,
  HalfTensor,
  IntTensor,
  LongTensor,
  ShortTensor,
  Tensor,
} from "./functions/creation/legacy.ts";
export * from "./functions/creation/creation.ts";
export * from "./functions/creation/windows.ts";
export * from "./functions/reduction/distance.ts";
export { segmentReduce, type SegmentOptions, type SegmentReduction } from "./functions/reduction/segments.ts";
export * from "./functions/linalg/einsum.ts";
export * from "./functions/shape/joining.ts";
export * from "./functions/tensorFunctions.ts";
export {
  addbmm,
  addmv,
  addr,
  chainMatmul,
  cross,
  dist,
  inner,
  kron,
  tensordot,
  vdot,
} from "./functions/linalg/products.ts";
export {
  cholesky,
  det,
  inv as inverse,
  logdet,
  matrixPower,
  legacySvd as svd,
  pinverse,
  qr,
  slogdet,
} from "./functions/linalg/decompositions.ts";
export { legacyLuSolve as luSolve, luUnpack } from "./functions/linalg/lu.ts";
export { pcaLowrank, svdLowrank } from "./functions/linalg/lowRank.ts";
export { geqrf, householderProduct as orgqr, ormqr } from "./functions/linalg/reflections.ts";
export { matrixExp } from "./functions/linalg/matrixFunctions.ts";
export { choleskyInverse, choleskySolve, triangularSolve, tril, triu } from "./functions/shape/triangular.ts";
export * as linalg from "./linalg.ts";
export { istft, stft, type PadMode } from "./fft/stft.ts";
export * as fft from "./fft.ts";
export * as signal from "./signal.ts";
export * as special from "./special.ts";
export * from "./functions/creation/random.ts";
export type { ValuesAndIndices } from "./functions/results.ts";
export type { TensorOptions } from "./functions/creation/options.ts";
export { Size } from "./core/size.ts";
export { resultType } from "./functions/pointwise/promotion.ts";
export { variance as var } from "./functions/reduction/reduction.ts";
export * from "./platform/types.ts";
export {
  device,
  getDefaultDevice,
  setDefaultDevice,
  type Device,
  type DeviceLike,
} from "./platform/device.ts";
export * from "./platform/determinism.ts";
export * from "./platform/performance.ts";
export * as accelerator from "./platform/accelerator.ts";
export * as backends from "./platform/backends.ts";
export * as cuda from "./platform/cuda.ts";
export * as random from "./random/namespace.ts";
export * as testing from "./testing.ts";
export {
  adjoint,
  angle,
  complex,
  conj,
  conjPhysical,
  imag,
  isComplex,
  isreal,
  polar,
  real,
  resolveConj,
  viewAsComplex,
  viewAsReal,
} from "./complex/functions.ts";
export { sparse, sparseCooTensor, spmm, type SparseOptions } from "./sparse/index.ts";
export type { SparseTensor } from "./sparse/sparseTensor.ts";
// PyTorch's other names of the same functions.
export { abs as absolute, neg as negative } from "./functions/pointwise/elementwise.ts";
export { acos as arccos, asin as arcsin, atan as arctan } from "./functions/pointwise/elementwise.ts";
export { acosh as arccosh, asinh as arcsinh, atanh as arctanh } from "./functions/pointwise/elementwise.ts";
export { ge as greaterEqual, gt as greater } from "./functions/pointwise/elementwise.ts";
export { le as lessEqual, lt as less, ne as notEqual } from "./functions/pointwise/elementwise.ts";
export { atan2 as arctan2, clamp as clip, trunc as fix } from "./functions/pointwise/arithmetic.ts";
export {
  div as divide,
  div as trueDivide,
  mul as multiply,
  sub as subtract,
} from "./functions/pointwise/arithmetic.ts";
export { cat as concat, cat as concatenate, movedim as moveaxis } from "./functions/shape/shape.ts";
export { transpose as swapaxes, transpose as swapdims } from "./functions/shape/shape.ts";
export { nonzero as argwhere } from "./functions/indexing/gathering.ts";
export { outer as ger } from "./functions/linalg/linalg.ts";
export {
  chunk as unsafeChunk,
  split as unsafeSplit,
  splitWithSizes as unsafeSplitWithSizes,
} from "./functions/shape/parts.ts";
export {
  fakeQuantizePerChannelAffine,
  fakeQuantizePerTensorAffine,
} from "./functions/pointwise/fakeQuantize.ts";
export { broadcastShapes } from "./functions/shape/strided.ts";
export { vstack as rowStack } from "./functions/shape/joining.ts";
export { unravelIndex } from "./functions/indexing/unravel.ts";
export { canCast, promoteTypes } from "./core/dtype.ts";
export { trapezoid as trapz } from "./functions/reduction/differences.ts";
export { index, indexPut } from "./functions/indexing/indexing.ts";
export {
  allclose,
  clone,
  detach,
  equal,
  isFloatingPoint,
  isNonzero,
  numel,
} from "./functions/creation/conversion.ts";

/** The version of PyTorch whose names, numbers and texts this library has. Layerwise's own is that of its package. */
export const __version__ = "2.15.0";

/** A {@link MemoryFormat}. */
export const contiguousFormat: MemoryFormat = "torch.contiguous_format";
/** A {@link MemoryFormat}. */
export const preserveFormat: MemoryFormat = "torch.preserve_format";
/** A {@link MemoryFormat}. */
export const channelsLast: MemoryFormat = "torch.channels_last";
/** A {@link MemoryFormat}. */
export const channelsLast3d: MemoryFormat = "torch.channels_last_3d";

/** Gradients without `.grad`, derivatives of functions, a check of them, and where a NaN comes from. */
export const autograd = {
  Function,
  function: { Function, onceDifferentiable },
  backward: backwardAll,
  enableGrad,
  grad: gradOfAny,
  gradcheck,
  gradgradcheck,
  GradcheckError,
  functional: { hessian, hvp, jacobian, jvp, vhp, vjp },
  detectAnomaly,
  setDetectAnomaly,
  isAnomalyEnabled,
  inferenceMode,
  noGrad,
  setGradEnabled,
} as const;
