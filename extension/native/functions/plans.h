// Plans of our own kernels, and random numbers.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "state.h"
#include "tensors.h"

namespace tfnodejs {
namespace {

// Reads a plan for some threads, and writes what it costs: nanoseconds of its own, then TensorFlow's. Returns its id, or -1 for
// one that has something unknown.
napi_value OpenPlan(napi_env env, napi_callback_info info) {
  Arguments<3> args;
  if (!args.Get(env, info)) return nullptr;
  State *const state = args.state;
  void *code, *costs;
  size_t length, wanted;
  int32_t threads;
  if (!GetTyped(env, args[0], napi_int32_array, &code, &length)) return nullptr;
  ENSURE_NAPI_OK_RETVAL(env, napi_get_value_int32(env, args[1], &threads), nullptr);
  if (!GetTyped(env, args[2], napi_float64_array, &costs, &wanted)) return nullptr;
  int32_t id = -1;
  const auto plan = std::make_shared<layerwise::Plan>();
  if (wanted == 3 && plan->Read(static_cast<const int32_t *>(code), static_cast<int64_t>(length), threads)) {
    static_cast<double *>(costs)[0] = plan->costs().own;
    static_cast<double *>(costs)[1] = plan->costs().library;
    static_cast<double *>(costs)[2] = static_cast<double>(plan->Size());
    id = state->nextPlan++;
    state->plans.emplace(id, plan);
  }
  napi_value result;
  ENSURE_NAPI_OK_RETVAL(env, napi_create_int32(env, id, &result), nullptr);
  return result;
}

napi_value ClosePlan(napi_env env, napi_callback_info info) {
  Arguments<1> args;
  if (!args.Get(env, info)) return nullptr;
  State *const state = args.state;
  int32_t id;
  ENSURE_NAPI_OK_RETVAL(env, napi_get_value_int32(env, args[0], &id), nullptr);
  state->plans.erase(id);
  if (state->plans.empty()) {
    state->runs.WaitForAll();
    state->runs.arena().Free();
  }
  return nullptr;
}

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

// Makes a run from a function's arguments: a plan, its leaves, which are ids of tensors or typed arrays, typed arrays for the first outputs,
// and room for the ids of the tensors that are made of the others. False, with an exception, if these are invalid.
bool NewRun(napi_env env, Arguments<4> &args, layerwise::Run &run, int32_t *&ids) {
  State *const state = args.state;
  int32_t id;
  ENSURE_NAPI_OK_RETVAL(env, napi_get_value_int32(env, args[0], &id), false);
  const auto entry = state->plans.find(id);
  if (entry == state->plans.end()) {
    NAPI_THROW_ERROR(env, "There is no plan %d", id);
    return false;
  }
  run.plan = entry->second;
  const auto &leaves = run.plan->leaves();
  const auto &outputs = run.plan->outputs();
  uint32_t given;
  ENSURE_NAPI_OK_RETVAL(env, napi_get_array_length(env, args[1], &given), false);
  if (given != leaves.size()) {
    NAPI_THROW_ERROR(env, "%zu leaves were expected, %u given", leaves.size(), given);
    return false;
  }
  run.leaves.resize(given);
  for (uint32_t i = 0; i < given; i++) {
    auto &[own, memory] = run.leaves[i];
    napi_value leaf;
    ENSURE_NAPI_OK_RETVAL(env, napi_get_element(env, args[1], i, &leaf), false);
    int32_t tensor;
    if (napi_get_value_int32(env, leaf, &tensor) == napi_ok) {
      size_t bytes;
      int32_t type;
      own = state->tensors.Find(tensor);
      if (own != nullptr) {
        bytes = own->bytes;
        type = static_cast<int32_t>(own->type);
      } else {
        TF_Tensor *const value = TensorOf(env, state, tensor);
        if (value == nullptr) return false;
        run.held.emplace_back(value, [](void *held) { TF_DeleteTensor(static_cast<TF_Tensor *>(held)); });
        memory = static_cast<char *>(TF_TensorData(value));
        bytes = TF_TensorByteSize(value);
        type = TF_TensorType(value);
      }
      if (bytes != static_cast<size_t>(leaves[i].Bytes()) || type != static_cast<int32_t>(leaves[i].type)) {
        NAPI_THROW_ERROR(env, "Leaf %u has %zu bytes, not %zu, or another type", i, bytes, static_cast<size_t>(leaves[i].Bytes()));
        return false;
      }
    } else if (!GetValues(env, leaf, leaves[i], memory)) {
      return false;
    }
  }
  uint32_t read;
  ENSURE_NAPI_OK_RETVAL(env, napi_get_array_length(env, args[2], &read), false);
  void *made;
  size_t makes;
  if (!GetTyped(env, args[3], napi_int32_array, &made, &makes)) return false;
  if (read + makes != outputs.size()) {
    NAPI_THROW_ERROR(env, "%zu outputs were expected, not %zu", outputs.size(), read + makes);
    return false;
  }
  ids = static_cast<int32_t *>(made);
  run.fetched.resize(read);
  for (uint32_t i = 0; i < read; i++) {
    napi_value array;
    ENSURE_NAPI_OK_RETVAL(env, napi_get_element(env, args[2], i, &array), false);
    if (!GetValues(env, array, outputs[i], run.fetched[i])) return false;
  }
  run.made.reserve(makes);
  for (size_t i = read; i < outputs.size(); i++) {
    const auto &port = outputs[i];
    auto tensor = std::make_shared<layerwise::Tensor>();
    tensor->type = port.type;
    tensor->shape.assign(port.shape.sizes, port.shape.sizes + port.shape.rank);
    tensor->bytes = static_cast<size_t>(port.Bytes());
    run.made.push_back(std::move(tensor));
  }
  return true;
}

// Runs a plan. Returns false if a kernel has refused its input, and where there is no memory: TensorFlow runs it then, for its error.
napi_value RunPlan(napi_env env, napi_callback_info info) {
  Arguments<4> args;
  layerwise::Run run;
  int32_t *ids;
  if (!args.Get(env, info) || !NewRun(env, args, run, ids)) return nullptr;
  State *const state = args.state;
  state->runs.WaitForAll();
  const bool done = run.Compute(state->runs.arena());
  if (done)
    for (auto &tensor : run.made) *ids++ = state->tensors.Add(std::move(tensor));
  napi_value result;
  ENSURE_NAPI_OK_RETVAL(env, napi_get_boolean(env, done, &result), nullptr);
  return result;
}

// Has a plan run on another thread, after those before it. Returns its number; 0, with nothing done, where a kernel might refuse its input.
napi_value QueuePlan(napi_env env, napi_callback_info info) {
  Arguments<4> args;
  layerwise::Run run;
  int32_t *ids;
  if (!args.Get(env, info) || !NewRun(env, args, run, ids)) return nullptr;
  State *const state = args.state;
  int64_t number = 0;
  if (run.IsSafe()) {
    const std::vector<std::shared_ptr<layerwise::Tensor>> made = run.made;
    const double nanoseconds = run.plan->costs().own;
    number = state->runs.Add(std::move(run), nanoseconds);
    for (const auto &tensor : made) {
      tensor->run = number;
      *ids++ = state->tensors.Add(tensor);
    }
  }
  napi_value result;
  ENSURE_NAPI_OK_RETVAL(env, napi_create_int64(env, number, &result), nullptr);
  return result;
}

// Waits for a queued run. Returns whether it, and all before it, succeeded.
napi_value FinishPlan(napi_env env, napi_callback_info info) {
  Arguments<1> args;
  if (!args.Get(env, info)) return nullptr;
  int64_t number;
  ENSURE_NAPI_OK_RETVAL(env, napi_get_value_int64(env, args[0], &number), nullptr);
  napi_value result;
  ENSURE_NAPI_OK_RETVAL(env, napi_get_boolean(env, args.state->runs.Wait(number), &result), nullptr);
  return result;
}

// How many queued runs have ended, before the first one that has failed.
napi_value FinishedPlans(napi_env env, napi_callback_info info) {
  State *const state = StateOf(env, info);
  if (state == nullptr) return nullptr;
  napi_value result;
  ENSURE_NAPI_OK_RETVAL(env, napi_create_int64(env, state->runs.Finished(), &result), nullptr);
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
  Arguments<6> args;
  if (!args.Get(env, info)) return nullptr;
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

}  // namespace
}  // namespace tfnodejs
