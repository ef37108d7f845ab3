// Plans that are computed at once, by kernels of their own: what a library for large tensors takes to start an op is often more
// than the op takes. A plan is written as numbers (planWriter.ts), with the names of TensorFlow's ops.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <map>
#include <memory>
#include <new>
#include <numeric>
#include <optional>
#include <vector>

#include "apart.h"
#include "kernels/table.h"
#include "workers.h"

namespace layerwise {

constexpr int MAX_RANK = 8;

// Sizes and strides without what makes no difference: dimensions of 1, and dimensions that are one step by step.
template <int K>
struct Strided {
  int rank = 0;
  int64_t sizes[2 * MAX_RANK];
  int64_t strides[K][2 * MAX_RANK];

  void Add(int64_t size, const int64_t (&own)[K]) {
    if (size == 1) return;
    if (rank > 0) {
      bool merges = true;
      for (int k = 0; k < K; k++) merges = merges && strides[k][rank - 1] == own[k] * size;
      if (merges) {
        sizes[rank - 1] *= size;
        for (int k = 0; k < K; k++) strides[k][rank - 1] = own[k];
        return;
      }
    }
    sizes[rank] = size;
    for (int k = 0; k < K; k++) strides[k][rank] = own[k];
    rank++;
  }

  // Kernels have at least one dimension to walk along.
  void Finish() {
    if (rank > 0) return;
    sizes[0] = 1;
    for (int k = 0; k < K; k++) strides[k][0] = 1;
    rank = 1;
  }
};

struct Shape {
  int rank = 0;
  int64_t sizes[MAX_RANK] = {};

  int64_t Count() const {
    int64_t count = 1;
    for (int d = 0; d < rank; d++) count *= sizes[d];
    return count;
  }
  int64_t Stride(int d) const {
    int64_t stride = 1;
    for (int e = d + 1; e < rank; e++) stride *= sizes[e];
    return stride;
  }
  bool operator==(const Shape &other) const {
    return rank == other.rank && std::equal(sizes, sizes + rank, other.sizes);
  }
};

// A plan, ready to be run with any values of its leaves.
class Plan {
 public:
  // Nanoseconds, roughly: of this plan, and of the same one as a graph of TensorFlow's.
  struct Costs {
    double own = 0;
    double library = 0;
  };

  // Reads a plan, for some threads. Its numbers are described in planWriter.ts. Returns false for one with something unknown, and for a
  // malformed one. Plans that were read stay within their memory for any values of their leaves.
  bool Read(const int32_t *code, int64_t length, int threads);

  struct Port {
    Type type;
    Shape shape;
    Operand at;
    int64_t Bytes() const { return shape.Count() * SizeOf(type); }
  };
  const std::vector<Port> &leaves() const { return leaves_; }
  const std::vector<Port> &outputs() const { return outputs_; }
  int64_t bytes() const { return arena_; }

  const Costs &costs() const { return costs_; }

  // Whether a kernel may refuse what its input is, apart from the numbers of leaves that are out of their bounds.
  bool refuses() const { return refuses_; }
  // A kernel refuses numbers of a leaf that are below the lowest, or not below the end. The exception never gets to it.
  struct Bound {
    int32_t leaf;
    int64_t lowest, end;
    std::optional<int32_t> exception;
  };
  const std::vector<Bound> &bounds() const { return bounds_; }

  // Bytes of the plan itself, while it is kept.
  int64_t Size() const {
    const auto bytes = [](const auto &items) { return static_cast<int64_t>(items.capacity() * sizeof(items[0])); };
    return bytes(leaves_) + bytes(outputs_) + bytes(steps_) + bytes(groups_) + bytes(operands_) + bytes(advances_) + bytes(parameters_) +
           bytes(constants_) + bytes(bounds_);
  }

  // Computes everything. After the leaves, `roots` has two places for the plan's own memory; then one for each output, which is
  // written there if its port says so.
  bool Run(std::vector<char *> &roots, char *arena) const {
    roots[leaves_.size()] = const_cast<char *>(reinterpret_cast<const char *>(constants_.data()));
    roots[leaves_.size() + 1] = arena;
    [[maybe_unused]] const Poisoned poisoned(arena, arena_, pieces_);
    for (const Group &group : groups_)
      if (!(group.parts > 1 ? Share(group, roots.data()) : RunPart(group, roots.data(), 0))) return false;
    return true;
  }

 private:
  struct Step {
    Kernel kernel;
    int32_t operands;
    int32_t parameters;
    int32_t outputs;
    // The input, as a place among the operands, whose memory the output may take over; 0 for none.
    int32_t reusable;
    int32_t count;
    int32_t parameterCount;
    // Whether it only copies, which is left out where the output takes over the input's memory.
    bool copies;
    // For threads: a step can be divided into so many units, or ranges of them, and the parameter with their number, or with the
    // beginning of the range; 0 for one that can't.
    int64_t units;
    int64_t grain;
    int32_t parameter;
    bool range;
    // Whether a unit's numbers lie apart from each other, so that the step can't join others.
    bool apart;
    Costs costs;
  };
  // Steps that follow one another, of which each block of units is computed before the next block: its values stay in the cache. Values
  // that no other step uses have memory for one block only, of so many bytes for each part.
  struct Group {
    int32_t first, end;
    int32_t parts;
    int64_t units, block, blockBytes;
  };
  // In place of an advance: each block is in the same memory.
  static constexpr int64_t IN_BLOCK = std::numeric_limits<int64_t>::min();
  static constexpr int MAX_OPERANDS = 16;
  static constexpr int MAX_PARAMETERS = 256;

  // Kernels allocate scratch memory. Where there is none left, TensorFlow runs the plan, or says so.
  bool RunPart(const Group &group, char *const *roots, int part) const {
    try {
      return RunSteps(group, roots, part);
    } catch (const std::exception &) {
      return false;
    }
  }

  bool RunSteps(const Group &group, char *const *roots, int part) const {
    if (group.parts == 1 && group.block >= group.units) {
      for (int32_t i = group.first; i < group.end; i++) {
        const Step &step = steps_[i];
        if (!step.kernel({roots, operands_.data() + step.operands, parameters_.data() + step.parameters})) return false;
      }
      return true;
    }
    const int64_t end = Beginning(group, part + 1);
    for (int64_t from = Beginning(group, part); from < end; from += group.block)
      for (int32_t i = group.first; i < group.end; i++)
        if (!RunUnits(steps_[i], roots, group.units, from, std::min(end, from + group.block), part * group.blockBytes)) return false;
    return true;
  }

  int64_t Beginning(const Group &group, int part) const { return group.units * part / group.parts; }

  // Computes a step for a range of the group's units, each of which is one or several of its own. Memory for one block is so many bytes
  // from the first part's.
  bool RunUnits(const Step &step, char *const *roots, int64_t units, int64_t from, int64_t to, int64_t block) const {
    Operand operands[MAX_OPERANDS];
    int64_t parameters[MAX_PARAMETERS];
    std::copy_n(parameters_.data() + step.parameters, step.parameterCount, parameters);
    std::copy_n(operands_.data() + step.operands, step.count, operands);
    if (step.range) {
      parameters[step.parameter] = from * step.grain;
      parameters[step.parameter + 1] = std::min(to * step.grain, parameters[step.parameter + 1]);
    } else {
      const int64_t each = step.units / units;
      parameters[step.parameter] = (to - from) * each;
      for (int32_t i = 0; i < step.count; i++) {
        const int64_t advance = advances_[step.operands + i];
        operands[i].offset += advance == IN_BLOCK ? block : from * each * advance;
      }
    }
    return step.kernel({roots, operands, parameters});
  }

  bool Share(const Group &group, char *const *roots) const {
    struct Job {
      const Plan &plan;
      const Group &group;
      char *const *roots;
      std::atomic<bool> done;
    } job = {*this, group, roots, {true}};
    Workers::All().Share(
        group.parts,
        [](void *data, int part) {
          Job &shared = *static_cast<Job *>(data);
          if (!shared.plan.RunPart(shared.group, shared.roots, part)) shared.done = false;
        },
        &job);
    return job.done;
  }

  // Gives back the memory that grew beyond what was written.
  void Trim() {
    leaves_.shrink_to_fit();
    outputs_.shrink_to_fit();
    steps_.shrink_to_fit();
    groups_.shrink_to_fit();
    operands_.shrink_to_fit();
    advances_.shrink_to_fit();
    parameters_.shrink_to_fit();
    constants_.shrink_to_fit();
  }

  // What is known of integers: each is a leaf's, but not the exception, or is between these two.
  struct Numbers {
    int32_t leaf = -1;
    std::optional<int32_t> exception;
    int64_t least = std::numeric_limits<int64_t>::max(), most = std::numeric_limits<int64_t>::min();
    bool IsKnown() const { return leaf >= 0 || least <= most; }
  };
  // A tensor while the plan is read. Views share the memory of their source.
  struct Value {
    Type type = Type::FLOAT;
    Shape shape;
    int32_t source = -1;
    int64_t offset = 0;
    // A leaf, the constants, or -1 for what steps write.
    int32_t root = -1;
    int64_t place = -1;
    int32_t first = -1;
    int32_t last = -1;
    bool constant = false;
    // Whether only the node that made it knows of it.
    bool hidden = false;
    // Whether it needs a place of its own in memory: an output, and what shares a place with another value that is the same.
    bool placed = false;
    // The value whose matrices this one has transposed, while no step has been added that copies them; -1 otherwise.
    int32_t turned = -1;
    // Likewise, which of the reader's tensors it is that are zeros but for some elements.
    int32_t padded = -1;
    // Likewise, which of the reader's sums it is.
    int32_t summed = -1;
    Numbers numbers;
    // Where a condition is whether numbers of another value differ from a constant: the value, or -1, and the constant.
    int32_t differing = -1;
    int32_t constantOf = 0;
  };
  class Reader;

  std::vector<Port> leaves_;
  std::vector<Port> outputs_;
  std::vector<Step> steps_;
  std::vector<Group> groups_;
  std::vector<Operand> operands_;
  // Of each operand, the bytes from one unit of its step to the next.
  std::vector<int64_t> advances_;
  std::vector<int64_t> parameters_;
  std::vector<int32_t> constants_;
  bool refuses_ = false;
  std::vector<Bound> bounds_;
  int64_t arena_ = 0;
  // None but where values lie apart.
  Pieces pieces_;
  Costs costs_;
};

}  // namespace layerwise

#include "reader.h"
