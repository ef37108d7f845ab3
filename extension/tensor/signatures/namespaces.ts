// How the functions of torch.linalg and torch.special are called, as table.ts says.
import { each } from "./table.ts";

export const LINALG = {
  ...each("A", "det eig eigvals inv matrixExp slogdet"),
  cholesky: "A | * upper?",
  cond: "A p?",
  cross: "input other | * dim?",
  diagonal: "A | * offset? dim1? dim2?",
  ...each("A UPLO?", "eigh eigvalsh"),
  lstsq: "A B rcond? | * -driver?",
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
    "digamma entr erf erfc erfcx erfinv exp2 expit expm1 gammaln i0 i0e i1 i1e log1p logNdtr modifiedBesselI0 modifiedBesselI1 ndtr ndtri psi sinc sphericalBesselJ0",
  ),
  ...each("input dim | * dtype?", "logSoftmax softmax"),
  logit: "input eps?",
  logsumexp: "input dim | keepdim?",
  multigammaln: "input p",
  polygamma: "n input",
  round: "input | * decimals?",
  ...each("input other", "xlog1py xlogy"),
} as const;
