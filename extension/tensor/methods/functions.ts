// Functions whose first parameter is a tensor, as its methods. A function that is added to one of the modules below
// becomes a method too, with its docstring.
import * as conversion from "../functions/creation/conversion.ts";
import * as filling from "../functions/creation/filling.ts";
import * as random from "../functions/creation/random.ts";
import * as indexing from "../functions/indexing/indexing.ts";
import * as decompositions from "../functions/linalg/decompositions.ts";
import * as matrixFunctions from "../functions/linalg/matrixFunctions.ts";
import * as products from "../functions/linalg/products.ts";
import * as inplace from "../functions/pointwise/inplace.ts";
import * as inPlaceViews from "../functions/shape/inPlaceViews.ts";
import * as triangular from "../functions/shape/triangular.ts";
import * as functions from "../functions/tensorFunctions.ts";
import * as gradientHooks from "../recording/gradientHooks.ts";
import type { Names } from "../signatures/table.ts";
import { installAs, type Methods } from "./install.ts";

/** Functions of whole modules that are no methods, or whose methods have a signature of their own: see overloads.ts. */
const EXCLUDED =
  "bucketize cat chainMatmul cumulativeTrapezoid detached drawInto gradient histogramdd isFloatingPoint isNonzero item max median meshgrid min nanmedian nonzero numel polygamma positive searchsorted solveTriangular squeeze stack stdMean target tensordot trapezoid trilIndices triuIndices unique uniqueConsecutive vander variance varMean vdot vecdot where";
const DECOMPOSITIONS = "cholesky det logdet matrixPower pinverse qr slogdet";
const DRAWS = "bernoulli multinomial";
const HOOKS = "registerHook registerPostAccumulateGradHook retainGrad";

type All<M> = Methods<M, Exclude<keyof M, Names<typeof EXCLUDED>>>;

declare module "../core/tensor.ts" {
  interface Tensor
    extends
      All<typeof conversion>,
      All<typeof filling>,
      All<typeof functions>,
      All<typeof indexing>,
      All<typeof inplace>,
      All<typeof inPlaceViews>,
      All<typeof products>,
      All<typeof triangular>,
      Methods<typeof decompositions, Names<typeof DECOMPOSITIONS>>,
      Methods<typeof matrixFunctions, "matrixExp">,
      Methods<typeof gradientHooks, Names<typeof HOOKS>>,
      Methods<typeof random, Names<typeof DRAWS>> {}
}

function install(module: object, names: readonly string[]): void {
  for (const name of names) installAs(name, (module as Readonly<Record<string, unknown>>)[name]);
}

const excluded = new Set(EXCLUDED.split(" "));
for (const module of [
  conversion,
  filling,
  functions,
  indexing,
  inplace,
  inPlaceViews,
  products,
  triangular,
]) {
  install(
    module,
    Object.keys(module).filter((name) => !excluded.has(name)),
  );
}
install(decompositions, DECOMPOSITIONS.split(" "));
install(matrixFunctions, ["matrixExp"]);
install(gradientHooks, HOOKS.split(" "));
install(random, DRAWS.split(" "));
