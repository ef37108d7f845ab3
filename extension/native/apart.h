// What AddressSanitizer has to know of the memory of a plan, which for it is one piece: under it, each value has its own place in there,
// and what lies between values is poisoned. test/engine/sanitized runs plans so.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

namespace layerwise {

// Places of values, and their bytes.
using Pieces = std::vector<std::pair<int64_t, int64_t>>;

#if defined(__SANITIZE_ADDRESS__)
constexpr bool APART = true;
// Bytes between values.
constexpr int64_t GAP = 128;

// Poisons memory but for its pieces, while it lives.
class Poisoned {
 public:
  Poisoned(char *memory, int64_t bytes, const Pieces &pieces) : memory_(memory), bytes_(bytes) {
    __asan_poison_memory_region(memory, bytes);
    for (const auto &[at, count] : pieces) __asan_unpoison_memory_region(memory + at, count);
  }
  ~Poisoned() { __asan_unpoison_memory_region(memory_, bytes_); }

 private:
  char *const memory_;
  const int64_t bytes_;
};
#else
constexpr bool APART = false;
constexpr int64_t GAP = 0;

struct Poisoned {
  Poisoned(char *, int64_t, const Pieces &) {}
};
#endif

}  // namespace layerwise
