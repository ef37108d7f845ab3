// PyTorch's torch.special, called by position or by name.
import * as namespace from "./functions/pointwise/specialNamespace.ts";
import { callables } from "./signatures/callable.ts";
import { SPECIAL } from "./signatures/namespaces.ts";

export const {
  digamma,
  entr,
  erf,
  erfc,
  erfcx,
  erfinv,
  exp2,
  expit,
  expm1,
  gammaln,
  i0,
  i0e,
  i1,
  i1e,
  log1p,
  logNdtr,
  logSoftmax,
  logit,
  logsumexp,
  modifiedBesselI0,
  modifiedBesselI1,
  multigammaln,
  ndtr,
  ndtri,
  polygamma,
  psi,
  round,
  sinc,
  softmax,
  sphericalBesselJ0,
  xlog1py,
  xlogy,
} = callables(namespace, SPECIAL);
