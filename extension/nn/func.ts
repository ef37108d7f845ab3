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
} from "../tensor/differentiation/transforms.ts";
export { jvp, linearize } from "../tensor/differentiation/pushforward.ts";
export { vmap, type InDims, type VmapOptions } from "../tensor/differentiation/vmap.ts";
