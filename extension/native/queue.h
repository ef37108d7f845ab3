// Runs of plans, which another thread may compute while the program records the next ones.
#pragma once

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "plan.h"
#include "tensors.h"

namespace layerwise {

// A plan with its values.
struct Run {
  // What a leaf is read from: a tensor, or other memory that lasts until the run has ended.
  struct Source {
    std::shared_ptr<Tensor> tensor;
    char *memory;
    char *Get() const { return tensor == nullptr ? memory : tensor->memory.get(); }
  };

  std::shared_ptr<const Plan> plan;
  std::vector<Source> leaves;
  // What else has to last so long.
  std::vector<std::shared_ptr<void>> held;
  // Outputs: the first are written where they are wanted, the others become tensors.
  std::vector<char *> fetched;
  std::vector<std::shared_ptr<Tensor>> made;

  // Whether another thread may compute it. No kernel will refuse its input: the numbers that one might refuse are there, and are none of
  // those. And it holds nothing of TensorFlow's, which may be memory of JavaScript's, to be freed on its own thread.
  bool IsSafe() const {
    if (plan->refuses() || !held.empty()) return false;
    for (const auto &[leaf, lowest, end, exception] : plan->bounds()) {
      const auto *const numbers = reinterpret_cast<const int32_t *>(leaves[leaf].Get());
      const int64_t count = plan->leaves()[leaf].shape.Count();
      if (numbers == nullptr) return false;
      const auto isInside = [lowest, end](int64_t number) { return number >= lowest && number < end; };
      const auto isFine = [&](int32_t number) { return isInside(number) || number == exception; };
      if (!std::all_of(numbers, numbers + count, isFine)) return false;
    }
    return true;
  }

  // False if a kernel has refused its input, and where there is no memory.
  bool Compute(Arena &arena) {
    const auto &ports = plan->outputs();
    std::vector<char *> roots;
    roots.reserve(leaves.size() + 2 + ports.size());
    for (const Source &leaf : leaves) {
      roots.push_back(leaf.Get());
      // An earlier run has failed.
      if (leaf.tensor != nullptr && roots.back() == nullptr) return false;
    }
    roots.resize(leaves.size() + 2);
    roots.insert(roots.end(), fetched.begin(), fetched.end());
    for (const auto &tensor : made) {
      if (!tensor->Allocate()) return Fail();
      roots.push_back(tensor->memory.get());
    }
    char *const room = arena.Room(static_cast<size_t>(plan->bytes()));
    if (room == nullptr) return Fail();
    char **const results = roots.data() + leaves.size() + 2;
    const std::vector<char *> wanted(results, results + ports.size());
    const FlushDenormals flush;
    if (!plan->Run(roots, room)) return Fail();
    for (size_t i = 0; i < ports.size(); i++) {
      const auto &port = ports[i];
      const char *source = roots[port.at.root] + port.at.offset;
      if (source != wanted[i] && port.Bytes() > 0) memcpy(wanted[i], source, port.Bytes());
    }
    return true;
  }

 private:
  bool Fail() {
    for (const auto &tensor : made) tensor->memory.reset();
    return false;
  }
};

// Runs wait until they are worth waking the thread. Whoever needs one before that computes it on its own thread.
class RunQueue {
 public:
  ~RunQueue() { Stop(); }

  // Returns the run's number: they are counted from 1. It takes so many nanoseconds.
  int64_t Add(Run run, double nanoseconds) {
    const std::lock_guard<std::mutex> lock(mutex_);
    waiting_.push_back({std::move(run), nanoseconds});
    work_ += nanoseconds;
    Wake();
    return ++added_;
  }

  // Waits for a run and for those before it. False if one of these has failed.
  bool Wait(int64_t number) {
    std::unique_lock<std::mutex> lock(mutex_);
    if (!busy_) {
      Compute(lock, number);
      Wake();
    }
    ended_.wait(lock, [&] { return finished_ >= number; });
    return failed_ == 0 || number < failed_;
  }
  bool WaitForAll() { return Wait(added_); }

  // Runs that have ended, before the first one that has failed.
  int64_t Finished() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return failed_ == 0 ? finished_ : failed_ - 1;
  }

  // For runs that the caller computes itself, when none is waiting.
  Arena &arena() { return arena_; }

  // Ends the thread. Runs that wait are computed only if someone needs them.
  void Stop() {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      stopped_ = true;
    }
    work_or_stop_.notify_all();
    if (thread_.joinable()) thread_.join();
  }

 private:
  // Nanoseconds of waiting runs that are worth waking a thread, which takes up to 50 microseconds.
  static constexpr double WORTH = 200e3;

  struct Waiting {
    Run run;
    double nanoseconds;
  };

  std::mutex mutex_;
  std::condition_variable work_or_stop_, ended_;
  std::deque<Waiting> waiting_;
  double work_ = 0;
  int64_t added_ = 0, finished_ = 0;
  // The first run that has failed; 0 for none.
  int64_t failed_ = 0;
  // Whether a thread computes runs: one at a time does.
  bool busy_ = false;
  bool woken_ = false;
  bool stopped_ = false;
  std::thread thread_;
  Arena arena_;

  void Wake() {
    if (busy_ || woken_ || stopped_ || work_ < WORTH) return;
    try {
      if (!thread_.joinable()) thread_ = std::thread([this] { ComputeAll(); });
    } catch (const std::exception &) {
      // Without another thread, they are computed when they are needed.
      return;
    }
    woken_ = true;
    work_or_stop_.notify_one();
  }

  void ComputeAll() {
    std::unique_lock<std::mutex> lock(mutex_);
    while (!stopped_) {
      work_or_stop_.wait(lock, [this] { return stopped_ || (woken_ && !busy_); });
      if (stopped_) break;
      woken_ = false;
      while (!stopped_ && !waiting_.empty()) Compute(lock, finished_ + 1);
    }
  }

  // Computes the runs that wait, up to this one.
  void Compute(std::unique_lock<std::mutex> &lock, int64_t last) {
    busy_ = true;
    while (finished_ < last && !waiting_.empty()) {
      bool done;
      {
        Waiting next = std::move(waiting_.front());
        waiting_.pop_front();
        work_ -= next.nanoseconds;
        lock.unlock();
        done = next.run.Compute(arena_);
        // What it held is freed before the lock is taken.
      }
      lock.lock();
      finished_++;
      if (!done && failed_ == 0) failed_ = finished_;
      ended_.notify_all();
    }
    if (waiting_.empty()) work_ = 0;
    busy_ = false;
  }
};

}  // namespace layerwise
