// Runs plans, and changed ones, under AddressSanitizer and UndefinedBehaviorSanitizer, which end it at the first fault. Reads plans from a
// file: each is its number of words, then the words. Arguments: the file, and how often each plan is changed.
#include <cstdio>
#include <cstdlib>
#include <iterator>

#include "arena.h"
#include "plan.h"

using namespace layerwise;

namespace {

uint32_t state = 1;
int64_t Random(int64_t below) {
  state = state * 1103515245 + 12345;
  return static_cast<int64_t>(state >> 8) % below;
}

constexpr float FLOATS[] = {NAN, INFINITY, -INFINITY, 0, -0.0f, 1e-40f, 3e38f, -3e38f, 1, -1, 0.5f, 2147483648.0f, -1e10f};
constexpr int32_t INTEGERS[] = {0, 1, 2, 3, 5, 8, 9, 16, 17, 33, 100, 65536, -1, -2, 1 << 24, 1 << 30, INT32_MAX, INT32_MIN};
template <class T, size_t N>
T Any(const T (&list)[N]) {
  return list[Random(N)];
}

// Values that lie in memory of their own: what is read or written beyond them is seen.
struct Block {
  explicit Block(int64_t bytes) : memory(static_cast<char *>(malloc(std::max<int64_t>(bytes, 1)))) {}
  ~Block() { free(memory); }
  char *const memory;
};

// All leaves have ordinary numbers, or those at limits.
void Fill(const Plan::Port &port, char *memory, bool ordinary) {
  for (int64_t i = 0; i < port.shape.Count(); i++) {
    if (port.type == Type::BOOL) memory[i] = static_cast<char>(Random(2));
    else if (port.type == Type::INT32) reinterpret_cast<int32_t *>(memory)[i] = ordinary ? static_cast<int32_t>(Random(4)) : Any(INTEGERS);
    else reinterpret_cast<float *>(memory)[i] = ordinary ? static_cast<float>(Random(2001) - 1000) / 300 : Any(FLOATS);
  }
}

Arena memory;

bool Run(const std::vector<int32_t> &words, bool ordinary) {
  const Block code(static_cast<int64_t>(words.size()) * 4);
  std::copy(words.begin(), words.end(), reinterpret_cast<int32_t *>(code.memory));
  Plan plan;
  if (!plan.Read(reinterpret_cast<int32_t *>(code.memory), static_cast<int64_t>(words.size()), 1 + static_cast<int>(Random(3)))) return false;
  int64_t bytes = plan.bytes();
  for (const auto *ports : {&plan.leaves(), &plan.outputs()})
    for (const auto &port : *ports) bytes += port.Bytes();
  if (bytes > 1 << 26 || plan.costs().own > 1e7) return false;
  std::vector<std::unique_ptr<Block>> blocks;
  std::vector<char *> roots;
  const auto add = [&](const Plan::Port &port) { roots.push_back(blocks.emplace_back(std::make_unique<Block>(port.Bytes()))->memory); };
  for (const auto &leaf : plan.leaves()) {
    add(leaf);
    Fill(leaf, roots.back(), ordinary);
  }
  roots.resize(roots.size() + 2);
  for (const auto &output : plan.outputs()) add(output);
  const FlushDenormals flush;
  if (!plan.Run(roots, memory.Room(static_cast<size_t>(plan.bytes())))) return false;
  for (const auto &output : plan.outputs()) {
    const Block copy(output.Bytes());
    if (output.Bytes() > 0) memcpy(copy.memory, roots[output.at.root] + output.at.offset, output.Bytes());
  }
  return true;
}

void Change(std::vector<int32_t> &words) {
  for (int64_t k = 1 + Random(4); k > 0; k--) {
    const auto size = static_cast<int64_t>(words.size());
    int32_t &one = words[Random(size)], other = words[Random(size)];
    const int32_t all = one, instead = Random(2) == 0 ? other : Any(INTEGERS);
    switch (Random(4)) {
      case 0:
        one = Any(INTEGERS);
        break;
      case 1:
        one = static_cast<int32_t>(static_cast<uint32_t>(one) + static_cast<uint32_t>(Random(5)) - 2u);
        break;
      // A size that occurs often fits together again.
      default:
        std::replace(words.begin(), words.end(), all, instead);
    }
  }
  if (Random(20) == 0) words.resize(Random(static_cast<int64_t>(words.size())) + 1);
}

}  // namespace

int main(int, char **arguments) {
  FILE *file = fopen(arguments[1], "rb");
  int64_t plans = 0, run = 0, changed = 0;
  for (int32_t length; file != nullptr && fread(&length, 4, 1, file) == 1; plans++) {
    std::vector<int32_t> words(length);
    if (fread(words.data(), 4, length, file) != static_cast<size_t>(length)) return 1;
    for (const bool ordinary : {true, false}) run += Run(words, ordinary);
    for (int64_t i = atoi(arguments[2]); i > 0; i--) {
      std::vector<int32_t> other = words;
      Change(other);
      changed += Run(other, Random(2) == 0);
    }
  }
  printf("{\"plans\":%lld,\"run\":%lld,\"changed\":%lld}\n", static_cast<long long>(plans), static_cast<long long>(run),
         static_cast<long long>(changed));
  fflush(stdout);
  // Threads of the kernels are never joined.
  _Exit(0);
}
