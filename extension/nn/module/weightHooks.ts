// Weights that are computed from others before every call: PyTorch's weight_norm and spectral_norm.
import { TensorError } from "../../tensor/core/errors.ts";
import { div, maximum, mul } from "../../tensor/functions/pointwise/arithmetic.ts";
import { detach } from "../../tensor/functions/creation/conversion.ts";
import { dot, mv } from "../../tensor/functions/linalg/linalg.ts";
import { composed, constant } from "../../tensor/functions/pointwise/operands.ts";
import { randn } from "../../tensor/functions/creation/random.ts";
import { norm } from "../../tensor/functions/reduction/reduction.ts";
import { movedim, reshape, t } from "../../tensor/functions/shape/shape.ts";
import { hidden, noGrad } from "../../tensor/recording/scope.ts";
import { numel } from "../../tensor/core/shape.ts";
import { Parameter, type Tensor } from "../../tensor/core/tensor.ts";
import { bind } from "../arguments.ts";
import type { RemovableHandle } from "./hookList.ts";
import type { Module } from "./module.ts";
import { fieldOf, setProperty } from "./moduleMembers.ts";
import { ConvTranspose1d, ConvTranspose2d, ConvTranspose3d } from "../modules/conv/transposedConvolution.ts";

/** A weight that a hook computes: which one, by what, and how to end it. */
interface Computed {
  readonly kind: string;
  readonly handle: RemovableHandle;
  /** The weight, before a call or beside it. */
  weight(module: Module, calls: boolean): Tensor;
  /** Names of what it is computed from. */
  readonly members: readonly string[];
}

const computed = new WeakMap<Module, Map<string, Computed>>();

const members = (module: Module): Record<string, unknown> => module as unknown as Record<string, unknown>;

function weightOf(module: Module, name: string): Parameter {
  const weight = members(module)[name];
  if (weight instanceof Parameter) return weight;
  throw new TensorError("value", `${module.constructor.name} has no parameter '${name}'`);
}

/** Puts a computed weight in the place of a parameter: the modules' walks no longer find it. */
function compute(module: Module, name: string, by: Omit<Computed, "handle">): void {
  const known = computed.get(module) ?? new Map<string, Computed>();
  const handle = module.registerForwardPreHook((self) =>
    hidden(() => setProperty(self, name, by.weight(self, true))),
  );
  computed.set(module, known.set(name, { ...by, handle }));
}

/** @throws TensorError for a second hook of a kind on a parameter */
function checkOnce(module: Module, name: string, kind: string): void {
  if (computed.get(module)?.get(name)?.kind !== kind) return;
  throw new TensorError("value", `Cannot register two ${kind} hooks on the same parameter ${name}`);
}

/** Puts a parameter back in the place of a computed weight. */
function end(module: Module, name: string, kind: string): void {
  const found = computed.get(module)?.get(name);
  if (found?.kind !== kind) {
    throw new TensorError("value", `${kind} of '${name}' not found in ${module.toString()}`);
  }
  const weight = noGrad(() => detach(found.weight(module, false)));
  found.handle.remove();
  computed.get(module)!.delete(name);
  for (const member of [...found.members, name]) Reflect.deleteProperty(module, member);
  module.registerParameter(name, new Parameter(weight));
}

interface WeightNormOptions {
  /** Default "weight". */
  name?: string;
  /** The dimension whose entries have a length of their own; null for one length of all. Default 0. */
  dim?: number | null;
}

/** The norm over all dimensions but one, of a shape that broadcasts. */
export function normExcept(v: Tensor, dim: number | null): Tensor {
  if (dim === null || dim === -1) return norm(v);
  const at = dim < 0 ? dim + v.ndim : dim;
  const shape = v.shape.map((n, d) => (d === at ? n : 1));
  return reshape(norm(reshape(movedim(v, at, 0), [v.shape[at]!, -1]), 2, 1), shape);
}

/**
 * Makes a module's weight g · v / ‖v‖, of the parameters `weight_g` (lengths) and `weight_v` (directions), before every
 * call.
 *
 * ```ts
 * const layer = nn.utils.weightNorm(new nn.Linear(4, 2));
 * layer.namedParameters().map(([name]) => name); // ["bias", "weight_g", "weight_v"]
 * ```
 * @returns the module
 * @throws TensorError "Cannot register two weight_norm hooks on the same parameter weight"
 */
export function weightNorm<M extends Module>(module: M, name?: string, dim?: number | null): M;
export function weightNorm<M extends Module>(module: M, options?: WeightNormOptions): M;
export function weightNorm<M extends Module>(module: M, ...rest: unknown[]): M {
  const { name: given, dim } = bind<WeightNormOptions>("weight_norm", rest, { name: "weight", dim: 0 });
  const name = fieldOf(module, given);
  checkOnce(module, name, "weight_norm");
  const weight = weightOf(module, name);
  const [g, v] = [`${module.keyOf(name)}_g`, `${module.keyOf(name)}_v`];
  Reflect.deleteProperty(module, name);
  module.registerParameter(g, new Parameter(noGrad(() => composed(() => normExcept(weight, dim)))));
  module.registerParameter(v, new Parameter(detach(weight)));
  const product = (self: Module): Tensor => {
    const [length, direction] = [members(self)[g] as Tensor, members(self)[v] as Tensor];
    return composed(() => mul(direction, div(length, normExcept(direction, dim))));
  };
  compute(module, name, { kind: "weight_norm", members: [g, v], weight: product });
  setProperty(module, name, product(module));
  return module;
}

/** Ends {@link weightNorm}: the weight is a parameter again. */
export function removeWeightNorm<M extends Module>(module: M, name = "weight"): M {
  end(module, fieldOf(module, name), "weight_norm");
  return module;
}

interface SpectralNormOptions {
  /** Default "weight". */
  name?: string;
  /** Steps of the power iteration before each call in training. Default 1. */
  nPowerIterations?: number;
  /** Default 1e-12. */
  eps?: number;
  /** The dimension of the outputs: 1 for transposed convolutions, else 0. */
  dim?: number | null;
}

const unit = (x: Tensor, eps: number): Tensor => div(x, maximum(norm(x), constant(eps)));

/**
 * Divides a module's weight by its largest singular value before every call, which a power iteration estimates: the
 * parameter is `weight_orig`, the buffers `weight_u` and `weight_v` hold the singular vectors.
 *
 * ```ts
 * const layer = nn.utils.spectralNorm(new nn.Linear(4, 2));
 * [...layer.stateDict().keys()]; // ["bias", "weight_orig", "weight_u", "weight_v"]
 * ```
 * @returns the module
 * @throws TensorError "Cannot register two spectral_norm hooks on the same parameter weight"
 */
export function spectralNorm<M extends Module>(
  module: M,
  name?: string,
  nPowerIterations?: number,
  eps?: number,
  dim?: number | null,
): M;
export function spectralNorm<M extends Module>(module: M, options?: SpectralNormOptions): M;
export function spectralNorm<M extends Module>(module: M, ...rest: unknown[]): M {
  const bound = bind<SpectralNormOptions>("spectral_norm", rest, {
    name: "weight",
    nPowerIterations: 1,
    eps: 1e-12,
    dim: null,
  });
  const { nPowerIterations, eps } = bound;
  const name = fieldOf(module, bound.name);
  if (nPowerIterations <= 0) {
    throw new TensorError(
      "value",
      `Expected n_power_iterations to be positive, but got n_power_iterations=${nPowerIterations}`,
    );
  }
  checkOnce(module, name, "spectral_norm");
  const weight = weightOf(module, name);
  const transposed =
    module instanceof ConvTranspose1d ||
    module instanceof ConvTranspose2d ||
    module instanceof ConvTranspose3d;
  const dim = bound.dim ?? (transposed ? 1 : 0);
  const key = module.keyOf(name);
  const [original, left, right] = [`${key}_orig`, `${key}_u`, `${key}_v`];
  const height = weight.shape[dim]!;
  Reflect.deleteProperty(module, name);
  module.registerParameter(original, weight);
  const [u, v] = noGrad(() =>
    [height, numel(weight.shape) / height].map((n) => {
      const start = randn(n);
      return composed(() => unit(start, eps));
    }),
  ) as [Tensor, Tensor];
  module.registerBuffer(left, u);
  module.registerBuffer(right, v);
  const matrixOf = (w: Tensor): Tensor => reshape(dim === 0 ? w : movedim(w, dim, 0), [height, -1]);
  const iterate = (matrix: Tensor, [u, v]: readonly [Tensor, Tensor]): void =>
    noGrad(() => {
      for (let i = 0; i < nPowerIterations; i++) {
        // Calls before this one can still be differentiated: PyTorch uses copies of the vectors.
        v.write(
          composed(() => unit(mv(t(matrix), u), eps)),
          undefined,
          null,
        );
        u.write(
          composed(() => unit(mv(matrix, v), eps)),
          undefined,
          null,
        );
      }
    });
  const divided = (self: Module, calls: boolean): Tensor => {
    const own = members(self);
    const [w, u, v] = [own[original], own[left], own[right]] as [Tensor, Tensor, Tensor];
    return composed(() => {
      const matrix = matrixOf(w);
      if (calls && self.training) iterate(matrix, [u, v]);
      // A step of another optimizer writes the buffers; a backward pass after it needs the vectors of this call.
      for (const x of [u, v]) x.value.visible = true;
      return div(w, dot(detach(u), mv(matrix, detach(v))));
    });
  };
  compute(module, name, { kind: "spectral_norm", members: [original, left, right], weight: divided });
  // Until the first call the weight is what it was, as in PyTorch.
  setProperty(module, name, detach(weight));
  return module;
}

/** Ends {@link spectralNorm}: the weight is a parameter again. */
export function removeSpectralNorm<M extends Module>(module: M, name = "weight"): M {
  end(module, fieldOf(module, name), "spectral_norm");
  return module;
}
