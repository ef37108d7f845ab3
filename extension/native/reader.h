// Reads a plan: infers shapes, chooses kernels, and gives values their places in memory.
#pragma once

#include "plan.h"
#include "words.h"

namespace layerwise {

class Plan::Reader {
 public:
  Reader(Plan &plan, const int32_t *code, int64_t length, int threads)
      : plan_(plan), kernels_(BestKernels()), next_(code), end_(code + length), threads_(threads) {}

  bool Read() {
    const int32_t leaves = Length();
    for (int32_t i = 0; i < leaves; i++) {
      Value value = ReadValue();
      value.root = i;
      value.place = 0;
      value.numbers.leaf = i;
      plan_.leaves_.push_back({value.type, value.shape, {i, 0}});
      values_.push_back(value);
      ids_.push_back(i);
    }
    constantRoot_ = leaves;
    // Its first word is ZERO, so that even a constant without elements has a place.
    plan_.constants_.push_back(0);
    const int32_t nodes = Length();
    values_.reserve(static_cast<size_t>(leaves) + nodes);
    ids_.reserve(static_cast<size_t>(leaves) + nodes);
    for (int32_t i = 0; i < nodes; i++) {
      const int32_t from = static_cast<int32_t>(values_.size());
      if (!ReadNode()) return false;
      Require(static_cast<int64_t>(values_.size()) <= MAX_VALUES &&
              static_cast<int64_t>(plan_.parameters_.size()) <= MAX_ALL_PARAMETERS);
      for (int32_t id = from; id < static_cast<int32_t>(values_.size()); id++)
        if (!values_[id].hidden) ids_.push_back(id);
    }
    const int32_t outputs = Length();
    std::vector<int32_t> results;
    for (int32_t i = 0; i < outputs; i++) results.push_back(ReadId());
    for (const int32_t id : results) Settle(id);
    const int32_t end = static_cast<int32_t>(plan_.steps_.size());
    for (int32_t i = 0; i < outputs; i++) {
      Value &value = values_[Source(results[i])];
      if (IsMissing(value)) return false;
      value.last = end;
      value.placed = true;
      // It is written where it is wanted, if it isn't a part of another.
      const Value &result = values_[results[i]];
      if (value.root >= 0 || result.offset != 0 || !(result.shape.Count() == value.shape.Count())) continue;
      value.root = constantRoot_ + 2 + i;
      value.place = 0;
    }
    if (next_ != end_ || missing_) return false;
    Gather();
    Place();
    Join();
    Confine();
    for (const int32_t id : results)
      plan_.outputs_.push_back({values_[id].type, values_[id].shape, At(id, 0)});
    plan_.Trim();
    return true;
  }

 private:
  Plan &plan_;
  const Kernels &kernels_;
  const int32_t *next_;
  const int32_t *const end_;
  const int threads_;
  // Whether a step reads what no step writes: an output of a node that has no kernel.
  bool missing_ = false;
  int32_t constantRoot_ = 0;
  std::vector<Value> values_;
  // The plan's numbers of its values, as places among them: those that a node needs for itself have none.
  std::vector<int32_t> ids_;
  // Stands for a value, the number 0.
  static constexpr int32_t ZERO = -1;
  // Of each operand while its place isn't known: a value, and bytes to add.
  std::vector<std::pair<int32_t, int64_t>> places_;

  // A tensor that is zeros but for a slice, or for rows that are added at indices. A loop over a sequence adds up as many as it has
  // steps: each is added where it is not zero, and written as a whole only for another reader.
  struct Padded {
    int32_t part;
    // Of the rows, or -1 for a slice.
    int32_t indices;
    // Of the slice, or the rows' parts: those before and after the dimension that has an index.
    Shape shape;
    int dim;
    // Of the slice, in elements of the whole.
    int64_t offset;
    int64_t strides[MAX_RANK];
  };
  std::vector<Padded> padded_;

  // A tensor that is the sum of the rows of another, or their mean by a divisor: added up when it is read, so that steps in between can
  // join those that wrote the rows.
  struct Summed {
    int32_t rows;
    Shape shape;
    Code code;
    int64_t divisor;
  };
  std::vector<Summed> summed_;

  // The node that is read.
  int32_t inputCount_ = 0;
  std::vector<int32_t> inputIds_;
  Words inputs_;
  Words attributes_;

  // Elements of a value. Some kernels count them with 32 bits, and products of two such numbers fit into 64.
  static constexpr int64_t MAX_ELEMENTS = std::numeric_limits<int32_t>::max();
  // Limits far beyond those of real plans, so that a malformed one can't fill the memory: values and parameters of the plan, outputs
  // of a node, and taps of all steps of a convolution.
  static constexpr int64_t MAX_VALUES = 1 << 20;
  static constexpr int64_t MAX_ALL_PARAMETERS = 1 << 24;
  static constexpr int32_t MAX_OUTPUTS = 1 << 16;
  static constexpr int64_t MAX_LISTED = 1 << 20;

  int32_t Next() {
    Require(next_ < end_);
    return *next_++;
  }
  // The length of a list whose items have at least one number each.
  int32_t Length() {
    const int32_t length = Next();
    Require(length >= 0 && length <= end_ - next_);
    return length;
  }
  Words Take(int64_t count) {
    Require(count <= end_ - next_);
    const Words words{next_, count};
    next_ += count;
    return words;
  }
  int32_t ReadId() {
    const auto id = static_cast<uint32_t>(Next());
    Require(id < ids_.size());
    return ids_[id];
  }
  Value ReadValue() {
    Value value;
    value.type = static_cast<Type>(Next());
    Require(value.type == Type::FLOAT || value.type == Type::INT32 || value.type == Type::BOOL);
    value.shape = ShapeOf(Take(Length()));
    return value;
  }

  // Refuses sizes whose product, without zeros, is too large: strides are products of some of them.
  static void Check(const Shape &shape) {
    int64_t count = 1;
    for (int d = 0; d < shape.rank; d++) {
      const int64_t size = shape.sizes[d];
      Require(size >= 0 && size <= MAX_ELEMENTS);
      count *= std::max<int64_t>(size, 1);
      Require(count <= MAX_ELEMENTS);
    }
  }
  static Shape ShapeOf(const Words &sizes) {
    Require(sizes.count <= MAX_RANK);
    Shape shape;
    shape.rank = static_cast<int>(sizes.count);
    for (int d = 0; d < shape.rank; d++) shape.sizes[d] = sizes[d];
    Check(shape);
    return shape;
  }
  static int64_t BytesOf(const Value &value) { return value.shape.Count() * SizeOf(value.type); }
  // Refuses an input that doesn't have as many floats as a kernel reads.
  void RequireFloats(int i, int64_t count) { Require(In(i).type == Type::FLOAT && In(i).shape.Count() == count); }

  static bool IsMissing(const Value &value) { return value.root < 0 && value.first < 0 && value.shape.Count() > 0; }

  Value &In(int i) { return values_[inputs_[i]]; }
  // An attribute, or 0.
  int64_t Number(int64_t i) const { return i < attributes_.count ? attributes_[i] : 0; }
  int32_t Source(int32_t id) const { return values_[id].source < 0 ? id : values_[id].source; }

  // The numbers of an input that is a constant; false for another.
  Words Known(int i) {
    const Value &value = In(i);
    const Value &source = values_[Source(inputs_[i])];
    if (!source.constant || value.type != Type::INT32) return {};
    return {plan_.constants_.data() + (source.place + value.offset) / 4, value.shape.Count()};
  }

  int32_t New(Type type, const Shape &shape) {
    Check(shape);
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
    Check(shape);
    Require(offset >= 0 && value.offset + BytesOf(value) <= BytesOf(values_[value.source]));
    values_.push_back(value);
    return static_cast<int32_t>(values_.size()) - 1;
  }

  // A new value with numbers of another.
  int32_t NewOf(int32_t of, const Shape &shape) {
    const Numbers numbers = values_[of].numbers;
    const int32_t value = New(values_[of].type, shape);
    values_[value].numbers = numbers;
    return value;
  }

  // What is known of numbers that are chosen, by a condition, from the one value or the other.
  Numbers Chosen(const Value &condition, int32_t id, int32_t otherId) {
    Numbers one = values_[id].numbers, other = values_[otherId].numbers;
    if (!one.IsKnown() || !other.IsKnown() || (one.leaf >= 0 && other.leaf >= 0)) return {};
    if (one.leaf >= 0 && condition.differing == id) one.exception = condition.constantOf;
    Numbers &both = one.leaf >= 0 ? one : other;
    both.least = std::min(one.least, other.least);
    both.most = std::max(one.most, other.most);
    return both;
  }

  // Notes that the last step's kernel refuses an input's numbers that are below the lowest, or not below the end.
  void Bind(int32_t id, int64_t lowest, int64_t end) {
    const Numbers &numbers = values_[id].numbers;
    const bool within = numbers.least > numbers.most || (numbers.least >= lowest && numbers.most < end);
    if (!numbers.IsKnown() || !within) plan_.refuses_ = true;
    else if (numbers.leaf >= 0) plan_.bounds_.push_back({numbers.leaf, lowest, end, numbers.exception});
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
    step.parameterCount = static_cast<int32_t>(plan_.parameters_.size()) - pending_;
    for (const Arg &arg : operands) {
      places_.push_back({arg.value, arg.offset});
      if (arg.value == ZERO) continue;
      Value &value = values_[Source(arg.value)];
      if (IsMissing(value) && &arg - operands.begin() >= written) missing_ = true;
      if (value.first < 0) value.first = at;
      value.last = std::max(value.last, at);
    }
    plan_.steps_.push_back(step);
  }

  // Nanoseconds that are worth a thread: two of them halve the time of 64 K elements (30 µs). Nor do smaller steps join others.
  static constexpr double WORTH = 15e3;

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

  // Nanoseconds that the last step takes for each of its elements, here and in TensorFlow.
  void Spend(int64_t elements, double own, double library) {
    Costs &costs = plan_.steps_.back().costs;
    costs.own += 20 + own * static_cast<double>(elements);
    costs.library += library * static_cast<double>(elements);
  }
  void Spend(int64_t elements, double each = 0.5) { Spend(elements, each, each); }

  // Says how the last step can be divided: along a dimension whose size is one of its parameters. Each operand advances by so
  // many bytes from one place to the next.
  void Divide(int64_t total, int parameter, std::initializer_list<int64_t> bytes) {
    Step &step = plan_.steps_.back();
    if (total < 2 || step.count > MAX_OPERANDS || step.parameterCount > MAX_PARAMETERS) return;
    step.units = total;
    step.grain = 1;
    step.parameter = parameter;
    auto &advances = plan_.advances_;
    advances.resize(step.operands);
    advances.insert(advances.end(), bytes);
  }

  // The same along a dimension of which the kernel computes a range, whose ends are two of the parameters.
  void DivideRange(int64_t total, int64_t grain, int parameter) {
    Divide((total + grain - 1) / grain, parameter, {});
    plan_.steps_.back().range = true;
    plan_.steps_.back().grain = grain;
  }

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
  // Of update, add, maximum, minimum and product, in the order of the kernels' table.
  int Scattered(int mode, Type type) const {
    if (mode == 0) return type == Type::BOOL ? 3 : 0;
    return (mode == 1 ? 1 : 2 * mode) + (type == Type::FLOAT ? 0 : 1);
  }
  // A dimension of a shape, counted from the end if negative.
  static int Axis(int32_t axis, int rank) {
    if (axis < 0) axis += rank;
    Require(axis >= 0 && axis < rank);
    return axis;
  }

  bool ReadNode();
  bool ReadBinary(Code code);
  void ReduceInto(Arg out, Arg source, Code code, const Shape &shape, const bool *gone, int64_t divisor);
  bool ReadReduction(Code code, const Shape &shape, int32_t source, const bool *gone, bool keep);
  bool ReadSlices(Code code);
  bool AddPadded();
  void Pad(int32_t out, const Padded &padded);
  void SumRows(int32_t out, const Summed &summed);
  bool ReadIndexAdd();
  bool ReadWindowMaxima();
  bool ReadProduct();
  // A convolution with filters of 3 by 3 and steps of 1: images; the sizes of the result and of what is read; from a result's position
  // to the first one that it reads; channels.
  struct Tiled {
    int64_t images, high, wide, rows, columns, top, left, read, written;
    int64_t Count() const { return images * ((high + 1) / 2) * ((wide + 1) / 2); }
  };
  // How many times as fast by the estimate: below, with 16 channels, it is as fast as patches.
  static constexpr double MIN_GAIN = 1.15;
  static bool FitsTransformed(const Tiled &v);
  static double WinogradCost(const Tiled &v, double begun);
  bool AddWinograd(const Tiled &v, int32_t out, bool toInput, double patches);
  bool AddWinogradGradient(const Tiled &v, int32_t out, double patches);
  bool ReadConvolution(Code code);
  bool ReadPooling(Code code);
  bool ReadBatchNorm(Code code);
  bool ReadGroupNorm(Code code);
  bool ReadMoments();
  bool ReadMatrices(Code code);
  bool ReadPivotOrder();
  bool ReadRows(Code code);
  bool ReadLayerNorm();
  bool ReadLayerNormGrad();
  bool ReadCtcLoss();
  bool ReadSequences(Code code);
  bool ReadGridSample(Code code);
  void CopyInto(int32_t out, int64_t outOffset, const int64_t *outStrides, int32_t in, int64_t inOffset,
                const int64_t *inStrides, const Shape &shape, bool adds = false);
  void WritePart(int32_t out, const Padded &padded, bool adds);
  void RequireInside(const Value &value, int64_t offset, const int64_t *strides, const Shape &shape);
  void CopyWhole(int32_t out, int32_t in);
  void Settle(int32_t id);
  void Fill(int32_t out, int32_t scalar);
  bool Joins(const Step &step) const { return step.units > 0 && !step.range && !step.apart && step.costs.own >= WORTH; }
  void Gather();
  void Place();
  void Join();
  void Confine();
  Operand At(int32_t id, int64_t offset) const {
    const Value &value = values_[id];
    const Value &source = values_[Source(id)];
    // What has no elements may have no place.
    if (source.root < 0) return {constantRoot_, 0};
    return {source.root, source.place + value.offset + offset};
  }
};

// Refuses a tensor with these strides that reaches beyond a value.
inline void Plan::Reader::RequireInside(const Value &value, int64_t offset, const int64_t *strides, const Shape &shape) {
  int64_t first = offset, last = offset;
  for (int d = 0; d < shape.rank; d++) (strides[d] < 0 ? first : last) += (shape.sizes[d] - 1) * strides[d];
  Require(first >= 0 && last < value.shape.Count());
}

// Copies a tensor of a shape, or adds it to what is there, with strides of elements on both sides; offsets are in elements.
inline void Plan::Reader::CopyInto(int32_t out, int64_t outOffset, const int64_t *outStrides, int32_t in,
                                   int64_t inOffset, const int64_t *inStrides, const Shape &shape, bool adds) {
  const int64_t count = shape.Count();
  Require(values_[out].type == values_[in].type);
  if (count == 0) return;
  RequireInside(values_[out], outOffset, outStrides, shape);
  RequireInside(values_[in], inOffset, inStrides, shape);
  Strided<2> s;
  for (int d = 0; d < shape.rank; d++) s.Add(shape.sizes[d], {outStrides[d], inStrides[d]});
  s.Finish();
  Append(s);
  const Type type = values_[out].type;
  const int64_t size = SizeOf(type);
  Add(adds ? kernels_.addInto : kernels_.copy[Wide(type)], {{out, outOffset * size}, {in, inOffset * size}}, 1);
  Spend(count);
  // A few numbers that follow one another in the input are better read together: the kernel's places of a filter.
  const int d = s.rank > 1 && s.strides[1][0] == 1 && s.sizes[0] < 32 ? 1 : 0;
  Divide(s.sizes[d], 1 + d, {s.strides[0][d] * size, s.strides[1][d] * size});
  plan_.steps_.back().apart = d > 0;
}

// Writes the part of a tensor amid what is there, or adds it.
inline void Plan::Reader::WritePart(int32_t out, const Padded &padded, bool adds) {
  if (padded.indices >= 0) {
    const Type type = values_[out].type;
    const int64_t width = padded.shape.Stride(padded.dim), n = padded.shape.sizes[padded.dim], count = padded.shape.Count();
    const int64_t length = values_[out].shape.sizes[padded.dim], outer = count == 0 ? 0 : count / (n * width);
    if (outer == 0) return;
    Parameters({outer, length, n, 0, width, width});
    Add(kernels_.addRows[type == Type::FLOAT ? 0 : 1], {{out}, {padded.part}, {padded.indices}}, 1);
    Bind(padded.indices, 0, length);
    // TensorFlow's is a call for each row; other dimensions than the first are transposed, forth and back.
    const double library = width < 16 ? 1.5 : 0.5;
    Spend(count, width < 16 ? 1.5 : 0.5, outer > 1 ? library + 2 : library);
    if (outer > 1) Divide(outer, 0, {4 * length * width, 4 * n * width, 0});
    else DivideRange(width, 16, 3);
    return;
  }
  int64_t dense[MAX_RANK];
  for (int d = 0; d < padded.shape.rank; d++) dense[d] = padded.shape.Stride(d);
  CopyInto(out, padded.offset, padded.strides, padded.part, 0, dense, padded.shape, adds);
}

// Makes a value one that is zeros but for a part.
inline void Plan::Reader::Pad(int32_t out, const Padded &padded) {
  values_[out].padded = static_cast<int32_t>(padded_.size());
  padded_.push_back(padded);
  if (values_[out].type != Type::FLOAT) Settle(out);
}

// Makes a value the sum of some rows.
inline void Plan::Reader::SumRows(int32_t out, const Summed &summed) {
  values_[out].summed = static_cast<int32_t>(summed_.size());
  summed_.push_back(summed);
}

// Has a value written as a whole, for a reader that takes no other: transposed matrices, a part amid zeros, and sums of rows.
inline void Plan::Reader::Settle(int32_t id) {
  const Value value = values_[id];
  if (value.padded < 0 && value.turned < 0 && value.summed < 0) return;
  if (value.summed >= 0) {
    const Summed summed = summed_[value.summed];
    values_[id].summed = -1;
    const bool gone[] = {true, false};
    ReduceInto({id}, {summed.rows}, summed.code, summed.shape, gone, summed.divisor);
  }
  if (value.padded >= 0) {
    const Padded padded = padded_[value.padded];
    values_[id].padded = -1;
    Fill(id, ZERO);
    WritePart(id, padded, padded.indices >= 0);
  }
  if (value.turned < 0) return;
  values_[id].turned = -1;
  int64_t strides[MAX_RANK], dense[MAX_RANK];
  for (int d = 0; d < value.shape.rank; d++) strides[d] = dense[d] = value.shape.Stride(d);
  const int last = value.shape.rank - 1;
  strides[last - 1] = 1;
  strides[last] = value.shape.sizes[last - 1];
  CopyInto(id, 0, dense, value.turned, 0, strides, value.shape);
}

// Copies a tensor that is then changed: in its own memory, where nothing else reads it.
inline void Plan::Reader::CopyWhole(int32_t out, int32_t in) {
  const Shape shape = values_[out].shape;
  int64_t strides[MAX_RANK];
  for (int d = 0; d < shape.rank; d++) strides[d] = shape.Stride(d);
  if (shape.Count() == 0) return;
  CopyInto(out, 0, strides, in, 0, strides, shape);
  Step &step = plan_.steps_.back();
  step.reusable = 1;
  step.copies = true;
}

inline void Plan::Reader::Fill(int32_t out, int32_t scalar) {
  const int64_t count = values_[out].shape.Count();
  Require(scalar == ZERO || (values_[scalar].type == values_[out].type && values_[scalar].shape.Count() > 0));
  Parameters({count});
  Add(kernels_.fill[Wide(values_[out].type)], {{out}, {scalar}}, 1);
  Spend(count, 0.1);
  Divide(count, 0, {SizeOf(values_[out].type), 0});
}

// Moves steps up to the one that they can join: a layer's gradient is read by that of its bias, but the update of its weight is in between.
inline void Plan::Reader::Gather() {
  // Steps that are looked at. Safe bound.
  constexpr int32_t FAR = 16;
  auto &steps = plan_.steps_;
  const auto touches = [&](const Step &step, int32_t value, bool onlyWrites) {
    for (int32_t k = step.operands; k < step.operands + (onlyWrites ? step.outputs : step.count); k++)
      if (places_[k].first != ZERO && Source(places_[k].first) == value) return true;
    return false;
  };
  // Whether a step has to come after an earlier one.
  const auto follows = [&](const Step &step, const Step &earlier) {
    for (int32_t k = 0; k < step.count; k++) {
      const int32_t id = places_[step.operands + k].first;
      if (id != ZERO && touches(earlier, Source(id), k >= step.outputs)) return true;
    }
    return false;
  };
  for (int32_t i = 2; i < static_cast<int32_t>(steps.size()); i++) {
    if (!Joins(steps[i]) || Joins(steps[i - 1])) continue;
    int32_t to = i;
    while (to > 0 && i - to < FAR && !follows(steps[i], steps[to - 1])) to--;
    if (to == i || to == 0 || !Joins(steps[to - 1]) || !follows(steps[i], steps[to - 1])) continue;
    std::rotate(steps.begin() + to, steps.begin() + i, steps.begin() + i + 1);
  }
  const int32_t end = static_cast<int32_t>(steps.size());
  for (Value &value : values_)
    if (value.last < end) value.first = value.last = -1;
  for (int32_t i = 0; i < end; i++)
    for (int32_t k = steps[i].operands; k < steps[i].operands + steps[i].count; k++) {
      if (places_[k].first == ZERO) continue;
      Value &value = values_[Source(places_[k].first)];
      if (value.first < 0) value.first = i;
      value.last = std::max(value.last, i);
    }
}

// Gives every value that steps write its place in memory, which is used again when its last reader is done.
inline void Plan::Reader::Place() {
  std::map<int64_t, std::vector<int64_t>> free;
  // Not nothing: two values would have the same place.
  const auto rounded = [](const Value &value) { return (std::max<int64_t>(BytesOf(value), 1) + 63) / 64 * 64; };
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
      if (step.reusable > 0 && !APART) {
        // An input that nothing else reads gives its memory.
        const auto &given = operands[step.reusable];
        Value &in = values_[Source(given.first)];
        bool alone = in.root == arena && in.last == at && rounded(in) == size && given.second == 0;
        for (int j = step.outputs; j < step.count; j++)
          if (operands[j].first != given.first && Source(operands[j].first) == Source(given.first)) alone = false;
        if (alone && values_[given.first].offset == 0) {
          out.place = in.place;
          in.last = -2;
          if (step.copies) {
            step.kernel = nullptr;
            in.placed = out.placed = true;
          }
          continue;
        }
      }
      const auto entry = APART ? free.end() : free.lower_bound(size);
      if (entry != free.end() && entry->first <= 2 * size) {
        out.place = entry->second.back();
        entry->second.pop_back();
        if (entry->second.empty()) free.erase(entry);
      } else {
        out.place = top;
        sizes_[top] = size;
        if (APART) plan_.pieces_.push_back({top, BytesOf(out)});
        top += size + GAP;
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
  auto &steps = plan_.steps_;
  steps.erase(std::remove_if(steps.begin(), steps.end(), [](const Step &step) { return step.kernel == nullptr; }),
              steps.end());
  plan_.operands_.reserve(places_.size());
  for (const auto &[id, offset] : places_)
    plan_.operands_.push_back(id == ZERO ? Operand{constantRoot_, 0} : At(id, offset));
}

// Groups steps that can be divided alike, and divides groups for threads.
inline void Plan::Reader::Join() {
  // Bytes of all values of a block: half of a second cache.
  constexpr int64_t CACHE = 1 << 18;
  // Units that are enough to be divided well.
  constexpr int64_t ENOUGH = 64;
  // Bytes in a row that are worth reading, where a unit's memory is strewn: four lines of the cache.
  constexpr int64_t ROW = 256;
  // Memory that a group reads or writes, how far it advances from one of its units to the next, and the bytes of a unit. These
  // are more than the advance where units are columns of a matrix that is read row by row.
  struct Use {
    int32_t root;
    int64_t begin, end, at, advance, bytes;
    bool writes;
  };
  // Units whose memory fits into the cache; 0 where so few would read less than a row of some memory.
  const auto blockOf = [](const std::vector<Use> &uses) {
    int64_t bytes = 0;
    for (const Use &use : uses) bytes += use.bytes;
    const int64_t block = std::max<int64_t>(1, CACHE / std::max<int64_t>(1, bytes));
    for (const Use &use : uses)
      if (use.bytes > use.advance && block * use.advance < ROW) return int64_t{0};
    return block;
  };
  std::vector<Use> uses;
  plan_.advances_.resize(places_.size());
  Group group{0, 0, 1, 0, 0, 0};
  double cost = 0;
  const auto finish = [&] {
    if (group.first == group.end) return;
    const int64_t most = static_cast<int64_t>(std::min<double>(threads_, cost / WORTH));
    group.parts = static_cast<int32_t>(std::max<int64_t>(1, std::min(most, group.units)));
    group.block = group.units;
    if (group.end - group.first > 1) group.block = blockOf(uses);
    plan_.groups_.push_back(group);
    plan_.costs_.own += cost / group.parts;
    group.first = group.end;
    group.units = 0;
    uses.clear();
    cost = 0;
  };
  for (int32_t i = 0; i < static_cast<int32_t>(plan_.steps_.size()); i++) {
    const Step &step = plan_.steps_[i];
    // TensorFlow's threads share an op's work, or compute several ops.
    plan_.costs_.library += step.costs.library / threads_;
    const bool joins = Joins(step);
    const bool begun = group.first < group.end;
    const int64_t units = begun ? std::min(group.units, step.units) : step.units;
    const auto usesOf = [&](int64_t units) {
      std::vector<Use> own;
      for (int k = 0; k < step.count; k++) {
        const auto &[id, offset] = places_[step.operands + k];
        if (id == ZERO) continue;
        const Value &value = values_[id], &source = values_[Source(id)];
        const int64_t end = source.place + (source.shape.Count() * SizeOf(source.type) + 63) / 64 * 64;
        const int64_t advance = plan_.advances_[step.operands + k] * (step.units / units);
        const int64_t bytes = advance == 0 ? 0 : std::max(advance, value.shape.Count() * SizeOf(value.type) / units);
        own.push_back({source.root, source.place, end, plan_.operands_[step.operands + k].offset, advance, bytes,
                       k < step.outputs});
      }
      return own;
    };
    bool fits = joins && begun && group.units > 0 && group.units % units == 0 && step.units % units == 0 &&
                (units >= ENOUGH || units == group.units);
    if (fits) {
      const int64_t scale = group.units / units;
      const std::vector<Use> own = usesOf(units);
      for (const Use &use : uses)
        for (const Use &next : own) {
          const bool apart = use.root != next.root || use.end <= next.begin || next.end <= use.begin;
          if (apart || !(use.writes || next.writes)) continue;
          if (use.at != next.at || use.advance * scale != next.advance) fits = false;
        }
      std::vector<Use> all = uses;
      for (Use &use : all) use.advance *= scale, use.bytes *= scale;
      // The same memory once, however many steps use it: the number of steps would make blocks small, and reading slow.
      for (const Use &next : own) {
        const auto same = std::find_if(all.begin(), all.end(), [&](const Use &use) {
          return use.root == next.root && use.begin == next.begin && use.at == next.at && use.advance == next.advance && use.bytes == next.bytes;
        });
        if (same == all.end()) {
          all.push_back(next);
        } else {
          same->end = std::max(same->end, next.end);
          same->writes = same->writes || next.writes;
        }
      }
      if (blockOf(all) == 0) fits = false;
      if (fits) uses = std::move(all);
    }
    if (!fits) finish();
    group.units = fits ? units : step.units;
    group.end = i + 1;
    cost += step.costs.own;
    if (joins && !fits) uses = usesOf(step.units);
    if (!joins) {
      if (step.units == 0) group.units = 1;
      finish();
    }
  }
  finish();
}

// Gives values that only one group uses, block by block, memory for a block: it stays in the cache, and nothing of it is written to memory.
inline void Plan::Reader::Confine() {
  const int32_t arena = constantRoot_ + 1;
  const auto blocked = [](const Group &group) { return group.block < group.units / group.parts; };
  // The group that uses each value; -1 before, -2 for several, or where a step doesn't use it unit by unit from its beginning on.
  std::vector<int32_t> users(values_.size(), -1);
  for (int32_t g = 0; g < static_cast<int32_t>(plan_.groups_.size()); g++)
    for (int32_t i = plan_.groups_[g].first; i < plan_.groups_[g].end; i++) {
      const Step &step = plan_.steps_[i];
      for (int32_t k = step.operands; k < step.operands + step.count; k++) {
        const auto &[id, offset] = places_[k];
        if (id == ZERO) continue;
        const Value &own = values_[id], &value = values_[Source(id)];
        int32_t &user = users[Source(id)];
        const bool whole = own.offset + offset == 0 && plan_.advances_[k] * step.units == BytesOf(value) && BytesOf(own) == BytesOf(value);
        const bool fits = blocked(plan_.groups_[g]) && value.root == arena && !value.placed && whole;
        user = fits && (user == -1 || user == g) ? g : -2;
      }
    }
  const int64_t top = plan_.arena_;
  for (int32_t g = 0; g < static_cast<int32_t>(plan_.groups_.size()); g++) {
    Group &group = plan_.groups_[g];
    if (!blocked(group)) continue;
    // Values with one place, which one of them takes over from another, have one here, too.
    std::map<int64_t, int64_t> offsets;
    Pieces pieces;
    const int64_t base = APART ? plan_.arena_ : top;
    for (int32_t i = group.first; i < group.end; i++) {
      const Step &step = plan_.steps_[i];
      for (int32_t k = step.operands; k < step.operands + step.count; k++) {
        const int32_t id = places_[k].first;
        if (id == ZERO || users[Source(id)] != g) continue;
        const Value &value = values_[Source(id)];
        const int64_t bytes = BytesOf(value) / group.units * group.block;
        const auto [entry, isNew] = offsets.insert({value.place, group.blockBytes});
        if (isNew) {
          if (APART) pieces.push_back({base + group.blockBytes, bytes});
          group.blockBytes += RoundUp(std::max<int64_t>(bytes, 1), 64) + GAP;
        }
        plan_.operands_[k] = {arena, base + entry->second};
        plan_.advances_[k] = IN_BLOCK;
      }
    }
    for (int32_t part = 0; part < group.parts; part++)
      for (const auto &[at, bytes] : pieces) plan_.pieces_.push_back({at + part * group.blockBytes, bytes});
    plan_.arena_ = std::max(plan_.arena_, base + group.parts * group.blockBytes);
  }
}

inline bool Plan::Read(const int32_t *code, int64_t length, int threads) {
  try {
    return Reader(*this, code, length, threads).Read();
  } catch (const std::exception &) {
    // The plan is malformed, or larger than the memory.
    return false;
  }
}

}  // namespace layerwise

#include "nodes.h"
#include "linearNodes.h"
#include "recurrentNodes.h"
#include "rowNodes.h"
#include "gridNodes.h"
#include "spatialNodes.h"
