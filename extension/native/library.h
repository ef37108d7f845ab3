/* TensorFlow's functions. Its library is loaded when the first of them is needed: that takes 0.25 s and 320 MB, and plans of our own
   kernels need none. */
#pragma once

#ifdef __cplusplus
extern "C" {
#endif

/* Loads the library that lies beside this file, once in a process; before that, no function below may be called. Returns null, or what is
   wrong. */
const char *BindTensorFlow(void);

#ifdef __cplusplus
}
#endif

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
