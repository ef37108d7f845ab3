// Nodes of images and volumes at the places of a grid: the steps that compute them.
#pragma once

#include "reader.h"

namespace layerwise {

// Inputs: of the values, images and a grid; of the images' gradient, the values' and the grid; of the grid's gradient, the values', images
// and the grid. Attributes: mode, padding, whether corners are aligned, and for the images' gradient, how many sizes these have, and their sizes.
inline bool Plan::Reader::ReadGridSample(Code code) {
  const bool ofInput = code == Code::GridSampleInputGrad, ofGrid = code == Code::GridSampleGridGrad;
  Require(inputCount_ == (ofGrid ? 3 : 2));
  for (int i = 0; i < inputCount_; i++)
    if (In(i).type != Type::FLOAT) return false;
  const Shape first = In(0).shape, grid = In(inputCount_ - 1).shape, images = In(ofGrid ? 1 : 0).shape;
  const int dims = grid.rank - 2;
  if ((dims != 2 && dims != 3) || first.rank != grid.rank || images.rank != grid.rank || grid.sizes[grid.rank - 1] != dims ||
      grid.sizes[0] != images.sizes[0])
    return false;
  const int32_t mode = attributes_[0], padding = attributes_[1];
  Require(mode >= 0 && mode <= 2 && padding >= 0 && padding <= 2 && (!ofInput || attributes_[3] == dims));
  // Floats count pixels up to here.
  constexpr int64_t MAX_SIZE = 1 << 24;
  int64_t places = 1, sizes[3];
  for (int d = 0; d < dims; d++) {
    places *= grid.sizes[d + 1];
    sizes[d] = ofInput ? attributes_[4 + d] : images.sizes[d + 2];
    if (sizes[d] < 1 || sizes[d] > MAX_SIZE) return false;
  }
  const int64_t count = images.sizes[0], channels = images.sizes[1];
  Shape shape = ofGrid ? grid : images;
  for (int d = 0; d < dims && !ofGrid; d++) shape.sizes[d + 2] = ofInput ? sizes[d] : grid.sizes[d + 1];
  // Gradients of the values have their shape.
  if (ofInput || ofGrid)
    for (int d = 0; d < dims; d++)
      if (first.sizes[d + 2] != grid.sizes[d + 1] || first.sizes[0] != count || first.sizes[1] != channels) return false;
  const int32_t out = New(Type::FLOAT, shape);
  if (shape.Count() == 0) return true;
  constexpr int64_t BLOCK = 64;
  const int64_t units = ofInput ? count * channels : count * ((places + BLOCK - 1) / BLOCK);
  auto &p = Parameters();
  p.insert(p.end(), {0, units, dims, mode, padding, attributes_[2], count, channels, places});
  p.insert(p.end(), sizes, sizes + dims);
  if (ofGrid) Add(kernels_.gridSampleGridGrad, {{out}, {inputs_[0]}, {inputs_[1]}, {inputs_[2]}}, 1);
  else Add(ofInput ? kernels_.gridSampleInputGrad : kernels_.gridSample, {{out}, {inputs_[0]}, {inputs_[1]}}, 1);
  int64_t taps = 1;
  for (int d = 0; d < dims; d++) taps *= mode == 0 ? 1 : mode == 1 ? 2 : 4;
  Spend(count * places * taps, 5, 30);
  Spend(count * places * channels * taps, 1, 6);
  if (ofInput) Spend(shape.Count(), 0.2, 1);
  DivideRange(units, 1, 0);
  return true;
}

}  // namespace layerwise
