// Tensors of plans: their values, which TensorFlow may read without a copy.
#pragma once

#include <cstdint>
#include <memory>
#include <new>
#include <unordered_map>
#include <vector>

#include "arena.h"
#include "kernels/table.h"

namespace layerwise {

struct Tensor {
  Type type;
  std::vector<int64_t> shape;
  size_t bytes;
  // Begins with a cache line, as TensorFlow's tensors do. Null while its run waits, and where that has failed.
  std::shared_ptr<char> memory;
  // The run that sets its values, if that was queued (queue.h); else 0.
  int64_t run = 0;

  // Takes memory, whose values are not set. False if there is none.
  bool Allocate() {
    const auto alignment = std::align_val_t{64};
    auto *taken = static_cast<char *>(::operator new(bytes > 0 ? bytes : 1, alignment, std::nothrow));
    if (taken == nullptr) return false;
    memory = {taken, AlignedDelete{alignment}};
    return true;
  }
};

// Tensors by their ids, which are below 0: TensorFlow's are above.
class Tensors {
 public:
  int32_t Add(std::shared_ptr<Tensor> tensor) {
    tensors_.emplace(--last_, std::move(tensor));
    return last_;
  }
  // Null if there is none of this id.
  std::shared_ptr<Tensor> Find(int32_t id) const {
    const auto found = tensors_.find(id);
    return found == tensors_.end() ? nullptr : found->second;
  }
  bool Delete(int32_t id) { return tensors_.erase(id) > 0; }
  size_t Count() const { return tensors_.size(); }

 private:
  std::unordered_map<int32_t, std::shared_ptr<Tensor>> tensors_;
  int32_t last_ = 0;
};

}  // namespace layerwise
