// How PyTorch's functions are called. A test holds every line against PyTorch's own signatures.
//
// A line has PyTorch's parameters in order, in camelCase: `dim?` is optional, `...size` takes any number of arguments or
// one list, what follows `*` goes by name only, `-layout?` changes no numbers here and `!indices?` isn't supported. `k:int`
// takes a whole number, and `~n` something else than its name does elsewhere (kinds.ts). Our implementation takes what
// stands before `|` by position and all the rest in one object. ` / ` separates overloads; `unbiased:boolean` chooses one
// by the type of its argument.

/** The words of a list. */
export type Names<S extends string, Found = never> = S extends `${infer A} ${infer B}`
  ? Names<B, Found | A>
  : Found | S;

/** One signature of many functions. */
export function each<const S extends string, const N extends string>(
  signature: S,
  names: N,
): Record<Names<N>, S> {
  return Object.fromEntries(names.split(" ").map((name) => [name, signature])) as Record<Names<N>, S>;
}

const NEW = "* dtype? requiresGrad? device? -layout? -pinMemory?";
const LIKE = `${NEW} -memoryFormat?` as const;
const DRAWN = `${NEW} generator?` as const;
const REDUCED = "input dim? | keepdim? * dtype?";

const ELEMENTWISE = {
  ...each(
    "input",
    "abs absolute acos acosh arccos arccosh arcsin arcsinh arctan arctanh asin asinh atan atanh bitwiseNot ceil cos cosh deg2rad digamma erf erfc erfinv exp exp2 expm1 fix floor frac frexp i0 isfinite isinf isnan isneginf isposinf lgamma log log10 log1p log2 logicalNot neg negative positive rad2deg reciprocal relu rsqrt sgn sigmoid sign signbit sin sinc sinh sqrt square tan tanh trunc",
  ),
  round: "input | * decimals?",
  ...each(
    "input other",
    "arctan2 atan2 bitwiseAnd bitwiseLeftShift bitwiseOr bitwiseRightShift bitwiseXor copysign eq floorDivide fmax fmin fmod gcd ge greater greaterEqual gt hypot igamma igammac isSameSize lcm ldexp le less lessEqual logaddexp logaddexp2 logicalAnd logicalOr logicalXor lt maximum minimum mul multiply ne nextafter notEqual remainder xlogy",
  ),
  ...each("input other | * alpha?", "add sub"),
  ...each("input other | alpha?", "rsub subtract"),
  ...each("input other | * roundingMode?", "div divide trueDivide"),
  ...each("input exponent", "floatPower pow"),
  ...each("input tensor1 tensor2 | * value?", "addcdiv addcmul"),
  lerp: "input end weight",
  ...each("input min? max?", "clamp clip"),
  clampMin: "input min",
  clampMax: "input max",
  maskedFill: "input mask value",
  ...each("input other | rtol? atol? equalNan?", "allclose isclose"),
  typeAs: "input other",
  type: "input dtype?",
  equal: "input other",
  promoteTypes: "type1 type2",
  canCast: "from to",
  unravelIndex: "indices shape",
  heaviside: "input values",
  fakeQuantizePerTensorAffine: "input scale zeroPoint quantMin quantMax",
  fakeQuantizePerChannelAffine: "input scale zeroPoint axis quantMin quantMax",
  isin: "elements testElements | * assumeUnique? invert?",
  logit: "input eps?",
  mvlgamma: "input p",
  nanToNum: "input | nan? posinf? neginf?",
  polygamma: "n input",
  where: "condition / condition input other",
} as const;

const CREATION = {
  ...each(`...size | ${LIKE}`, "empty ones zeros"),
  ...each(`...size | ${DRAWN}`, "rand randn"),
  ...each(`input | ${LIKE}`, "emptyLike onesLike zerosLike"),
  ...each(`input | ${LIKE} generator?`, "randLike randnLike"),
  arange: `end | ${NEW} / start end step? | ${NEW}`,
  asTensor: "data | dtype? device?",
  eye: `n m? | ${NEW}`,
  range: `start end step? | ${NEW}`,
  scalarTensor: `s | ${NEW}`,
  full: `size fillValue | ${NEW}`,
  fullLike: `input fillValue | ${LIKE}`,
  linspace: `start end steps | ${NEW}`,
  ...each(`windowLength periodic? | ${NEW}`, "bartlettWindow blackmanWindow hannWindow"),
  hammingWindow: `windowLength periodic? alpha? beta? | ${NEW}`,
  kaiserWindow: `windowLength periodic? beta? | ${NEW}`,
  logspace: `start end steps | base? ${NEW}`,
  normal: `mean std? | * generator? / mean std size | ${DRAWN}`,
  randint: `high:int size | ${DRAWN} / low:int high:int size | ${DRAWN}`,
  randintLike: `input high:int | ${LIKE} generator? / input low:int high:int | ${LIKE} generator?`,
  randperm: `n | ${DRAWN}`,
  tensor: "data | * dtype? device? requiresGrad? pinMemory?",
  ...each("row col | offset? * dtype? device? -layout? -requiresGrad?", "trilIndices triuIndices"),
  bernoulli: "input p? | * generator?",
  poisson: "input | generator?",
  multinomial: "input numSamples | replacement? * generator?",
} as const;

const SHAPES = {
  ...each("...tensors", "atleast1d atleast2d atleast3d blockDiag broadcastTensors cartesianProd"),
  ...each("input", "adjoint fliplr flipud ravel t"),
  contiguous: "input | * -memoryFormat?",
  ...each("input dim0 dim1", "swapdims transpose"),
  ...each("input other", "expandAs reshapeAs viewAs"),
  ...each("input ~source destination", "moveaxis movedim"),
  ...each("tensors", "columnStack dstack hstack rowStack vstack"),
  ...each("tensors dim?", "cat concat concatenate stack"),
  ...each("input ...dims", "flip permute"),
  tile: "input ...dims:int",
  asStrided: "input size stride storageOffset?",
  broadcastShapes: "...shapes",
  broadcastTo: "input ...size",
  ...each("input chunks dim?", "chunk unsafeChunk"),
  ...each("input splitSizes dim?", "splitWithSizes unsafeSplitWithSizes"),
  sumToSize: "input ...size",
  unsafeSplit: "input splitSize dim?",
  combinations: "input r? withReplacement?",
  diag: "input diagonal?",
  ...each("input offset? dim1? dim2?", "diagEmbed diagonal"),
  diagflat: "input offset?",
  diff: "input n? dim? | prepend? append?",
  einsum: "equation ...operands",
  expand: "input ...size | * -implicit?",
  flatten: "input startDim? endDim?",
  dsplit: "input sections / input indices",
  hsplit: "input sections / input indices",
  vsplit: "input sections / input indices",
  meshgrid: "...tensors | * indexing?",
  narrow: "input dim start:int length",
  repeat: "input ...repeats:int",
  repeatInterleave: "input repeats dim? | * -outputSize?",
  reshape: "input ...shape",
  roll: "input shifts dims?",
  rot90: "input k:int? dims?",
  select: "input dim index:int",
  split: "tensor splitSizeOrSections dim?",
  squeeze: "input dim?",
  swapaxes: "input axis0 axis1",
  tensorSplit: "input sections dim? / input indices dim? / input tensorIndicesOrSections dim?",
  trace: "input",
  ...each("input diagonal?", "tril triu"),
  unbind: "input dim?",
  unflatten: "input dim sizes",
  unfold: "input dimension size step",
  unsqueeze: "input dim",
  vander: "x N? increasing?",
  view: "input ...size",
} as const;

const GATHERING = {
  argwhere: "input",
  ...each("input dim? | descending? * stable?", "argsort sort"),
  bucketize: "input boundaries | * -outInt32? right?",
  diagonalScatter: "input src offset? dim1? dim2?",
  gather: "input dim index | * -sparseGrad?",
  indexAdd: "input dim index source | * alpha?",
  indexCopy: "input dim index source",
  indexFill: "input dim index value",
  indexPut: "input indices values accumulate?",
  indexReduce: "input dim index source reduce | * includeSelf?",
  indexSelect: "input dim index",
  isContiguous: "input | * -memoryFormat?",
  kthvalue: "input k:int dim? keepdim?",
  maskedScatter: "input mask source",
  maskedSelect: "input mask",
  msort: "input",
  nonzero: "input | * asTuple?",
  nonzeroStatic: "input | * size fillValue?",
  scatter: "input dim index src | * reduce? / input dim index value | * reduce?",
  scatterAdd: "input dim index src",
  scatterReduce: "input dim index src reduce | * includeSelf?",
  searchsorted: "sortedSequence input | * -outInt32? right? side? sorter?",
  put: "input index source accumulate?",
  sliceScatter: "input src dim? start? end? step?",
  segmentReduce: "data reduce | * lengths? !indices? offsets? axis? unsafe? initial?",
  selectScatter: "input src dim index",
  take: "input index",
  takeAlongDim: "input indices dim?",
  topk: "input k:int dim? | largest? sorted?",
  unique: "input | sorted? returnInverse? returnCounts? dim?",
  uniqueConsecutive: "input | returnInverse? returnCounts? dim?",
} as const;

const REDUCTION = {
  ...each(REDUCED, "mean nanmean nansum prod sum"),
  ...each("input dim? | keepdim?", "all amax amin any argmax argmin"),
  aminmax: "input | * dim? keepdim?",
  ...each("input / input other / input dim keepdim?", "max min"),
  ...each("input dim? keepdim?", "median mode"),
  ...each(
    "input | unbiased:boolean / input dim? | unbiased? keepdim? / input dim? | * correction? keepdim?",
    "std stdMean var varMean",
  ),
  bincount: "input weights? minlength?",
  corrcoef: "input",
  countNonzero: "input dim?",
  cov: "input | * correction? fweights? aweights?",
  ...each("input dim", "cummax cummin logcumsumexp"),
  ...each("input dim | * dtype?", "cumprod cumsum"),
  histc: "input bins? min? max?",
  histogram: "input bins? | * range? weight? density?",
  histogramdd: "input bins range? weight? density?",
  ...each("input dim | dtype?", "logSoftmax softmax"),
  logsumexp: "input dim | keepdim?",
  renorm: "input p dim maxnorm",
  norm: "input p? dim? | keepdim? dtype?",
  quantile: "input q dim? keepdim? | * interpolation?",
  ...each("y x * dim? / y | * dx? dim?", "cumulativeTrapezoid trapezoid trapz"),
  gradient: "input | * spacing? dim? edgeOrder?",
  nanmedian: "input dim? keepdim?",
  nanquantile: "input q dim? keepdim? | * interpolation?",
} as const;

const PRODUCTS = {
  addbmm: "input batch1 batch2 | * beta? alpha?",
  addmm: "input mat1 mat2 | * beta? alpha?",
  addmv: "input mat vec | * beta? alpha?",
  addr: "input vec1 vec2 | * beta? alpha?",
  baddbmm: "input batch1 batch2 | * beta? alpha?",
  ...each("input mat2", "bmm mm"),
  cdist: "x1 x2 p? | computeMode?",
  chainMatmul: "...matrices",
  cholesky: "input upper?",
  choleskyInverse: "input upper? / L upper?",
  choleskySolve: "input input2 upper? / B L upper?",
  cosineSimilarity: "x1 x2 dim? eps?",
  cross: "input other dim?",
  ...each("input", "det inverse logdet slogdet"),
  dist: "input other p?",
  dot: "input tensor",
  ...each("input vec2", "ger outer"),
  ...each("input other", "inner kron matmul vdot"),
  matrixPower: "input n",
  mv: "input vec",
  pairwiseDistance: "x1 x2 p? eps? keepdim?",
  pdist: "input p?",
  pinverse: "input rcond?",
  geqrf: "input",
  luSolve: "input LUData LUPivots",
  orgqr: "input input2",
  ormqr: "input input2 input3 left? transpose?",
  pcaLowrank: "A q? center? niter?",
  svdLowrank: "A q? niter? M?",
  triangularSolve: "input A upper? transpose? unitriangular?",
  luUnpack: "LUData LUPivots unpackData? unpackPivots?",
  matrixExp: "input",
  qr: "input some?",
  svd: "input some? | !computeUv?",
  tensordot: "a b dims?",
} as const;

const COMPLEX = {
  ...each("input", "angle conj conjPhysical imag isreal real resolveConj viewAsComplex viewAsReal"),
  complex: "real imag",
  polar: "abs angle",
  stft: "input nFft hopLength? winLength? window? center? padMode? normalized? onesided? returnComplex? !alignToWindow?",
  istft: "input nFft hopLength? winLength? window? center? normalized? onesided? length? returnComplex?",
} as const;

const VALUES = {
  backward: "input gradient? | retainGraph? createGraph? inputs?",
  ...each("input", "detach item retainGrad tolist"),
  ...each("input", "getDevice isComplex isFloatingPoint isNonzero isSigned ndimension numel zero_"),
  ...each("input | * -memoryFormat?", "bfloat16 bool byte char clone double float half int long short"),
  fillDiagonal_: "input fillValue | wrap?",
  copy_: "input src | -nonBlocking? / input other | -nonBlocking?",
  apply_: "input callable",
  cauchy_: "input median? sigma? | * generator?",
  exponential_: "input lambd? | * generator?",
  geometric_: "input p | * generator?",
  logNormal_: "input mean? std? | * generator?",
  map_: "input other callable",
  fill_: "input value",
  normal_: "input mean? std? | * generator?",
  registerHook: "input hook",
  registerPostAccumulateGradHook: "input hook",
  random_: "input * generator? / input from to | * generator? / input to | * generator?",
  uniform_: "input from? to? | * generator?",
  resizeAs_: "input theTemplate | * -memoryFormat?",
  resize_: "input ...size | * -memoryFormat?",
  newEmpty: `input ...size | ${NEW}`,
  newFull: `input size fillValue | ${NEW}`,
  newOnes: `input ...size | ${NEW}`,
  newTensor: "input data | * dtype? device? requiresGrad?",
  newZeros: `input ...size | ${NEW}`,
} as const;

/**
 * By the name of a function of `torch`, or of a method, whose tensor is then the first parameter. In-place methods that
 * are not listed are called as those without the underscore.
 */
export const SIGNATURES = {
  ...ELEMENTWISE,
  ...CREATION,
  ...SHAPES,
  ...GATHERING,
  ...REDUCTION,
  ...PRODUCTS,
  ...COMPLEX,
  ...VALUES,
} as const;

/** Methods that are called otherwise than the function of their name. */
export const METHODS = {
  polygamma: "input n",
  split: "input splitSize dim?",
  squeeze: "input ...dim",
  where: "input condition other",
} as const;
