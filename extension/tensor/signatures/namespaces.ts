// How the functions of torch.linalg, torch.special, torch.fft and torch.signal.windows are called, as table.ts says.
import { each } from "./table.ts";

export const LINALG = {
  ...each("A", "det eig eigvals inv matrixExp slogdet"),
  cholesky: "A | * upper?",
  choleskyEx: "A | * upper? checkErrors?",
  cond: "A p?",
  cross: "input other | * dim?",
  diagonal: "A | * offset? dim1? dim2?",
  ...each("A UPLO?", "eigh eigvalsh"),
  householderProduct: "A tau",
  invEx: "A | * checkErrors?",
  luFactorEx: "A | * pivot? checkErrors?",
  solveEx: "A B | * left? checkErrors?",
  lstsq: "A B rcond? | * driver?",
  ...each("A | * pivot?", "lu luFactor"),
  luSolve: "LU pivots B | * left? adjoint?",
  matmul: "input other",
  matrixNorm: "A ord? dim? keepdim? | * !dtype?",
  matrixPower: "A n",
  ...each("A | * atol? rtol? hermitian?", "matrixRank pinv"),
  multiDot: "tensors",
  norm: "input ord? dim? keepdim? | * !dtype?",
  qr: "A mode?",
  solve: "A B | * left?",
  solveTriangular: "A B | * upper left? unitriangular?",
  svd: "A fullMatrices? | * -driver?",
  svdvals: "A | * -driver?",
  tensorinv: "A ind?",
  tensorsolve: "A B dims?",
  vander: "x | * N?",
  vecdot: "x y | * dim?",
  vectorNorm: "x ord? dim? keepdim? | * !dtype?",
} as const;

export const SPECIAL = {
  ...each(
    "input",
    "airyAi besselJ0 besselJ1 besselY0 besselY1 digamma entr erf erfc erfcx erfinv exp2 expit expm1 gammaln i0 i0e i1 i1e log1p logNdtr modifiedBesselI0 modifiedBesselI1 modifiedBesselK0 modifiedBesselK1 ndtr ndtri psi scaledModifiedBesselK0 scaledModifiedBesselK1 sinc sphericalBesselJ0",
  ),
  ...each("input dim | * dtype?", "logSoftmax softmax"),
  logit: "input eps?",
  logsumexp: "input dim | keepdim?",
  multigammaln: "input p",
  polygamma: "n input",
  round: "input | * decimals?",
  ...each("input other", "gammainc gammaincc xlog1py xlogy zeta"),
  ...each(
    "input ~n",
    "chebyshevPolynomialT chebyshevPolynomialU chebyshevPolynomialV chebyshevPolynomialW hermitePolynomialH hermitePolynomialHe laguerrePolynomialL legendrePolynomialP shiftedChebyshevPolynomialT shiftedChebyshevPolynomialU shiftedChebyshevPolynomialV shiftedChebyshevPolynomialW",
  ),
} as const;

export const FFT = {
  ...each("input n? dim? norm?", "fft hfft ifft ihfft irfft rfft"),
  ...each("input s? dim? norm?", "fft2 fftn hfft2 hfftn ifft2 ifftn ihfft2 ihfftn irfft2 irfftn rfft2 rfftn"),
  ...each("n d? | * dtype? device? requiresGrad? -layout?", "fftfreq rfftfreq"),
  ...each("input dim?", "fftshift ifftshift"),
} as const;

const WINDOW = "sym? dtype? device? requiresGrad? -layout?";

export const WINDOWS = {
  ...each(`M:int | * ${WINDOW}`, "bartlett blackman cosine hamming hann nuttall"),
  exponential: `M:int | * center? tau? ${WINDOW}`,
  gaussian: `M:int | * std? ${WINDOW}`,
  generalCosine: `M:int | * ~a ${WINDOW}`,
  generalHamming: `M:int | * alpha? ${WINDOW}`,
  kaiser: `M:int | * beta? ${WINDOW}`,
} as const;
