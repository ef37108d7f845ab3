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
  // Begins with a cache line, as TensorFlow's tensors do.
  std::shared_ptr<char> memory;

  // A tensor whose values are not set; without memory if there is none.
  static Tensor New(Type type, std::vector<int64_t> shape, size_t bytes) {
    const auto alignment = std::align_val_t{64};
    auto *memory = static_cast<char *>(::operator new(bytes > 0 ? bytes : 1, alignment, std::nothrow));
    std::shared_ptr<char> owned;
    if (memory != nullptr) owned = {memory, AlignedDelete{alignment}};
    return {type, std::move(shape), bytes, std::move(owned)};
  }
};

// Tensors by their ids, which are below 0: TensorFlow's are above.
class Tensors {
 public:
  int32_t Add(Tensor tensor) {
    tensors_.emplace(--last_, std::move(tensor));
    return last_;
  }
  // Null if there is none of this id.
  const Tensor *Find(int32_t id) const {
    const auto found = tensors_.find(id);
    return found == tensors_.end() ? nullptr : &found->second;
  }
  bool Delete(int32_t id) { return tensors_.erase(id) > 0; }
  size_t Count() const { return tensors_.size(); }

 private:
  std::unordered_map<int32_t, Tensor> tensors_;
  int32_t last_ = 0;
};

}  // namespace layerwise
