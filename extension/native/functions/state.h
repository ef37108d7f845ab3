// What the binding's functions share: the state of an environment, their arguments, and TensorFlow, once it is loaded.
#pragma once

#include <map>
#include <memory>
#include <set>

#include "../library.h"
#include "../plan.h"
#include "../queue.h"
#include "../tensors.h"
#include "call.h"

namespace tfnodejs {
namespace {

// An explicit template instantiation may name private members: the only access to this class's private state.
template <auto Member, typename Name>
struct Opened {
  friend auto MemberOf(Name) { return Member; }
};
#define OPEN(Name, member)      \
  struct Name {                 \
    friend auto MemberOf(Name); \
  };                            \
  template struct Opened<&TFJSBackend::member, Name>;
OPEN(Handles, tfe_handle_map_)
OPEN(Sessions, tf_savedmodel_map_)
OPEN(NewHandle, InsertHandle)
OPEN(NewSession, InsertSavedModel)
#undef OPEN

// State of one environment (the main thread's, a worker's).
struct State {
  // Null until something needs TensorFlow.
  TFJSBackend *backend = nullptr;
  // Whether TensorFlow is being loaded on another thread, or was.
  bool loads = false;
  layerwise::Tensors tensors;
  // Ids of sessions that run through a server.
  std::set<int32_t> remote;
  std::map<int32_t, std::unique_ptr<Call>> calls;
  int32_t next = 0;
  std::map<int32_t, std::shared_ptr<const layerwise::Plan>> plans;
  int32_t nextPlan = 0;
  layerwise::RunQueue runs;

  // Waits for what other threads do. Calls that wait for other processes fail, since their sessions are closed.
  void WaitForCalls() {
    // Nor may the process end while it loads a library.
    if (loads) BindTensorFlow();
    runs.Stop();
    for (const auto &[id, call] : calls)
      if (call->remote) TF_CloseSession(call->session, TF_AutoStatus().status);
    for (const auto &[id, call] : calls) call->Wait();
  }
};

// What a function is called with: its arguments, some of which may be missing, and the state.
template <size_t Most>
struct Arguments {
  napi_value values[Most];
  size_t count = Most;
  State *state = nullptr;

  // False, with an exception, if that fails.
  bool Get(napi_env env, napi_callback_info info) {
    void **const data = reinterpret_cast<void **>(&state);
    ENSURE_NAPI_OK_RETVAL(env, napi_get_cb_info(env, info, &count, values, nullptr, data), false);
    return true;
  }
  napi_value &operator[](size_t i) { return values[i]; }
};

// The state of a function without arguments. Null, with an exception, if that fails.
State *StateOf(napi_env env, napi_callback_info info) {
  void *state;
  ENSURE_NAPI_OK_RETVAL(env, napi_get_cb_info(env, info, nullptr, nullptr, nullptr, &state), nullptr);
  return static_cast<State *>(state);
}

// TensorFlow's side of a state, which is loaded now if it wasn't. Null, with an exception, if that fails.
TFJSBackend *TensorFlow(napi_env env, State *state) {
  if (state->backend != nullptr) return state->backend;
  const char *problem = BindTensorFlow();
  if (problem != nullptr) {
    NAPI_THROW_ERROR(env, "TensorFlow can't be loaded: %s", problem);
    return nullptr;
  }
  TFJSBackend *const backend = TFJSBackend::Create(env);
  if (backend == nullptr) return nullptr;
  ENSURE_NAPI_OK_RETVAL(env, napi_set_instance_data(env, backend, FinalizeTFNodeJSBinding, nullptr), nullptr);
  return state->backend = backend;
}

// A function of tfjs-node, which needs TensorFlow.
template <napi_callback Function>
napi_value Loaded(napi_env env, napi_callback_info info) {
  State *const state = StateOf(env, info);
  return state == nullptr || TensorFlow(env, state) == nullptr ? nullptr : Function(env, info);
}

napi_value LoadTensorFlow(napi_env env, napi_callback_info) {
  napi_value version;
  ENSURE_NAPI_OK_RETVAL(env, napi_create_string_latin1(env, TF_Version(), NAPI_AUTO_LENGTH, &version), nullptr);
  return version;
}

napi_value PrepareTensorFlow(napi_env env, napi_callback_info info) {
  State *const state = StateOf(env, info);
  if (state == nullptr || state->backend != nullptr || state->loads) return nullptr;
  try {
    std::thread([] { BindTensorFlow(); }).detach();
    state->loads = true;
  } catch (const std::system_error &) {
    // No thread could be started: it is loaded when it is needed.
  }
  return nullptr;
}

bool GetTyped(napi_env env, napi_value array, napi_typedarray_type expected, void **data, size_t *length) {
  napi_typedarray_type type;
  ENSURE_NAPI_OK_RETVAL(env, napi_get_typedarray_info(env, array, &type, length, data, nullptr, nullptr), false);
  if (type != expected) NAPI_THROW_ERROR(env, "A typed array of another type was expected");
  return type == expected;
}

}  // namespace
}  // namespace tfnodejs
