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
} from "./functions/decompositions.ts";
export { solveTriangular } from "./functions/triangular.ts";
export { matmul } from "./functions/linalg.ts";
export { diagonal } from "./functions/orientation.ts";
export { cross, vecdot } from "./functions/products.ts";
export { norm as vectorNorm } from "./functions/reduction.ts";
export { vander } from "./functions/orientation.ts";
