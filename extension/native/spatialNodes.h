// Convolutions, pooling and batch norm: what their nodes mean.
#pragma once

#include "reader.h"

namespace layerwise {

// Attributes: padding (0 for none, 1 for TensorFlow's "SAME", 2 for an explicit one), strides, explicit padding; each list with
// its length before it.
inline bool Plan::Reader::ReadConvolution(Code code) {
  const int dims = code <= Code::Conv2DBackpropFilter ? 2 : 3;
  const bool toInput = code == Code::Conv2DBackpropInput || code == Code::Conv3DBackpropInputV2;
  const bool toFilter = code == Code::Conv2DBackpropFilter || code == Code::Conv3DBackpropFilterV2;
  const int sized = toInput ? 0 : toFilter ? 1 : -1;
  if (attributeCount_ < dims + 4 || attributes_[1] != dims + 2) return false;
  for (int i = 0; i < inputCount_; i++) {
    if (i == sized) {
      if (Known(i) == nullptr || In(i).shape.Count() != dims + 2) return false;
    } else if (In(i).type != Type::FLOAT || In(i).shape.rank != dims + 2) {
      return false;
    }
  }
  const auto shapeOf = [&](int i) {
    Shape shape = In(i).shape;
    if (i != sized) return shape;
    shape.rank = dims + 2;
    for (int d = 0; d < shape.rank; d++) shape.sizes[d] = Known(i)[d];
    return shape;
  };
  // The input and the filter; the result, or its gradient, is given or follows from them.
  const Shape x = shapeOf(0), f = shapeOf(1);
  const int32_t *strides = attributes_ + 2;
  const int32_t *around = strides + dims + 2;
  const int32_t padding = attributes_[0];
  if (padding == 2 && *around != 2 * (dims + 2)) return false;
  int64_t images = x.sizes[0], channels = x.sizes[dims + 1], columns = f.sizes[dims + 1];
  if (f.sizes[dims] != channels) return false;
  int64_t input[3] = {1, 1, 1}, window[3] = {1, 1, 1}, output[3] = {1, 1, 1}, stride[3] = {1, 1, 1}, before[3] = {0, 0, 0};
  Shape y = x;
  for (int d = 0; d < dims; d++) {
    const int e = d + 3 - dims;
    input[e] = x.sizes[d + 1];
    window[e] = f.sizes[d];
    stride[e] = strides[d + 1];
    int64_t after = 0;
    if (padding == 1) {
      const int64_t all = std::max<int64_t>(((input[e] + stride[e] - 1) / stride[e] - 1) * stride[e] + window[e] - input[e], 0);
      before[e] = all / 2;
      after = all - before[e];
    } else if (padding == 2) {
      before[e] = around[1 + 2 * (d + 1)];
      after = around[2 + 2 * (d + 1)];
    }
    const int64_t room = input[e] + before[e] + after - window[e];
    if (room < 0) return false;
    output[e] = room / stride[e] + 1;
    y.sizes[d + 1] = output[e];
  }
  y.sizes[dims + 1] = columns;
  if ((toInput || toFilter) && !(In(2).shape == y)) return false;
  const int32_t out = New(Type::FLOAT, toInput ? x : toFilter ? f : y);
  if (x.Count() == 0 || f.Count() == 0 || y.Count() == 0) return false;

  // Writes all parameters but the taps; returns where their number is to be.
  const auto begin = [&](int64_t rows, int64_t width, const int64_t *positions, const int64_t *from, int64_t depth,
                         const int64_t *advance, const int64_t *sizes, const int64_t *step, const int64_t *first) {
    auto &p = Parameters();
    p.insert(p.end(), {0, rows, 0, width, images});
    p.insert(p.end(), positions, positions + 3);
    p.insert(p.end(), from, from + 3);
    p.push_back(depth);
    p.insert(p.end(), advance, advance + 3);
    p.push_back(width);
    for (const int64_t *list : {sizes, step, first}) p.insert(p.end(), list, list + 3);
    p.insert(p.end(), {toInput, 0});
    return p.size() - 1;
  };
  constexpr int64_t ONES[] = {1, 1, 1}, ZEROS[] = {0, 0, 0};
  const int64_t positions = images * output[0] * output[1] * output[2];
  const int64_t taps = window[0] * window[1] * window[2];
  auto &p = plan_.parameters_;
  const auto spend = [&](int64_t rows, int64_t depth, int64_t width) {
    // Patches are found or copied before they are multiplied, and narrow results leave sums unused. Measured with shapes of
    // dcgan, pixelcnn, resnet18 and style-transfer, with which also TensorFlow was.
    const double few = !toFilter && channels < 8 && !toInput ? 6.0 / static_cast<double>(channels) : 0;
    const double wide = static_cast<double>(std::max<int64_t>(width, 16));
    Spend(rows * depth, (toFilter ? 0.7 : 0.35) + few + 0.022 * wide, 0.025 * static_cast<double>(width));
  };
  if (!toInput) {
    const int64_t rows = toFilter ? taps * channels : positions;
    const size_t count = begin(rows, columns, output, input, channels, stride, output, ONES, ZEROS);
    p[count] = taps;
    int64_t index = 0;
    for (int64_t i = 0; i < window[0]; i++)
      for (int64_t j = 0; j < window[1]; j++)
        for (int64_t k = 0; k < window[2]; k++)
          p.insert(p.end(), {i - before[0], j - before[1], k - before[2], index++});
    if (toFilter) Add(kernels_.filterGradient, {{out}, {inputs_[0]}, {inputs_[2]}}, 1);
    else Add(kernels_.convolve, {{out}, {inputs_[0]}, {inputs_[1]}}, 1);
    spend(positions, taps * channels, columns);
    if (rows < 24 && columns > 32) DivideRange(columns, 32, 2);
    else DivideRange(rows, 12, 0);
    return true;
  }
  // Each input position reads the taps that met it. These differ from position to position, with the strides as periods.
  bool all = true;
  for (int d = 0; d < 3; d++) all = all && window[d] >= std::min(stride[d], input[d]);
  if (!all) Fill(out, ZERO);
  int64_t phase[3];
  for (phase[0] = 0; phase[0] < std::min(stride[0], input[0]); phase[0]++)
    for (phase[1] = 0; phase[1] < std::min(stride[1], input[1]); phase[1]++)
      for (phase[2] = 0; phase[2] < std::min(stride[2], input[2]); phase[2]++) {
        std::vector<std::pair<int64_t, int64_t>> met[3];
        int64_t own[3];
        for (int d = 0; d < 3; d++) {
          own[d] = (input[d] - phase[d] + stride[d] - 1) / stride[d];
          for (int64_t k = 0; k < window[d]; k++)
            if ((phase[d] + before[d] - k) % stride[d] == 0) met[d].push_back({(phase[d] + before[d] - k) / stride[d], k});
        }
        const int64_t count = static_cast<int64_t>(met[0].size() * met[1].size() * met[2].size());
        if (count == 0) continue;
        const int64_t rows = images * own[0] * own[1] * own[2];
        p[begin(rows, channels, own, output, columns, ONES, input, stride, phase)] = count;
        for (const auto &[i, a] : met[0])
          for (const auto &[j, b] : met[1])
            for (const auto &[k, c] : met[2]) p.insert(p.end(), {i, j, k, (a * window[1] + b) * window[2] + c});
        Add(kernels_.convolve, {{out}, {inputs_[2]}, {inputs_[1]}}, 1);
        spend(rows, count * columns, channels);
        DivideRange(rows, 12, 0);
      }
  return true;
}

// Attributes: window and strides, each list with its length before it; padding, of which there is none.
inline bool Plan::Reader::ReadPooling(Code code) {
  const bool gradient = code == Code::MaxPoolGrad;
  const Value x = In(0);
  if (x.type != Type::FLOAT || x.shape.rank != 4 || attributeCount_ != 11) return false;
  const int32_t *window = attributes_ + 1, *strides = attributes_ + 6;
  if (attributes_[0] != 4 || attributes_[5] != 4 || attributes_[10] != 0) return false;
  if (window[0] != 1 || window[3] != 1) return false;
  Shape shape = x.shape;
  for (int d = 1; d < 3; d++) {
    if (shape.sizes[d] < window[d]) return false;
    shape.sizes[d] = (shape.sizes[d] - window[d]) / strides[d] + 1;
  }
  if (gradient && !(In(2).shape == shape)) return false;
  const int32_t out = New(Type::FLOAT, gradient ? x.shape : shape);
  if (shape.Count() == 0) return false;
  const int64_t *sizes = x.shape.sizes;
  Parameters({0, sizes[0], shape.sizes[1], shape.sizes[2], sizes[1], sizes[2], sizes[3], window[1], window[2], strides[1],
              strides[2]});
  if (gradient) Add(kernels_.maxPoolGrad, {{out}, {inputs_[0]}, {inputs_[2]}}, 1);
  else Add(kernels_.maxPool, {{out}, {inputs_[0]}}, 1);
  Spend(shape.Count() * window[1] * window[2], gradient ? 1 : 0.5, gradient ? 3 : 0.5);
  DivideRange(sizes[0], 1, 0);
  return true;
}

// Attributes: epsilon, and whether statistics are the batch's: taken by other nodes of the plan where they are, and given.
inline bool Plan::Reader::ReadBatchNorm(Code code) {
  const bool gradient = code == Code::FusedBatchNormGradV3;
  const int images = gradient ? 1 : 0;
  const Shape shape = In(images).shape;
  if (shape.rank != 4 || shape.Count() == 0 || (attributes_[1] != 0) != gradient) return false;
  const int64_t channels = shape.sizes[3];
  Shape each;
  each.rank = 1;
  each.sizes[0] = channels;
  const int32_t out = New(Type::FLOAT, shape);
  const int32_t others[] = {New(Type::FLOAT, each), New(Type::FLOAT, each)};
  // Outputs that nothing reads.
  for (int i = gradient ? 3 : 3; i < (gradient ? 5 : 6); i++) New(Type::FLOAT, each);
  Parameters({shape.Count() / channels, channels, attributes_[0]});
  if (gradient)
    Add(kernels_.batchNormGrad,
        {{out}, {others[0]}, {others[1]}, {inputs_[0]}, {inputs_[1]}, {inputs_[2]}, {inputs_[3]}, {inputs_[4]}}, 3);
  else
    Add(kernels_.batchNorm, {{out}, {inputs_[0]}, {inputs_[1]}, {inputs_[2]}, {inputs_[3]}, {inputs_[4]}}, 1, 1);
  Spend(shape.Count(), gradient ? 2 : 0.5);
  if (!gradient) Divide(shape.Count() / channels, 0, {channels * 4, channels * 4, 0, 0, 0, 0});
  return true;
}

}  // namespace layerwise
