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
  Arguments<1> args;
  if (!args.Get(env, info)) return nullptr;
  State *const state = args.state;
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
  Arguments<4> args;
  if (!args.Get(env, info)) return nullptr;
  State *const state = args.state;
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
