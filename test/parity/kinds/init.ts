import { torch } from "../../../extension/nn/index.ts";
import type { Tensor } from "../../../extension/tensor/core/tensor.ts";
import {
  compareAll,
  compareValues,
  EXACT,
  firstOf,
  prefixed,
  type Json,
  type JsonDigest,
  type JsonTensor,
} from "../format.ts";
import { valuesOf } from "../../../extension/tensor/planning/barrier.ts";
import { build, type ModelSpec } from "../models.ts";
import { callArguments, keywords, lookUp } from "../names.ts";

export interface InitSpec {
  id: string;
  seed: number | string;
  model?: ModelSpec;
  init_fn?: string;
  shape?: number[];
  kwargs?: Record<string, Json>;
}

export interface InitExpectation {
  id: string;
  exact: boolean;
  state: Record<string, JsonTensor | JsonDigest>;
  next_rand: number[];
}

/** First weights after a seed, and that exactly the right amount of random numbers was used for them. */
export function runInitItem(
  spec: InitSpec,
  expected: InitExpectation,
  tolerance: { abs: number; rel: number },
): string | null {
  torch.manualSeed(BigInt(spec.seed));
  const state = initial(spec);
  // A QR decomposition.
  const abs = spec.init_fn === "orthogonal_" ? 1e-5 : tolerance.abs;
  const next = torch.rand(4);
  return firstOf([
    compareAll(state, expected.state, expected.exact ? EXACT : { abs, rel: tolerance.rel }),
    prefixed("next_rand", compareValues(valuesOf(next.value), Float32Array.from(expected.next_rand), EXACT)),
  ]);
}

function initial(spec: InitSpec): ReadonlyMap<string, Tensor> {
  if (spec.model !== undefined) return build(spec.model).stateDict();
  const tensor = torch.zeros(spec.shape!);
  lookUp("nn.init", spec.init_fn!)(...callArguments([tensor], keywords(spec.kwargs)));
  return new Map([["tensor", tensor]]);
}
