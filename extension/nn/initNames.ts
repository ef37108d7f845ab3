// PyTorch's torch.nn.init, with the names from before those with an underscore.
import * as init from "./init.ts";
import { snakeCase } from "./module/repr.ts";
import { warnOnce } from "./warnings.ts";

export * from "./init.ts";

/** A function under its old name, which warns once. */
function deprecated<F extends (...args: never[]) => unknown>(name: string, initialise: F): F {
  const old = snakeCase(name);
  const call = (...args: Parameters<F>): unknown => {
    warnOnce(`\`nn.init.${old}\` is now deprecated in favor of \`nn.init.${old}_\`.`);
    return initialise(...args);
  };
  return call as F;
}

/** @deprecated the old name of {@link init.constant_ | constant_} */
export const constant: typeof init.constant_ = deprecated("constant", init.constant_);
/** @deprecated the old name of {@link init.dirac_ | dirac_} */
export const dirac: typeof init.dirac_ = deprecated("dirac", init.dirac_);
/** @deprecated the old name of {@link init.eye_ | eye_} */
export const eye: typeof init.eye_ = deprecated("eye", init.eye_);
/** @deprecated the old name of {@link init.kaimingNormal_ | kaimingNormal_} */
export const kaimingNormal: typeof init.kaimingNormal_ = deprecated("kaimingNormal", init.kaimingNormal_);
/** @deprecated the old name of {@link init.kaimingUniform_ | kaimingUniform_} */
export const kaimingUniform: typeof init.kaimingUniform_ = deprecated("kaimingUniform", init.kaimingUniform_);
/** @deprecated the old name of {@link init.normal_ | normal_} */
export const normal: typeof init.normal_ = deprecated("normal", init.normal_);
/** @deprecated the old name of {@link init.orthogonal_ | orthogonal_} */
export const orthogonal: typeof init.orthogonal_ = deprecated("orthogonal", init.orthogonal_);
/** @deprecated the old name of {@link init.sparse_ | sparse_} */
export const sparse: typeof init.sparse_ = deprecated("sparse", init.sparse_);
/** @deprecated the old name of {@link init.uniform_ | uniform_} */
export const uniform: typeof init.uniform_ = deprecated("uniform", init.uniform_);
/** @deprecated the old name of {@link init.xavierNormal_ | xavierNormal_} */
export const xavierNormal: typeof init.xavierNormal_ = deprecated("xavierNormal", init.xavierNormal_);
/** @deprecated the old name of {@link init.xavierUniform_ | xavierUniform_} */
export const xavierUniform: typeof init.xavierUniform_ = deprecated("xavierUniform", init.xavierUniform_);
