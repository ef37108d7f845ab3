// Fills the import table of the binding on Windows, in place of import libraries: N-API comes from the program that runs (node.exe,
// Code.exe), TensorFlow from the DLL beside this file. The linker reports a function that is missing here.
#define WIN32_LEAN_AND_MEAN
#include <stdio.h>
#include <stdlib.h>
#include <wchar.h>
#include <windows.h>

#include "../library.h"

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

static char problem[160];

static const char *Missing(const char *name) {
  snprintf(problem, sizeof(problem), "%s can't be loaded (Windows error %lu)", name, GetLastError());
  return problem;
}

static BOOL CALLBACK Bind(PINIT_ONCE once, PVOID parameter, PVOID *result) {
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
  const char **error = parameter;
  HMODULE tensorflow = LoadLibraryExW(path, NULL, LOAD_LIBRARY_SEARCH_DLL_LOAD_DIR | LOAD_LIBRARY_SEARCH_DEFAULT_DIRS);
  if (tensorflow == NULL) {
    *error = Missing("_pywrap_tensorflow_common.dll");
    return TRUE;
  }
#define BIND(function)                                                             \
  if ((__imp_##function = (void *)GetProcAddress(tensorflow, #function)) == NULL) { \
    *error = Missing(#function);                                                   \
    return TRUE;                                                                   \
  }
  TENSORFLOW(BIND)
#undef BIND
  return TRUE;
}

const char *BindTensorFlow(void) {
  static INIT_ONCE once = INIT_ONCE_STATIC_INIT;
  static const char *error;
  InitOnceExecuteOnce(&once, Bind, &error, NULL);
  return error;
}
