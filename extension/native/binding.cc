// tfjs-node's binding with additions: a session from a graph in memory with a configuration, local or through a server of
// TensorFlow's; session calls on the calling thread; session calls on a separate thread while JavaScript continues; plans of our own
// kernels, and their tensors. TensorFlow is loaded when something needs it (library.h). binding.ts documents the functions.
#include <node_api.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <map>
#include <memory>
#include <new>
#include <set>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#if !defined(_WIN32)
#include <signal.h>
#endif

// The included file would register the module; this file does so below, with its additions.
#undef NAPI_MODULE
#define NAPI_MODULE(name, init)
#include "tfjs_binding.cc"

#include "arena.h"
#include "library.h"
#include "plan.h"
#include "tensors.h"

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
  std::map<int32_t, layerwise::Plan> plans;
  int32_t nextPlan = 0;
  layerwise::Arena arena;

  // Waits for what other threads do. Calls that wait for other processes fail, since their sessions are closed.
  void WaitForCalls() {
    // Nor may the process end while it loads a library.
    if (loads) BindTensorFlow();
    for (const auto &[id, call] : calls)
      if (call->remote) TF_CloseSession(call->session, TF_AutoStatus().status);
    for (const auto &[id, call] : calls) call->Wait();
  }
};

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
  void *state;
  ENSURE_NAPI_OK_RETVAL(env, napi_get_cb_info(env, info, nullptr, nullptr, nullptr, &state), nullptr);
  return TensorFlow(env, static_cast<State *>(state)) == nullptr ? nullptr : Function(env, info);
}

napi_value LoadTensorFlow(napi_env env, napi_callback_info) {
  napi_value version;
  ENSURE_NAPI_OK_RETVAL(env, napi_create_string_latin1(env, TF_Version(), NAPI_AUTO_LENGTH, &version), nullptr);
  return version;
}

napi_value PrepareTensorFlow(napi_env env, napi_callback_info info) {
  State *state;
  ENSURE_NAPI_OK_RETVAL(env, napi_get_cb_info(env, info, nullptr, nullptr, nullptr, reinterpret_cast<void **>(&state)),
                        nullptr);
  if (state->backend != nullptr || state->loads) return nullptr;
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

// Reads a plan for some threads, and writes what it costs: nanoseconds of its own, then TensorFlow's. Returns its id, or -1 for
// one that has something unknown.
napi_value OpenPlan(napi_env env, napi_callback_info info) {
  napi_value args[3];
  size_t count = 3;
  State *state;
  ENSURE_NAPI_OK_RETVAL(env, napi_get_cb_info(env, info, &count, args, nullptr, reinterpret_cast<void **>(&state)),
                        nullptr);
  void *code, *costs;
  size_t length, wanted;
  int32_t threads;
  if (!GetTyped(env, args[0], napi_int32_array, &code, &length)) return nullptr;
  ENSURE_NAPI_OK_RETVAL(env, napi_get_value_int32(env, args[1], &threads), nullptr);
  if (!GetTyped(env, args[2], napi_float64_array, &costs, &wanted)) return nullptr;
  int32_t id = -1;
  layerwise::Plan plan;
  if (wanted == 3 && plan.Read(static_cast<const int32_t *>(code), static_cast<int64_t>(length), threads)) {
    static_cast<double *>(costs)[0] = plan.costs().own;
    static_cast<double *>(costs)[1] = plan.costs().library;
    static_cast<double *>(costs)[2] = static_cast<double>(plan.Size());
    id = state->nextPlan++;
    state->plans.emplace(id, std::move(plan));
  }
  napi_value result;
  ENSURE_NAPI_OK_RETVAL(env, napi_create_int32(env, id, &result), nullptr);
  return result;
}

napi_value ClosePlan(napi_env env, napi_callback_info info) {
  napi_value args[1];
  size_t count = 1;
  State *state;
  ENSURE_NAPI_OK_RETVAL(env, napi_get_cb_info(env, info, &count, args, nullptr, reinterpret_cast<void **>(&state)),
                        nullptr);
  int32_t id;
  ENSURE_NAPI_OK_RETVAL(env, napi_get_value_int32(env, args[0], &id), nullptr);
  state->plans.erase(id);
  if (state->plans.empty()) state->arena.Free();
  return nullptr;
}

napi_typedarray_type ArrayOf(layerwise::Type type) {
  using layerwise::Type;
  return type == Type::FLOAT ? napi_float32_array : type == Type::INT32 ? napi_int32_array : napi_uint8_array;
}

// Makes a tensor of plans. False, without an exception, for what only TensorFlow has, or refuses.
bool MakeTensor(napi_env env, State *state, const napi_value *args, int32_t &id) {
  using layerwise::Type;
  int32_t number;
  if (napi_get_value_int32(env, args[1], &number) != napi_ok) return false;
  const Type type = static_cast<Type>(number);
  if (type != Type::FLOAT && type != Type::INT32 && type != Type::BOOL) return false;
  bool typed;
  if (napi_is_typedarray(env, args[2], &typed) != napi_ok || !typed) return false;
  napi_typedarray_type kind;
  size_t length;
  void *data;
  if (napi_get_typedarray_info(env, args[2], &kind, &length, &data, nullptr, nullptr) != napi_ok) return false;
  uint32_t rank;
  if (kind != ArrayOf(type) || napi_get_array_length(env, args[0], &rank) != napi_ok) return false;
  std::vector<int64_t> shape(rank);
  size_t count = 1;
  for (uint32_t d = 0; d < rank; d++) {
    napi_value size;
    if (napi_get_element(env, args[0], d, &size) != napi_ok) return false;
    if (napi_get_value_int64(env, size, &shape[d]) != napi_ok || shape[d] < 0 || shape[d] > INT32_MAX) return false;
    // Beyond what an array can have.
    if (shape[d] > 0 && count > (size_t{1} << 40) / static_cast<size_t>(shape[d])) return false;
    count *= static_cast<size_t>(shape[d]);
  }
  if (count != length) return false;
  auto tensor = layerwise::Tensor::New(type, std::move(shape), count * static_cast<size_t>(layerwise::SizeOf(type)));
  if (tensor.memory == nullptr) return false;
  if (tensor.bytes > 0) memcpy(tensor.memory.get(), data, tensor.bytes);
  id = state->tensors.Add(std::move(tensor));
  return true;
}

napi_value NewTensor(napi_env env, napi_callback_info info) {
  napi_value args[3];
  size_t count = 3;
  State *state;
  ENSURE_NAPI_OK_RETVAL(env, napi_get_cb_info(env, info, &count, args, nullptr, reinterpret_cast<void **>(&state)),
                        nullptr);
  int32_t id;
  // On a GPU, TensorFlow copies it there.
  const bool gpu = state->backend != nullptr && state->backend->is_gpu_device;
  if (gpu || count < 3 || !MakeTensor(env, state, args, id)) return Loaded<CreateTensor>(env, info);
  napi_value result;
  ENSURE_NAPI_OK_RETVAL(env, napi_create_int32(env, id, &result), nullptr);
  return result;
}

// Whether a function's first argument is the id of a tensor that TensorFlow has.
bool IsLibrarys(napi_env env, napi_callback_info info, State *&state, int32_t &id) {
  napi_value args[1];
  size_t count = 1;
  id = 0;
  return napi_get_cb_info(env, info, &count, args, nullptr, reinterpret_cast<void **>(&state)) == napi_ok &&
         (count < 1 || napi_get_value_int32(env, args[0], &id) != napi_ok || (id >= 0 && state->backend != nullptr));
}

napi_value RemoveTensor(napi_env env, napi_callback_info info) {
  State *state;
  int32_t id;
  if (IsLibrarys(env, info, state, id)) return Loaded<DeleteTensor>(env, info);
  if (!state->tensors.Delete(id)) NAPI_THROW_ERROR(env, "Delete called on a Tensor not referenced (tensor_id: %d)", id);
  return nullptr;
}

napi_value ReadTensor(napi_env env, napi_callback_info info) {
  State *state;
  int32_t id;
  if (IsLibrarys(env, info, state, id)) return Loaded<TensorDataSync>(env, info);
  const layerwise::Tensor *const tensor = state->tensors.Find(id);
  if (tensor == nullptr) {
    NAPI_THROW_ERROR(env, "Get data called on a Tensor not referenced (tensor_id: %d)", id);
    return nullptr;
  }
  napi_value buffer, array;
  void *data;
  ENSURE_NAPI_OK_RETVAL(env, napi_create_arraybuffer(env, tensor->bytes, &data, &buffer), nullptr);
  if (tensor->bytes > 0) memcpy(data, tensor->memory.get(), tensor->bytes);
  const size_t length = tensor->bytes / static_cast<size_t>(layerwise::SizeOf(tensor->type));
  ENSURE_NAPI_OK_RETVAL(env, napi_create_typedarray(env, ArrayOf(tensor->type), length, buffer, 0, &array), nullptr);
  return array;
}

napi_value CountTensors(napi_env env, napi_callback_info info) {
  State *state;
  ENSURE_NAPI_OK_RETVAL(env, napi_get_cb_info(env, info, nullptr, nullptr, nullptr, reinterpret_cast<void **>(&state)),
                        nullptr);
  size_t count = state->tensors.Count();
  if (state->backend != nullptr) count += (state->backend->*MemberOf(Handles())).size();
  napi_value result;
  ENSURE_NAPI_OK_RETVAL(env, napi_create_int32(env, static_cast<int32_t>(count), &result), nullptr);
  return result;
}

// A tensor of TensorFlow's with the values of one of plans, whose memory it shares.
TF_Tensor *Share(const layerwise::Tensor &tensor) {
  const auto release = [](void *, size_t, void *memory) { delete static_cast<std::shared_ptr<char> *>(memory); };
  return TF_NewTensor(static_cast<TF_DataType>(tensor.type), tensor.shape.data(), static_cast<int>(tensor.shape.size()),
                      tensor.memory.get(), tensor.bytes, release, new std::shared_ptr<char>(tensor.memory));
}

// A tensor by its id, to be deleted by the caller. Null, with an exception, if there is none. Needs TensorFlow.
TF_Tensor *TensorOf(napi_env env, const State *state, int32_t id) {
  if (const layerwise::Tensor *const own = state->tensors.Find(id)) return Share(*own);
  const auto &handles = state->backend->*MemberOf(Handles());
  const auto handle = handles.find(id);
  if (handle == handles.end()) {
    NAPI_THROW_ERROR(env, "Input Tensor ID not found (tensor_id: %d)", id);
    return nullptr;
  }
  TF_AutoStatus status;
  TF_Tensor *const tensor = TFE_TensorHandleResolve(handle->second, status.status);
  ENSURE_TF_OK_RETVAL(env, status, nullptr);
  return tensor;
}

// TensorFlow's ids of tensors, some of which are of plans: those have one while this lives.
class LibraryIds {
 public:
  explicit LibraryIds(State *state) : state_(state) {}
  ~LibraryIds() {
    auto &handles = state_->backend->*MemberOf(Handles());
    for (const int32_t id : made_) {
      TFE_DeleteTensorHandle(handles.at(id));
      handles.erase(id);
    }
  }

  // Null, with an exception, if there is no such tensor.
  napi_value Of(napi_env env, napi_value ids) {
    uint32_t count;
    ENSURE_NAPI_OK_RETVAL(env, napi_get_array_length(env, ids, &count), nullptr);
    napi_value result;
    ENSURE_NAPI_OK_RETVAL(env, napi_create_array_with_length(env, count, &result), nullptr);
    for (uint32_t i = 0; i < count; i++) {
      napi_value element;
      int32_t id;
      ENSURE_NAPI_OK_RETVAL(env, napi_get_element(env, ids, i, &element), nullptr);
      if (napi_get_value_int32(env, element, &id) == napi_ok && id < 0) {
        TF_Tensor *const tensor = TensorOf(env, state_, id);
        if (tensor == nullptr) return nullptr;
        TF_AutoStatus status;
        TFE_TensorHandle *const handle = TFE_NewTensorHandle(tensor, status.status);
        TF_DeleteTensor(tensor);
        ENSURE_TF_OK_RETVAL(env, status, nullptr);
        made_.push_back((state_->backend->*MemberOf(NewHandle()))(handle));
        ENSURE_NAPI_OK_RETVAL(env, napi_create_int32(env, made_.back(), &element), nullptr);
      }
      ENSURE_NAPI_OK_RETVAL(env, napi_set_element(env, result, i, element), nullptr);
    }
    return result;
  }

 private:
  State *const state_;
  std::vector<int32_t> made_;
};

// A method of tfjs-node's with four arguments, of which one is a list of tensors.
template <auto Method, int Tensors>
napi_value WithTensors(napi_env env, napi_callback_info info) {
  napi_value args[4];
  size_t count = 4;
  State *state;
  ENSURE_NAPI_OK_RETVAL(env, napi_get_cb_info(env, info, &count, args, nullptr, reinterpret_cast<void **>(&state)),
                        nullptr);
  if (TensorFlow(env, state) == nullptr) return nullptr;
  LibraryIds ids(state);
  args[Tensors] = ids.Of(env, args[Tensors]);
  return args[Tensors] == nullptr ? nullptr : (state->backend->*Method)(env, args[0], args[1], args[2], args[3]);
}

// Tensors that a running plan reads or writes, until it has ended.
struct Resolved {
  std::vector<TF_Tensor *> tensors;
  ~Resolved() {
    for (TF_Tensor *tensor : tensors) TF_DeleteTensor(tensor);
  }
};

// Takes the memory of a typed array for values of a plan. False, with an exception, for one of another type or size.
bool GetValues(napi_env env, napi_value array, const layerwise::Plan::Port &port, char *&values) {
  void *data;
  size_t length;
  if (!GetTyped(env, array, ArrayOf(port.type), &data, &length)) return false;
  if (length != static_cast<size_t>(port.shape.Count())) {
    NAPI_THROW_ERROR(env, "%zu values of a plan were expected, not %zu", static_cast<size_t>(port.shape.Count()), length);
    return false;
  }
  values = static_cast<char *>(data);
  return true;
}

// Runs a plan. Leaves are ids of tensors or typed arrays; the first outputs are written into typed arrays, and new tensors are
// made of the others, whose ids are written into the last argument. Returns false if a kernel has refused its input.
napi_value RunPlan(napi_env env, napi_callback_info info) {
  napi_value args[4];
  size_t count = 4;
  State *state;
  ENSURE_NAPI_OK_RETVAL(env, napi_get_cb_info(env, info, &count, args, nullptr, reinterpret_cast<void **>(&state)),
                        nullptr);
  int32_t id;
  ENSURE_NAPI_OK_RETVAL(env, napi_get_value_int32(env, args[0], &id), nullptr);
  const auto entry = state->plans.find(id);
  if (entry == state->plans.end()) {
    NAPI_THROW_ERROR(env, "There is no plan %d", id);
    return nullptr;
  }
  const layerwise::Plan &plan = entry->second;
  const auto &leaves = plan.leaves();
  const auto &outputs = plan.outputs();
  uint32_t given;
  ENSURE_NAPI_OK_RETVAL(env, napi_get_array_length(env, args[1], &given), nullptr);
  if (given != leaves.size()) {
    NAPI_THROW_ERROR(env, "%zu leaves were expected, %u given", leaves.size(), given);
    return nullptr;
  }
  Resolved resolved;
  std::vector<char *> roots(leaves.size() + 2 + outputs.size());
  for (uint32_t i = 0; i < given; i++) {
    napi_value leaf;
    ENSURE_NAPI_OK_RETVAL(env, napi_get_element(env, args[1], i, &leaf), nullptr);
    int32_t tensor;
    if (napi_get_value_int32(env, leaf, &tensor) == napi_ok) {
      size_t bytes;
      int32_t type;
      if (const layerwise::Tensor *const own = state->tensors.Find(tensor)) {
        roots[i] = own->memory.get();
        bytes = own->bytes;
        type = static_cast<int32_t>(own->type);
      } else if (state->backend == nullptr) {
        NAPI_THROW_ERROR(env, "Input Tensor ID not found (tensor_id: %d)", tensor);
        return nullptr;
      } else {
        TF_Tensor *const value = TensorOf(env, state, tensor);
        if (value == nullptr) return nullptr;
        resolved.tensors.push_back(value);
        roots[i] = static_cast<char *>(TF_TensorData(value));
        bytes = TF_TensorByteSize(value);
        type = TF_TensorType(value);
      }
      if (bytes != static_cast<size_t>(leaves[i].Bytes()) || type != static_cast<int32_t>(leaves[i].type)) {
        NAPI_THROW_ERROR(env, "Leaf %u has %zu bytes, not %zu, or another type", i, bytes, static_cast<size_t>(leaves[i].Bytes()));
        return nullptr;
      }
    } else if (!GetValues(env, leaf, leaves[i], roots[i])) {
      return nullptr;
    }
  }
  uint32_t read;
  ENSURE_NAPI_OK_RETVAL(env, napi_get_array_length(env, args[2], &read), nullptr);
  void *ids;
  size_t makes;
  if (!GetTyped(env, args[3], napi_int32_array, &ids, &makes)) return nullptr;
  if (read + makes != outputs.size()) {
    NAPI_THROW_ERROR(env, "%zu outputs were expected, not %zu", outputs.size(), read + makes);
    return nullptr;
  }
  char **results = roots.data() + leaves.size() + 2;
  for (uint32_t i = 0; i < read; i++) {
    napi_value array;
    ENSURE_NAPI_OK_RETVAL(env, napi_get_element(env, args[2], i, &array), nullptr);
    if (!GetValues(env, array, outputs[i], results[i])) return nullptr;
  }
  std::vector<layerwise::Tensor> made;
  made.reserve(makes);
  // Without memory for a result, TensorFlow runs the plan, for its error.
  bool allocated = true;
  for (size_t i = read; i < outputs.size(); i++) {
    const auto &[type, shape, at] = outputs[i];
    std::vector<int64_t> sizes(shape.sizes, shape.sizes + shape.rank);
    made.push_back(layerwise::Tensor::New(type, std::move(sizes), static_cast<size_t>(outputs[i].Bytes())));
    results[i] = made.back().memory.get();
    allocated = allocated && results[i] != nullptr;
  }
  char *const arena = allocated ? state->arena.Room(static_cast<size_t>(plan.bytes())) : nullptr;
  bool done = arena != nullptr;
  if (done) {
    const layerwise::FlushDenormals flush;
    done = plan.Run(roots, arena);
  }
  napi_value result;
  ENSURE_NAPI_OK_RETVAL(env, napi_get_boolean(env, done, &result), nullptr);
  if (!done) return result;
  for (size_t i = 0; i < outputs.size(); i++) {
    const auto &port = outputs[i];
    const char *source = roots[port.at.root] + port.at.offset;
    if (source != results[i] && port.Bytes() > 0) memcpy(results[i], source, port.Bytes());
  }
  for (size_t i = 0; i < makes; i++) static_cast<int32_t *>(ids)[i] = state->tensors.Add(std::move(made[i]));
  return result;
}

// Whether numbers of a kind with these parameters fit into their type: a conversion of others is undefined.
bool AreDrawable(layerwise::DrawKind how, const double *parameters) {
  constexpr double WORD = 4294967296.0;
  const double first = parameters[0], second = parameters[1];
  if (how == layerwise::DrawKind::Decisions) return first >= 0 && first < WORD && second >= 0 && second < WORD;
  if (how == layerwise::DrawKind::Integers) return first >= 1 && second >= -WORD / 2 && first + second <= WORD / 2;
  return true;
}

// Draws numbers of a kind from a generator's words, of which so many are used, and returns how many are used then.
napi_value DrawRandom(napi_env env, napi_callback_info info) {
  napi_value args[6];
  size_t count = 6;
  ENSURE_NAPI_OK_RETVAL(env, napi_get_cb_info(env, info, &count, args, nullptr, nullptr), nullptr);
  int32_t kind, used, wanted;
  void *words, *out, *parameters;
  size_t state, room, given;
  napi_typedarray_type type;
  ENSURE_NAPI_OK_RETVAL(env, napi_get_value_int32(env, args[0], &kind), nullptr);
  if (!GetTyped(env, args[1], napi_int32_array, &words, &state)) return nullptr;
  ENSURE_NAPI_OK_RETVAL(env, napi_get_value_int32(env, args[2], &used), nullptr);
  ENSURE_NAPI_OK_RETVAL(env, napi_get_typedarray_info(env, args[3], &type, &room, &out, nullptr, nullptr), nullptr);
  ENSURE_NAPI_OK_RETVAL(env, napi_get_value_int32(env, args[4], &wanted), nullptr);
  if (!GetTyped(env, args[5], napi_float64_array, &parameters, &given)) return nullptr;
  const auto how = static_cast<layerwise::DrawKind>(kind);
  const bool skips = how == layerwise::DrawKind::Skip;
  const auto expected = how == layerwise::DrawKind::Words      ? napi_uint32_array
                        : how == layerwise::DrawKind::Integers ? napi_int32_array
                                                               : napi_float32_array;
  if (kind < 0 || how > layerwise::DrawKind::Integers || state != 624 || used < 0 || used > 624 || wanted < 0 || given < 3 ||
      (!skips && (type != expected || static_cast<size_t>(wanted) > room)) ||
      (how == layerwise::DrawKind::Normal && wanted % 16 != 0) || !AreDrawable(how, static_cast<double *>(parameters))) {
    NAPI_THROW_ERROR(env, "Random numbers can't be drawn so");
    return nullptr;
  }
  used = layerwise::BestKernels().draw(how, static_cast<uint32_t *>(words), used, out, wanted, static_cast<double *>(parameters));
  napi_value result;
  ENSURE_NAPI_OK_RETVAL(env, napi_create_int32(env, used, &result), nullptr);
  return result;
}

// Parses comma-separated "node:output" names. Returns false, with an exception, if the graph has no such node.
bool FindOutputs(napi_env env, TF_Graph *graph, const std::string &names, std::vector<TF_Output> &found) {
  for (size_t from = 0; from < names.size();) {
    const size_t to = std::min(names.find(',', from), names.size());
    const size_t colon = std::min(names.find(':', from), to);
    const std::string name = names.substr(from, colon - from);
    TF_Operation *operation = TF_GraphOperationByName(graph, name.c_str());
    if (operation == nullptr) {
      NAPI_THROW_ERROR(env, "The graph has no node %s", name.c_str());
      return false;
    }
    found.push_back({operation, colon < to ? atoi(names.c_str() + colon + 1) : 0});
    from = to + 1;
  }
  return true;
}

bool GetBytes(napi_env env, napi_value array, TF_Buffer &bytes) {
  napi_typedarray_type type;
  void *data;
  size_t length;
  ENSURE_NAPI_OK_RETVAL(env, napi_get_typedarray_info(env, array, &type, &length, &data, nullptr, nullptr), false);
  if (type != napi_uint8_array) {
    NAPI_THROW_ERROR(env, "A Uint8Array was expected");
    return false;
  }
  bytes = {data, length, nullptr};
  return true;
}

// Starts a server from a ServerDef, and returns the target of its sessions. A server can't be deleted: it ends with the process.
napi_value StartServer(napi_env env, napi_callback_info info) {
  napi_value args[1];
  size_t count = 1;
  State *state;
  ENSURE_NAPI_OK_RETVAL(env, napi_get_cb_info(env, info, &count, args, nullptr, reinterpret_cast<void **>(&state)),
                        nullptr);
  if (TensorFlow(env, state) == nullptr) return nullptr;
  TF_Buffer definition;
  if (!GetBytes(env, args[0], definition)) return nullptr;
  TF_AutoStatus status;
  TF_Server *server = TF_NewServer(definition.data, definition.length, status.status);
  ENSURE_TF_OK_RETVAL(env, status, nullptr);
  TF_ServerStart(server, status.status);
  ENSURE_TF_OK_RETVAL(env, status, nullptr);
  napi_value target;
  ENSURE_NAPI_OK_RETVAL(env, napi_create_string_latin1(env, TF_ServerTarget(server), NAPI_AUTO_LENGTH, &target), nullptr);
  return target;
}

napi_value OpenGraph(napi_env env, napi_callback_info info) {
  napi_value args[3];
  size_t count = 3;
  State *state;
  ENSURE_NAPI_OK_RETVAL(env, napi_get_cb_info(env, info, &count, args, nullptr, reinterpret_cast<void **>(&state)),
                        nullptr);
  if (TensorFlow(env, state) == nullptr) return nullptr;
  TF_Buffer definition;
  TF_Buffer config;
  if (!GetBytes(env, args[0], definition) || !GetBytes(env, args[1], config)) return nullptr;
  std::string target;
  if (count > 2) ENSURE_NAPI_OK_RETVAL(env, GetStringParam(env, args[2], target), nullptr);
  TF_AutoStatus status;
  std::unique_ptr<TF_SessionOptions, decltype(&TF_DeleteSessionOptions)> options(TF_NewSessionOptions(),
                                                                                TF_DeleteSessionOptions);
  TF_SetConfig(options.get(), config.data, config.length, status.status);
  ENSURE_TF_OK_RETVAL(env, status, nullptr);
  if (!target.empty()) TF_SetTarget(options.get(), target.c_str());
  std::unique_ptr<TF_Graph, decltype(&TF_DeleteGraph)> graph(TF_NewGraph(), TF_DeleteGraph);
  std::unique_ptr<TF_ImportGraphDefOptions, decltype(&TF_DeleteImportGraphDefOptions)> importing(
      TF_NewImportGraphDefOptions(), TF_DeleteImportGraphDefOptions);
  TF_GraphImportGraphDef(graph.get(), &definition, importing.get(), status.status);
  ENSURE_TF_OK_RETVAL(env, status, nullptr);
  TF_Session *session = TF_NewSession(graph.get(), options.get(), status.status);
  ENSURE_TF_OK_RETVAL(env, status, nullptr);
  napi_value id;
  const int32_t inserted = (state->backend->*MemberOf(NewSession()))(session, graph.release());
  if (!target.empty()) state->remote.insert(inserted);
  ENSURE_NAPI_OK_RETVAL(env, napi_create_int32(env, inserted, &id), nullptr);
  return id;
}

// Makes a call from a function's arguments. Returns null, with an exception, if they are invalid.
std::unique_ptr<Call> NewCall(napi_env env, State *state, const napi_value *args) {
  if (TensorFlow(env, state) == nullptr) return nullptr;
  int32_t session;
  ENSURE_NAPI_OK_RETVAL(env, napi_get_value_int32(env, args[0], &session), nullptr);
  const auto &sessions = state->backend->*MemberOf(Sessions());
  const auto entry = sessions.find(session);
  if (entry == sessions.end()) {
    NAPI_THROW_ERROR(env, "SavedModel ID not found (savedmodel_id: %d)", session);
    return nullptr;
  }
  auto call = std::make_unique<Call>();
  call->session = entry->second.first;
  call->remote = state->remote.count(session) > 0;
  ENSURE_NAPI_OK_RETVAL(env, napi_get_value_bool(env, args[4], &call->alone), nullptr);
  std::string feeds;
  std::string fetches;
  ENSURE_NAPI_OK_RETVAL(env, GetStringParam(env, args[2], feeds), nullptr);
  ENSURE_NAPI_OK_RETVAL(env, GetStringParam(env, args[3], fetches), nullptr);
  TF_Graph *graph = entry->second.second;
  if (!FindOutputs(env, graph, feeds, call->feeds) || !FindOutputs(env, graph, fetches, call->fetches))
    return nullptr;
  uint32_t inputs;
  ENSURE_NAPI_OK_RETVAL(env, napi_get_array_length(env, args[1], &inputs), nullptr);
  if (inputs != call->feeds.size()) {
    NAPI_THROW_ERROR(env, "%zu names of feeds for %u tensors", call->feeds.size(), inputs);
    return nullptr;
  }
  for (uint32_t i = 0; i < inputs; i++) {
    napi_value element;
    int32_t id;
    ENSURE_NAPI_OK_RETVAL(env, napi_get_element(env, args[1], i, &element), nullptr);
    ENSURE_NAPI_OK_RETVAL(env, napi_get_value_int32(env, element, &id), nullptr);
    TF_Tensor *const tensor = TensorOf(env, state, id);
    if (tensor == nullptr) return nullptr;
    call->inputs.push_back(tensor);
  }
  return call;
}

// Returns the ids of a finished call's outputs; null, with an exception, if it failed.
napi_value Outputs(napi_env env, State *state, const Call &call) {
  // What runs before a call is still there if it has failed.
  const TF_Status *const result = (call.before == nullptr ? call : *call.before).status.status;
  if (TF_GetCode(result) != TF_OK) {
    NAPI_THROW_ERROR(env, "Session fail to run with error: %s", TF_Message(result));
    return nullptr;
  }
  napi_value outputs;
  ENSURE_NAPI_OK_RETVAL(env, napi_create_array_with_length(env, call.outputs.size(), &outputs), nullptr);
  for (uint32_t i = 0; i < call.outputs.size(); i++) {
    TF_AutoStatus status;
    TFE_TensorHandle *handle = TFE_NewTensorHandle(call.outputs[i], status.status);
    ENSURE_TF_OK_RETVAL(env, status, nullptr);
    napi_value output;
    const int32_t inserted = (state->backend->*MemberOf(NewHandle()))(handle);
    ENSURE_NAPI_OK_RETVAL(env, napi_create_int32(env, inserted, &output), nullptr);
    ENSURE_NAPI_OK_RETVAL(env, napi_set_element(env, outputs, i, output), nullptr);
  }
  return outputs;
}

napi_value RunGraph(napi_env env, napi_callback_info info) {
  napi_value args[5];
  size_t count = 5;
  State *state;
  ENSURE_NAPI_OK_RETVAL(env, napi_get_cb_info(env, info, &count, args, nullptr, reinterpret_cast<void **>(&state)),
                        nullptr);
  const auto call = NewCall(env, state, args);
  if (call == nullptr) return nullptr;
  call->Run();
  return Outputs(env, state, *call);
}

napi_value StartGraph(napi_env env, napi_callback_info info) {
  napi_value args[6];
  size_t count = 6;
  State *state;
  ENSURE_NAPI_OK_RETVAL(env, napi_get_cb_info(env, info, &count, args, nullptr, reinterpret_cast<void **>(&state)),
                        nullptr);
  auto call = NewCall(env, state, args);
  if (call == nullptr) return nullptr;
  if (count > 5) {
    napi_value first[] = {args[0], nullptr, nullptr, nullptr, args[4]};
    for (uint32_t i = 0; i < 3; i++)
      ENSURE_NAPI_OK_RETVAL(env, napi_get_element(env, args[5], i, &first[1 + i]), nullptr);
    call->before = NewCall(env, state, first);
    if (call->before == nullptr) return nullptr;
  }
  call->Start();
  napi_value id;
  ENSURE_NAPI_OK_RETVAL(env, napi_create_int32(env, state->next, &id), nullptr);
  state->calls[state->next++] = std::move(call);
  return id;
}

napi_value FinishGraph(napi_env env, napi_callback_info info) {
  napi_value args[1];
  size_t count = 1;
  State *state;
  ENSURE_NAPI_OK_RETVAL(env, napi_get_cb_info(env, info, &count, args, nullptr, reinterpret_cast<void **>(&state)),
                        nullptr);
  int32_t id;
  ENSURE_NAPI_OK_RETVAL(env, napi_get_value_int32(env, args[0], &id), nullptr);
  const auto entry = state->calls.find(id);
  if (entry == state->calls.end()) {
    NAPI_THROW_ERROR(env, "There is no call %d", id);
    return nullptr;
  }
  const auto call = std::move(entry->second);
  state->calls.erase(entry);
  call->Wait();
  napi_value outputs = Outputs(env, state, *call);
  if (outputs == nullptr) return nullptr;
  napi_value result;
  napi_value milliseconds;
  ENSURE_NAPI_OK_RETVAL(env, napi_create_object(env, &result), nullptr);
  ENSURE_NAPI_OK_RETVAL(env, napi_create_double(env, call->milliseconds, &milliseconds), nullptr);
  ENSURE_NAPI_OK_RETVAL(env, napi_set_named_property(env, result, "outputs", outputs), nullptr);
  ENSURE_NAPI_OK_RETVAL(env, napi_set_named_property(env, result, "milliseconds", milliseconds), nullptr);
  return result;
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
