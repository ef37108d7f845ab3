// Calls of TensorFlow's sessions.
#pragma once

#include <chrono>
#include <memory>
#include <system_error>
#include <thread>
#include <vector>

#include "../workers.h"

namespace tfnodejs {
namespace {

// RunOptions with inter_op_thread_pool = -1: ops run on the calling thread.
const unsigned char HERE[] = {0x18, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01};

// A session call, from its start until its outputs are taken.
struct Call {
  TF_Session *session = nullptr;
  bool alone = false;
  bool remote = false;
  std::vector<TF_Output> feeds;
  std::vector<TF_Output> fetches;
  std::vector<TF_Tensor *> inputs;
  std::vector<TF_Tensor *> outputs;
  TF_AutoStatus status;
  double milliseconds = 0;
  std::thread thread;
  // A call that runs before it; null for none.
  std::unique_ptr<Call> before;

  void Run() {
    const auto start = std::chrono::steady_clock::now();
    outputs.assign(fetches.size(), nullptr);
    if (before != nullptr) {
      before->Run();
      if (TF_GetCode(before->status.status) != TF_OK) return;
      // Its inputs are as large as the variables.
      before.reset();
    }
    const auto run = [this](const TF_Buffer *options) {
      TF_SessionRun(session, options, feeds.data(), inputs.data(), static_cast<int>(inputs.size()), fetches.data(),
                    outputs.data(), static_cast<int>(outputs.size()), nullptr, 0, nullptr, status.status);
    };
    if (alone) {
      const layerwise::FlushDenormals flush;
      const TF_Buffer options = {HERE, sizeof(HERE), nullptr};
      run(&options);
    } else {
      run(nullptr);
    }
    milliseconds = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
  }

  void Start() {
    try {
      thread = std::thread([this] { Run(); });
    } catch (const std::system_error &) {
      // No thread could be started: run on this one.
      Run();
    }
  }

  void Wait() {
    if (thread.joinable()) thread.join();
  }

  ~Call() {
    Wait();
    for (TF_Tensor *tensor : inputs) TF_DeleteTensor(tensor);
    for (TF_Tensor *tensor : outputs)
      if (tensor != nullptr) TF_DeleteTensor(tensor);
  }
};

}  // namespace
}  // namespace tfnodejs
