// tfjs-node's binding with additions: a session from a graph in memory with a configuration, local or through a server of
// TensorFlow's; session calls on the calling thread; session calls on a separate thread while JavaScript continues.
// binding.ts documents the functions.
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
#include <vector>

#if !defined(_WIN32)
#include <signal.h>
#endif

// The included file would register the module; this file does so below, with its additions.
#undef NAPI_MODULE
#define NAPI_MODULE(name, init)
#include "tfjs_binding.cc"

#include "arena.h"
#include "plan.h"

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
  TFJSBackend *backend;
  // Ids of sessions that run through a server.
  std::set<int32_t> remote;
  std::map<int32_t, std::unique_ptr<Call>> calls;
  int32_t next = 0;
  std::map<int32_t, layerwise::Plan> plans;
  int32_t nextPlan = 0;
  layerwise::Arena arena;

  // Waits for the running calls. Those that wait for other processes fail, since their sessions are closed.
  void WaitForCalls() {
    TF_AutoStatus status;
    for (const auto &[id, call] : calls)
      if (call->remote) TF_CloseSession(call->session, status.status);
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

// Tensors that a running plan reads or writes, until it has ended.
struct Resolved {
  std::vector<TF_Tensor *> tensors;
  ~Resolved() {
    for (TF_Tensor *tensor : tensors) TF_DeleteTensor(tensor);
  }
};

// Takes the memory of a typed array for values of a plan. False, with an exception, for one of another type or size.
bool GetValues(napi_env env, napi_value array, const layerwise::Plan::Port &port, char *&values) {
  using layerwise::Type;
  const napi_typedarray_type expected = port.type == Type::FLOAT   ? napi_float32_array
                                        : port.type == Type::INT32 ? napi_int32_array
                                                                   : napi_uint8_array;
  void *data;
  size_t length;
  if (!GetTyped(env, array, expected, &data, &length)) return false;
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
  const auto &handles = state->backend->*MemberOf(Handles());
  uint32_t given;
  ENSURE_NAPI_OK_RETVAL(env, napi_get_array_length(env, args[1], &given), nullptr);
  if (given != leaves.size()) {
    NAPI_THROW_ERROR(env, "%zu leaves were expected, %u given", leaves.size(), given);
    return nullptr;
  }
  TF_AutoStatus status;
  Resolved resolved;
  std::vector<char *> roots(leaves.size() + 2 + outputs.size());
  for (uint32_t i = 0; i < given; i++) {
    napi_value leaf;
    ENSURE_NAPI_OK_RETVAL(env, napi_get_element(env, args[1], i, &leaf), nullptr);
    int32_t tensor;
    if (napi_get_value_int32(env, leaf, &tensor) == napi_ok) {
      const auto handle = handles.find(tensor);
      if (handle == handles.end()) {
        NAPI_THROW_ERROR(env, "Input Tensor ID not found (tensor_id: %d)", tensor);
        return nullptr;
      }
      TF_Tensor *value = TFE_TensorHandleResolve(handle->second, status.status);
      ENSURE_TF_OK_RETVAL(env, status, nullptr);
      resolved.tensors.push_back(value);
      roots[i] = static_cast<char *>(TF_TensorData(value));
      const size_t bytes = TF_TensorByteSize(value), expected = static_cast<size_t>(leaves[i].Bytes());
      if (bytes != expected || TF_TensorType(value) != static_cast<TF_DataType>(leaves[i].type)) {
        NAPI_THROW_ERROR(env, "Leaf %u has %zu bytes, not %zu, or another type", i, bytes, expected);
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
  Resolved made;
  // Without memory for a result, TensorFlow runs the plan, for its error.
  bool allocated = true;
  for (size_t i = read; i < outputs.size(); i++) {
    const auto &port = outputs[i];
    TF_Tensor *tensor =
        TF_AllocateTensor(static_cast<TF_DataType>(port.type), port.shape.sizes, port.shape.rank, port.Bytes());
    if (tensor != nullptr) made.tensors.push_back(tensor);
    results[i] = tensor == nullptr ? nullptr : static_cast<char *>(TF_TensorData(tensor));
    allocated = allocated && (results[i] != nullptr || (tensor != nullptr && port.Bytes() == 0));
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
  for (size_t i = 0; i < makes; i++) {
    TFE_TensorHandle *handle = TFE_NewTensorHandle(made.tensors[i], status.status);
    ENSURE_TF_OK_RETVAL(env, status, nullptr);
    static_cast<int32_t *>(ids)[i] = (state->backend->*MemberOf(NewHandle()))(handle);
  }
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
  ENSURE_NAPI_OK_RETVAL(env, napi_get_cb_info(env, info, &count, args, nullptr, nullptr), nullptr);
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
std::unique_ptr<Call> NewCall(napi_env env, const State *state, const napi_value *args) {
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
  const auto &handles = state->backend->*MemberOf(Handles());
  for (uint32_t i = 0; i < inputs; i++) {
    napi_value element;
    int32_t id;
    ENSURE_NAPI_OK_RETVAL(env, napi_get_element(env, args[1], i, &element), nullptr);
    ENSURE_NAPI_OK_RETVAL(env, napi_get_value_int32(env, element, &id), nullptr);
    const auto handle = handles.find(id);
    if (handle == handles.end()) {
      NAPI_THROW_ERROR(env, "Input Tensor ID not found (tensor_id: %d)", id);
      return nullptr;
    }
    TF_AutoStatus status;
    TF_Tensor *tensor = TFE_TensorHandleResolve(handle->second, status.status);
    ENSURE_TF_OK_RETVAL(env, status, nullptr);
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

#if defined(_WIN32)
// In windows/imports.c.
extern "C" unsigned long BindTensorFlow(const char **name);
#endif

napi_value Init(napi_env env, napi_value exports) {
#if defined(_WIN32)
  const char *name;
  const unsigned long error = BindTensorFlow(&name);
  if (error != 0) {
    NAPI_THROW_ERROR(env, "%s can't be loaded (Windows error %lu)", name, error);
    return nullptr;
  }
#else
  static thread_local SignalStack signals;
#endif
  if (InitTFNodeJSBinding(env, exports) == nullptr) return nullptr;
  void *backend;
  ENSURE_NAPI_OK_RETVAL(env, napi_get_instance_data(env, &backend), nullptr);
  auto *state = new State{static_cast<TFJSBackend *>(backend)};
  // A worker that is terminated emits no event: then too, calls end before the backend, and with it the sessions, is destroyed.
  ENSURE_NAPI_OK_RETVAL(
      env, napi_add_env_cleanup_hook(env, [](void *data) {
        static_cast<State *>(data)->WaitForCalls();
        delete static_cast<State *>(data);
      }, state), nullptr);
  WaitAtExit(env, state);
  const napi_property_descriptor properties[] = {
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
  return exports;
}

}  // namespace
}  // namespace tfnodejs

NAPI_MODULE_INIT() { return tfnodejs::Init(env, exports); }
