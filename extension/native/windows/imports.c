// Fills the import table of the binding on Windows, in place of import libraries: N-API comes from the program that runs (node.exe,
// Code.exe), TensorFlow from the DLL beside this file. The linker reports a function that is missing here.
#define WIN32_LEAN_AND_MEAN
#include <stdlib.h>
#include <wchar.h>
#include <windows.h>

#define NAPI(X) \
  X(napi_add_env_cleanup_hook) X(napi_call_function) X(napi_create_array_with_length) X(napi_create_arraybuffer) \
  X(napi_create_double) X(napi_create_function) X(napi_create_int32) X(napi_create_int64) X(napi_create_object) \
  X(napi_create_reference) X(napi_create_string_latin1) X(napi_create_typedarray) X(napi_define_properties) \
  X(napi_delete_reference) X(napi_get_array_length) X(napi_get_boolean) X(napi_get_cb_info) X(napi_get_element) \
  X(napi_get_global) X(napi_get_instance_data) X(napi_get_last_error_info) X(napi_get_named_property) \
  X(napi_get_typedarray_info) X(napi_get_value_bool) X(napi_get_value_double) X(napi_get_value_int32) \
  X(napi_get_value_int64) X(napi_get_value_string_utf8) X(napi_is_array) X(napi_is_exception_pending) \
  X(napi_is_typedarray) X(napi_set_element) X(napi_set_instance_data) X(napi_set_named_property) X(napi_throw_error) \
  X(napi_typeof)

#define TENSORFLOW(X) \
  X(TFE_ContextListDevices) X(TFE_DeleteContext) X(TFE_DeleteContextOptions) X(TFE_DeleteOp) \
  X(TFE_DeleteTensorHandle) X(TFE_Execute) X(TFE_NewContext) X(TFE_NewContextOptions) X(TFE_NewOp) \
  X(TFE_NewTensorHandle) X(TFE_OpAddInput) X(TFE_OpSetAttrBool) X(TFE_OpSetAttrBoolList) X(TFE_OpSetAttrFloat) \
  X(TFE_OpSetAttrFloatList) X(TFE_OpSetAttrInt) X(TFE_OpSetAttrIntList) X(TFE_OpSetAttrShape) \
  X(TFE_OpSetAttrString) X(TFE_OpSetAttrType) X(TFE_TensorHandleCopyToDevice) X(TFE_TensorHandleDataType) \
  X(TFE_TensorHandleDim) X(TFE_TensorHandleNumDims) X(TFE_TensorHandleResolve) X(TF_AllocateTensor) \
  X(TF_CloseSession) X(TF_NewServer) X(TF_ServerStart) X(TF_ServerTarget) X(TF_SetTarget) \
  X(TF_DataTypeSize) X(TF_DeleteBuffer) X(TF_DeleteDeviceList) X(TF_DeleteGraph) X(TF_DeleteImportGraphDefOptions) \
  X(TF_DeleteSession) X(TF_DeleteSessionOptions) X(TF_DeleteStatus) X(TF_DeleteTensor) X(TF_DeviceListCount) \
  X(TF_DeviceListName) X(TF_DeviceListType) X(TF_Dim) X(TF_GetCode) X(TF_GraphImportGraphDef) \
  X(TF_GraphOperationByName) X(TF_LoadSessionFromSavedModel) X(TF_Message) X(TF_NewBuffer) \
  X(TF_NewBufferFromString) X(TF_NewGraph) X(TF_NewImportGraphDefOptions) X(TF_NewSession) X(TF_NewSessionOptions) \
  X(TF_NewStatus) X(TF_NewTensor) X(TF_NumDims) X(TF_SessionRun) X(TF_SetConfig) X(TF_TensorByteSize) \
  X(TF_TensorData) X(TF_TensorElementCount) X(TF_TensorType) X(TF_Version)

#define DEFINE(name) void *__imp_##name;
NAPI(DEFINE)
TENSORFLOW(DEFINE)

static HMODULE self;

__attribute__((constructor)) static void BindNapi(void) {
  HMODULE program = GetModuleHandleW(NULL);
#define BIND(name) __imp_##name = (void *)GetProcAddress(program, #name);
  NAPI(BIND)
#undef BIND
  const DWORD flags = GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS | GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT;
  GetModuleHandleExW(flags, (LPCWSTR)&self, &self);
}

// Loads TensorFlow. Returns 0, or Windows' error code and the name of what is missing.
unsigned long BindTensorFlow(const char **name) {
  // Node sets variables too late for the C runtime that TensorFlow shares: that has taken its copy already.
  wchar_t *all = GetEnvironmentStringsW();
  for (wchar_t *entry = all; *entry != 0; entry += wcslen(entry) + 1)
    if (*entry != L'=') _wputenv(entry);
  FreeEnvironmentStringsW(all);
  // Longer paths don't exist on Windows.
  static wchar_t path[32768];
  static const wchar_t library[] = L"_pywrap_tensorflow_common.dll";
  DWORD length = GetModuleFileNameW(self, path, 32768 - sizeof(library) / sizeof(wchar_t));
  while (length > 0 && path[length - 1] != L'\\') length--;
  wcscpy(path + length, library);
  *name = "_pywrap_tensorflow_common.dll";
  HMODULE tensorflow = LoadLibraryExW(path, NULL, LOAD_LIBRARY_SEARCH_DLL_LOAD_DIR | LOAD_LIBRARY_SEARCH_DEFAULT_DIRS);
  if (tensorflow == NULL) return GetLastError();
#define BIND(function)                                                             \
  if ((__imp_##function = (void *)GetProcAddress(tensorflow, #function)) == NULL) { \
    *name = #function;                                                             \
    return GetLastError();                                                         \
  }
  TENSORFLOW(BIND)
#undef BIND
  return 0;
}
