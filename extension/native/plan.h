// Plans that are computed at once, by kernels of their own: what a library for large tensors takes to start an op is often more
// than the op takes. A plan is written as numbers (planWriter.ts), with the names of TensorFlow's ops.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <map>
#include <memory>
#include <numeric>
#include <vector>

#include "special.h"
#include "workers.h"

namespace layerwise {

// As in TF_DataType.
enum class Type : int32_t { FLOAT = 1, INT32 = 3, BOOL = 10 };

constexpr int64_t SizeOf(Type type) { return type == Type::BOOL ? 1 : 4; }

// In the order of opCodes.ts.
enum class Code : int32_t {
  // Of one tensor.
  Neg, Exp, Log, Log1p, Expm1, Sqrt, Rsqrt, Square, Abs, Sign, Tanh, Sigmoid, Relu, Erf, Sin, Cos, Rint, Floor, Ceil,
  Reciprocal, Softplus, Tan, Asin, Acos, Atan, Sinh, Cosh, Asinh, Acosh, Atanh, Erfc, Erfinv, Lgamma, Digamma, IsNan,
  LogicalNot, LeakyRelu,
  // Of two, with broadcasting.
  AddV2, Sub, Mul, RealDiv, Maximum, Minimum, Pow, SquaredDifference, FloorDiv, FloorMod, ReluGrad, TanhGrad,
  SigmoidGrad, BitwiseAnd, BitwiseOr, BitwiseXor, LeftShift, RightShift, Less, LessEqual, Greater, GreaterEqual, Equal,
  NotEqual, LogicalAnd, LogicalOr,
  // Reductions.
  Sum, Mean, Prod, Max, Min, All, Any,
  // Others.
  Identity, Cast, LeakyReluGrad, BiasAdd, BiasAddGrad, SelectV2, Reshape, Transpose, BroadcastTo, ConcatV2,
  Split, SplitV, Unpack, Slice, StridedSlice, StridedSliceGrad, TensorStridedSliceUpdate, PadV2, ReverseV2, Fill, GatherV2,
  UnsortedSegmentSum, UnsortedSegmentMax, TensorScatterUpdate, TensorScatterAdd, ArgMax, ArgMin, Cumsum, Cumprod, Softmax,
  LogSoftmax, SparseSoftmaxCrossEntropyWithLogits, TopKV2, MatMul, BatchMatMulV2,
  Conv2D, Conv2DBackpropInput, Conv2DBackpropFilter, Conv3D, Conv3DBackpropInputV2, Conv3DBackpropFilterV2, MaxPool,
  MaxPoolGrad, FusedBatchNormV3, FusedBatchNormGradV3,
  TensorScatterMax, TensorScatterMin,
  MatrixInverse, MatrixSolve, LogMatrixDeterminant, Cholesky, Qr, SelfAdjointEigV2, Svd, CheckNumerics,
  // Not TensorFlow's.
  GroupNorm, GroupNormGrad, AdamStep, ChannelMoments,
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
enum class DrawKind : int32_t { Skip, Words, Decisions, Uniform, Normal };

// Returns false for what TensorFlow's kernel would refuse.
using Kernel = bool (*)(const Call &);

struct Kernels {
  Kernel (*unary)(Code, Type);
  Kernel (*binary)(Code, Type);
  Kernel (*reduce)(Code, Type);
  Kernel (*cast)(Type from, Type to);
  // By the size of an element: 1 or 4 bytes.
  Kernel copy[2];
  Kernel fill[2];
  Kernel select[2];
  Kernel gather[2];
  // Floats, integers.
  Kernel segmentSum[2];
  Kernel segmentMax[2];
  // Update, add floats, add integers, update truth values.
  Kernel scatter[8];
  // ArgMax and ArgMin of floats, then of integers.
  Kernel argExtreme[4];
  // Sum and product of floats, then of integers.
  Kernel cumulate[4];
  Kernel leakyReluGrad;
  Kernel softmax;
  Kernel logSoftmax;
  Kernel crossEntropy;
  // Floats, integers.
  Kernel topK[2];
  Kernel matMul;
  Kernel convolve;
  Kernel filterGradient;
  Kernel convolveGroups;
  Kernel convolvePlanar;
  Kernel filterGradientPlanar;
  Kernel groupFilterGradient;
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
  Kernel logMatrixDeterminant;
  Kernel cholesky;
  Kernel qr;
  Kernel selfAdjointEig;
  Kernel svd;
  Kernel checkNumerics;
  // Floats in a register.
  int64_t lanes;
  int32_t (*draw)(DrawKind kind, uint32_t *words, int32_t used, void *out, int64_t count, const double *parameters);
};

// Channels of a convolution's result up to which registers rather hold positions: see planar.h.
constexpr int64_t FEW_CHANNELS = 8;

// Taps of a filter whose gradients are added up at once.
constexpr int64_t TAPS_TOGETHER = 8;

// Walks through all positions of some dimensions, with the offsets of K tensors.
template <int K>
class Odometer {
 public:
  int64_t offset[K] = {};

  Odometer(int64_t rank, const int64_t *sizes, const int64_t *const *strides) : rank_(rank), sizes_(sizes) {
    for (int k = 0; k < K; k++) strides_[k] = strides[k];
  }

  bool Next() {
    for (int64_t d = rank_ - 1; d >= 0; d--) {
      for (int k = 0; k < K; k++) offset[k] += strides_[k][d];
      if (++at_[d] < sizes_[d]) return true;
      for (int k = 0; k < K; k++) offset[k] -= strides_[k][d] * sizes_[d];
      at_[d] = 0;
    }
    return false;
  }

 private:
  const int64_t rank_;
  const int64_t *const sizes_;
  const int64_t *strides_[K];
  int64_t at_[16] = {};
};

// Memory of a kernel for the time of its call; there are two pieces.
inline float *Scratch(int64_t floats, int which) {
  thread_local std::vector<float> pieces[2];
  auto &piece = pieces[which];
  if (static_cast<int64_t>(piece.size()) < floats + 16) piece.resize(floats + 16);
  return reinterpret_cast<float *>((reinterpret_cast<uintptr_t>(piece.data()) + 63) / 64 * 64);
}

// The elements are written where they are read: a loop can be vectorized although both may be the same memory.
#if defined(__clang__)
#define SAME_INDEX _Pragma("clang loop vectorize(assume_safety)")
#elif defined(__GNUC__)
#define SAME_INDEX _Pragma("GCC ivdep")
#else
#define SAME_INDEX
#endif
// Loops of a constant few turns, whose arrays are to be registers.
#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#elif defined(__GNUC__)
#define UNROLL _Pragma("GCC unroll 16")
#else
#define UNROLL
#endif

namespace baseline {
#define LANES 4
#include "kernels.h"
#undef LANES
}  // namespace baseline

#if defined(__x86_64__)
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#endif
namespace avx2 {
#define LANES 8
#include "kernels.h"
#undef LANES
}  // namespace avx2
#if defined(__clang__)
#pragma clang attribute pop
#pragma clang attribute push(__attribute__((target("avx512f,avx512vl,avx512dq,avx512bw,avx2,fma"))), apply_to = function)
#else
#pragma GCC pop_options
#pragma GCC push_options
#pragma GCC target("avx512f,avx512vl,avx512dq,avx512bw,avx2,fma")
#endif
namespace avx512 {
#define LANES 16
#include "kernels.h"
#undef LANES
}  // namespace avx512
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif

inline const Kernels &BestKernels() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512bw"))
    return avx512::KERNELS;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return avx2::KERNELS;
#endif
  return baseline::KERNELS;
}

constexpr int MAX_RANK = 8;

// Sizes and strides without what makes no difference: dimensions of 1, and dimensions that are one step by step.
template <int K>
struct Strided {
  int rank = 0;
  int64_t sizes[2 * MAX_RANK];
  int64_t strides[K][2 * MAX_RANK];

  void Add(int64_t size, const int64_t (&own)[K]) {
    if (size == 1) return;
    if (rank > 0) {
      bool merges = true;
      for (int k = 0; k < K; k++) merges = merges && strides[k][rank - 1] == own[k] * size;
      if (merges) {
        sizes[rank - 1] *= size;
        for (int k = 0; k < K; k++) strides[k][rank - 1] = own[k];
        return;
      }
    }
    sizes[rank] = size;
    for (int k = 0; k < K; k++) strides[k][rank] = own[k];
    rank++;
  }

  // Kernels have at least one dimension to walk along.
  void Finish() {
    if (rank > 0) return;
    sizes[0] = 1;
    for (int k = 0; k < K; k++) strides[k][0] = 1;
    rank = 1;
  }
};

struct Shape {
  int rank = 0;
  int64_t sizes[MAX_RANK] = {};

  int64_t Count() const {
    int64_t count = 1;
    for (int d = 0; d < rank; d++) count *= sizes[d];
    return count;
  }
  int64_t Stride(int d) const {
    int64_t stride = 1;
    for (int e = d + 1; e < rank; e++) stride *= sizes[e];
    return stride;
  }
  bool operator==(const Shape &other) const {
    return rank == other.rank && std::equal(sizes, sizes + rank, other.sizes);
  }
};

// A plan, ready to be run with any values of its leaves.
class Plan {
 public:
  // Nanoseconds, roughly: of this plan, and of the same one as a graph of TensorFlow's.
  struct Costs {
    double own = 0;
    double library = 0;
  };

  // Reads a plan, for some threads. Its numbers are described in planWriter.ts. Returns false for one with something unknown.
  bool Read(const int32_t *code, int64_t length, int threads);

  struct Port {
    Type type;
    Shape shape;
    Operand at;
    int64_t Bytes() const { return shape.Count() * SizeOf(type); }
  };
  const std::vector<Port> &leaves() const { return leaves_; }
  const std::vector<Port> &outputs() const { return outputs_; }
  int64_t bytes() const { return arena_; }

  const Costs &costs() const { return costs_; }

  // Computes everything. After the leaves, `roots` has two places for the plan's own memory; then one for each output, which is
  // written there if its port says so.
  bool Run(std::vector<char *> &roots, char *arena) const {
    roots[leaves_.size()] = const_cast<char *>(reinterpret_cast<const char *>(constants_.data()));
    roots[leaves_.size() + 1] = arena;
    for (const Group &group : groups_)
      if (!(group.parts > 1 ? Share(group, roots.data()) : RunPart(group, roots.data(), 0))) return false;
    return true;
  }

 private:
  struct Step {
    Kernel kernel;
    int32_t operands;
    int32_t parameters;
    int32_t outputs;
    // The input, as a place among the operands, whose memory the output may take over; 0 for none.
    int32_t reusable;
    int32_t count;
    int32_t parameterCount;
    // Whether it only copies, which is left out where the output takes over the input's memory.
    bool copies;
    // For threads: a step can be divided into so many units, or ranges of them, and the parameter with their number, or with the
    // beginning of the range; 0 for one that can't.
    int64_t units;
    int64_t grain;
    int32_t parameter;
    bool range;
    Costs costs;
  };
  // Steps that follow one another, of which each block of units is computed before the next block: its values stay in the cache.
  struct Group {
    int32_t first, end;
    int32_t parts;
    int64_t units, block;
  };
  static constexpr int MAX_OPERANDS = 12;
  static constexpr int MAX_PARAMETERS = 256;

  bool RunPart(const Group &group, char *const *roots, int part) const {
    if (group.parts == 1 && group.block >= group.units) {
      for (int32_t i = group.first; i < group.end; i++) {
        const Step &step = steps_[i];
        if (!step.kernel({roots, operands_.data() + step.operands, parameters_.data() + step.parameters})) return false;
      }
      return true;
    }
    const int64_t end = Beginning(group, part + 1);
    for (int64_t from = Beginning(group, part); from < end; from += group.block)
      for (int32_t i = group.first; i < group.end; i++)
        if (!RunUnits(steps_[i], roots, group.units, from, std::min(end, from + group.block))) return false;
    return true;
  }

  int64_t Beginning(const Group &group, int part) const { return group.units * part / group.parts; }

  // Computes a step for a range of the group's units, each of which is one or several of its own.
  bool RunUnits(const Step &step, char *const *roots, int64_t units, int64_t from, int64_t to) const {
    Operand operands[MAX_OPERANDS];
    int64_t parameters[MAX_PARAMETERS];
    std::copy_n(parameters_.data() + step.parameters, step.parameterCount, parameters);
    std::copy_n(operands_.data() + step.operands, step.count, operands);
    if (step.range) {
      parameters[step.parameter] = from * step.grain;
      parameters[step.parameter + 1] = std::min(to * step.grain, parameters[step.parameter + 1]);
    } else {
      const int64_t each = step.units / units;
      parameters[step.parameter] = (to - from) * each;
      for (int32_t i = 0; i < step.count; i++) operands[i].offset += from * each * advances_[step.operands + i];
    }
    return step.kernel({roots, operands, parameters});
  }

  bool Share(const Group &group, char *const *roots) const {
    struct Job {
      const Plan &plan;
      const Group &group;
      char *const *roots;
      std::atomic<bool> done;
    } job = {*this, group, roots, {true}};
    Workers::All().Share(
        group.parts,
        [](void *data, int part) {
          Job &shared = *static_cast<Job *>(data);
          if (!shared.plan.RunPart(shared.group, shared.roots, part)) shared.done = false;
        },
        &job);
    return job.done;
  }

  // A tensor while the plan is read. Views share the memory of their source.
  struct Value {
    Type type = Type::FLOAT;
    Shape shape;
    int32_t source = -1;
    int64_t offset = 0;
    // A leaf, the constants, or -1 for what steps write.
    int32_t root = -1;
    int64_t place = -1;
    int32_t first = -1;
    int32_t last = -1;
    bool constant = false;
    // The value whose matrices this one has transposed, while no step has been added that copies them; -1 otherwise.
    int32_t turned = -1;
  };
  class Reader;

  std::vector<Port> leaves_;
  std::vector<Port> outputs_;
  std::vector<Step> steps_;
  std::vector<Group> groups_;
  std::vector<Operand> operands_;
  // Of each operand, the bytes from one unit of its step to the next.
  std::vector<int64_t> advances_;
  std::vector<int64_t> parameters_;
  std::vector<int32_t> constants_;
  int64_t arena_ = 0;
  Costs costs_;
};

}  // namespace layerwise

#include "reader.h"
