// What each op of a plan means: its outputs, and the steps that compute them.
#pragma once

#include "reader.h"

namespace layerwise {

// Adds a part amid zeros to a tensor, in whose memory the sum is where nothing else reads it. False for other sums.
inline bool Plan::Reader::AddPadded() {
  if (!(In(0).shape == In(1).shape) || In(0).type != In(1).type) return false;
  const int which = In(1).padded >= 0 ? 1 : 0;
  if (In(which).padded < 0) return false;
  const Padded padded = padded_[In(which).padded];
  const int32_t other = inputs_[1 - which];
  Settle(other);
  const int32_t out = New(values_[other].type, values_[other].shape);
  CopyWhole(out, other);
  WritePart(out, padded, true);
  return true;
}

inline bool Plan::Reader::ReadBinary(Code code) {
  if (code == Code::AddV2 && AddPadded()) return true;
  for (int i = 0; i < 2; i++) Settle(inputs_[i]);
  const Value a = In(0), b = In(1);
  if (a.type != b.type) return false;
  const Kernel kernel = kernels_.binary(code, a.type);
  Shape shape;
  if (kernel == nullptr || !Broadcast(a.shape, b.shape, shape)) return false;
  const bool logical = code >= Code::Less && code <= Code::LogicalOr;
  const Type type = logical ? Type::BOOL : a.type;
  const int32_t out = New(type, shape);
  if (code == Code::NotEqual && b.numbers.leaf < 0 && b.numbers.least == b.numbers.most) {
    values_[out].differing = inputs_[0];
    values_[out].constantOf = static_cast<int32_t>(b.numbers.least);
  }
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
  if (code == Code::FloorMod || code == Code::Fmod) Spend(count, 3, 15);
  else if (code == Code::Atan2 || code == Code::NextAfter) Spend(count, 2, 15);
  else if (code == Code::Gcd) Spend(count, 30, 200);
  else if (code >= Code::GeluGrad) Spend(count, 1.2, 6);
  else Spend(count, code == Code::Pow ? 15 : 0.5);
  // Divisors and exponents are checked as a whole.
  if (type == Type::INT32 && (code == Code::FloorDiv || code == Code::FloorMod || code == Code::Pow)) {
    Bind(inputs_[1], code == Code::Pow ? 0 : 1, std::numeric_limits<int64_t>::max());
    return true;
  }
  Divide(s.sizes[0], 1, {s.strides[0][0] * SizeOf(type), s.strides[1][0] * SizeOf(a.type), s.strides[2][0] * SizeOf(a.type)});
  return true;
}

// Numbers of blocks that are tried until one divides a tensor evenly.
constexpr int64_t MOST_TRIED = 512;

// Adds a reduction; `divisor` is 0 where nothing is divided.
inline void Plan::Reader::ReduceInto(Arg out, Arg source, Code code, const Shape &shape, const bool *gone, int64_t divisor) {
  const Type type = values_[source.value].type;
  Strided<1> kept, parts;
  int64_t results = 1;
  for (int d = 0; d < shape.rank; d++) {
    (gone[d] ? parts : kept).Add(shape.sizes[d], {shape.Stride(d)});
    if (!gone[d]) results *= shape.sizes[d];
  }
  auto &p = Parameters();
  p.push_back(divisor);
  for (const auto *s : {&kept, &parts}) {
    p.push_back(s->rank);
    p.insert(p.end(), s->sizes, s->sizes + s->rank);
    p.insert(p.end(), s->strides[0], s->strides[0] + s->rank);
  }
  Add(kernels_.reduce(code, type), {out, source}, 1);
  Spend(shape.Count());
  if (kept.rank == 0) return;
  const int64_t size = SizeOf(type), rows = kept.sizes[0];
  Divide(rows, 2, {results / rows * size, kept.strides[0][0] * size});
}

// In how many equal blocks the rows of a matrix are added up, whose columns are the last dimensions: as many as the first
// dimensions have, so that steps before can be divided alike. 0 if it isn't such a matrix, or a small one, or has many columns.
inline int64_t RowBlocks(const Shape &shape, const bool *gone, int64_t columns, int64_t about) {
  constexpr int64_t MOST_COLUMNS = 256, ENOUGH = 64;
  int d = 0;
  while (d < shape.rank && gone[d]) d++;
  for (int kept = d; kept < shape.rank; kept++)
    if (gone[kept] && shape.sizes[kept] > 1) return 0;
  if (d == 0 || d == shape.rank || columns > MOST_COLUMNS || about < 2) return 0;
  int64_t blocks = 1, rows = 1;
  for (int i = 0; i < d; i++) rows *= shape.sizes[i];
  for (int i = 0; i < d && blocks < std::min(about, ENOUGH); i++) blocks *= shape.sizes[i];
  if (blocks < rows) return blocks;
  for (blocks = std::max(about, ENOUGH); blocks < std::max(about, ENOUGH) + MOST_TRIED; blocks++)
    if (blocks < rows && rows % blocks == 0) return blocks;
  return 0;
}

inline bool Plan::Reader::ReadReduction(Code code, const Shape &shape, int32_t source, const bool *gone, bool keep) {
  const Type type = values_[source].type;
  const bool logical = code == Code::All || code == Code::Any;
  if (logical != (type == Type::BOOL) || kernels_.reduce(code, type) == nullptr) return false;
  Shape result;
  int64_t reduced = 1;
  for (int d = 0; d < shape.rank; d++) {
    if (gone[d]) reduced *= shape.sizes[d];
    if (!gone[d] || keep) result.sizes[result.rank++] = gone[d] ? 1 : shape.sizes[d];
  }
  const int64_t count = shape.Count();
  if (count == 0) {
    // TensorFlow has the mean of nothing, and errors.
    if (result.Count() > 0 && code != Code::Sum && code != Code::Any) return false;
    const int32_t none = New(type, result);
    if (result.Count() > 0) Fill(none, ZERO);
    return true;
  }
  if (reduced == 1) {
    View(source, result);
    return true;
  }
  const int64_t divisor = code == Code::Mean ? reduced : 0;
  // Threads share the blocks of many numbers. Their size is the same for any number of threads, so that results are, too.
  constexpr int64_t BLOCK = 1 << 14;
  const int64_t about = count / BLOCK, size = SizeOf(type);
  // The same for sums of columns, such as gradients of a bias: threads, and steps before, share blocks of rows.
  const bool sums = type == Type::FLOAT && (code == Code::Sum || code == Code::Mean);
  const int64_t columns = count / reduced, shared = sums ? RowBlocks(shape, gone, columns, about) : 0;
  if (shared > 0) {
    const Shape rows{3, {shared, reduced / shared, columns}}, few{2, {shared, columns}};
    const bool middle[] = {false, true, false};
    const int32_t parts = New(type, few);
    values_[parts].hidden = true;
    ReduceInto({parts}, {source}, Code::Sum, rows, middle, 0);
    SumRows(New(type, result), {parts, few, code, divisor});
    return true;
  }
  if (reduced < count || about < 2) {
    ReduceInto({New(type, result)}, {source}, code, shape, gone, divisor);
    return true;
  }
  // Equal blocks, if there are some of about that size: then steps before can be computed block by block, too.
  int64_t blocks = about, block = BLOCK;
  for (int64_t equal = about; equal < std::min(4 * about, about + MOST_TRIED); equal++)
    if (count % equal == 0) {
      blocks = equal;
      block = count / equal;
      break;
    }
  const int64_t rest = count - blocks * block;
  const Code each = code == Code::Mean ? Code::Sum : code;
  const Shape whole{2, {blocks, block}}, tail{1, {rest}}, few{1, {blocks + (rest > 0)}};
  const bool row[] = {false, true}, all[] = {true};
  const int32_t parts = New(type, few);
  values_[parts].hidden = true;
  ReduceInto({parts}, {source}, each, whole, row, 0);
  if (rest > 0) ReduceInto({parts, blocks * size}, {source, blocks * block * size}, each, tail, all, 0);
  ReduceInto({New(type, result)}, {parts}, code, few, all, divisor);
  return true;
}

// Nanoseconds of TensorFlow's for a node.
constexpr double NODE = 2500;

// StridedSlice and its relatives. Attributes: begin, end, ellipsis, new axis and shrink axis masks, of which only those of
// begin and end may be set.
inline bool Plan::Reader::ReadSlices(Code code) {
  const bool gradient = code == Code::StridedSliceGrad;
  const Words begins = Known(1), ends = Known(2), steps = Known(3);
  if (!begins || !ends || !steps) return false;
  for (int i = 2; i < 5; i++)
    if (attributes_[i] != 0) return false;
  Shape whole;
  if (gradient) {
    const Words sizes = Known(0);
    if (!sizes) return false;
    whole = ShapeOf(sizes);
  } else {
    whole = In(0).shape;
  }
  const int64_t given = begins.count;
  if (given > whole.rank) return false;
  Shape part = whole;
  int64_t offset = 0, strides[MAX_RANK], dense[MAX_RANK];
  for (int d = 0; d < whole.rank; d++) {
    const int64_t size = whole.sizes[d];
    strides[d] = whole.Stride(d);
    if (d >= given) continue;
    // Longer steps choose the same, but products with them could overflow.
    const int64_t step = std::clamp<int64_t>(steps[d], -size - 1, size + 1);
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
    CopyInto(NewOf(inputs_[0], part), 0, dense, inputs_[0], offset, strides, part);
    return true;
  }
  constexpr int update = 4;
  if (!(In(update).shape == part)) return false;
  const Type type = In(update).type;
  const int32_t out = New(type, whole);
  Padded padded{inputs_[update], -1, part, 0, offset, {}};
  std::copy_n(strides, part.rank, padded.strides);
  if (!gradient) {
    CopyWhole(out, inputs_[0]);
    WritePart(out, padded, false);
    return true;
  }
  Pad(out, padded);
  return true;
}

// Zeros to which rows are added at indices, along the dimension that is the first attribute; the second one is its length.
inline bool Plan::Reader::ReadIndexAdd() {
  const Value rows = In(0), indices = In(1);
  const int dim = Axis(attributes_[0], rows.shape.rank);
  if (indices.type != Type::INT32 || indices.shape.rank != 1 || rows.type == Type::BOOL) return false;
  if (indices.shape.sizes[0] != rows.shape.sizes[dim]) return false;
  Shape shape = rows.shape;
  shape.sizes[dim] = attributes_[1];
  Pad(New(rows.type, shape), {inputs_[0], inputs_[1], rows.shape, dim, 0, {}});
  return true;
}

// Of matrices, or of many.
inline bool Plan::Reader::ReadProduct() {
  int32_t ids[] = {inputs_[0], inputs_[1]};
  bool turned[] = {attributes_[0] != 0, attributes_[1] != 0};
  for (int i = 0; i < 2; i++)
    if (values_[ids[i]].turned >= 0) {
      ids[i] = values_[ids[i]].turned;
      turned[i] = !turned[i];
    }
  for (const int32_t id : ids)
    if (values_[id].type != Type::FLOAT || values_[id].shape.rank < 2) return false;
  const auto size = [](const Shape &s, bool last) { return s.sizes[s.rank - (last ? 1 : 2)]; };
  // A matrix times a vector is read as the vector times the transposed matrix: no matrix is copied for a row.
  const bool isVector = size(values_[ids[1]].shape, !turned[1]) == 1;
  if (isVector) {
    std::swap(ids[0], ids[1]);
    std::swap(turned[0], turned[1]);
    for (bool &one : turned) one = !one;
  }
  const Value a = values_[ids[0]], b = values_[ids[1]];
  const bool turnedA = turned[0], turnedB = turned[1];
  const int64_t m = size(a.shape, turnedA), depth = size(a.shape, !turnedA), n = size(b.shape, !turnedB);
  if (depth != size(b.shape, turnedB)) return false;
  Shape batchA = a.shape, batchB = b.shape, shape;
  batchA.rank -= 2;
  batchB.rank -= 2;
  if (!Broadcast(batchA, batchB, shape)) return false;
  Strided<2> s;
  const int64_t sizeA = m * depth, sizeB = depth * n;
  for (int d = 0; d < shape.rank; d++)
    s.Add(shape.sizes[d], {BroadcastStride(batchA, shape, d) * sizeA, BroadcastStride(batchB, shape, d) * sizeB});
  const int64_t batches = shape.Count();
  shape.sizes[shape.rank++] = isVector ? n : m;
  shape.sizes[shape.rank++] = isVector ? m : n;
  const int32_t out = New(Type::FLOAT, shape);
  if (shape.Count() == 0) return true;
  if (depth == 0) {
    Fill(out, ZERO);
    return true;
  }
  auto &p = Parameters();
  p.insert(p.end(), {0, m, 0, n, m, n, depth, turnedA, turnedB, s.rank});
  p.insert(p.end(), s.sizes, s.sizes + s.rank);
  for (int k = 0; k < 2; k++) p.insert(p.end(), s.strides[k], s.strides[k] + s.rank);
  Add(kernels_.matMul, {{out}, {ids[0]}, {ids[1]}}, 1);
  // A small matrix has to be read, or copied, for few products.
  Spend(batches * n * depth, 0.3);
  Spend(batches * m * n * depth, 0.025);
  if (s.rank > 0 && s.sizes[0] >= threads_)
    Divide(s.sizes[0], 10, {batches / s.sizes[0] * m * n * 4, s.strides[0][0] * 4, s.strides[1][0] * 4});
  else if (n > m) DivideRange(n, 32, 2);
  else DivideRange(m, 12, 0);
  return true;
}

// Nanoseconds for an element, here and in TensorFlow. Measured with a million.
inline std::pair<double, double> UnaryCosts(Code code) {
  switch (code) {
    case Code::Sin:
    case Code::Cos:
    case Code::Atan:
      return {1.5, 2};
    case Code::Tan:
      return {1.5, 15};
    case Code::Asin:
    case Code::Acos:
    case Code::Atanh:
      return {15, 3};
    case Code::Erfc:
    case Code::Trigamma:
    case Code::Sinh:
    case Code::Cosh:
    case Code::Acosh:
    case Code::Lgamma:
    case Code::Digamma:
      return {18, 30};
    case Code::Asinh:
      return {25, 50};
    case Code::Erfinv:
      return {4, 40};
    // TensorFlow's graphs have some nodes for each of them.
    case Code::Gelu:
    case Code::GeluTanh:
    case Code::Silu:
      return {1, 4};
    default:
      return {0.7, 0.7};
  }
}

inline bool Plan::Reader::ReadNode() {
  const Code code = static_cast<Code>(Next());
  Require(code >= Code::Neg && code <= Code::Constant);
  if (code == Code::Constant) {
    Value value = ReadValue();
    value.constant = true;
    value.root = constantRoot_;
    value.place = static_cast<int64_t>(plan_.constants_.size()) * 4;
    const Words words = Take((BytesOf(value) + 3) / 4);
    plan_.constants_.insert(plan_.constants_.end(), words.data, words.data + words.count);
    if (value.type == Type::INT32 && words.count > 0) {
      const auto [least, most] = std::minmax_element(words.data, words.data + words.count);
      value.numbers.least = *least;
      value.numbers.most = *most;
    }
    values_.push_back(value);
    return true;
  }
  inputCount_ = Length();
  const int32_t outputs = Next();
  Require(outputs > 0 && outputs <= MAX_OUTPUTS);
  const int32_t attributeCount = Length();
  inputIds_.clear();
  for (int32_t i = 0; i < inputCount_; i++) inputIds_.push_back(ReadId());
  inputs_ = {inputIds_.data(), inputCount_};
  attributes_ = Take(attributeCount);
  plan_.costs_.library += NODE;
  const bool product = code == Code::MatMul || code == Code::BatchMatMulV2;
  if (code != Code::AddV2)
    for (int32_t i = 0; i < inputCount_; i++)
      if (!product || In(i).turned < 0) Settle(inputs_[i]);
  if (code <= Code::Huber) {
    const Value x = In(0);
    const Kernel kernel = kernels_.unary(code, x.type);
    if (kernel == nullptr) return false;
    const Type type = code == Code::IsNan ? Type::BOOL : x.type;
    const int32_t out = New(type, x.shape);
    const int64_t count = x.shape.Count();
    if (count == 0) return true;
    Parameters({count, Number(0), Number(1), Number(2)});
    Add(kernel, {{out}, {inputs_[0]}}, 1, type == x.type ? 1 : 0);
    const auto [own, library] = UnaryCosts(code);
    Spend(count, own, library);
    Divide(count, 0, {SizeOf(type), SizeOf(x.type)});
    return true;
  }
  if (code <= Code::SiluGrad) return ReadBinary(code);
  if (code >= Code::LeakyReluGrad && code <= Code::HuberGrad) {
    const Shape shape = In(0).shape;
    const int64_t count = shape.Count();
    for (int i = 0; i < 2; i++) RequireFloats(i, count);
    const int32_t out = New(Type::FLOAT, shape);
    if (count == 0) return true;
    Parameters({count, Number(0), Number(1), Number(2)});
    Add(kernels_.piecewiseGrad(code), {{out}, {inputs_[0]}, {inputs_[1]}}, 1, 1);
    Spend(count);
    Divide(count, 0, {4, 4, 4});
    return true;
  }
  if (code <= Code::Any) {
    const Words axes = Known(1);
    if (!axes) return false;
    bool gone[MAX_RANK] = {};
    const Shape shape = In(0).shape;
    for (int64_t i = 0; i < axes.count; i++) gone[Axis(axes[i], shape.rank)] = true;
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
      Divide(count, 0, {SizeOf(type), SizeOf(x.type)});
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
      values_[out].numbers = Chosen(which, inputs_[1], inputs_[2]);
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
      const int64_t size = SizeOf(a.type);
      Divide(s.sizes[0], 1, {s.strides[0][0] * size, s.strides[1][0], s.strides[2][0] * size, s.strides[3][0] * size});
      return true;
    }
    case Code::Reshape: {
      const Words sizes = Known(1);
      if (!sizes || sizes.count > MAX_RANK) return false;
      Shape shape;
      shape.rank = static_cast<int>(sizes.count);
      int open = -1;
      for (int d = 0; d < shape.rank; d++) {
        shape.sizes[d] = sizes[d];
        if (sizes[d] >= 0) continue;
        Require(open < 0);
        open = d;
        shape.sizes[d] = 1;
      }
      Check(shape);
      const int64_t known = shape.Count();
      if (open >= 0) shape.sizes[open] = known == 0 ? 0 : In(0).shape.Count() / known;
      if (shape.Count() != In(0).shape.Count()) return false;
      View(inputs_[0], shape);
      return true;
    }
    case Code::Transpose: {
      const Words order = Known(1);
      const Value x = In(0);
      if (!order || order.count != x.shape.rank) return false;
      Shape shape;
      shape.rank = x.shape.rank;
      int64_t strides[MAX_RANK], dense[MAX_RANK];
      bool taken[MAX_RANK] = {};
      for (int d = 0; d < shape.rank; d++) {
        Require(order[d] >= 0 && order[d] < shape.rank && !taken[order[d]]);
        taken[order[d]] = true;
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
      // Products read transposed matrices as they lie.
      const int last = shape.rank - 1;
      bool matrices = x.type == Type::FLOAT && order[last] == last - 1 && order[last - 1] == last;
      for (int d = 0; d < last - 1; d++) matrices = matrices && order[d] == d;
      const int32_t out = NewOf(inputs_[0], shape);
      if (matrices) values_[out].turned = inputs_[0];
      else CopyInto(out, 0, dense, inputs_[0], 0, strides, shape);
      return true;
    }
    case Code::BroadcastTo: {
      const Words sizes = Known(1);
      const Value x = In(0);
      if (!sizes) return false;
      const Shape shape = ShapeOf(sizes);
      Shape both;
      Require(Broadcast(x.shape, shape, both) && both == shape);
      if (shape.Count() == x.shape.Count()) {
        View(inputs_[0], shape);
        return true;
      }
      int64_t strides[MAX_RANK], dense[MAX_RANK];
      for (int d = 0; d < shape.rank; d++) {
        dense[d] = shape.Stride(d);
        strides[d] = BroadcastStride(x.shape, shape, d);
      }
      CopyInto(NewOf(inputs_[0], shape), 0, dense, inputs_[0], 0, strides, shape);
      return true;
    }
    case Code::ConcatV2: {
      const Words given = Known(inputCount_ - 1);
      if (!given) return false;
      Shape shape = In(0).shape;
      const Type type = In(0).type;
      const int axis = Axis(given[0], shape.rank);
      int64_t length = 0;
      for (int i = 0; i + 1 < inputCount_; i++) {
        const Shape part = In(i).shape;
        length += shape.sizes[axis] = part.sizes[axis];
        Require(part == shape);
      }
      shape.sizes[axis] = length;
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
    case Code::SplitV:
    case Code::Unpack: {
      const bool unpacks = code == Code::Unpack;
      const bool equal = code != Code::SplitV;
      const int source = code == Code::Split ? 1 : 0;
      const Words given = unpacks ? attributes_ : Known(equal ? 0 : 2);
      const Words lengths = equal ? Words{} : Known(1);
      if (!given || (!equal && !lengths)) return false;
      const Shape whole = In(source).shape;
      const Type type = In(source).type;
      const int axis = Axis(given[0], whole.rank);
      if (unpacks) Require(whole.sizes[axis] == outputs);
      int64_t at = 0, strides[MAX_RANK], own[MAX_RANK];
      for (int d = 0; d < whole.rank; d++) strides[d] = whole.Stride(d);
      bool front = true;
      for (int d = 0; d < axis; d++) front = front && whole.sizes[d] == 1;
      const int32_t from = inputs_[source];
      for (int i = 0; i < outputs; i++) {
        Shape part = whole;
        part.sizes[axis] = equal ? whole.sizes[axis] / outputs : lengths[i];
        Shape result = part;
        if (unpacks) std::copy(part.sizes + axis + 1, part.sizes + part.rank, result.sizes + axis), result.rank--;
        if (front) {
          View(from, result, at * strides[axis] * SizeOf(type));
        } else {
          for (int d = 0; d < part.rank; d++) own[d] = part.Stride(d);
          CopyInto(NewOf(from, result), 0, own, from, at * strides[axis], strides, part);
        }
        at += part.sizes[axis];
      }
      Require(at == whole.sizes[axis]);
      return true;
    }
    case Code::Slice: {
      const Words begins = Known(1), sizes = Known(2);
      if (!begins || !sizes) return false;
      const Value x = In(0);
      Shape shape = x.shape;
      int64_t offset = 0, strides[MAX_RANK], dense[MAX_RANK];
      for (int d = 0; d < shape.rank; d++) {
        const int64_t rest = x.shape.sizes[d] - begins[d];
        Require(begins[d] >= 0 && rest >= 0 && sizes[d] <= rest);
        shape.sizes[d] = sizes[d] < 0 ? rest : sizes[d];
        strides[d] = x.shape.Stride(d);
        offset += begins[d] * strides[d];
      }
      bool contiguous = shape.Count() > 0;
      for (int d = 0; d < shape.rank; d++) {
        dense[d] = shape.Stride(d);
        if (shape.sizes[d] != 1 && strides[d] != dense[d]) contiguous = false;
      }
      if (contiguous) View(inputs_[0], shape, offset * SizeOf(x.type));
      else CopyInto(NewOf(inputs_[0], shape), 0, dense, inputs_[0], offset, strides, shape);
      return true;
    }
    case Code::StridedSlice:
    case Code::StridedSliceGrad:
    case Code::TensorStridedSliceUpdate:
      return ReadSlices(code);
    case Code::PadV2: {
      const Words pads = Known(1);
      const Value x = In(0);
      if (!pads) return false;
      Shape shape = x.shape;
      for (int d = 0; d < shape.rank; d++) {
        const int64_t before = pads[2 * d], after = pads[2 * d + 1];
        Require(before >= 0 && after >= 0);
        shape.sizes[d] += before + after;
      }
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
      const Words axes = Known(1);
      const Value x = In(0);
      if (!axes) return false;
      int64_t offset = 0, strides[MAX_RANK], dense[MAX_RANK];
      for (int d = 0; d < x.shape.rank; d++) strides[d] = dense[d] = x.shape.Stride(d);
      for (int64_t i = 0; i < axes.count; i++) {
        const int d = Axis(axes[i], x.shape.rank);
        offset += (x.shape.sizes[d] - 1) * dense[d];
        strides[d] = -dense[d];
      }
      CopyInto(NewOf(inputs_[0], x.shape), 0, dense, inputs_[0], offset, strides, x.shape);
      return true;
    }
    case Code::Fill: {
      const Words sizes = Known(0);
      if (!sizes) return false;
      const Shape shape = ShapeOf(sizes);
      const int32_t out = New(In(1).type, shape);
      if (shape.Count() > 0) Fill(out, inputs_[1]);
      return true;
    }
    case Code::GatherV2: {
      const Words given = Known(2);
      const Value rows = In(0), indices = In(1);
      if (!given || indices.type != Type::INT32) return false;
      const int axis = Axis(given[0], rows.shape.rank);
      const int batch = attributes_[0];
      if ((batch != 0 && batch != axis) || batch > indices.shape.rank) return false;
      Require(std::equal(rows.shape.sizes, rows.shape.sizes + batch, indices.shape.sizes));
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
      Bind(inputs_[1], 0, rows.shape.sizes[axis]);
      // TensorFlow copies row by row, through a call for each.
      Spend(count + outer * chosen * (width == 1 ? 2 : 4), 0.5, width < 16 ? 4 : 0.5);
      const int64_t size = SizeOf(rows.type);
      if (outer == 1) Divide(chosen, 2, {width * size, 0, 4});
      else Divide(outer, 0, {chosen * width * size, rows.shape.sizes[axis] * width * size, batch > 0 ? 4 * chosen : 0});
      return true;
    }
    case Code::UnsortedSegmentSum:
    case Code::UnsortedSegmentMax: {
      const Words segments = Known(2);
      const Value rows = In(0), ids = In(1);
      if (!segments || ids.type != Type::INT32 || rows.type == Type::BOOL) return false;
      if (ids.shape.rank == 0 || ids.shape.rank > rows.shape.rank) return false;
      for (int d = 0; d < ids.shape.rank; d++)
        if (rows.shape.sizes[d] != ids.shape.sizes[d]) return false;
      Shape shape;
      shape.sizes[shape.rank++] = segments[0];
      int64_t width = 1;
      for (int d = ids.shape.rank; d < rows.shape.rank; d++) width *= shape.sizes[shape.rank++] = rows.shape.sizes[d];
      const int32_t out = New(rows.type, shape);
      Parameters({segments[0], ids.shape.Count(), 0, width, width});
      const auto &kernels = code == Code::UnsortedSegmentSum ? kernels_.segmentSum : kernels_.segmentMax;
      Add(kernels[rows.type == Type::FLOAT ? 0 : 1], {{out}, {inputs_[0]}, {inputs_[1]}}, 1);
      Bind(inputs_[1], std::numeric_limits<int32_t>::min(), segments[0]);
      // A call for each row costs more than few numbers.
      Spend(shape.Count() + rows.shape.Count() * (width < 16 ? 3 : 1), 0.5, width < 16 ? 1.5 : 0.5);
      DivideRange(width, 16, 2);
      return true;
    }
    case Code::TensorScatterUpdate:
    case Code::TensorScatterAdd:
    case Code::TensorScatterMax:
    case Code::TensorScatterMin: {
      const Value x = In(0), indices = In(1), rows = In(2);
      const bool update = code == Code::TensorScatterUpdate;
      if (indices.type != Type::INT32 || indices.shape.rank == 0 || rows.type != x.type) return false;
      if (x.type == Type::BOOL && !update) return false;
      const int64_t depth = indices.shape.sizes[indices.shape.rank - 1];
      if (depth > x.shape.rank || depth == 0) return false;
      int64_t width = 1, strides[MAX_RANK];
      for (int d = static_cast<int>(depth); d < x.shape.rank; d++) width *= x.shape.sizes[d];
      for (int d = 0; d < x.shape.rank; d++) strides[d] = x.shape.Stride(d);
      const int64_t places = indices.shape.Count() / depth;
      Require(places * width == rows.shape.Count());
      const int32_t out = New(x.type, x.shape);
      CopyWhole(out, inputs_[0]);
      auto &p = Parameters();
      p.insert(p.end(), {places, depth, width});
      for (int d = 0; d < depth; d++) p.push_back(x.shape.sizes[d]);
      for (int d = 0; d < depth; d++) p.push_back(strides[d]);
      const int mode = update ? 0 : code == Code::TensorScatterAdd ? 1 : code == Code::TensorScatterMax ? 2 : 3;
      Add(kernels_.scatter[Scattered(mode, x.type)], {{out}, {inputs_[1]}, {inputs_[2]}}, 1);
      Bind(inputs_[1], 0, *std::min_element(x.shape.sizes, x.shape.sizes + depth));
      // TensorFlow starts an expression for each place.
      Spend(rows.shape.Count() + indices.shape.Count(), 1, width < 16 ? 10 : 2);
      return true;
    }
    case Code::ScatterRows: {
      const Value x = In(0), places = In(1), given = In(2);
      if (places.type != Type::INT32 || given.type != x.type || places.shape.Count() != given.shape.Count() ||
          x.shape.rank == 0 || places.shape.rank == 0)
        return false;
      const int mode = attributes_[0];
      Require(mode >= 0 && mode <= 4);
      if (x.type == Type::BOOL && mode != 0) return false;
      const int64_t length = x.shape.sizes[x.shape.rank - 1], n = places.shape.sizes[places.shape.rank - 1];
      const int64_t rows = n == 0 ? 0 : given.shape.Count() / n, size = SizeOf(x.type);
      if (rows > 0 && rows * length != x.shape.Count()) return false;
      const int32_t out = New(x.type, x.shape);
      CopyWhole(out, inputs_[0]);
      if (rows == 0) return true;
      Parameters({rows, length, n});
      Add(kernels_.scatterRows[Scattered(mode, x.type)], {{out}, {inputs_[1]}, {inputs_[2]}}, 1);
      Bind(inputs_[1], 0, length);
      Spend(given.shape.Count(), 1.5, 30);
      Divide(rows, 0, {length * size, 4 * n, n * size});
      return true;
    }
    case Code::ArgMax:
    case Code::ArgMin: {
      const Words given = Known(1);
      const Value x = In(0);
      if (!given || x.type == Type::BOOL || x.shape.rank == 0) return false;
      const int axis = Axis(given[0], x.shape.rank);
      Shape shape;
      int64_t outer = 1;
      for (int d = 0; d < x.shape.rank; d++) {
        if (d == axis) continue;
        if (d < axis) outer *= x.shape.sizes[d];
        shape.sizes[shape.rank++] = x.shape.sizes[d];
      }
      const int32_t out = New(Type::INT32, shape);
      if (x.shape.Count() == 0) return false;
      const int64_t length = x.shape.sizes[axis], inner = x.shape.Stride(axis);
      Parameters({outer, 0, inner, length, inner});
      Add(kernels_.argExtreme[(x.type == Type::FLOAT ? 0 : 2) + (code == Code::ArgMin)], {{out}, {inputs_[0]}}, 1);
      Spend(x.shape.Count(), 1, 4);
      if (outer > 1) Divide(outer, 0, {4 * inner, 4 * inner * length});
      else DivideRange(inner, 16, 1);
      return true;
    }
    case Code::Cumsum:
    case Code::Cumprod: {
      const Words given = Known(1);
      const Value x = In(0);
      if (!given || x.type == Type::BOOL || x.shape.rank == 0) return false;
      const int axis = Axis(given[0], x.shape.rank);
      const int64_t count = x.shape.Count(), inner = x.shape.Stride(axis), length = x.shape.sizes[axis];
      const int32_t out = New(x.type, x.shape);
      if (count == 0) return true;
      const int64_t outer = count / (inner * length);
      Parameters({outer, 0, inner, length, inner, attributes_[0], attributes_[1]});
      Add(kernels_.cumulate[(x.type == Type::FLOAT ? 0 : 2) + (code == Code::Cumprod)], {{out}, {inputs_[0]}}, 1);
      Spend(count, 1.5, 15);
      if (outer > 1) Divide(outer, 0, {4 * inner * length, 4 * inner * length});
      else DivideRange(inner, 16, 1);
      return true;
    }
    case Code::Softmax:
    case Code::LogSoftmax:
    case Code::SoftmaxGrad:
    case Code::LogSoftmaxGrad:
    case Code::SparseSoftmaxCrossEntropyWithLogits:
      return ReadRows(code);
    case Code::LayerNorm:
      return ReadLayerNorm();
    case Code::LayerNormGrad:
      return ReadLayerNormGrad();
    case Code::CtcLoss:
      return ReadCtcLoss();
    case Code::GridSample:
    case Code::GridSampleInputGrad:
    case Code::GridSampleGridGrad:
      return ReadGridSample(code);
    case Code::IndexAdd:
      return ReadIndexAdd();
    case Code::WindowMaxima:
      return ReadWindowMaxima();
    case Code::TopKV2: {
      const Words given = Known(1);
      const Value x = In(0);
      if (!given || x.type == Type::BOOL || x.shape.rank == 0 || x.shape.Count() == 0) return false;
      Shape shape = x.shape;
      const int64_t n = shape.sizes[shape.rank - 1];
      const int64_t wanted = given[0];
      if (wanted < 1 || wanted > n) return false;
      shape.sizes[shape.rank - 1] = wanted;
      const int32_t largest = New(x.type, shape);
      const int32_t places = New(Type::INT32, shape);
      const int64_t rows = x.shape.Count() / n;
      Parameters({rows, n, wanted});
      Add(kernels_.topK[x.type == Type::FLOAT ? 0 : 1], {{largest}, {places}, {inputs_[0]}}, 2);
      const bool all = wanted == n;
      Spend(x.shape.Count(), all ? 12 : 3, all ? 80 : 6);
      Divide(rows, 0, {4 * shape.sizes[shape.rank - 1], 4 * shape.sizes[shape.rank - 1], 4 * n});
      return true;
    }
    case Code::AdamStep: {
      const Shape shape = In(0).shape;
      for (int i = 0; i < inputCount_; i++)
        if (In(i).type != Type::FLOAT || (i < 4 ? !(In(i).shape == shape) : In(i).shape.Count() != 1)) return false;
      const int32_t p = New(Type::FLOAT, shape), m = New(Type::FLOAT, shape), v = New(Type::FLOAT, shape);
      const int64_t count = shape.Count();
      if (count == 0) return true;
      const bool shrinks = inputCount_ > 7;
      Parameters({count, attributes_[0], attributes_[1], attributes_[2], shrinks});
      Add(kernels_.adamStep,
          {{p}, {m}, {v}, {inputs_[0]}, {inputs_[1]}, {inputs_[2]}, {inputs_[3]}, {inputs_[4]}, {inputs_[5]}, {inputs_[6]},
           {inputs_[shrinks ? 7 : 6]}},
          3);
      Spend(count, 1.5);
      Divide(count, 0, {4, 4, 4, 4, 4, 4, 4, 0, 0, 0, 0});
      return true;
    }
    case Code::CheckNumerics: {
      const Shape shape = In(0).shape;
      const int64_t count = shape.Count();
      if (In(0).type != Type::FLOAT) return false;
      const int32_t out = New(Type::FLOAT, shape);
      if (count == 0) return true;
      Parameters({count});
      Add(kernels_.checkNumerics, {{out}, {inputs_[0]}}, 1, 1);
      plan_.refuses_ = true;
      Spend(count);
      return true;
    }
    case Code::MatrixInverse:
    case Code::MatrixSolve:
    case Code::MatrixTriangularSolve:
    case Code::LogMatrixDeterminant:
    case Code::Cholesky:
    case Code::LuFactor:
    case Code::Qr:
    case Code::SelfAdjointEigV2:
    case Code::Svd:
      return ReadMatrices(code);
    case Code::LstmSequence:
    case Code::LstmSequenceGrad:
    case Code::GruSequence:
    case Code::GruSequenceGrad:
    case Code::RnnSequence:
    case Code::RnnSequenceGrad:
      return ReadSequences(code);
    case Code::PivotOrder:
      return ReadPivotOrder();
    case Code::MatMul:
    case Code::BatchMatMulV2:
      return ReadProduct();
    case Code::MaxPool:
    case Code::MaxPoolGrad:
      return ReadPooling(code);
    case Code::FusedBatchNormV3:
    case Code::FusedBatchNormGradV3:
      return ReadBatchNorm(code);
    case Code::ChannelMoments:
      return ReadMoments();
    case Code::GroupNorm:
    case Code::GroupNormGrad:
      return ReadGroupNorm(code);
    default:
      return ReadConvolution(code);
  }
}

}  // namespace layerwise
