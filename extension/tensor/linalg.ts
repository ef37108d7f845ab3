// PyTorch's torch.linalg.
export {
  cholesky,
  cond,
  det,
  eigh,
  eigvalsh,
  inv,
  lstsq,
  matrixNorm,
  matrixPower,
  matrixRank,
  multiDot,
  norm,
  pinv,
  qr,
  slogdet,
  solve,
  svd,
  svdvals,
} from "./functions/linalg/decompositions.ts";
export { solveTriangular } from "./functions/shape/triangular.ts";
export { matmul } from "./functions/linalg/linalg.ts";
export { diagonal } from "./functions/shape/orientation.ts";
export { cross, vecdot } from "./functions/linalg/products.ts";
export { norm as vectorNorm } from "./functions/reduction/reduction.ts";
export { vander } from "./functions/shape/orientation.ts";
