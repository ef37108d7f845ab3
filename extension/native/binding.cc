// tfjs-node's binding with additions: a session from a graph in memory with a configuration, local or through a server of
// TensorFlow's; session calls on the calling thread; session calls on a separate thread while JavaScript continues; plans of our own
// kernels, and their tensors. TensorFlow is loaded when something needs it (library.h). binding.ts documents the functions.
#include <node_api.h>

#include <memory>

#if !defined(_WIN32)
#include <signal.h>
#endif

// The included file would register the module; this file does so below, with its additions.
#undef NAPI_MODULE
#define NAPI_MODULE(name, init)
#include "tfjs_binding.cc"

#include "functions/graphs.h"
#include "functions/plans.h"
#include "functions/state.h"
#include "functions/tensors.h"

namespace tfnodejs {
namespace {

#if !defined(_WIN32)
// A stack for signal handlers on the thread that calls. oneDNN's matrix products keep pointers below the stack pointer, where
// a CPU profiler's handler would overwrite them.
class SignalStack {
 public:
  SignalStack() {
    stack_t now;
    if (sigaltstack(nullptr, &now) != 0 || !(now.ss_flags & SS_DISABLE)) return;
    memory_.reset(new char[SIZE]);
    stack_t own{};
    own.ss_sp = memory_.get();
    own.ss_size = SIZE;
    if (sigaltstack(&own, nullptr) != 0) memory_.reset();
  }
  ~SignalStack() {
    stack_t none{};
    none.ss_flags = SS_DISABLE;
    none.ss_size = SIZE;
    if (memory_) sigaltstack(&none, nullptr);
  }

 private:
  static constexpr size_t SIZE = 1 << 17;
  std::unique_ptr<char[]> memory_;
};
#endif

// Waits for the running calls once the process or worker emits 'exit'. The functions of atexit would be too late: before them,
// the C library destroys what TensorFlow and oneDNN have made since the first call, and a running call still needs it.
void WaitAtExit(napi_env env, State *state) {
  const auto wait = [](napi_env env, napi_callback_info info) -> napi_value {
    State *state;
    ENSURE_NAPI_OK_RETVAL(
        env, napi_get_cb_info(env, info, nullptr, nullptr, nullptr, reinterpret_cast<void **>(&state)), nullptr);
    state->WaitForCalls();
    return nullptr;
  };
  napi_value global, process, on;
  ENSURE_NAPI_OK(env, napi_get_global(env, &global));
  ENSURE_NAPI_OK(env, napi_get_named_property(env, global, "process", &process));
  ENSURE_NAPI_OK(env, napi_get_named_property(env, process, "on", &on));
  napi_value listener[2];
  ENSURE_NAPI_OK(env, napi_create_string_latin1(env, "exit", NAPI_AUTO_LENGTH, &listener[0]));
  ENSURE_NAPI_OK(env, napi_create_function(env, "waitForCalls", NAPI_AUTO_LENGTH, wait, state, &listener[1]));
  ENSURE_NAPI_OK(env, napi_call_function(env, process, on, 2, listener, nullptr));
}

napi_value Init(napi_env env, napi_value exports) {
#if !defined(_WIN32)
  static thread_local SignalStack signals;
#endif
  auto *state = new State;
  // A worker that is terminated emits no event: then too, calls end before the backend, and with it the sessions, is destroyed.
  ENSURE_NAPI_OK_RETVAL(
      env, napi_add_env_cleanup_hook(env, [](void *data) {
        static_cast<State *>(data)->WaitForCalls();
        delete static_cast<State *>(data);
      }, state), nullptr);
  WaitAtExit(env, state);
  const napi_property_descriptor properties[] = {
      {"createTensor", nullptr, NewTensor, nullptr, nullptr, nullptr, napi_default, state},
      {"deleteTensor", nullptr, RemoveTensor, nullptr, nullptr, nullptr, napi_default, state},
      {"tensorDataSync", nullptr, ReadTensor, nullptr, nullptr, nullptr, napi_default, state},
      {"getNumOfTensors", nullptr, CountTensors, nullptr, nullptr, nullptr, napi_default, state},
      {"executeOp", nullptr, WithTensors<&TFJSBackend::ExecuteOp, 2>, nullptr, nullptr, nullptr, napi_default, state},
      {"runSavedModel", nullptr, WithTensors<&TFJSBackend::RunSavedModel, 1>, nullptr, nullptr, nullptr, napi_default, state},
      {"loadSavedModel", nullptr, Loaded<LoadSavedModel>, nullptr, nullptr, nullptr, napi_default, state},
      {"deleteSavedModel", nullptr, Loaded<DeleteSavedModel>, nullptr, nullptr, nullptr, napi_default, state},
      {"getNumOfSavedModels", nullptr, Loaded<GetNumOfSavedModels>, nullptr, nullptr, nullptr, napi_default, state},
      {"isUsingGpuDevice", nullptr, Loaded<IsUsingGPUDevice>, nullptr, nullptr, nullptr, napi_default, state},
      {"prepareTensorFlow", nullptr, PrepareTensorFlow, nullptr, nullptr, nullptr, napi_default, state},
      {"loadTensorFlow", nullptr, Loaded<LoadTensorFlow>, nullptr, nullptr, nullptr, napi_default, state},
      {"startServer", nullptr, StartServer, nullptr, nullptr, nullptr, napi_default, state},
      {"openGraph", nullptr, OpenGraph, nullptr, nullptr, nullptr, napi_default, state},
      {"runGraph", nullptr, RunGraph, nullptr, nullptr, nullptr, napi_default, state},
      {"startGraph", nullptr, StartGraph, nullptr, nullptr, nullptr, napi_default, state},
      {"finishGraph", nullptr, FinishGraph, nullptr, nullptr, nullptr, napi_default, state},
      {"openPlan", nullptr, OpenPlan, nullptr, nullptr, nullptr, napi_default, state},
      {"runPlan", nullptr, RunPlan, nullptr, nullptr, nullptr, napi_default, state},
      {"queuePlan", nullptr, QueuePlan, nullptr, nullptr, nullptr, napi_default, state},
      {"finishPlan", nullptr, FinishPlan, nullptr, nullptr, nullptr, napi_default, state},
      {"finishedPlans", nullptr, FinishedPlans, nullptr, nullptr, nullptr, napi_default, state},
      {"closePlan", nullptr, ClosePlan, nullptr, nullptr, nullptr, napi_default, state},
      {"drawRandom", nullptr, DrawRandom, nullptr, nullptr, nullptr, napi_default, state},
  };
  ENSURE_NAPI_OK_RETVAL(env, napi_define_properties(env, exports, ARRAY_SIZE(properties), properties), nullptr);
  // tfjs-node's JavaScript reads these.
#define EXPORT(number) AssignIntProperty(env, exports, #number, number)
  EXPORT(TF_FLOAT), EXPORT(TF_INT32), EXPORT(TF_INT64), EXPORT(TF_BOOL), EXPORT(TF_COMPLEX64), EXPORT(TF_STRING);
  EXPORT(TF_RESOURCE), EXPORT(TF_UINT8), EXPORT(TF_ATTR_STRING), EXPORT(TF_ATTR_INT), EXPORT(TF_ATTR_FLOAT);
  EXPORT(TF_ATTR_BOOL), EXPORT(TF_ATTR_TYPE), EXPORT(TF_ATTR_SHAPE);
#undef EXPORT
  return exports;
}

}  // namespace
}  // namespace tfnodejs

NAPI_MODULE_INIT() { return tfnodejs::Init(env, exports); }
