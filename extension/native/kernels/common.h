// What kernels of all instruction sets share. Of inline functions, and of instances of templates, the linker keeps one copy, for
// any processor: they are declared here, and in the standard library, before kernels.h is included for an instruction set.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <numeric>
#include <type_traits>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "special.h"
#include "table.h"

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

namespace layerwise {

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

}  // namespace layerwise
