// Tensors: those of plans, which TensorFlow's ops and graphs may read, and TensorFlow's.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "state.h"

namespace tfnodejs {
namespace {

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
  auto tensor = std::make_shared<layerwise::Tensor>();
  tensor->type = type;
  tensor->shape = std::move(shape);
  tensor->bytes = count * static_cast<size_t>(layerwise::SizeOf(type));
  if (!tensor->Allocate()) return false;
  if (tensor->bytes > 0) memcpy(tensor->memory.get(), data, tensor->bytes);
  id = state->tensors.Add(std::move(tensor));
  return true;
}

// Waits until a tensor's values are set. False, with an exception, if its run has failed.
bool IsComputed(napi_env env, State *state, const layerwise::Tensor &tensor) {
  if (tensor.run > 0) state->runs.Wait(tensor.run);
  if (tensor.memory == nullptr) NAPI_THROW_ERROR(env, "The plan that computes this tensor has failed");
  return tensor.memory != nullptr;
}

napi_value NewTensor(napi_env env, napi_callback_info info) {
  Arguments<3> args;
  if (!args.Get(env, info)) return nullptr;
  State *const state = args.state;
  int32_t id;
  // On a GPU, TensorFlow copies it there.
  const bool gpu = state->backend != nullptr && state->backend->is_gpu_device;
  if (gpu || args.count < 3 || !MakeTensor(env, state, args.values, id)) return Loaded<CreateTensor>(env, info);
  napi_value result;
  ENSURE_NAPI_OK_RETVAL(env, napi_create_int32(env, id, &result), nullptr);
  return result;
}

// Whether TensorFlow has a tensor, or says what is wrong with the id.
bool IsLibrarys(napi_env env, Arguments<1> &args, int32_t &id) {
  return args.count < 1 || napi_get_value_int32(env, args[0], &id) != napi_ok || (id >= 0 && args.state->backend != nullptr);
}

napi_value RemoveTensor(napi_env env, napi_callback_info info) {
  Arguments<1> args;
  if (!args.Get(env, info)) return nullptr;
  int32_t id;
  if (IsLibrarys(env, args, id)) return Loaded<DeleteTensor>(env, info);
  if (!args.state->tensors.Delete(id)) NAPI_THROW_ERROR(env, "Delete called on a Tensor not referenced (tensor_id: %d)", id);
  return nullptr;
}

napi_value ReadTensor(napi_env env, napi_callback_info info) {
  Arguments<1> args;
  if (!args.Get(env, info)) return nullptr;
  int32_t id;
  if (IsLibrarys(env, args, id)) return Loaded<TensorDataSync>(env, info);
  const auto tensor = args.state->tensors.Find(id);
  if (tensor == nullptr) {
    NAPI_THROW_ERROR(env, "Get data called on a Tensor not referenced (tensor_id: %d)", id);
    return nullptr;
  }
  if (!IsComputed(env, args.state, *tensor)) return nullptr;
  napi_value buffer, array;
  void *data;
  ENSURE_NAPI_OK_RETVAL(env, napi_create_arraybuffer(env, tensor->bytes, &data, &buffer), nullptr);
  if (tensor->bytes > 0) memcpy(data, tensor->memory.get(), tensor->bytes);
  const size_t length = tensor->bytes / static_cast<size_t>(layerwise::SizeOf(tensor->type));
  ENSURE_NAPI_OK_RETVAL(env, napi_create_typedarray(env, ArrayOf(tensor->type), length, buffer, 0, &array), nullptr);
  return array;
}

napi_value CountTensors(napi_env env, napi_callback_info info) {
  State *const state = StateOf(env, info);
  if (state == nullptr) return nullptr;
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

// A tensor by its id, to be deleted by the caller. Null, with an exception, if there is none.
TF_Tensor *TensorOf(napi_env env, State *state, int32_t id) {
  if (const auto own = state->tensors.Find(id)) return IsComputed(env, state, *own) ? Share(*own) : nullptr;
  // Without TensorFlow, there are none of its tensors.
  TFE_TensorHandle *handle = nullptr;
  if (state->backend != nullptr) {
    const auto &handles = state->backend->*MemberOf(Handles());
    const auto found = handles.find(id);
    if (found != handles.end()) handle = found->second;
  }
  if (handle == nullptr) {
    NAPI_THROW_ERROR(env, "Input Tensor ID not found (tensor_id: %d)", id);
    return nullptr;
  }
  TF_AutoStatus status;
  TF_Tensor *const tensor = TFE_TensorHandleResolve(handle, status.status);
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
  Arguments<4> args;
  if (!args.Get(env, info)) return nullptr;
  State *const state = args.state;
  if (TensorFlow(env, state) == nullptr) return nullptr;
  LibraryIds ids(state);
  args[Tensors] = ids.Of(env, args[Tensors]);
  return args[Tensors] == nullptr ? nullptr : (state->backend->*Method)(env, args[0], args[1], args[2], args[3]);
}

}  // namespace
}  // namespace tfnodejs
