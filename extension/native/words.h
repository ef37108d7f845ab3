// Checked access to a plan's numbers. A malformed plan must neither be read beyond its end nor have steps that reach beyond their memory.
#pragma once

#include <cstdint>
#include <exception>

namespace layerwise {

// Ends reading: TensorFlow runs the plan, or says what is wrong with it.
struct Malformed : std::exception {};

// Called for malformed plans only, so it stays out of the readers' code.
[[noreturn, gnu::noinline, gnu::cold]] inline void Refuse() { throw Malformed(); }

inline void Require(bool holds) {
  if (!holds) Refuse();
}

// Some numbers that follow one another: a node's inputs, its attributes, or a constant.
struct Words {
  const int32_t *data = nullptr;
  int64_t count = 0;

  explicit operator bool() const { return data != nullptr; }
  int32_t operator[](int64_t i) const {
    Require(i >= 0 && i < count);
    return data[i];
  }
  // The list that begins at a place with its length.
  Words List(int64_t at) const {
    const int64_t length = (*this)[at];
    Require(length >= 0 && length < count - at);
    return {data + at + 1, length};
  }
};

}  // namespace layerwise
