// Memory for the intermediate values of plans.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <memory>
#include <new>

#if !defined(_WIN32)
#include <sys/mman.h>
#endif

namespace layerwise {

struct AlignedDelete {
  std::align_val_t alignment{64};
  void operator()(char *memory) const { ::operator delete(memory, alignment); }
};

// One plan at a time uses it. It is kept from run to run: the system clears new memory page by page, which took a third of the
// time of a training whose values fill 300 MB.
class Arena {
 public:
  // At least so many bytes, which begin with a cache line; null if there is no memory.
  char *Room(size_t bytes) {
    const size_t wanted = std::max(bytes, size_t{1});
    Note(wanted);
    if (size_ >= wanted && (size_ <= SMALL || size_ / 2 <= std::max(before_, most_))) return memory_.get();
    Free();
    const size_t rounded = wanted < HUGE_PAGE ? wanted : (wanted + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
    const auto alignment = std::align_val_t{rounded < HUGE_PAGE ? 64 : HUGE_PAGE};
    memory_ = {static_cast<char *>(::operator new(rounded, alignment, std::nothrow)), AlignedDelete{alignment}};
    if (memory_ == nullptr) return nullptr;
    size_ = rounded;
#if defined(MADV_HUGEPAGE)
    // A fault for 2 MB in place of 512. It doesn't matter if the system has none.
    if (rounded >= HUGE_PAGE) madvise(memory_.get(), rounded, MADV_HUGEPAGE);
#endif
    return memory_.get();
  }

  void Free() {
    memory_.reset();
    size_ = 0;
  }

 private:
  static constexpr size_t HUGE_PAGE = size_t{1} << 21;
  // What isn't worth giving back.
  static constexpr size_t SMALL = size_t{1} << 26;
  static constexpr auto WINDOW = std::chrono::seconds(2);

  // The most that was needed in this time window, and in the one before.
  void Note(size_t bytes) {
    const auto now = std::chrono::steady_clock::now();
    if (now - since_ > WINDOW) {
      before_ = now - since_ > 2 * WINDOW ? 0 : most_;
      most_ = 0;
      since_ = now;
    }
    most_ = std::max(most_, bytes);
  }

  std::unique_ptr<char, AlignedDelete> memory_;
  size_t size_ = 0;
  size_t most_ = 0;
  size_t before_ = 0;
  std::chrono::steady_clock::time_point since_{};
};

}  // namespace layerwise
