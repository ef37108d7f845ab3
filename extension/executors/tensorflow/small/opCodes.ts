// The ops of native/plan.h, by TensorFlow's names.

/** In the order of plan.h's Code, with the attributes that it reads, in their order. */
const OPS: readonly (readonly [name: string, ...attributes: string[]])[] = [
  // Of one tensor.
  ["Neg"],
  ["Exp"],
  ["Log"],
  ["Log1p"],
  ["Expm1"],
  ["Sqrt"],
  ["Rsqrt"],
  ["Square"],
  ["Abs"],
  ["Sign"],
  ["Tanh"],
  ["Sigmoid"],
  ["Relu"],
  ["Erf"],
  ["Sin"],
  ["Cos"],
  ["Rint"],
  ["Floor"],
  ["Ceil"],
  ["Reciprocal"],
  ["Softplus"],
  ["LogicalNot"],
  ["LeakyRelu", "alpha"],
  // Of two, with broadcasting.
  ["AddV2"],
  ["Sub"],
  ["Mul"],
  ["RealDiv"],
  ["Maximum"],
  ["Minimum"],
  ["Pow"],
  ["SquaredDifference"],
  ["FloorDiv"],
  ["FloorMod"],
  ["ReluGrad"],
  ["TanhGrad"],
  ["SigmoidGrad"],
  ["Less"],
  ["LessEqual"],
  ["Greater"],
  ["GreaterEqual"],
  ["Equal"],
  ["NotEqual"],
  ["LogicalAnd"],
  ["LogicalOr"],
  // Reductions.
  ["Sum", "keep_dims"],
  ["Mean", "keep_dims"],
  ["Prod", "keep_dims"],
  ["Max", "keep_dims"],
  ["Min", "keep_dims"],
  ["All", "keep_dims"],
  ["Any", "keep_dims"],
  // Others.
  ["Identity"],
  ["Cast", "DstT"],
  ["LeakyReluGrad", "alpha"],
  ["BiasAdd"],
  ["BiasAddGrad"],
  ["SelectV2"],
  ["Reshape"],
  ["Transpose"],
  ["BroadcastTo"],
  ["ConcatV2"],
  ["Split"],
  ["SplitV"],
  ["Slice"],
  ["StridedSlice", "begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask", "shrink_axis_mask"],
  ["StridedSliceGrad", "begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask", "shrink_axis_mask"],
  [
    "TensorStridedSliceUpdate",
    "begin_mask",
    "end_mask",
    "ellipsis_mask",
    "new_axis_mask",
    "shrink_axis_mask",
  ],
  ["PadV2"],
  ["ReverseV2"],
  ["Fill"],
  ["GatherV2", "batch_dims"],
  ["UnsortedSegmentSum"],
  ["TensorScatterUpdate"],
  ["TensorScatterAdd"],
  ["ArgMax"],
  ["ArgMin"],
  ["Cumsum", "exclusive", "reverse"],
  ["Cumprod", "exclusive", "reverse"],
  ["Softmax"],
  ["LogSoftmax"],
  ["SparseSoftmaxCrossEntropyWithLogits"],
  ["TopKV2"],
  ["MatMul", "transpose_a", "transpose_b"],
  ["BatchMatMulV2", "adj_x", "adj_y"],
  // Convolutions, pooling, batch norm.
  ["Conv2D", "padding", "strides", "explicit_paddings"],
  ["Conv2DBackpropInput", "padding", "strides", "explicit_paddings"],
  ["Conv2DBackpropFilter", "padding", "strides", "explicit_paddings"],
  ["Conv3D", "padding", "strides"],
  ["Conv3DBackpropInputV2", "padding", "strides"],
  ["Conv3DBackpropFilterV2", "padding", "strides"],
  ["MaxPool", "ksize", "strides", "padding"],
  ["MaxPoolGrad", "ksize", "strides", "padding"],
  ["FusedBatchNormV3", "epsilon", "is_training"],
  ["FusedBatchNormGradV3", "epsilon", "is_training"],
  // Not TensorFlow's.
  ["AdamStep", "beta2", "rest", "eps"],
];

/** Written where a node's op would be: a value that is part of the plan. */
export const CONSTANT = OPS.length;

interface OpCode {
  readonly code: number;
  readonly attributes: readonly string[];
}

export const OP_CODES: ReadonlyMap<string, OpCode> = new Map(
  OPS.map(([name, ...attributes], code) => [name, { code, attributes }]),
);

/** Attributes that say nothing that the inputs don't. */
export const IMPLIED: ReadonlySet<string> = new Set([
  "N",
  "num_split",
  "sorted",
  "Truncate",
  "incompatible_shape_error",
  "use_cudnn_on_gpu",
  // Of running statistics, which no kernel updates.
  "exponential_avg_factor",
]);
