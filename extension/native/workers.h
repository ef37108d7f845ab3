// Threads that share the work of a step.
#pragma once

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <mutex>
#include <thread>

#if defined(__SSE__)
#include <immintrin.h>
#endif

namespace layerwise {

// Flushes denormals to 0, as TensorFlow's own threads do: arithmetic with denormals is a hundred times slower.
class FlushDenormals {
 public:
  FlushDenormals() : before_(Get()) { Set(before_ | FLUSH); }
  ~FlushDenormals() { Set(before_); }

 private:
#if defined(__SSE__)
  // Denormal outputs, and denormal inputs.
  static constexpr unsigned FLUSH = 0x8040;
  static unsigned Get() { return _mm_getcsr(); }
  static void Set(unsigned control) { _mm_setcsr(control); }
  const unsigned before_;
#elif defined(__aarch64__)
  static constexpr uint64_t FLUSH = 1 << 24;
  static uint64_t Get() {
    uint64_t control;
    asm volatile("mrs %0, fpcr" : "=r"(control));
    return control;
  }
  static void Set(uint64_t control) { asm volatile("msr fpcr, %0" ::"r"(control)); }
  const uint64_t before_;
#else
  static constexpr unsigned FLUSH = 0;
  static unsigned Get() { return 0; }
  static void Set(unsigned) {}
  const unsigned before_;
#endif
};

// All threads of the process. They are never joined: at exit they sleep.
class Workers {
 public:
  static Workers &All() {
    static Workers *const all = new Workers();
    return *all;
  }

  // Calls `work(data, part)` for each part, on this thread and on others that have nothing to do.
  void Share(int parts, void (*work)(void *, int), void *data) {
    // Plans of other threads don't wait for one another.
    std::unique_lock<std::mutex> alone(busy_, std::try_to_lock);
    if (!alone.owns_lock()) {
      for (int part = 0; part < parts; part++) work(data, part);
      return;
    }
    Grow(parts - 1);
    work_ = work;
    data_ = data;
    unfinished_.store(parts, std::memory_order_relaxed);
    open_.store(parts, std::memory_order_seq_cst);
    if (sleeping_.load(std::memory_order_seq_cst) > 0) {
      std::lock_guard<std::mutex> lock(mutex_);
      awake_.notify_all();
    }
    while (Take()) {}
    for (int turns = 0; unfinished_.load(std::memory_order_acquire) > 0; turns++) Pause(turns);
  }

 private:
  // Turns of waiting before a thread sleeps: steps that follow one another find it awake.
  static constexpr int TURNS = 2000;
  static constexpr int MOST = 64;

  std::mutex busy_;
  std::mutex mutex_;
  std::condition_variable awake_;
  std::atomic<int> sleeping_{0};
  // Parts that no thread has begun; below 0 once threads have looked in vain.
  std::atomic<int> open_{0};
  std::atomic<int> unfinished_{0};
  void (*work_)(void *, int) = nullptr;
  void *data_ = nullptr;
  int threads_ = 0;

  void Grow(int wanted) {
    for (; threads_ < std::min(wanted, MOST); threads_++) {
      try {
        std::thread([this] { Run(); }).detach();
      } catch (const std::exception &) {
        return;
      }
    }
  }

  bool Take() {
    if (open_.load(std::memory_order_relaxed) <= 0) return false;
    const int part = open_.fetch_sub(1, std::memory_order_acq_rel) - 1;
    if (part < 0) return false;
    work_(data_, part);
    unfinished_.fetch_sub(1, std::memory_order_acq_rel);
    return true;
  }

  void Run() {
    const FlushDenormals flush;
    for (int turns = 0;; turns++) {
      if (Take()) turns = 0;
      if (turns < TURNS) {
        Pause(turns);
        continue;
      }
      std::unique_lock<std::mutex> lock(mutex_);
      sleeping_.fetch_add(1, std::memory_order_seq_cst);
      awake_.wait(lock, [this] { return open_.load(std::memory_order_seq_cst) > 0; });
      sleeping_.fetch_sub(1, std::memory_order_relaxed);
      turns = 0;
    }
  }

  static void Pause(int turns) {
    if (turns % 64 == 63) {
      std::this_thread::yield();
      return;
    }
#if defined(__SSE__)
    _mm_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
  }
};

}  // namespace layerwise
