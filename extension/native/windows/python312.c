// A stand-in for python312.dll without Python. TensorFlow's DLL imports these names for its Python module, which nothing here
// uses: it needs them to load. A function that is called all the same ends the process with a message.
typedef void *HANDLE;
__declspec(dllimport) HANDLE GetStdHandle(unsigned long which);
__declspec(dllimport) int WriteFile(HANDLE file, const void *bytes, unsigned long count, unsigned long *written, void *overlapped);
__declspec(dllimport) void ExitProcess(unsigned code);

__attribute__((noreturn, noinline)) static void Missing(const char *name) {
  unsigned long written, length = 0;
  while (name[length] != 0) length++;
  HANDLE errors = GetStdHandle((unsigned long)-12);
  WriteFile(errors, name, length, &written, 0);
  static const char text[] = " was called, but TensorFlow runs without Python here\n";
  WriteFile(errors, text, sizeof(text) - 1, &written, 0);
  ExitProcess(86);
  __builtin_unreachable();
}

#define FUNCTIONS(X) \
  X(PyArg_ParseTuple) X(PyArg_ParseTupleAndKeywords) X(PyBool_FromLong) X(PyBuffer_Release) \
  X(PyByteArray_AsString) X(PyByteArray_Size) X(PyBytes_AsString) X(PyBytes_AsStringAndSize) X(PyBytes_FromString) \
  X(PyBytes_FromStringAndSize) X(PyBytes_Size) X(PyCMethod_New) X(PyCallable_Check) X(PyCapsule_GetContext) \
  X(PyCapsule_GetName) X(PyCapsule_GetPointer) X(PyCapsule_New) X(PyCapsule_SetContext) X(PyCapsule_SetPointer) \
  X(PyComplex_AsCComplex) X(PyComplex_ImagAsDouble) X(PyComplex_RealAsDouble) X(PyDict_Contains) X(PyDict_Copy) \
  X(PyDict_DelItemString) X(PyDict_GetItem) X(PyDict_GetItemWithError) X(PyDict_Keys) X(PyDict_New) X(PyDict_Next) \
  X(PyDict_SetItem) X(PyDict_SetItemString) X(PyDict_Size) X(PyErr_Clear) X(PyErr_ExceptionMatches) X(PyErr_Fetch) \
  X(PyErr_Format) X(PyErr_GivenExceptionMatches) X(PyErr_NormalizeException) X(PyErr_Occurred) X(PyErr_Print) \
  X(PyErr_Restore) X(PyErr_SetObject) X(PyErr_SetString) X(PyErr_WriteUnraisable) X(PyEval_AcquireThread) \
  X(PyEval_RestoreThread) X(PyEval_SaveThread) X(PyEval_SetProfile) X(PyEval_SetProfileAllThreads) \
  X(PyException_SetCause) X(PyException_SetContext) X(PyException_SetTraceback) X(PyFloat_AsDouble) \
  X(PyFloat_FromDouble) X(PyFrame_GetBack) X(PyFrame_GetCode) X(PyFrame_GetLineNumber) X(PyGILState_Check) \
  X(PyGILState_Ensure) X(PyGILState_GetThisThreadState) X(PyGILState_Release) X(PyImport_AddModule) \
  X(PyImport_ImportModule) X(PyIndex_Check) X(PyInstanceMethod_New) X(PyInterpreterState_Get) \
  X(PyInterpreterState_GetDict) X(PyIter_Next) X(PyList_Append) X(PyList_GetItem) X(PyList_New) X(PyList_SetItem) \
  X(PyList_Size) X(PyList_Sort) X(PyLong_AsDouble) X(PyLong_AsLong) X(PyLong_AsLongLong) \
  X(PyLong_AsLongLongAndOverflow) X(PyLong_AsUnsignedLongLong) X(PyLong_FromLong) X(PyLong_FromLongLong) \
  X(PyLong_FromSsize_t) X(PyLong_FromUnsignedLongLong) X(PyMapping_Check) X(PyMapping_HasKey) X(PyMapping_Keys) \
  X(PyMapping_Size) X(PyMem_Calloc) X(PyMem_Free) X(PyMemoryView_FromMemory) X(PyMemoryView_FromObject) \
  X(PyModule_AddObject) X(PyNumber_And) X(PyNumber_Check) X(PyNumber_Float) X(PyNumber_Invert) X(PyNumber_Long) \
  X(PyNumber_Or) X(PyNumber_Xor) X(PyObject_Call) X(PyObject_CallFunction) X(PyObject_CallFunctionObjArgs) \
  X(PyObject_CallMethod) X(PyObject_CallMethodObjArgs) X(PyObject_CallObject) X(PyObject_ClearWeakRefs) \
  X(PyObject_GC_Del) X(PyObject_GC_UnTrack) X(PyObject_GenericGetDict) X(PyObject_GenericSetDict) \
  X(PyObject_GetAttr) X(PyObject_GetAttrString) X(PyObject_GetBuffer) X(PyObject_GetItem) X(PyObject_GetIter) \
  X(PyObject_HasAttrString) X(PyObject_Hash) X(PyObject_IsInstance) X(PyObject_IsSubclass) X(PyObject_IsTrue) \
  X(PyObject_Malloc) X(PyObject_Repr) X(PyObject_RichCompareBool) X(PyObject_SetAttr) X(PyObject_SetAttrString) \
  X(PyObject_SetItem) X(PyObject_Size) X(PyObject_Str) X(PyRun_SimpleStringFlags) X(PyRun_StringFlags) \
  X(PySequence_Check) X(PySequence_Fast) X(PySequence_GetItem) X(PySequence_List) X(PySequence_SetItem) \
  X(PySequence_Size) X(PySequence_Tuple) X(PySet_New) X(PySet_Pop) X(PyStaticMethod_New) X(PySys_WriteStdout) \
  X(PyThreadState_Clear) X(PyThreadState_DeleteCurrent) X(PyThreadState_Get) X(PyThreadState_GetFrame) \
  X(PyThreadState_New) X(PyThread_tss_create) X(PyThread_tss_get) X(PyThread_tss_set) X(PyTuple_GetItem) \
  X(PyTuple_New) X(PyTuple_Pack) X(PyTuple_SetItem) X(PyTuple_Size) X(PyType_FromSpecWithBases) \
  X(PyType_GenericNew) X(PyType_IsSubtype) X(PyType_Ready) X(PyUnicode_AsASCIIString) X(PyUnicode_AsEncodedString) \
  X(PyUnicode_AsUTF8) X(PyUnicode_AsUTF8AndSize) X(PyUnicode_AsUTF8String) X(PyUnicode_DecodeUTF8) \
  X(PyUnicode_FromFormat) X(PyUnicode_FromString) X(PyUnicode_FromStringAndSize) X(PyUnicode_InternFromString) \
  X(PyUnicode_InternInPlace) X(PyWeakref_NewRef) X(Py_BuildValue) X(Py_DecRef) X(Py_EnterRecursiveCall) \
  X(Py_IncRef) X(Py_LeaveRecursiveCall) X(_PyObject_ClearManagedDict) X(_PyObject_GetDictPtr) X(_PyObject_New) \
  X(_PyObject_VisitManagedDict) X(_PyThreadState_UncheckedGet) X(_PyType_Lookup) X(_Py_Dealloc)

#define OBJECTS(X) \
  X(PyBaseObject_Type) X(PyBool_Type) X(PyByteArray_Type) X(PyCFunction_Type) X(PyCapsule_Type) X(PyComplex_Type) \
  X(PyDict_Type) X(PyExc_AssertionError) X(PyExc_BufferError) X(PyExc_Exception) X(PyExc_ImportError) \
  X(PyExc_IndexError) X(PyExc_MemoryError) X(PyExc_ModuleNotFoundError) X(PyExc_NotImplementedError) \
  X(PyExc_OverflowError) X(PyExc_RuntimeError) X(PyExc_StopIteration) X(PyExc_SystemError) X(PyExc_TypeError) \
  X(PyExc_ValueError) X(PyFloat_Type) X(PyInstanceMethod_Type) X(PyLong_Type) X(PyMemoryView_Type) \
  X(PyMethod_Type) X(PyModule_Type) X(PyProperty_Type) X(PySet_Type) X(PyStaticMethod_Type) X(PyTuple_Type) \
  X(PyType_Type) X(_Py_FalseStruct) X(_Py_NoneStruct) X(_Py_NotImplementedStruct) X(_Py_TrueStruct)

#define FUNCTION(name) \
  __declspec(dllexport) void name(void) { Missing(#name); }
FUNCTIONS(FUNCTION)

#define OBJECT(name) __declspec(dllexport) long long name[64];
OBJECTS(OBJECT)

__declspec(dllexport) int Py_IsInitialized(void) { return 0; }

int DllMainCRTStartup(void *module, unsigned long reason, void *reserved) { return 1; }
