// PyTorch's torch.func.
export {
  functionalCall,
  stackModuleState,
  type FunctionalCallOptions,
  type TensorsByName,
} from "./module/functionalCall.ts";
export {
  grad,
  gradAndValue,
  hessian,
  jacfwd,
  jacrev,
  vjp,
  type GradOptions,
  type JacfwdOptions,
  type JacrevOptions,
} from "../tensor/differentiation/transforms.ts";
export { replaceAllBatchNormModules_ } from "./modules/norm/withoutRunningStats.ts";
export { jvp, linearize, type JvpOptions } from "../tensor/differentiation/pushforward.ts";
export { vmap, type InDims, type VmapOptions } from "../tensor/differentiation/vmap.ts";
