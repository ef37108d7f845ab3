// Plans of small tensors, computed at once by kernels of this file's own: what a library for large tensors takes to start an
// op is more than such an op takes. A plan is written as numbers (programWriter.ts), with the names of TensorFlow's ops.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <vector>

namespace layerwise {

// As in TF_DataType.
enum class Type : int32_t { FLOAT = 1, INT32 = 3, BOOL = 10 };

constexpr int64_t SizeOf(Type type) { return type == Type::BOOL ? 1 : 4; }

// In the order of opCodes.ts.
enum class Code : int32_t {
  // Of one tensor.
  Neg, Exp, Log, Log1p, Expm1, Sqrt, Rsqrt, Square, Abs, Sign, Tanh, Sigmoid, Relu, Erf, Sin, Cos, Rint, Floor, Ceil,
  Reciprocal, Softplus, LogicalNot, LeakyRelu,
  // Of two, with broadcasting.
  AddV2, Sub, Mul, RealDiv, Maximum, Minimum, Pow, SquaredDifference, FloorDiv, FloorMod, ReluGrad, TanhGrad,
  SigmoidGrad, Less, LessEqual, Greater, GreaterEqual, Equal, NotEqual, LogicalAnd, LogicalOr,
  // Reductions.
  Sum, Mean, Prod, Max, Min, All, Any,
  // Others.
  Identity, Cast, LeakyReluGrad, BiasAdd, BiasAddGrad, SelectV2, Reshape, Transpose, BroadcastTo, ConcatV2,
  Split, SplitV, Slice, StridedSlice, StridedSliceGrad, TensorStridedSliceUpdate, PadV2, ReverseV2, Fill, GatherV2,
  UnsortedSegmentSum, TensorScatterUpdate, TensorScatterAdd, ArgMax, ArgMin, Cumsum, Cumprod, Softmax, LogSoftmax,
  SparseSoftmaxCrossEntropyWithLogits, TopKV2, MatMul, BatchMatMulV2,
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
  // Update, add floats, add integers.
  Kernel scatter[3];
  // ArgMax and ArgMin of floats, then of integers.
  Kernel argExtreme[4];
  // Sum and product of floats, then of integers.
  Kernel cumulate[4];
  Kernel leakyReluGrad;
  Kernel softmax;
  Kernel logSoftmax;
  Kernel crossEntropy;
  Kernel topK;
  Kernel matMul;
};

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
  if (static_cast<int64_t>(piece.size()) < floats) piece.resize(floats);
  return piece.data();
}

// The elements are written where they are read: a loop can be vectorized although both may be the same memory.
#if defined(__clang__)
#define SAME_INDEX _Pragma("clang loop vectorize(assume_safety)")
#elif defined(__GNUC__)
#define SAME_INDEX _Pragma("GCC ivdep")
#else
#define SAME_INDEX
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
#else
#pragma GCC pop_options
#endif
#endif

inline const Kernels &BestKernels() {
#if defined(__x86_64__)
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
  enum class Refusal { NONE, UNSUPPORTED, LARGE };

  // Reads a plan. Its numbers are described in programWriter.ts.
  Refusal Read(const int32_t *code, int64_t length, double budget);

  struct Port {
    Type type;
    Shape shape;
    Operand at;
    int64_t Bytes() const { return shape.Count() * SizeOf(type); }
  };
  const std::vector<Port> &leaves() const { return leaves_; }
  const std::vector<Port> &outputs() const { return outputs_; }
  int64_t bytes() const { return arena_; }

  // Computes everything. `leaves` has room for two more pointers than there are leaves.
  bool Run(std::vector<char *> &roots, char *arena) const {
    roots[leaves_.size()] = const_cast<char *>(reinterpret_cast<const char *>(constants_.data()));
    roots[leaves_.size() + 1] = arena;
    for (const Step &step : steps_)
      if (!step.kernel({roots.data(), operands_.data() + step.operands, parameters_.data() + step.parameters}))
        return false;
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
  };
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
  };
  class Reader;

  std::vector<Port> leaves_;
  std::vector<Port> outputs_;
  std::vector<Step> steps_;
  std::vector<Operand> operands_;
  std::vector<int64_t> parameters_;
  std::vector<int32_t> constants_;
  int64_t arena_ = 0;
};

class Plan::Reader {
 public:
  Reader(Plan &plan, const int32_t *code, int64_t length, double budget)
      : plan_(plan), kernels_(BestKernels()), next_(code), end_(code + length), budget_(budget) {}

  Refusal Read() {
    const int32_t leaves = *next_++;
    for (int32_t i = 0; i < leaves; i++) {
      Value value = ReadValue();
      value.root = i;
      value.place = 0;
      plan_.leaves_.push_back({value.type, value.shape, {i, 0}});
      values_.push_back(value);
    }
    constantRoot_ = leaves;
    // Its first word is ZERO, so that even a constant without elements has a place.
    plan_.constants_.push_back(0);
    const int32_t nodes = *next_++;
    for (int32_t i = 0; i < nodes; i++) {
      if (!ReadNode()) return Refusal::UNSUPPORTED;
      if (cost_ > budget_) return Refusal::LARGE;
    }
    const int32_t outputs = *next_++;
    const int32_t end = static_cast<int32_t>(plan_.steps_.size());
    std::vector<int32_t> results;
    for (int32_t i = 0; i < outputs; i++) {
      results.push_back(*next_++);
      values_[Source(results.back())].last = end;
    }
    if (next_ != end_) return Refusal::UNSUPPORTED;
    Place();
    for (const int32_t id : results)
      plan_.outputs_.push_back({values_[id].type, values_[id].shape, At(id, 0)});
    return Refusal::NONE;
  }

 private:
  Plan &plan_;
  const Kernels &kernels_;
  const int32_t *next_;
  const int32_t *const end_;
  const double budget_;
  // Nanoseconds, roughly.
  double cost_ = 0;
  int32_t constantRoot_ = 0;
  std::vector<Value> values_;
  // Stands for a value, the number 0.
  static constexpr int32_t ZERO = -1;
  // Of each operand while its place isn't known: a value, and bytes to add.
  std::vector<std::pair<int32_t, int64_t>> places_;

  // The node that is read.
  int32_t inputCount_ = 0;
  const int32_t *inputs_ = nullptr;
  const int32_t *attributes_ = nullptr;
  int32_t attributeCount_ = 0;

  Value ReadValue() {
    Value value;
    value.type = static_cast<Type>(*next_++);
    value.shape.rank = *next_++;
    for (int d = 0; d < value.shape.rank; d++) value.shape.sizes[d] = *next_++;
    return value;
  }

  Value &In(int i) { return values_[inputs_[i]]; }
  int32_t Source(int32_t id) const { return values_[id].source < 0 ? id : values_[id].source; }

  // The numbers of an input that is a constant; null for another.
  const int32_t *Known(int i) {
    const Value &value = In(i);
    const Value &source = values_[Source(inputs_[i])];
    if (!source.constant || value.type != Type::INT32) return nullptr;
    return plan_.constants_.data() + (source.place + value.offset) / 4;
  }

  int32_t New(Type type, const Shape &shape) {
    Value value;
    value.type = type;
    value.shape = shape;
    values_.push_back(value);
    return static_cast<int32_t>(values_.size()) - 1;
  }

  int32_t View(int32_t of, const Shape &shape, int64_t offset = 0) {
    Value value = values_[of];
    value.source = Source(of);
    value.offset += offset;
    value.shape = shape;
    values_.push_back(value);
    return static_cast<int32_t>(values_.size()) - 1;
  }

  struct Arg {
    int32_t value;
    int64_t offset = 0;
  };

  // Adds a step; `written` of its operands, which come first, are outputs.
  void Add(Kernel kernel, const std::initializer_list<Arg> &operands, int written, int reusable = 0) {
    const int32_t at = static_cast<int32_t>(plan_.steps_.size());
    Step step{};
    step.kernel = kernel;
    step.operands = static_cast<int32_t>(places_.size());
    step.outputs = written;
    step.reusable = reusable;
    step.count = static_cast<int32_t>(operands.size());
    step.parameters = pending_;
    for (const Arg &arg : operands) {
      places_.push_back({arg.value, arg.offset});
      if (arg.value == ZERO) continue;
      Value &value = values_[Source(arg.value)];
      if (value.first < 0) value.first = at;
      value.last = std::max(value.last, at);
    }
    plan_.steps_.push_back(step);
  }

  // Sizes of the pieces of memory, by their places.
  std::map<int64_t, int64_t> sizes_;

  int32_t pending_ = 0;
  // Begins the parameters of the next step.
  std::vector<int64_t> &Parameters() {
    pending_ = static_cast<int32_t>(plan_.parameters_.size());
    return plan_.parameters_;
  }
  void Parameters(std::initializer_list<int64_t> list) {
    auto &p = Parameters();
    p.insert(p.end(), list);
  }
  template <int K>
  void Append(const Strided<K> &s) {
    auto &p = Parameters();
    p.push_back(s.rank);
    p.insert(p.end(), s.sizes, s.sizes + s.rank);
    for (int k = 0; k < K; k++) p.insert(p.end(), s.strides[k], s.strides[k] + s.rank);
  }

  void Spend(int64_t elements, double each = 0.5) { cost_ += 20 + each * static_cast<double>(elements); }

  static bool Broadcast(const Shape &a, const Shape &b, Shape &out) {
    out.rank = std::max(a.rank, b.rank);
    for (int d = 0; d < out.rank; d++) {
      const int64_t x = d < out.rank - a.rank ? 1 : a.sizes[d - (out.rank - a.rank)];
      const int64_t y = d < out.rank - b.rank ? 1 : b.sizes[d - (out.rank - b.rank)];
      if (x != y && x != 1 && y != 1) return false;
      out.sizes[d] = x == 1 ? y : x;
    }
    return true;
  }

  // The stride of a tensor along a dimension of what it is broadcast to.
  static int64_t BroadcastStride(const Shape &shape, const Shape &out, int d) {
    const int own = d - (out.rank - shape.rank);
    return own < 0 || shape.sizes[own] == 1 ? 0 : shape.Stride(own);
  }

  int Wide(Type type) const { return type == Type::BOOL ? 0 : 1; }
  int Axis(int32_t axis, int rank) const { return axis < 0 ? axis + rank : axis; }

  bool ReadNode();
  bool ReadBinary(Code code);
  bool ReadReduction(Code code, const Shape &shape, int32_t source, const bool *gone, bool keep);
  bool ReadSlices(Code code);
  void CopyInto(int32_t out, int64_t outOffset, const int64_t *outStrides, int32_t in, int64_t inOffset,
                const int64_t *inStrides, const Shape &shape);
  void Fill(int32_t out, int32_t scalar);
  void Place();
  Operand At(int32_t id, int64_t offset) const {
    const Value &value = values_[id];
    const Value &source = values_[Source(id)];
    return {source.root, source.place + value.offset + offset};
  }
};

// Copies a tensor of a shape, with strides of elements on both sides; offsets are in elements.
inline void Plan::Reader::CopyInto(int32_t out, int64_t outOffset, const int64_t *outStrides, int32_t in,
                                   int64_t inOffset, const int64_t *inStrides, const Shape &shape) {
  const int64_t count = shape.Count();
  if (count == 0) return;
  Strided<2> s;
  for (int d = 0; d < shape.rank; d++) s.Add(shape.sizes[d], {outStrides[d], inStrides[d]});
  s.Finish();
  Append(s);
  const Type type = values_[out].type;
  Add(kernels_.copy[Wide(type)], {{out, outOffset * SizeOf(type)}, {in, inOffset * SizeOf(type)}}, 1);
  Spend(count);
}

inline void Plan::Reader::Fill(int32_t out, int32_t scalar) {
  const int64_t count = values_[out].shape.Count();
  Parameters({count});
  Add(kernels_.fill[Wide(values_[out].type)], {{out}, {scalar}}, 1);
  Spend(count, 0.1);
}

inline bool Plan::Reader::ReadBinary(Code code) {
  const Value a = In(0), b = In(1);
  if (a.type != b.type) return false;
  const Kernel kernel = kernels_.binary(code, a.type);
  Shape shape;
  if (kernel == nullptr || !Broadcast(a.shape, b.shape, shape)) return false;
  const bool logical = code >= Code::Less && code <= Code::LogicalOr;
  const Type type = logical ? Type::BOOL : a.type;
  const int32_t out = New(type, shape);
  const int64_t count = shape.Count();
  if (count == 0) return true;
  Strided<3> s;
  for (int d = 0; d < shape.rank; d++)
    s.Add(shape.sizes[d], {shape.Stride(d), BroadcastStride(a.shape, shape, d), BroadcastStride(b.shape, shape, d)});
  s.Finish();
  auto &p = Parameters();
  p.push_back(s.rank);
  p.insert(p.end(), s.sizes, s.sizes + s.rank);
  for (int k = 1; k < 3; k++) p.insert(p.end(), s.strides[k], s.strides[k] + s.rank);
  p.push_back(b.shape.Count());
  const int reusable = type != a.type ? 0 : a.shape == shape ? 1 : b.shape == shape ? 2 : 0;
  Add(kernel, {{out}, {inputs_[0]}, {inputs_[1]}}, 1, reusable);
  Spend(count, code == Code::Pow || code == Code::FloorMod ? 15 : 0.5);
  return true;
}

inline bool Plan::Reader::ReadReduction(Code code, const Shape &shape, int32_t source, const bool *gone, bool keep) {
  const Type type = values_[source].type;
  const bool logical = code == Code::All || code == Code::Any;
  if (logical != (type == Type::BOOL)) return false;
  const Kernel kernel = kernels_.reduce(code, type);
  if (kernel == nullptr) return false;
  Shape result;
  Strided<1> kept, parts;
  int64_t divisor = 1;
  for (int d = 0; d < shape.rank; d++) {
    if (gone[d]) {
      divisor *= shape.sizes[d];
      parts.Add(shape.sizes[d], {shape.Stride(d)});
      if (keep) result.sizes[result.rank++] = 1;
    } else {
      kept.Add(shape.sizes[d], {shape.Stride(d)});
      result.sizes[result.rank++] = shape.sizes[d];
    }
  }
  const int64_t count = shape.Count();
  if (count == 0) return false;
  if (divisor == 1) {
    View(source, result);
    return true;
  }
  const int32_t out = New(type, result);
  auto &p = Parameters();
  p.push_back(code == Code::Mean ? divisor : 0);
  p.push_back(kept.rank);
  p.insert(p.end(), kept.sizes, kept.sizes + kept.rank);
  p.insert(p.end(), kept.strides[0], kept.strides[0] + kept.rank);
  p.push_back(parts.rank);
  p.insert(p.end(), parts.sizes, parts.sizes + parts.rank);
  p.insert(p.end(), parts.strides[0], parts.strides[0] + parts.rank);
  Add(kernel, {{out}, {source}}, 1);
  Spend(count);
  return true;
}

// StridedSlice and its relatives. Attributes: begin, end, ellipsis, new axis and shrink axis masks, of which only those of
// begin and end may be set.
inline bool Plan::Reader::ReadSlices(Code code) {
  const bool gradient = code == Code::StridedSliceGrad;
  const int32_t *begins = Known(1), *ends = Known(2), *steps = Known(3);
  if (begins == nullptr || ends == nullptr || steps == nullptr) return false;
  for (int i = 2; i < 5; i++)
    if (attributes_[i] != 0) return false;
  Shape whole;
  if (gradient) {
    const int32_t *sizes = Known(0);
    if (sizes == nullptr || In(0).shape.Count() > MAX_RANK) return false;
    whole.rank = static_cast<int>(In(0).shape.Count());
    for (int d = 0; d < whole.rank; d++) whole.sizes[d] = sizes[d];
  } else {
    whole = In(0).shape;
  }
  const int given = static_cast<int>(In(1).shape.Count());
  if (given > whole.rank) return false;
  Shape part = whole;
  int64_t offset = 0, strides[MAX_RANK], dense[MAX_RANK];
  for (int d = 0; d < whole.rank; d++) {
    const int64_t size = whole.sizes[d];
    strides[d] = whole.Stride(d);
    if (d >= given) continue;
    const int64_t step = steps[d];
    if (step == 0) return false;
    const auto bound = [&](int64_t x) {
      if (x < 0) x += size;
      return step > 0 ? std::clamp<int64_t>(x, 0, size) : std::clamp<int64_t>(x, -1, size - 1);
    };
    const bool openBegin = attributes_[0] >> d & 1, openEnd = attributes_[1] >> d & 1;
    const int64_t begin = openBegin ? (step > 0 ? 0 : size - 1) : bound(begins[d]);
    const int64_t end = openEnd ? (step > 0 ? size : -1) : bound(ends[d]);
    const int64_t length = step > 0 ? (end - begin + step - 1) / step : (begin - end - step - 1) / -step;
    part.sizes[d] = std::max<int64_t>(length, 0);
    offset += begin * strides[d];
    strides[d] *= step;
  }
  for (int d = 0; d < part.rank; d++) dense[d] = part.Stride(d);
  if (code == Code::StridedSlice) {
    const int64_t count = part.Count();
    bool contiguous = true;
    for (int d = 0; d < part.rank; d++)
      if (part.sizes[d] != 1 && strides[d] != dense[d]) contiguous = false;
    if (contiguous && count > 0) {
      View(inputs_[0], part, offset * SizeOf(In(0).type));
      return true;
    }
    const int32_t out = New(In(0).type, part);
    CopyInto(out, 0, dense, inputs_[0], offset, strides, part);
    return true;
  }
  constexpr int update = 4;
  if (!(In(update).shape == part)) return false;
  const int32_t out = New(In(update).type, whole);
  if (gradient) {
    Fill(out, ZERO);
  } else {
    int64_t full[MAX_RANK];
    for (int d = 0; d < whole.rank; d++) full[d] = whole.Stride(d);
    CopyInto(out, 0, full, inputs_[0], 0, full, whole);
  }
  CopyInto(out, offset, strides, inputs_[update], 0, dense, part);
  return true;
}

inline bool Plan::Reader::ReadNode() {
  const Code code = static_cast<Code>(*next_++);
  if (code == Code::Constant) {
    Value value = ReadValue();
    if (value.shape.rank > MAX_RANK) return false;
    value.constant = true;
    value.root = constantRoot_;
    value.place = static_cast<int64_t>(plan_.constants_.size()) * 4;
    const int64_t words = (value.shape.Count() * SizeOf(value.type) + 3) / 4;
    plan_.constants_.insert(plan_.constants_.end(), next_, next_ + words);
    next_ += words;
    values_.push_back(value);
    return true;
  }
  inputCount_ = *next_++;
  const int32_t outputs = *next_++;
  attributeCount_ = *next_++;
  inputs_ = next_;
  next_ += inputCount_;
  attributes_ = next_;
  next_ += attributeCount_;
  if (code <= Code::LeakyRelu) {
    const Value x = In(0);
    const Kernel kernel = kernels_.unary(code, x.type);
    if (kernel == nullptr) return false;
    const int32_t out = New(x.type, x.shape);
    const int64_t count = x.shape.Count();
    if (count == 0) return true;
    Parameters({count, attributeCount_ > 0 ? attributes_[0] : 0});
    Add(kernel, {{out}, {inputs_[0]}}, 1, 1);
    const bool dear = code == Code::Log1p || code == Code::Expm1 || code == Code::Erf || code == Code::Sin ||
                      code == Code::Cos || code == Code::Rint || code == Code::Softplus;
    Spend(count, dear ? 8 : 1);
    return true;
  }
  if (code <= Code::LogicalOr) return ReadBinary(code);
  if (code <= Code::Any) {
    const int32_t *axes = Known(1);
    if (axes == nullptr) return false;
    bool gone[MAX_RANK] = {};
    const Shape shape = In(0).shape;
    for (int64_t i = 0; i < In(1).shape.Count(); i++) gone[Axis(axes[i], shape.rank)] = true;
    return ReadReduction(code, shape, inputs_[0], gone, attributes_[0] != 0);
  }
  switch (code) {
    case Code::Identity:
      View(inputs_[0], In(0).shape);
      return true;
    case Code::Cast: {
      const Value x = In(0);
      const int32_t wanted = attributes_[0];
      if (wanted != 1 && wanted != 3 && wanted != 10) return false;
      const Type type = static_cast<Type>(wanted);
      if (type == x.type) {
        View(inputs_[0], x.shape);
        return true;
      }
      const int32_t out = New(type, x.shape);
      const int64_t count = x.shape.Count();
      if (count == 0) return true;
      Parameters({count});
      Add(kernels_.cast(x.type, type), {{out}, {inputs_[0]}}, 1);
      Spend(count);
      return true;
    }
    case Code::LeakyReluGrad: {
      if (!(In(0).shape == In(1).shape)) return false;
      const int64_t count = In(0).shape.Count();
      const int32_t out = New(Type::FLOAT, In(0).shape);
      if (count == 0) return true;
      Parameters({count, attributes_[0]});
      Add(kernels_.leakyReluGrad, {{out}, {inputs_[0]}, {inputs_[1]}}, 1, 1);
      Spend(count);
      return true;
    }
    case Code::BiasAdd:
      // Channels last.
      return ReadBinary(Code::AddV2);
    case Code::BiasAddGrad: {
      const Shape shape = In(0).shape;
      if (shape.rank == 0) return false;
      bool gone[MAX_RANK] = {};
      for (int d = 0; d + 1 < shape.rank; d++) gone[d] = true;
      return ReadReduction(Code::Sum, shape, inputs_[0], gone, false);
    }
    case Code::SelectV2: {
      const Value which = In(0), a = In(1), b = In(2);
      Shape sides, shape;
      if (a.type != b.type || which.type != Type::BOOL || !Broadcast(a.shape, b.shape, sides) ||
          !Broadcast(which.shape, sides, shape))
        return false;
      const int32_t out = New(a.type, shape);
      const int64_t count = shape.Count();
      if (count == 0) return true;
      Strided<4> s;
      for (int d = 0; d < shape.rank; d++)
        s.Add(shape.sizes[d], {shape.Stride(d), BroadcastStride(which.shape, shape, d),
                               BroadcastStride(a.shape, shape, d), BroadcastStride(b.shape, shape, d)});
      s.Finish();
      auto &p = Parameters();
      p.push_back(s.rank);
      p.insert(p.end(), s.sizes, s.sizes + s.rank);
      for (int k = 1; k < 4; k++) p.insert(p.end(), s.strides[k], s.strides[k] + s.rank);
      Add(kernels_.select[Wide(a.type)], {{out}, {inputs_[0]}, {inputs_[1]}, {inputs_[2]}}, 1,
          a.shape == shape ? 2 : b.shape == shape ? 3 : 0);
      Spend(count, 1);
      return true;
    }
    case Code::Reshape: {
      const int32_t *sizes = Known(1);
      const int64_t rank = In(1).shape.Count();
      if (sizes == nullptr || rank > MAX_RANK) return false;
      Shape shape;
      shape.rank = static_cast<int>(rank);
      int64_t known = 1;
      int open = -1;
      for (int d = 0; d < shape.rank; d++) {
        shape.sizes[d] = sizes[d];
        if (sizes[d] < 0) open = d;
        else known *= sizes[d];
      }
      if (open >= 0) shape.sizes[open] = known == 0 ? 0 : In(0).shape.Count() / known;
      if (shape.Count() != In(0).shape.Count()) return false;
      View(inputs_[0], shape);
      return true;
    }
    case Code::Transpose: {
      const int32_t *order = Known(1);
      const Value x = In(0);
      if (order == nullptr || In(1).shape.Count() != x.shape.rank) return false;
      Shape shape;
      shape.rank = x.shape.rank;
      int64_t strides[MAX_RANK], dense[MAX_RANK];
      for (int d = 0; d < shape.rank; d++) {
        shape.sizes[d] = x.shape.sizes[order[d]];
        strides[d] = x.shape.Stride(order[d]);
      }
      for (int d = 0; d < shape.rank; d++) dense[d] = shape.Stride(d);
      bool same = true;
      for (int d = 0; d < shape.rank; d++)
        if (shape.sizes[d] != 1 && strides[d] != dense[d]) same = false;
      if (same) {
        View(inputs_[0], shape);
        return true;
      }
      CopyInto(New(x.type, shape), 0, dense, inputs_[0], 0, strides, shape);
      return true;
    }
    case Code::BroadcastTo: {
      const int32_t *sizes = Known(1);
      const Value x = In(0);
      const int64_t rank = In(1).shape.Count();
      if (sizes == nullptr || rank > MAX_RANK) return false;
      Shape shape;
      shape.rank = static_cast<int>(rank);
      for (int d = 0; d < shape.rank; d++) shape.sizes[d] = sizes[d];
      int64_t strides[MAX_RANK], dense[MAX_RANK];
      for (int d = 0; d < shape.rank; d++) {
        dense[d] = shape.Stride(d);
        strides[d] = BroadcastStride(x.shape, shape, d);
      }
      CopyInto(New(x.type, shape), 0, dense, inputs_[0], 0, strides, shape);
      return true;
    }
    case Code::ConcatV2: {
      const int32_t *given = Known(inputCount_ - 1);
      if (given == nullptr) return false;
      Shape shape = In(0).shape;
      const Type type = In(0).type;
      const int axis = Axis(*given, shape.rank);
      shape.sizes[axis] = 0;
      for (int i = 0; i + 1 < inputCount_; i++) shape.sizes[axis] += In(i).shape.sizes[axis];
      const int32_t out = New(type, shape);
      int64_t at = 0, strides[MAX_RANK], own[MAX_RANK];
      for (int d = 0; d < shape.rank; d++) strides[d] = shape.Stride(d);
      for (int i = 0; i + 1 < inputCount_; i++) {
        const Shape part = In(i).shape;
        for (int d = 0; d < part.rank; d++) own[d] = part.Stride(d);
        CopyInto(out, at * strides[axis], strides, inputs_[i], 0, own, part);
        at += part.sizes[axis];
      }
      return true;
    }
    case Code::Split:
    case Code::SplitV: {
      const bool equal = code == Code::Split;
      const int source = equal ? 1 : 0;
      const int32_t *given = Known(equal ? 0 : 2);
      const int32_t *lengths = equal ? nullptr : Known(1);
      if (given == nullptr || (!equal && lengths == nullptr)) return false;
      const Shape whole = In(source).shape;
      const Type type = In(source).type;
      const int axis = Axis(*given, whole.rank);
      int64_t at = 0, strides[MAX_RANK], own[MAX_RANK];
      for (int d = 0; d < whole.rank; d++) strides[d] = whole.Stride(d);
      bool front = true;
      for (int d = 0; d < axis; d++) front = front && whole.sizes[d] == 1;
      const int32_t from = inputs_[source];
      for (int i = 0; i < outputs; i++) {
        Shape part = whole;
        part.sizes[axis] = equal ? whole.sizes[axis] / outputs : lengths[i];
        if (front) {
          View(from, part, at * strides[axis] * SizeOf(type));
        } else {
          for (int d = 0; d < part.rank; d++) own[d] = part.Stride(d);
          CopyInto(New(type, part), 0, own, from, at * strides[axis], strides, part);
        }
        at += part.sizes[axis];
      }
      return true;
    }
    case Code::Slice: {
      const int32_t *begins = Known(1), *sizes = Known(2);
      if (begins == nullptr || sizes == nullptr) return false;
      const Value x = In(0);
      Shape shape = x.shape;
      int64_t offset = 0, strides[MAX_RANK], dense[MAX_RANK];
      for (int d = 0; d < shape.rank; d++) {
        shape.sizes[d] = sizes[d] < 0 ? x.shape.sizes[d] - begins[d] : sizes[d];
        strides[d] = x.shape.Stride(d);
        offset += begins[d] * strides[d];
      }
      bool contiguous = shape.Count() > 0;
      for (int d = 0; d < shape.rank; d++) {
        dense[d] = shape.Stride(d);
        if (shape.sizes[d] != 1 && strides[d] != dense[d]) contiguous = false;
      }
      if (contiguous) View(inputs_[0], shape, offset * SizeOf(x.type));
      else CopyInto(New(x.type, shape), 0, dense, inputs_[0], offset, strides, shape);
      return true;
    }
    case Code::StridedSlice:
    case Code::StridedSliceGrad:
    case Code::TensorStridedSliceUpdate:
      return ReadSlices(code);
    case Code::PadV2: {
      const int32_t *pads = Known(1);
      const Value x = In(0);
      if (pads == nullptr || In(2).type != x.type) return false;
      Shape shape = x.shape;
      for (int d = 0; d < shape.rank; d++) shape.sizes[d] += pads[2 * d] + pads[2 * d + 1];
      const int32_t out = New(x.type, shape);
      Fill(out, inputs_[2]);
      int64_t offset = 0, strides[MAX_RANK], own[MAX_RANK];
      for (int d = 0; d < shape.rank; d++) {
        strides[d] = shape.Stride(d);
        own[d] = x.shape.Stride(d);
        offset += pads[2 * d] * strides[d];
      }
      CopyInto(out, offset, strides, inputs_[0], 0, own, x.shape);
      return true;
    }
    case Code::ReverseV2: {
      const int32_t *axes = Known(1);
      const Value x = In(0);
      if (axes == nullptr) return false;
      int64_t offset = 0, strides[MAX_RANK], dense[MAX_RANK];
      for (int d = 0; d < x.shape.rank; d++) strides[d] = dense[d] = x.shape.Stride(d);
      for (int64_t i = 0; i < In(1).shape.Count(); i++) {
        const int d = Axis(axes[i], x.shape.rank);
        offset += (x.shape.sizes[d] - 1) * dense[d];
        strides[d] = -dense[d];
      }
      CopyInto(New(x.type, x.shape), 0, dense, inputs_[0], offset, strides, x.shape);
      return true;
    }
    case Code::Fill: {
      const int32_t *sizes = Known(0);
      const int64_t rank = In(0).shape.Count();
      if (sizes == nullptr || rank > MAX_RANK) return false;
      Shape shape;
      shape.rank = static_cast<int>(rank);
      for (int d = 0; d < shape.rank; d++) shape.sizes[d] = sizes[d];
      const int32_t out = New(In(1).type, shape);
      if (shape.Count() > 0) Fill(out, inputs_[1]);
      return true;
    }
    case Code::GatherV2: {
      const int32_t *given = Known(2);
      const Value rows = In(0), indices = In(1);
      if (given == nullptr || indices.type != Type::INT32) return false;
      const int axis = Axis(*given, rows.shape.rank);
      const int batch = attributes_[0];
      if (batch != 0 && batch != axis) return false;
      Shape shape;
      int64_t outer = 1, width = 1, chosen = 1;
      for (int d = 0; d < axis; d++) outer *= shape.sizes[shape.rank++] = rows.shape.sizes[d];
      for (int d = batch; d < indices.shape.rank; d++) {
        if (shape.rank == MAX_RANK) return false;
        chosen *= shape.sizes[shape.rank++] = indices.shape.sizes[d];
      }
      for (int d = axis + 1; d < rows.shape.rank; d++) {
        if (shape.rank == MAX_RANK) return false;
        width *= shape.sizes[shape.rank++] = rows.shape.sizes[d];
      }
      const int32_t out = New(rows.type, shape);
      const int64_t count = shape.Count();
      if (count == 0) return true;
      Parameters({outer, rows.shape.sizes[axis], chosen, width, batch > 0});
      Add(kernels_.gather[Wide(rows.type)], {{out}, {inputs_[0]}, {inputs_[1]}}, 1);
      Spend(count + outer * chosen * 4);
      return true;
    }
    case Code::UnsortedSegmentSum: {
      const int32_t *segments = Known(2);
      const Value rows = In(0), ids = In(1);
      if (segments == nullptr || ids.type != Type::INT32 || rows.type == Type::BOOL) return false;
      for (int d = 0; d < ids.shape.rank; d++)
        if (rows.shape.sizes[d] != ids.shape.sizes[d]) return false;
      Shape shape;
      shape.sizes[shape.rank++] = *segments;
      int64_t width = 1;
      for (int d = ids.shape.rank; d < rows.shape.rank; d++) width *= shape.sizes[shape.rank++] = rows.shape.sizes[d];
      const int32_t out = New(rows.type, shape);
      Parameters({*segments, ids.shape.Count(), width});
      Add(kernels_.segmentSum[rows.type == Type::FLOAT ? 0 : 1], {{out}, {inputs_[0]}, {inputs_[1]}}, 1);
      Spend(shape.Count() + rows.shape.Count());
      return true;
    }
    case Code::TensorScatterUpdate:
    case Code::TensorScatterAdd: {
      const Value x = In(0), indices = In(1), rows = In(2);
      const bool add = code == Code::TensorScatterAdd;
      if (indices.type != Type::INT32 || indices.shape.rank == 0 || rows.type != x.type) return false;
      if (x.type == Type::BOOL) return false;
      const int64_t depth = indices.shape.sizes[indices.shape.rank - 1];
      if (depth > x.shape.rank || depth == 0) return false;
      int64_t width = 1, strides[MAX_RANK];
      for (int d = static_cast<int>(depth); d < x.shape.rank; d++) width *= x.shape.sizes[d];
      for (int d = 0; d < x.shape.rank; d++) strides[d] = x.shape.Stride(d);
      const int32_t out = New(x.type, x.shape);
      CopyInto(out, 0, strides, inputs_[0], 0, strides, x.shape);
      auto &p = Parameters();
      p.insert(p.end(), {indices.shape.Count() / depth, depth, width});
      for (int d = 0; d < depth; d++) p.push_back(x.shape.sizes[d]);
      for (int d = 0; d < depth; d++) p.push_back(strides[d]);
      Add(kernels_.scatter[!add ? 0 : x.type == Type::FLOAT ? 1 : 2], {{out}, {inputs_[1]}, {inputs_[2]}}, 1);
      Spend(rows.shape.Count() + indices.shape.Count(), 2);
      return true;
    }
    case Code::ArgMax:
    case Code::ArgMin: {
      const int32_t *given = Known(1);
      const Value x = In(0);
      if (given == nullptr || x.type == Type::BOOL || x.shape.rank == 0) return false;
      const int axis = Axis(*given, x.shape.rank);
      Shape shape;
      int64_t outer = 1;
      for (int d = 0; d < x.shape.rank; d++) {
        if (d == axis) continue;
        if (d < axis) outer *= x.shape.sizes[d];
        shape.sizes[shape.rank++] = x.shape.sizes[d];
      }
      const int32_t out = New(Type::INT32, shape);
      if (x.shape.Count() == 0) return false;
      Parameters({outer, x.shape.sizes[axis], x.shape.Stride(axis)});
      Add(kernels_.argExtreme[(x.type == Type::FLOAT ? 0 : 2) + (code == Code::ArgMin)], {{out}, {inputs_[0]}}, 1);
      Spend(x.shape.Count(), 1);
      return true;
    }
    case Code::Cumsum:
    case Code::Cumprod: {
      const int32_t *given = Known(1);
      const Value x = In(0);
      if (given == nullptr || x.type == Type::BOOL || x.shape.rank == 0) return false;
      const int axis = Axis(*given, x.shape.rank);
      const int64_t count = x.shape.Count(), inner = x.shape.Stride(axis), length = x.shape.sizes[axis];
      const int32_t out = New(x.type, x.shape);
      if (count == 0) return true;
      Parameters({count / (inner * length), length, inner, attributes_[0], attributes_[1]});
      Add(kernels_.cumulate[(x.type == Type::FLOAT ? 0 : 2) + (code == Code::Cumprod)], {{out}, {inputs_[0]}}, 1);
      Spend(count, 2);
      return true;
    }
    case Code::Softmax:
    case Code::LogSoftmax: {
      const Value x = In(0);
      if (x.type != Type::FLOAT || x.shape.rank == 0 || x.shape.Count() == 0) return false;
      const int64_t n = x.shape.sizes[x.shape.rank - 1];
      const int32_t out = New(x.type, x.shape);
      Parameters({x.shape.Count() / n, n});
      Add(code == Code::Softmax ? kernels_.softmax : kernels_.logSoftmax, {{out}, {inputs_[0]}}, 1);
      Spend(x.shape.Count(), 2);
      return true;
    }
    case Code::SparseSoftmaxCrossEntropyWithLogits: {
      const Value x = In(0), labels = In(1);
      if (x.type != Type::FLOAT || x.shape.rank != 2 || labels.type != Type::INT32 || x.shape.Count() == 0) return false;
      Shape rows;
      rows.rank = 1;
      rows.sizes[0] = x.shape.sizes[0];
      const int32_t losses = New(Type::FLOAT, rows);
      const int32_t gradient = New(Type::FLOAT, x.shape);
      Parameters({x.shape.sizes[0], x.shape.sizes[1]});
      Add(kernels_.crossEntropy, {{losses}, {gradient}, {inputs_[0]}, {inputs_[1]}}, 2);
      Spend(x.shape.Count(), 2);
      return true;
    }
    case Code::TopKV2: {
      const int32_t *wanted = Known(1);
      const Value x = In(0);
      if (wanted == nullptr || x.type != Type::FLOAT || x.shape.rank == 0 || x.shape.Count() == 0) return false;
      Shape shape = x.shape;
      const int64_t n = shape.sizes[shape.rank - 1];
      if (*wanted < 1 || *wanted > n) return false;
      shape.sizes[shape.rank - 1] = *wanted;
      const int32_t largest = New(Type::FLOAT, shape);
      const int32_t places = New(Type::INT32, shape);
      Parameters({x.shape.Count() / n, n, *wanted});
      Add(kernels_.topK, {{largest}, {places}, {inputs_[0]}}, 2);
      Spend(x.shape.Count(), 20);
      return true;
    }
    case Code::MatMul:
    case Code::BatchMatMulV2: {
      const Value a = In(0), b = In(1);
      if (a.type != Type::FLOAT || b.type != Type::FLOAT || a.shape.rank < 2 || b.shape.rank < 2) return false;
      const bool turnedA = attributes_[0], turnedB = attributes_[1];
      const auto size = [](const Shape &s, bool last) { return s.sizes[s.rank - (last ? 1 : 2)]; };
      const int64_t m = size(a.shape, turnedA), depth = size(a.shape, !turnedA), n = size(b.shape, !turnedB);
      if (depth != size(b.shape, turnedB)) return false;
      Shape batchA = a.shape, batchB = b.shape, shape;
      batchA.rank -= 2;
      batchB.rank -= 2;
      if (!Broadcast(batchA, batchB, shape)) return false;
      Strided<2> s;
      const int64_t sizeA = m * depth, sizeB = depth * n;
      for (int d = 0; d < shape.rank; d++)
        s.Add(shape.sizes[d],
              {BroadcastStride(batchA, shape, d) * sizeA, BroadcastStride(batchB, shape, d) * sizeB});
      const int64_t batches = shape.Count();
      shape.sizes[shape.rank++] = m;
      shape.sizes[shape.rank++] = n;
      const int32_t out = New(Type::FLOAT, shape);
      if (shape.Count() == 0 || depth == 0) return false;
      auto &p = Parameters();
      p.insert(p.end(), {m, n, depth, turnedA, turnedB, s.rank});
      p.insert(p.end(), s.sizes, s.sizes + s.rank);
      for (int k = 0; k < 2; k++) p.insert(p.end(), s.strides[k], s.strides[k] + s.rank);
      Add(kernels_.matMul, {{out}, {inputs_[0]}, {inputs_[1]}}, 1);
      Spend(batches * m * n * depth, 0.06);
      return true;
    }
    default:
      return false;
  }
}

// Gives every value that steps write its place in memory, which is used again when its last reader is done.
inline void Plan::Reader::Place() {
  std::map<int64_t, std::vector<int64_t>> free;
  const auto rounded = [](const Value &value) { return (value.shape.Count() * SizeOf(value.type) + 63) / 64 * 64; };
  const int32_t arena = constantRoot_ + 1;
  int64_t top = 0;
  for (int32_t at = 0; at < static_cast<int32_t>(plan_.steps_.size()); at++) {
    Step &step = plan_.steps_[at];
    const auto *operands = places_.data() + step.operands;
    for (int i = 0; i < step.outputs; i++) {
      Value &out = values_[Source(operands[i].first)];
      if (out.root >= 0) continue;
      out.root = arena;
      const int64_t size = rounded(out);
      if (step.reusable > 0) {
        // An input that nothing else reads gives its memory.
        const auto &given = operands[step.reusable];
        Value &in = values_[Source(given.first)];
        bool alone = in.root == arena && in.last == at && rounded(in) == size && given.second == 0;
        for (int j = step.outputs; j < step.count; j++)
          if (operands[j].first != given.first && Source(operands[j].first) == Source(given.first)) alone = false;
        if (alone && values_[given.first].offset == 0) {
          out.place = in.place;
          in.last = -2;
          continue;
        }
      }
      const auto entry = free.lower_bound(size);
      if (entry != free.end() && entry->first <= 2 * size) {
        out.place = entry->second.back();
        entry->second.pop_back();
        if (entry->second.empty()) free.erase(entry);
      } else {
        out.place = top;
        sizes_[top] = size;
        top += size;
      }
    }
    for (int i = 0; i < step.count; i++) {
      if (operands[i].first == ZERO) continue;
      Value &value = values_[Source(operands[i].first)];
      if (value.root != arena || value.last != at) continue;
      free[sizes_[value.place]].push_back(value.place);
      value.last = -2;
    }
  }
  plan_.arena_ = top;
  plan_.operands_.reserve(places_.size());
  for (const auto &[id, offset] : places_)
    plan_.operands_.push_back(id == ZERO ? Operand{constantRoot_, 0} : At(id, offset));
}

inline Plan::Refusal Plan::Read(const int32_t *code, int64_t length, double budget) {
  return Reader(*this, code, length, budget).Read();
}

}  // namespace layerwise
