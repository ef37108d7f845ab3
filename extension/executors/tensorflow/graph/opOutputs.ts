// Written by scripts/opOutputs.py: how TensorFlow's ops name their outputs, as function bodies have to spell them.

/** Output names, in order, and the ops that have them. One with a star is a list. */
const NAMES: Readonly<Record<string, string>> = {
  activations: "Elu LeakyRelu Relu Relu6 Selu Softplus Softsign",
  backprops: "EluGrad LeakyReluGrad Relu6Grad ReluGrad SeluGrad SoftplusGrad SoftsignGrad",
  band: "MatrixBandPart",
  batch_size: "ComputeBatchSize",
  batched_grad: "UnbatchGrad",
  "batched_tensors* batch_index id": "Batch",
  "begin size bboxes": "SampleDistortedBoundingBox SampleDistortedBoundingBoxV2",
  bins: "Bincount",
  "components*": "CompositeTensorVariantToComponents GetElementAtIndex OptionalGetValue UncompressElement",
  compressed: "CompressElement",
  crops: "CropAndResize",
  "cs_prev_grad dicfo wci_grad wcf_grad wco_grad": "LSTMBlockCellGrad",
  "d_x d_h_prev d_c_bar d_r_bar_u_bar": "GRUBlockCellGrad",
  data: `CollectiveGather CollectiveGatherV2 CollectiveReduce CollectiveReduceScatterV2 CollectiveReduceV2
    CollectiveReduceV3`,
  diagonal: "DiagPart MatrixDiagPart MatrixDiagPartV2 MatrixDiagPartV3",
  "e v": "Eig SelfAdjointEigV2",
  element_shape: "TensorListElementShape",
  encoded: "CompositeTensorVariantFromComponents",
  filter_backprop: "Dilation2DBackpropFilter",
  fingerprint: "Fingerprint",
  glimpse: "ExtractGlimpse ExtractGlimpseV2",
  handle: `DummyMemoryCache EmptyTensorList EmptyTensorMap GetSessionHandle GetSessionHandleV2
    StatsAggregatorHandle StatsAggregatorHandleV2 TensorListReserve ThreadPoolHandle WindowOp`,
  has_key: "TensorMapHasKey",
  has_value: "OptionalHasValue",
  "i cs f o ci co h": "BlockLSTMV2 LSTMBlockCell",
  in_backprop: "Dilation2DBackpropInput",
  index: "Where",
  "indices ids weights": "ComputeAccidentalHits",
  "integer_tensor float_tensor": "SplitDedupData",
  item: "TensorListGetItem",
  keys: "TensorMapStackKeys",
  length: "TensorListLength",
  logsoftmax: "LogSoftmax",
  "loss backprop": "SoftmaxCrossEntropyWithLogits SparseSoftmaxCrossEntropyWithLogits",
  "loss gradient": "CTCLoss CTCLossV2",
  "lu p": "Lu",
  max: "RiscMax",
  merged: "DynamicStitch ParallelDynamicStitch",
  mutex_lock: "MutexLock",
  "nmsed_boxes nmsed_scores nmsed_classes valid_detections": "CombinedNonMaxSuppression",
  num_elements: "ComputeDedupDataSize ComputeDedupDataSizeV2",
  "offset*": "ConcatOffset",
  optional: "OptionalFromValue OptionalNone",
  out: `ApplyAdaMax ApplyAdadelta ApplyAdagrad ApplyAdagradDA ApplyAdagradV2 ApplyAdam ApplyAddSign
    ApplyCenteredRMSProp ApplyFtrl ApplyFtrlV2 ApplyGradientDescent ApplyMomentum ApplyPowerSign
    ApplyProximalAdagrad ApplyProximalGradientDescent ApplyRMSProp Complex Cumprod Cumsum
    CumulativeLogsumexp HistogramFixedWidth`,
  "out idx": "ListDiff",
  "out_tensors*": "BatchFunction",
  output: `AdjustContrast AdjustContrastv2 AdjustHue AdjustSaturation All AllToAll Angle Any ArgMax ArgMin
    AvgPool AvgPool3D AvgPool3DGrad AvgPoolGrad BandedTriangularSolve BatchMatMul BatchMatMulV2
    BatchMatMulV3 BatchToSpace BatchToSpaceND BiasAdd BiasAddGrad BiasAddV1 Bitcast BroadcastTo
    CheckNumerics CheckNumericsV2 CheckPinned Cholesky CholeskyGrad ClipByValue Concat ConcatV2 Conj
    Const Conv Conv2D Conv2DBackpropFilter Conv2DBackpropFilterV2 Conv2DBackpropInput
    Conv2DBackpropInputV2 Conv3D Conv3DBackpropFilter Conv3DBackpropFilterV2 Conv3DBackpropInput
    Conv3DBackpropInputV2 Copy CopyToMesh CopyToMeshGrad CropAndResizeGradBoxes CrossReplicaSum
    DenseBincount DepthToSpace DepthwiseConv2dNative DepthwiseConv2dNativeBackpropFilter
    DepthwiseConv2dNativeBackpropInput Dequantize Diag Dilation2D DrawBoundingBoxes DrawBoundingBoxesV2
    EditDistance Einsum Empty EnsureShape Enter EuclideanNorm Exit ExpandDims FFT FFT2D FFT3D FFTND
    FakeParam Fill FractionalAvgPoolGrad FractionalMaxPoolGrad FusedPadConv2D FusedResizeAndPadConv2D
    Gather GatherNd GatherV2 GuaranteeConst HSVToRGB IFFT IFFT2D IFFT3D IFFTND IRFFT IRFFT2D IRFFT3D
    IRFFTND Identity Imag KthOrderStatistic L2Loss LRN LRNGrad LinSpace LoopCond LowerBound MakeUnique
    MatrixDeterminant MatrixDiag MatrixDiagV2 MatrixDiagV3 MatrixExponential MatrixInverse
    MatrixLogarithm MatrixSetDiag MatrixSetDiagV2 MatrixSetDiagV3 MatrixSolve MatrixSolveLs
    MatrixSquareRoot MatrixTriangularSolve Max MaxPool MaxPool3D MaxPool3DGrad MaxPool3DGradGrad
    MaxPoolGrad MaxPoolGradGrad MaxPoolGradGradV2 MaxPoolGradGradWithArgmax MaxPoolGradV2
    MaxPoolGradWithArgmax MaxPoolV2 Mean MergeDedupData Mfcc Min MirrorPad MirrorPadGrad Multinomial
    NextAfter NextIteration NonDeterministicInts OneHot Pack Pad PadV2 ParallelConcat
    ParameterizedTruncatedNormal Placeholder PlaceholderV2 PlaceholderWithDefault Prelinearize
    PrelinearizeTuple PreventGradient Prod RFFT RFFT2D RFFT3D RFFTND RGBToHSV RandomShuffle
    RandomStandardNormal RandomUniform RandomUniformInt Range Rank Real ReduceJoin Relayout RelayoutLike
    Reshape ResizeBicubicGrad ResizeBilinearGrad ResourceGather ResourceGatherNd Reverse ReverseSequence
    ReverseV2 RiscBroadcast RiscCholesky RiscConcat RiscCondition RiscConv RiscFft RiscGather RiscImag
    RiscPad RiscPool RiscRandomUniform RiscReal RiscReduce RiscReshape RiscReverse RiscScatter RiscShape
    RiscSlice RiscSort RiscSqueeze RiscTriangularSolve Roll ScaleAndTranslateGrad ScatterNd SegmentMax
    SegmentMaxV2 SegmentMean SegmentMin SegmentMinV2 SegmentProd SegmentProdV2 SegmentSum SegmentSumV2
    Select SelectV2 SelfAdjointEig Shape Size Slice Snapshot SpaceToBatch SpaceToBatchND SpaceToDepth
    SparseSegmentMean SparseSegmentMeanGrad SparseSegmentMeanWithNumSegments SparseSegmentSqrtN
    SparseSegmentSqrtNGrad SparseSegmentSqrtNWithNumSegments SparseSegmentSum SparseSegmentSumGrad
    SparseSegmentSumWithNumSegments SparseSoftmax Squeeze StatefulStandardNormal
    StatefulStandardNormalV2 StatefulTruncatedNormal StatefulUniform StatefulUniformFullInt
    StatefulUniformInt StochasticCastToInt StopGradient StridedSlice StridedSliceGrad Substr Sum
    TensorListConcatLists TensorScatterAdd TensorScatterMax TensorScatterMin TensorScatterSub
    TensorScatterUpdate TensorStridedSliceUpdate Tile TileGrad ToBool TruncatedNormal UniformDequantize
    UniformRequantize UnravelIndex UnsortedSegmentJoin UnsortedSegmentMax UnsortedSegmentMin
    UnsortedSegmentProd UnsortedSegmentSum UpperBound VariableShape XlaDynamicUpdateSlice`,
  "output argmax": "MaxPoolWithArgmax",
  "output min max histogram": "CustomAggregator",
  "output output_min output_max": "Requantize RequantizePerChannel",
  "output row_pooling_sequence col_pooling_sequence": "FractionalAvgPool FractionalMaxPool",
  "output segments": "IsotonicRegression",
  "output sorted_unique_indices": "SparseSegmentMeanGradV2 SparseSegmentSqrtNGradV2 SparseSegmentSumGradV2",
  "output value_index": "Merge",
  "output*": `Case EagerPyFunc For IdentityN If MapDefun PyFunc RiscWhile ShapeN Split SplitV StatelessIf
    StatelessWhile SymbolicGradient Unpack While`,
  "output_false output_true": "Switch",
  output_handle: `TensorListFromTensor TensorListPushBack TensorListResize TensorListScatter
    TensorListScatterIntoExistingList TensorListScatterV2 TensorListSetItem TensorListSplit
    TensorMapErase TensorMapInsert`,
  "output_handle tensor": "TensorListPopBack",
  output_handles: "TensorListPushBackBatch",
  "output_min output_max": "RequantizationRange RequantizationRangePerChannel",
  output_ref: `Assign AssignAdd AssignSub ScatterAdd ScatterDiv ScatterMax ScatterMin ScatterMul ScatterNdAdd
    ScatterNdMax ScatterNdMin ScatterNdSub ScatterNdUpdate ScatterSub ScatterUpdate StridedSliceAssign`,
  output_shape: "ComputeDedupDataTupleMask ComputeDedupDataTupleMaskV2",
  "outputs*": "DynamicPartition MlirPassthroughOp",
  patches: "ExtractVolumePatches",
  precision: "InTopK InTopKV2",
  product: "Cross MatMul RiscDot",
  "q r": "Qr",
  "r u c h": "GRUBlockCell",
  r0: "BroadcastArgs",
  "r0 r1": "BroadcastGradientArgs",
  "remapping num_present": "GenerateVocabRemapping",
  resized_images: "ResizeArea ResizeBicubic ResizeBilinear ScaleAndTranslate",
  resource: "MutexV2 VarHandleOp",
  "result_indices result_values result_shape": "DenseToDenseSetOperation",
  "rois roi_probabilities": "GenerateBoundingBoxProposals",
  "row_ids col_ids gains": "ConvertToCooTensor",
  "row_pointers sorted_sample_ids sorted_token_ids sorted_gains row_pointers_unpadded_size ids_unpadded_size num_minibatches_per_physical_sparse_core":
    "GetMinibatchesInCsrWithPhysicalReplica",
  "s u v": "Svd",
  samples: "SobolSample",
  selected_indices: "NonMaxSuppression NonMaxSuppressionV2 NonMaxSuppressionV3 NonMaxSuppressionWithOverlaps",
  "selected_indices selected_scores valid_outputs": "NonMaxSuppressionV5",
  "selected_indices valid_outputs": "NonMaxSuppressionV4",
  serialized: "SerializeTensor",
  serialized_options: "GetOptions",
  "sign log_abs_determinant": "LogMatrixDeterminant",
  size: "SetSize",
  softmax: "Softmax",
  "sorted_row_ids sorted_col_ids sorted_gains splits id_counts max_ids max_uniques":
    "GetMinibatchSplitsWithPhysicalReplica",
  sum: "AccumulateNV2 AddN",
  tensor: "ImmutableConst TensorListStack",
  "tensor lengths": "TensorListConcat TensorListConcatV2",
  "topk topk_indices": "TopKUnique TopKWithUnique",
  unbatched_tensor: "Unbatch",
  value: "GetSessionTensor ReadVariableOp",
  values: "NthElement TensorListGather",
  "values indices": "ApproxTopK TopK TopKV2",
  "values*": "Unstage",
  "vocab_word vocab_freq words_per_epoch current_epoch total_words_processed examples labels": "Skipgram",
  "x_backprop scale_backprop offset_backprop reserve_space_3 reserve_space_4":
    "FusedBatchNormGrad FusedBatchNormGradV2",
  "x_backprop scale_backprop offset_backprop reserve_space_4 reserve_space_5": "FusedBatchNormGradV3",
  "x_grad cs_prev_grad h_prev_grad w_grad wci_grad wcf_grad wco_grad b_grad": "BlockLSTMGrad BlockLSTMGradV2",
  y: `Abs Acos Acosh Asin Asinh Atan Atanh BesselI0 BesselI0e BesselI1 BesselI1e BesselJ0 BesselJ1
    BesselK0 BesselK0e BesselK1 BesselK1e BesselY0 BesselY1 Cast Ceil ComplexAbs ConjugateTranspose Cos
    Cosh DataFormatDimMap DataFormatVecPermute Dawsn DeepCopy Digamma Erf Erfc Erfinv Exp Expint Expm1
    Floor FresnelCos FresnelSin InplaceAdd InplaceSub InplaceUpdate Inv Invert InvertPermutation
    IsFinite IsInf IsNan Lgamma Log Log1p LogicalNot Ndtri Neg OnesLike Reciprocal Rint RiscAbs
    RiscBitcast RiscCast RiscCeil RiscCos RiscExp RiscFloor RiscIsFinite RiscLog RiscNeg RiscSign
    RiscTranspose RiscUnary Round Rsqrt Sigmoid Sign Sin Sinh Spence Sqrt Square Tan Tanh Transpose
    ZerosLike`,
  "y batch_mean batch_variance reserve_space_1 reserve_space_2": "FusedBatchNorm FusedBatchNormV2",
  "y batch_mean batch_variance reserve_space_1 reserve_space_2 reserve_space_3": "FusedBatchNormV3",
  "y idx": "Unique UniqueV2",
  z: `Add AddV2 ApproximateEqual Atan2 Betainc BitwiseAnd BitwiseOr BitwiseXor Div DivNoNan Equal FloorDiv
    FloorMod Greater GreaterEqual Igamma IgammaGradA Igammac InvGrad LeftShift Less LessEqual LogicalAnd
    LogicalOr Maximum Minimum Mod Mul MulNoNan NotEqual Polygamma Pow RealDiv ReciprocalGrad RightShift
    RiscAdd RiscBinaryArithmetic RiscBinaryComparison RiscDiv RiscLogicalAnd RiscLogicalNot
    RiscLogicalOr RiscMin RiscMul RiscPow RiscRem RiscSub RsqrtGrad SigmoidGrad SqrtGrad
    SquaredDifference Sub TanhGrad TruncateDiv TruncateMod Xdivy Xlog1py Xlogy Zeta`,
};

const OUTPUTS = new Map<string, readonly string[]>();
for (const [names, ops] of Object.entries(NAMES))
  for (const op of ops.split(/\s+/)) OUTPUTS.set(op, names.split(" "));

/**
 * How output `index` of an op is called in a function body: "output:0", "mean:0".
 * @returns undefined for an op that is not in the table
 */
export function outputName(op: string, index: number): string | undefined {
  const names = OUTPUTS.get(op);
  if (names?.[0]?.endsWith("*")) return `${names[0].slice(0, -1)}:${index}`;
  const name = names?.[index];
  return name === undefined ? undefined : `${name}:0`;
}
