/**
 * The TensorFlow ops of the table's `tensorflow` parts that TensorFlow.js runs, and runs as TensorFlow does. A test
 * compares it with the list of its converter.
 */
export const WEB_OPS: ReadonlySet<string> = new Set(
  `Abs Acos Acosh AddV2 All Any ArgMax ArgMin Asin Asinh Atan Atanh BatchMatMulV2 BiasAdd BitwiseAnd BroadcastTo
  Cast Ceil ConcatV2 Const Conv2D Conv2DBackpropInput Conv3D Cos Cosh Cumprod Cumsum Equal Erf Exp Expm1 Fill Floor
  FloorDiv FloorMod FusedBatchNormV3 GatherV2 Greater GreaterEqual Identity IsNan Less LessEqual Log Log1p
  LogSoftmax LogicalAnd LogicalNot LogicalOr MatMul Max MaxPool Maximum Mean Min Minimum Mul Neg NotEqual Pack Pad
  PadV2 Placeholder Pow Prod RealDiv Reciprocal Relu Reshape ReverseV2 Round Rsqrt SelectV2 Shape Sigmoid
  Sign Sin Sinh Slice Softmax Softplus Split SplitV Sqrt Square Squeeze StridedSlice Sub Sum Tan Tanh TensorScatterUpdate
  TopKV2 Transpose Unpack`.split(/\s+/),
);
