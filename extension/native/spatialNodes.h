// Convolutions, pooling and batch norm: what their nodes mean.
#pragma once

#include "reader.h"

namespace layerwise {

// Nanoseconds of transforming tiles and of multiplying them: `begun` for each product that is begun, and registers are filled with at
// least 16 channels. Rows of products are computed by the four at least. Measured on an AMD EPYC with 15 shapes of 8 to 512 channels,
// whose times differ by a fifth from one run to another.
inline double Plan::Reader::WinogradCost(const Tiled &v, double begun) {
  const double tiles = static_cast<double>(v.Count() + 3);
  const double read = static_cast<double>(v.read), written = static_cast<double>(std::max<int64_t>(v.written, 16));
  return tiles * (16 * written * (begun + 0.022 * read) + 4.5 * (std::max(read, 16.0) + written));
}

// Whether 16 matrices of a filter, and of a few tiles, are at most 64 and 25 MB. Safe bounds.
inline bool Plan::Reader::FitsTransformed(const Tiled &v) {
  return v.read + v.written <= 1 << 13 && 16 * v.read * v.written <= 1 << 24;
}

// Convolves by winograd.h, unless patches take less time.
inline bool Plan::Reader::AddWinograd(const Tiled &v, int32_t out, bool toInput, double patches) {
  const double transforming = 4 * static_cast<double>(v.read * v.written), own = WinogradCost(v, 0.15);
  if (MIN_GAIN * (transforming + own) >= patches || !FitsTransformed(v)) return false;
  Shape transformed;
  transformed.rank = 1;
  transformed.sizes[0] = 16 * TransformedNumbers(v.read, v.written, kernels_.lanes);
  const int32_t filter = New(Type::FLOAT, transformed);
  values_[filter].hidden = true;
  Parameters({0, v.read, v.read, v.written, toInput, toInput ? v.read : v.written});
  Add(kernels_.winogradFilter, {{filter}, {inputs_[1]}}, 1);
  Spend(1, transforming, 0);
  DivideRange(v.read, 16, 0);
  Parameters({0, v.Count(), v.images, v.high, v.wide, v.rows, v.columns, v.top, v.left, v.read, v.written});
  Add(kernels_.winograd, {{out}, {inputs_[toInput ? 2 : 0]}, {filter}}, 1);
  Spend(1, own, patches);
  DivideRange(v.Count(), 12, 0);
  return true;
}

// The same of filters' gradients.
inline bool Plan::Reader::AddWinogradGradient(const Tiled &v, int32_t out, double patches) {
  const double own = WinogradCost(v, 0) + 24 * static_cast<double>(v.read * v.written);
  if (MIN_GAIN * own >= patches || !FitsTransformed(v)) return false;
  Parameters({0, v.read, v.images, v.high, v.wide, v.rows, v.columns, v.top, v.left, v.read, v.written});
  Add(kernels_.winogradFilterGradient, {{out}, {inputs_[0]}, {inputs_[2]}}, 1);
  Spend(1, own, patches);
  DivideRange(v.read, 8, 0);
  return true;
}

// Attributes: padding (0 for none, 1 for TensorFlow's "SAME", 2 for an explicit one), strides, explicit padding, dilations; each
// list with its length before it, which is 0 for one that isn't given. Filters of fewer channels than the input has are of groups.
inline bool Plan::Reader::ReadConvolution(Code code) {
  const int dims = code <= Code::Conv2DBackpropFilter ? 2 : 3;
  const bool toInput = code == Code::Conv2DBackpropInput || code == Code::Conv3DBackpropInputV2;
  const bool toFilter = code == Code::Conv2DBackpropFilter || code == Code::Conv3DBackpropFilterV2;
  const int sized = toInput ? 0 : toFilter ? 1 : -1;
  const Words strides = attributes_.List(1), around = attributes_.List(2 + strides.count);
  const Words dilations = attributes_.List(3 + strides.count + around.count);
  for (int i = 0; i < inputCount_; i++) {
    if (i == sized) {
      if (!Known(i) || Known(i).count != dims + 2) return false;
    } else if (In(i).type != Type::FLOAT || In(i).shape.rank != dims + 2) {
      return false;
    }
  }
  const auto shapeOf = [&](int i) {
    return i == sized ? ShapeOf(Known(i)) : In(i).shape;
  };
  // The input and the filter; the result, or its gradient, is given or follows from them.
  const Shape x = shapeOf(0), f = shapeOf(1);
  const int32_t padding = attributes_[0];
  Require(padding >= 0 && padding <= 2);
  const int64_t images = x.sizes[0], channels = x.sizes[dims + 1], columns = f.sizes[dims + 1];
  // Channels that a group reads, and those that it writes.
  const int64_t each = f.sizes[dims];
  if (each == 0 || channels % each != 0 || channels == 0) return false;
  const int64_t groups = channels / each, wide = columns / groups;
  if (columns % groups != 0) return false;
  int64_t input[3] = {1, 1, 1}, window[3] = {1, 1, 1}, output[3] = {1, 1, 1}, stride[3] = {1, 1, 1}, before[3] = {0, 0, 0};
  int64_t dilation[3] = {1, 1, 1};
  Shape y = x;
  double copied = toInput ? columns : channels, rowCopied = copied;
  for (int d = 0; d < dims; d++) {
    const int e = d + 3 - dims;
    input[e] = x.sizes[d + 1];
    window[e] = f.sizes[d];
    stride[e] = strides[d + 1];
    if (dilations.count != 0) dilation[e] = dilations[d + 1];
    Require(stride[e] > 0 && dilation[e] > 0);
    const int64_t length = (window[e] - 1) * dilation[e] + 1;
    int64_t after = 0;
    if (padding == 1) {
      const int64_t all = std::max<int64_t>(((input[e] + stride[e] - 1) / stride[e] - 1) * stride[e] + length - input[e], 0);
      before[e] = all / 2;
      after = all - before[e];
    } else if (padding == 2) {
      before[e] = around[2 * (d + 1)];
      after = around[2 * (d + 1) + 1];
      Require(before[e] >= 0 && after >= 0);
    }
    const int64_t room = input[e] + before[e] + after - length;
    if (room < 0) return false;
    output[e] = room / stride[e] + 1;
    y.sizes[d + 1] = output[e];
    // Numbers that kernels copy of an image; registers reach beyond its rows.
    const double size = toInput ? (input[e] + length) / stride[e] + 2 : input[e] + before[e] + after;
    copied *= size;
    rowCopied *= d + 1 < dims ? size : size + 64 * stride[e];
  }
  y.sizes[dims + 1] = columns;
  if ((toInput || toFilter) && !(In(2).shape == y)) return false;
  const int32_t out = New(Type::FLOAT, toInput ? x : toFilter ? f : y);
  if (x.Count() == 0 || f.Count() == 0 || y.Count() == 0) return false;
  // Refuses padding far larger than the images, which kernels would allocate, and steps or taps without number.
  const double most = (1 << 24) + 16.0 * (x.Count() + y.Count());
  int64_t steps = groups;
  for (int d = 0; d < 3 && toInput; d++) steps *= std::min(stride[d], input[d]);
  const int64_t listed = window[0] + window[1] + window[2];
  if (images * copied > most || rowCopied > most || listed > MAX_LISTED || steps > MAX_LISTED / listed) return false;

  // What is read and written of a group, at how many positions; for each dimension, offsets of taps and their places in the filter.
  const int64_t read = toInput ? wide : each, written = toInput ? each : wide;
  const int64_t *const from = toInput ? output : input, *const to = toInput ? input : output;
  using Taps = std::vector<std::pair<int64_t, int64_t>>;
  const auto write = [&](int64_t rows, int64_t width, const int64_t *positions, const int64_t *advance, const int64_t *step,
                         const int64_t *first, const Taps *taps) {
    auto &p = Parameters();
    p.insert(p.end(), {0, rows, 0, width, images});
    p.insert(p.end(), positions, positions + 3);
    p.insert(p.end(), from, from + 3);
    p.insert(p.end(), {read, toInput ? columns : channels});
    p.insert(p.end(), advance, advance + 3);
    p.push_back(toInput ? channels : columns);
    for (const int64_t *list : {to, step, first}) p.insert(p.end(), list, list + 3);
    p.insert(p.end(), {toInput, each * columns, columns, written, read});
    for (int d = 0; d < 3; d++) {
      p.push_back(static_cast<int64_t>(taps[d].size()));
      for (const auto &[offset, place] : taps[d]) p.insert(p.end(), {offset, place});
    }
  };
  // Registers hold channels of several groups where one group's would fill less than half of them.
  const bool narrow = groups > 1 && (toInput ? each : wide) < 16;
  const int64_t lanes = kernels_.lanes, blocks = ((toInput ? channels : columns) + lanes - 1) / lanes;
  // Nanoseconds. Patches are found before they are multiplied, and narrow results leave sums unused. TensorFlow takes no less: of ten
  // shapes with 1 to 512 channels and filters of 1 to 5, none was faster there, with AVX2 or AVX-512.
  const auto spendingOf = [](int64_t rows, int64_t depth, int64_t width) {
    return static_cast<double>(rows * depth) * (0.2 + 0.022 * static_cast<double>(std::max<int64_t>(width, 16)));
  };
  const auto spend = [&](int64_t rows, int64_t depth, int64_t width) {
    const double own = spendingOf(rows, depth, width);
    Spend(1, own, own);
  };
  const auto spendNarrow = [&](int64_t rows, int64_t taps) {
    const double all = static_cast<double>(rows) * static_cast<double>(read * blocks * lanes);
    Spend(1, all * (0.3 + 0.03 * static_cast<double>(taps)), all * 0.2 * static_cast<double>(taps));
  };
  // Few channels of a result leave registers that hold channels empty: these hold positions. Copying an image for that is worth it
  // where several taps read it, or where it has few channels itself.
  const auto planar = [&](const int64_t *positions, int64_t taps) {
    return groups == 1 && written <= FEW_CHANNELS && (taps >= 3 || read < 16) && positions[2] >= 8;
  };
  // Images and results are copied, whatever the filter's size. Measured with shapes of style-transfer and siamese.
  const auto spendPlanar = [&](int64_t rows, int64_t taps) {
    const double products = static_cast<double>(read * taps * written);
    const double own = 1.2 * static_cast<double>(read) + 0.8 * static_cast<double>(written) + 0.022 * products;
    Spend(rows, own, own);
  };
  const int64_t *const results = toInput ? input : output;
  const bool square = dims == 2 && groups == 1 && window[1] == 3 && window[2] == 3 && stride[1] == 1 && stride[2] == 1 &&
                      dilation[1] == 1 && dilation[2] == 1;
  if (square && !planar(results, 9)) {
    const int64_t back = toInput ? 2 : 0, sign = toInput ? 1 : -1;
    const Tiled tiled = {images,      results[1], results[2], toInput ? output[1] : input[1], toInput ? output[2] : input[2],
                         sign * before[1] - back, sign * before[2] - back, read, written};
    const double patches = spendingOf(images * results[1] * results[2], 9 * read, written);
    if (toFilter ? AddWinogradGradient(tiled, out, patches) : AddWinograd(tiled, out, toInput, patches)) return true;
  }
  const auto imageOf = [](const int64_t *sizes, int64_t each) { return sizes[0] * sizes[1] * sizes[2] * each * 4; };
  const auto divide = [&](int64_t rows, int64_t width) {
    if (rows < 24 && width > 32) DivideRange(width, 32, 2);
    else DivideRange(rows, 12, 0);
  };
  const bool few = read < MIN_RUN;
  const auto convolve = [&](Arg target, Arg source, Arg filter, int64_t rows, const int64_t *positions, const int64_t *advance,
                            const int64_t *step, const int64_t *first, const Taps *taps) {
    // Steps that are divided by images join others. There is nothing to copy for each image but itself.
    const bool byImages = few && images >= 2 * threads_;
    write(byImages ? 0 : rows, written, positions, advance, step, first, taps);
    Add(few ? kernels_.convolveFew : kernels_.convolve, {target, source, filter}, 1);
    spend(rows, static_cast<int64_t>(taps[0].size() * taps[1].size() * taps[2].size()) * read, written);
    if (byImages) Divide(images, 4, {imageOf(to, toInput ? channels : columns), imageOf(from, toInput ? columns : channels), 0});
    else divide(rows, written);
  };
  constexpr int64_t ONES[] = {1, 1, 1}, ZEROS[] = {0, 0, 0};
  // Of the filter's places from one tap to the next.
  const int64_t places[] = {window[1] * window[2], window[2], 1};
  const int64_t taps = window[0] * window[1] * window[2];
  if (!toInput) {
    Taps all[3];
    for (int d = 0; d < 3; d++)
      for (int64_t k = 0; k < window[d]; k++) all[d].push_back({k * dilation[d] - before[d], k * places[d]});
    const int64_t positions = images * output[0] * output[1] * output[2];
    if (narrow) {
      const int64_t units = blocks * (toFilter ? each * ((taps + TAPS_TOGETHER - 1) / TAPS_TOGETHER) : images);
      write(units, 0, output, stride, ONES, ZEROS, all);
      if (toFilter) Add(kernels_.groupFilterGradient, {{out}, {inputs_[0]}, {inputs_[2]}}, 1);
      else Add(kernels_.convolveGroups, {{out}, {inputs_[0]}, {inputs_[1]}}, 1);
      spendNarrow(positions, taps);
      DivideRange(units, 1, 0);
      return true;
    }
    const int64_t rows = toFilter ? taps * each : positions;
    if (planar(output, taps)) {
      const int64_t units = toFilter ? rows : positions / output[2];
      write(units, wide, output, stride, ONES, ZEROS, all);
      if (toFilter) Add(kernels_.filterGradientPlanar, {{out}, {inputs_[0]}, {inputs_[2]}}, 1);
      else Add(kernels_.convolvePlanar, {{out}, {inputs_[0]}, {inputs_[1]}}, 1);
      spendPlanar(positions, taps);
      DivideRange(units, toFilter ? 12 : 1, 0);
      return true;
    }
    for (int64_t g = 0; g < groups; g++) {
      const Arg source = {inputs_[0], g * each * 4}, target = {out, g * wide * 4};
      if (few && toFilter) {
        const Arg gradient = {inputs_[2], g * wide * 4};
        // The gradient of each image, which are then added up: there are too few rows to be divided.
        const bool separate = groups == 1 && images > 1 && positions / images >= rows;
        write(rows, wide, output, stride, ONES, ZEROS, all);
        plan_.parameters_.push_back(separate);
        const Shape parts{2, {images, rows * wide}};
        const int32_t gradients = separate ? New(Type::FLOAT, parts) : out;
        if (separate) values_[gradients].hidden = true;
        Add(kernels_.filterGradientFew, {separate ? Arg{gradients} : target, source, gradient}, 1);
        spend(positions, taps * each, wide);
        if (!separate) {
          DivideRange(rows, 12, 0);
          continue;
        }
        Divide(images, 4, {rows * wide * 4, imageOf(input, channels), imageOf(output, columns)});
        SumRows(out, {gradients, parts, Code::Sum, 0});
        continue;
      }
      if (toFilter) {
        write(rows, wide, output, stride, ONES, ZEROS, all);
        Add(kernels_.filterGradient, {target, source, {inputs_[2], g * wide * 4}}, 1);
        spend(positions, taps * each, wide);
        divide(rows, wide);
        continue;
      }
      convolve(target, source, {inputs_[1], g * wide * 4}, positions, output, stride, ONES, ZEROS, all);
    }
    return true;
  }
  // Each input position reads the taps that met it. These differ from position to position, with the strides as periods.
  const auto meets = [&](int d, int64_t phase, int64_t k) { return (phase + before[d] - k * dilation[d]) % stride[d] == 0; };
  bool all = true;
  for (int d = 0; d < 3; d++)
    for (int64_t phase = 0; phase < std::min(stride[d], input[d]); phase++) {
      bool met = false;
      for (int64_t k = 0; k < window[d]; k++) met = met || meets(d, phase, k);
      all = all && met;
    }
  if (!all) Fill(out, ZERO);
  int64_t phase[3];
  for (phase[0] = 0; phase[0] < std::min(stride[0], input[0]); phase[0]++)
    for (phase[1] = 0; phase[1] < std::min(stride[1], input[1]); phase[1]++)
      for (phase[2] = 0; phase[2] < std::min(stride[2], input[2]); phase[2]++) {
        Taps met[3];
        int64_t own[3], rows = images, count = 1;
        for (int d = 0; d < 3; d++) {
          own[d] = (input[d] - phase[d] + stride[d] - 1) / stride[d];
          for (int64_t k = 0; k < window[d]; k++)
            if (meets(d, phase[d], k)) met[d].push_back({(phase[d] + before[d] - k * dilation[d]) / stride[d], k * places[d]});
          rows *= own[d];
          count *= static_cast<int64_t>(met[d].size());
        }
        if (count == 0) continue;
        if (narrow) {
          write(blocks * images, 0, own, ONES, stride, phase, met);
          Add(kernels_.convolveGroups, {{out}, {inputs_[2]}, {inputs_[1]}}, 1);
          spendNarrow(rows, count);
          DivideRange(blocks * images, 1, 0);
          continue;
        }
        if (planar(own, count)) {
          write(rows / own[2], each, own, ONES, stride, phase, met);
          Add(kernels_.convolvePlanar, {{out}, {inputs_[2]}, {inputs_[1]}}, 1);
          spendPlanar(rows, count);
          DivideRange(rows / own[2], 1, 0);
          continue;
        }
        for (int64_t g = 0; g < groups; g++)
          convolve({out, g * each * 4}, {inputs_[2], g * wide * 4}, {inputs_[1], g * wide * 4}, rows, own, ONES, stride, phase, met);
      }
  return true;
}

// Attributes: window and strides, each list with its length before it; padding, of which there is none.
inline bool Plan::Reader::ReadPooling(Code code) {
  const bool gradient = code == Code::MaxPoolGrad;
  const Value x = In(0);
  if (x.type != Type::FLOAT || x.shape.rank != 4) return false;
  const Words window = attributes_.List(0), strides = attributes_.List(1 + window.count);
  if (attributes_[2 + window.count + strides.count] != 0) return false;
  if (window[0] != 1 || window[3] != 1) return false;
  Shape shape = x.shape;
  for (int d = 1; d < 3; d++) {
    Require(window[d] > 0 && strides[d] > 0);
    if (shape.sizes[d] < window[d]) return false;
    shape.sizes[d] = (shape.sizes[d] - window[d]) / strides[d] + 1;
  }
  if (gradient && (!(In(2).shape == shape) || In(2).type != Type::FLOAT)) return false;
  const int32_t out = New(Type::FLOAT, gradient ? x.shape : shape);
  if (shape.Count() == 0) return false;
  const int64_t *sizes = x.shape.sizes;
  Parameters({sizes[0], shape.sizes[1], shape.sizes[2], sizes[1], sizes[2], sizes[3], window[1], window[2], strides[1],
              strides[2]});
  if (gradient) Add(kernels_.maxPoolGrad, {{out}, {inputs_[0]}, {inputs_[2]}}, 1);
  else Add(kernels_.maxPool, {{out}, {inputs_[0]}}, 1);
  Spend(shape.Count() * window[1] * window[2], gradient ? 1 : 0.5, gradient ? 3 : 0.5);
  const int64_t whole = 4 * x.shape.Count() / sizes[0], pooled = 4 * shape.Count() / sizes[0];
  if (gradient) Divide(sizes[0], 0, {whole, whole, pooled});
  else Divide(sizes[0], 0, {pooled, whole});
  return true;
}

// Rows, and a table of the places that each window has in a row.
inline bool Plan::Reader::ReadWindowMaxima() {
  const Value x = In(0), cells = In(1);
  if (x.type != Type::FLOAT || cells.type != Type::INT32 || x.shape.rank == 0 || cells.shape.rank != 2) return false;
  Shape shape = x.shape;
  const int64_t n = shape.sizes[shape.rank - 1], windows = cells.shape.sizes[0], each = cells.shape.sizes[1];
  if (x.shape.Count() == 0 || cells.shape.Count() == 0) return false;
  const int64_t rows = shape.Count() / n;
  shape.sizes[shape.rank - 1] = windows;
  const int32_t out = New(Type::INT32, shape);
  Parameters({rows, n, windows, each});
  Add(kernels_.windowMaxima, {{out}, {inputs_[0]}, {inputs_[1]}}, 1);
  Bind(inputs_[1], 0, n);
  Spend(rows * windows * each, 1, 15);
  Divide(rows, 0, {4 * windows, 4 * n, 0});
  return true;
}

// Attributes: epsilon, and whether statistics are the batch's: taken by other nodes of the plan where they are, and given.
inline bool Plan::Reader::ReadBatchNorm(Code code) {
  const bool gradient = code == Code::FusedBatchNormGradV3;
  const int images = gradient ? 1 : 0;
  const Shape shape = In(images).shape;
  if (shape.rank != 4 || shape.Count() == 0 || (attributes_[1] != 0) != gradient) return false;
  const int64_t channels = shape.sizes[3];
  for (int i = 0; i < 5; i++) RequireFloats(i, i <= images ? shape.Count() : channels);
  Shape each;
  each.rank = 1;
  each.sizes[0] = channels;
  const int32_t out = New(Type::FLOAT, shape);
  const int32_t others[] = {New(Type::FLOAT, each), New(Type::FLOAT, each)};
  // Outputs that nothing reads.
  for (int i = 3; i < (gradient ? 5 : 6); i++) New(Type::FLOAT, each);
  Parameters({shape.Count() / channels, channels, attributes_[0], 0, channels});
  if (gradient)
    Add(kernels_.batchNormGrad,
        {{out}, {others[0]}, {others[1]}, {inputs_[0]}, {inputs_[1]}, {inputs_[2]}, {inputs_[3]}, {inputs_[4]}}, 3);
  else
    Add(kernels_.batchNorm, {{out}, {inputs_[0]}, {inputs_[1]}, {inputs_[2]}, {inputs_[3]}, {inputs_[4]}}, 1, 1);
  Spend(shape.Count(), gradient ? 2 : 0.5);
  if (gradient) DivideRange(channels, 16, 3);
  else Divide(shape.Count() / channels, 0, {channels * 4, channels * 4, 0, 0, 0, 0});
  return true;
}

// Means and biased variances of channels, which come last.
inline bool Plan::Reader::ReadMoments() {
  const Value x = In(0);
  if (x.type != Type::FLOAT || x.shape.rank < 2 || x.shape.Count() == 0) return false;
  Shape each;
  each.rank = 1;
  const int64_t channels = each.sizes[0] = x.shape.sizes[x.shape.rank - 1];
  const int32_t mean = New(Type::FLOAT, each), variance = New(Type::FLOAT, each);
  Parameters({x.shape.Count() / channels, channels, 0, channels});
  Add(kernels_.channelMoments, {{mean}, {variance}, {inputs_[0]}}, 2);
  Spend(x.shape.Count(), 0.7, 2);
  DivideRange(channels, 16, 2);
  return true;
}

// Attributes: groups, epsilon. The gradients of weight and bias are those of each image.
inline bool Plan::Reader::ReadGroupNorm(Code code) {
  const bool gradient = code == Code::GroupNormGrad;
  for (int i = 0; i < inputCount_; i++)
    if (In(i).type != Type::FLOAT) return false;
  const Shape shape = In(gradient ? 1 : 0).shape;
  const int64_t groups = attributes_[0];
  if (shape.rank < 2 || shape.Count() == 0 || groups <= 0) return false;
  const int64_t images = shape.sizes[0], channels = shape.sizes[shape.rank - 1];
  if (channels % groups != 0) return false;
  if (gradient)
    for (int i = 0; i < 5; i++) RequireFloats(i, i < 2 ? shape.Count() : i == 2 ? channels : images * groups);
  else
    for (int i = 1; i < 3; i++) RequireFloats(i, channels);
  Shape each;
  each.rank = 2;
  each.sizes[0] = images;
  each.sizes[1] = gradient ? channels : groups;
  const int32_t out = New(Type::FLOAT, shape), first = New(Type::FLOAT, each), second = New(Type::FLOAT, each);
  Parameters({0, images, shape.Count() / images / channels, channels, groups, attributes_[1]});
  if (gradient)
    Add(kernels_.groupNormGrad,
        {{out}, {first}, {second}, {inputs_[0]}, {inputs_[1]}, {inputs_[2]}, {inputs_[3]}, {inputs_[4]}}, 3);
  else
    Add(kernels_.groupNorm, {{out}, {first}, {second}, {inputs_[0]}, {inputs_[1]}, {inputs_[2]}}, 3);
  Spend(shape.Count(), gradient ? 1.5 : 1, 4);
  DivideRange(images, 1, 0);
  return true;
}

}  // namespace layerwise
