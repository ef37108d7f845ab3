// Nodes that are functions of rows, the last dimension: the steps that compute them.
#pragma once

#include "reader.h"

namespace layerwise {

inline bool Plan::Reader::ReadRows(Code code) {
  const Value x = In(0);
  const int64_t count = x.shape.Count();
  if (x.type != Type::FLOAT || x.shape.rank == 0 || count == 0) return false;
  const int64_t n = x.shape.sizes[x.shape.rank - 1], rows = count / n, bytes = 4 * n;
  const bool ofLabels = code == Code::SparseSoftmaxCrossEntropyWithLogits;
  if (ofLabels && (x.shape.rank != 2 || In(1).type != Type::INT32 || In(1).shape.Count() != rows)) return false;
  if (ofLabels) {
    Shape shape;
    shape.rank = 1;
    shape.sizes[0] = rows;
    const int32_t losses = New(Type::FLOAT, shape), gradient = New(Type::FLOAT, x.shape);
    Parameters({rows, n});
    Add(kernels_.crossEntropy, {{losses}, {gradient}, {inputs_[0]}, {inputs_[1]}}, 2);
    Bind(inputs_[1], 0, n);
    Spend(count, 1, 2);
    Divide(rows, 0, {4, bytes, bytes, 4});
    return true;
  }
  const bool ofGradient = code == Code::SoftmaxGrad || code == Code::LogSoftmaxGrad;
  if (ofGradient && (In(1).type != Type::FLOAT || !(In(1).shape == x.shape))) return false;
  const int32_t out = New(x.type, x.shape);
  Parameters({rows, n});
  if (ofGradient) {
    Add(code == Code::SoftmaxGrad ? kernels_.softmaxGrad : kernels_.logSoftmaxGrad, {{out}, {inputs_[0]}, {inputs_[1]}}, 1);
    // Registers are filled in part where rows are short.
    Spend(count, n < 16 ? 2 : n < 32 ? 1 : 0.5, 2);
    Divide(rows, 0, {bytes, bytes, bytes});
  } else {
    Add(code == Code::Softmax ? kernels_.softmax : kernels_.logSoftmax, {{out}, {inputs_[0]}}, 1);
    Spend(count, 1, 2);
    Divide(rows, 0, {bytes, bytes});
  }
  return true;
}

inline bool Plan::Reader::ReadLayerNorm() {
  const Value x = In(0);
  const int64_t count = x.shape.Count();
  if (x.shape.rank == 0 || count == 0) return false;
  const int64_t n = x.shape.sizes[x.shape.rank - 1], rows = count / n, bytes = 4 * n;
  for (int i = 0; i < inputCount_; i++)
    if (In(i).type != Type::FLOAT || (i > 0 && In(i).shape.Count() != n)) return false;
  Shape shape = x.shape;
  shape.sizes[shape.rank - 1] = 1;
  const int32_t out = New(Type::FLOAT, x.shape), unit = New(Type::FLOAT, x.shape), root = New(Type::FLOAT, shape);
  const bool hasWeight = inputCount_ > 1, hasBias = inputCount_ > 2;
  Parameters({rows, n, attributes_[0], hasWeight, hasBias});
  Add(kernels_.layerNorm,
      {{out}, {unit}, {root}, {inputs_[0]}, {hasWeight ? inputs_[1] : ZERO}, {hasBias ? inputs_[2] : ZERO}}, 3);
  Spend(count, 0.7, 3);
  Divide(rows, 0, {bytes, bytes, 4, bytes, 0, 0});
  return true;
}

inline bool Plan::Reader::ReadLayerNormGrad() {
  // Weights' gradients of so many rows are added up as floats.
  constexpr int64_t BLOCK = 64;
  const Value g = In(0);
  const int64_t count = g.shape.Count();
  if (g.shape.rank == 0 || count == 0) return false;
  const int64_t n = g.shape.sizes[g.shape.rank - 1], rows = count / n;
  for (int i = 0; i < inputCount_; i++)
    if (In(i).type != Type::FLOAT || In(i).shape.Count() != (i < 2 ? count : i == 2 ? rows : n)) return false;
  Shape shape;
  shape.rank = 2;
  shape.sizes[0] = (rows + BLOCK - 1) / BLOCK;
  shape.sizes[1] = n;
  const int32_t out = New(Type::FLOAT, g.shape), weights = New(Type::FLOAT, shape);
  const bool hasWeight = inputCount_ > 3;
  Parameters({0, shape.sizes[0], BLOCK, rows, n, hasWeight});
  Add(kernels_.layerNormGrad, {{out}, {weights}, {inputs_[0]}, {inputs_[1]}, {inputs_[2]}, {hasWeight ? inputs_[3] : ZERO}}, 2);
  Spend(count, 0.7, 3);
  DivideRange(shape.sizes[0], 1, 0);
  return true;
}

inline bool Plan::Reader::ReadCtcLoss() {
  const Value x = In(0), labels = In(1);
  const int64_t count = x.shape.Count();
  if (x.type != Type::FLOAT || x.shape.rank != 3 || labels.shape.rank != 2) return false;
  const int64_t times = x.shape.sizes[0], rows = x.shape.sizes[1], classes = x.shape.sizes[2], width = labels.shape.sizes[1];
  for (int i = 1; i < 4; i++)
    if (In(i).type != Type::INT32 || In(i).shape.sizes[0] != rows || (i > 1 && In(i).shape.rank != 1)) return false;
  const int32_t blank = attributes_[0];
  Require(blank >= 0 && blank < classes);
  // The kernel's memory for a row.
  Check({2, {times + 4, 2 * width + 5}});
  Shape shape;
  shape.rank = 1;
  shape.sizes[0] = rows;
  const int32_t losses = New(Type::FLOAT, shape), gradient = New(Type::FLOAT, x.shape);
  if (rows == 0) return true;
  Parameters({rows, rows, times, classes, width, blank, attributes_[1]});
  plan_.refuses_ = true;
  Add(kernels_.ctcLoss, {{losses}, {gradient}, {inputs_[0]}, {inputs_[1]}, {inputs_[2]}, {inputs_[3]}}, 2);
  Spend(count, 1, 10);
  Spend(times * rows * (2 * width + 1), 3, 100);
  Divide(rows, 0, {4, 4 * classes, 4 * classes, 4 * width, 4, 4});
  plan_.steps_.back().apart = true;
  return true;
}

}  // namespace layerwise
