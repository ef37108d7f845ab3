// What plans know of kernels: a table of them for each instruction set, compiled by itself from the file of its name.
#pragma once

#include <cstdint>

namespace layerwise {

// As in TF_DataType.
enum class Type : int32_t { FLOAT = 1, INT32 = 3, BOOL = 10 };

constexpr int64_t SizeOf(Type type) { return type == Type::BOOL ? 1 : 4; }

// In the order of opCodes.ts.
enum class Code : int32_t {
  // Of one tensor.
  Neg, Exp, Log, Log1p, Expm1, Sqrt, Rsqrt, Square, Abs, Sign, Tanh, Sigmoid, Relu, Erf, Sin, Cos, Rint, Floor, Ceil,
  Reciprocal, Softplus, Tan, Asin, Acos, Atan, Sinh, Cosh, Asinh, Acosh, Atanh, Erfc, Erfinv, Lgamma, Digamma, IsNan,
  LogicalNot,
  // Not TensorFlow's.
  Gelu, GeluTanh, Silu, Exp2, Trigamma,
  // With numbers.
  LeakyRelu, ScaledElu, Hardtanh, Hardshrink, Softshrink, Threshold, Hardsigmoid, Hardswish, LogSigmoid, Huber,
  // Of two, with broadcasting.
  AddV2, Sub, Mul, RealDiv, Maximum, Minimum, Pow, SquaredDifference, FloorDiv, FloorMod, ReluGrad, TanhGrad,
  SigmoidGrad, BitwiseAnd, BitwiseOr, BitwiseXor, LeftShift, RightShift, Less, LessEqual, Greater, GreaterEqual, Equal,
  NotEqual, LogicalAnd, LogicalOr, Atan2, NextAfter,
  // Not TensorFlow's.
  Fmod, Hypot, Copysign, Gcd, GeluGrad, GeluTanhGrad, SiluGrad,
  // Reductions.
  Sum, Mean, Prod, Max, Min, All, Any,
  // Of a gradient and a tensor of its shape, with numbers.
  LeakyReluGrad, ScaledEluGrad, HardtanhGrad, HardshrinkGrad, SoftshrinkGrad, ThresholdGrad, HardsigmoidGrad, HardswishGrad,
  LogSigmoidGrad, HuberGrad,
  // Others.
  Identity, Cast, BiasAdd, BiasAddGrad, SelectV2, Reshape, Transpose, BroadcastTo, ConcatV2,
  Split, SplitV, Unpack, Slice, StridedSlice, StridedSliceGrad, TensorStridedSliceUpdate, PadV2, ReverseV2, Fill, GatherV2,
  UnsortedSegmentSum, UnsortedSegmentMax, TensorScatterUpdate, TensorScatterAdd, ArgMax, ArgMin, Cumsum, Cumprod, Softmax,
  LogSoftmax, SparseSoftmaxCrossEntropyWithLogits, TopKV2, MatMul, BatchMatMulV2,
  Conv2D, Conv2DBackpropInput, Conv2DBackpropFilter, Conv3D, Conv3DBackpropInputV2, Conv3DBackpropFilterV2, MaxPool,
  MaxPoolGrad, FusedBatchNormV3, FusedBatchNormGradV3,
  TensorScatterMax, TensorScatterMin,
  MatrixInverse, MatrixSolve, LogMatrixDeterminant, Cholesky, Qr, SelfAdjointEigV2, Svd, CheckNumerics,
  // Not TensorFlow's.
  GroupNorm, GroupNormGrad, AdamStep, ChannelMoments, ScatterRows,
  // Others of TensorFlow's.
  MatrixTriangularSolve,
  // Others that are not TensorFlow's.
  SoftmaxGrad, LogSoftmaxGrad, LayerNorm, LayerNormGrad, CtcLoss, GridSample, GridSampleInputGrad, GridSampleGridGrad,
  IndexAdd, WindowMaxima,
  LuFactor, PivotOrder,
  LstmSequence, LstmSequenceGrad, GruSequence, GruSequenceGrad, RnnSequence, RnnSequenceGrad,
  // Not an op: a value that is part of the plan.
  Constant,
};

// Where a step finds a tensor: bytes from the beginning of a leaf's memory, the constants' or the intermediate values'.
struct Operand {
  int32_t root;
  int64_t offset;
};

// What a kernel is called with.
struct Call {
  char *const *roots;
  const Operand *operands;
  const int64_t *p;

  template <class T>
  T *To(int i) const {
    return reinterpret_cast<T *>(roots[operands[i].root] + operands[i].offset);
  }
};

// What random numbers are drawn as, in the order of mt19937.ts's DRAWN.
enum class DrawKind : int32_t { Skip, Words, Decisions, Uniform, Normal, Integers };

// Returns false for what TensorFlow's kernel would refuse.
using Kernel = bool (*)(const Call &);

struct Kernels {
  Kernel (*unary)(Code, Type);
  Kernel (*binary)(Code, Type);
  Kernel (*reduce)(Code, Type);
  Kernel (*cast)(Type from, Type to);
  // By the size of an element: 1 or 4 bytes.
  Kernel copy[2];
  Kernel addInto;
  Kernel fill[2];
  Kernel select[2];
  Kernel gather[2];
  // Floats, integers.
  Kernel addRows[2];
  Kernel segmentSum[2];
  Kernel segmentMax[2];
  // Update, add floats, add integers, update truth values; maximum and minimum of floats, of integers.
  Kernel scatter[8];
  // And products.
  Kernel scatterRows[10];
  // ArgMax and ArgMin of floats, then of integers.
  Kernel argExtreme[4];
  // Sum and product of floats, then of integers.
  Kernel cumulate[4];
  Kernel (*piecewiseGrad)(Code);
  Kernel softmax;
  Kernel logSoftmax;
  Kernel softmaxGrad;
  Kernel logSoftmaxGrad;
  Kernel crossEntropy;
  Kernel layerNorm;
  Kernel layerNormGrad;
  Kernel ctcLoss;
  Kernel windowMaxima;
  Kernel gridSample;
  Kernel gridSampleInputGrad;
  Kernel gridSampleGridGrad;
  // Floats, integers.
  Kernel topK[2];
  Kernel matMul;
  Kernel convolve;
  Kernel filterGradient;
  Kernel convolveGroups;
  Kernel convolvePlanar;
  Kernel filterGradientPlanar;
  Kernel convolveFew;
  Kernel filterGradientFew;
  Kernel groupFilterGradient;
  Kernel winogradFilter;
  Kernel winograd;
  Kernel winogradFilterGradient;
  Kernel maxPool;
  Kernel maxPoolGrad;
  Kernel batchNorm;
  Kernel batchNormGrad;
  Kernel groupNorm;
  Kernel groupNormGrad;
  Kernel adamStep;
  Kernel channelMoments;
  Kernel matrixInverse;
  Kernel matrixSolve;
  Kernel triangularSolve;
  Kernel logMatrixDeterminant;
  Kernel cholesky;
  Kernel qr;
  Kernel luFactor;
  Kernel pivotOrder;
  Kernel selfAdjointEig;
  Kernel svd;
  Kernel checkNumerics;
  Kernel packPanels;
  Kernel lstmForward;
  Kernel lstmBackward;
  Kernel gruForward;
  Kernel gruBackward;
  // With tanh, with ReLU.
  Kernel rnnForward[2];
  Kernel rnnBackward[2];
  // Floats in a register.
  int64_t lanes;
  int32_t (*draw)(DrawKind kind, uint32_t *words, int32_t used, void *out, int64_t count, const double *parameters);
};

// Channels that a convolution reads from which on each tap's are read in a row. Of fewer see fewChannels.h.
constexpr int64_t MIN_RUN = 8;

// Channels of a convolution's result up to which registers rather hold positions: see planar.h.
constexpr int64_t FEW_CHANNELS = 8;

constexpr int64_t RoundUp(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

// Numbers from one of several matrices to the next: so many that not all of them fall on the same place of a cache.
constexpr int64_t Apart(int64_t floats) { return RoundUp(floats, 16) + 16; }

// From one of the 16 matrices of a transformed filter to the next, see winograd.h: these are panels of two registers.
constexpr int64_t TransformedNumbers(int64_t read, int64_t written, int64_t lanes) {
  return Apart(read * RoundUp(written, 2 * lanes));
}

// Taps of a filter whose gradients are added up at once.
constexpr int64_t TAPS_TOGETHER = 8;

namespace baseline {
extern const Kernels KERNELS;
}
#if defined(__x86_64__)
namespace avx2 {
extern const Kernels KERNELS;
}
namespace avx512 {
extern const Kernels KERNELS;
}
#endif

// The fastest kernels that this processor can run.
inline const Kernels &BestKernels() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512bw"))
    return avx512::KERNELS;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return avx2::KERNELS;
#endif
  return baseline::KERNELS;
}

}  // namespace layerwise
