// Sessions of TensorFlow's graphs, and their calls on this thread or on one of their own.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "call.h"
#include "state.h"
#include "tensors.h"

namespace tfnodejs {
namespace {

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
  Arguments<1> args;
  if (!args.Get(env, info)) return nullptr;
  State *const state = args.state;
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
  Arguments<3> args;
  if (!args.Get(env, info)) return nullptr;
  State *const state = args.state;
  if (TensorFlow(env, state) == nullptr) return nullptr;
  TF_Buffer definition;
  TF_Buffer config;
  if (!GetBytes(env, args[0], definition) || !GetBytes(env, args[1], config)) return nullptr;
  std::string target;
  if (args.count > 2) ENSURE_NAPI_OK_RETVAL(env, GetStringParam(env, args[2], target), nullptr);
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
  Arguments<5> args;
  if (!args.Get(env, info)) return nullptr;
  State *const state = args.state;
  const auto call = NewCall(env, state, args.values);
  if (call == nullptr) return nullptr;
  call->Run();
  return Outputs(env, state, *call);
}

napi_value StartGraph(napi_env env, napi_callback_info info) {
  Arguments<6> args;
  if (!args.Get(env, info)) return nullptr;
  State *const state = args.state;
  auto call = NewCall(env, state, args.values);
  if (call == nullptr) return nullptr;
  if (args.count > 5) {
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
  Arguments<1> args;
  if (!args.Get(env, info)) return nullptr;
  State *const state = args.state;
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

}  // namespace
}  // namespace tfnodejs
