// PyTorch's torch.nn.utils.parametrize: parameters that are computed from others wherever they are read.
import { fieldOf } from "../module/moduleMembers.ts";
import { TensorError } from "../../tensor/core/errors.ts";
import { finallyRun } from "../../tensor/recording/runtime.ts";
import { noGrad } from "../../tensor/recording/scope.ts";
import { formatSize, sameShape } from "../../tensor/core/shape.ts";
import { Parameter, Tensor } from "../../tensor/core/tensor.ts";
import { Module } from "../module/module.ts";
import { ModuleList } from "../modules/containers/containers.ts";
import { ModuleDict } from "../modules/containers/moduleDict.ts";

/** A module that computes a parameter; with `rightInverse`, one that can be assigned to. */
type Parametrization = Module & {
  forward(...originals: Tensor[]): Tensor;
  rightInverse?(value: Tensor): Tensor | readonly Tensor[];
};

interface Parametrized {
  parametrizations?: ModuleDict<Module>;
}

const members = (module: Module): Record<string, unknown> => module as unknown as Record<string, unknown>;
const run = (module: Module, ...inputs: readonly Tensor[]): Tensor =>
  (module as unknown as (...inputs: readonly Tensor[]) => Tensor)(...inputs);

/** The parametrizations of one tensor, in the order of application, and their original tensors: `original`. */
export class ParametrizationList extends ModuleList<Module> {
  /** Names of the original tensors. */
  private readonly originals: readonly string[];

  constructor(modules: readonly Module[], original: Parameter) {
    super(modules);
    const start = noGrad(() => this.inverted(original));
    if (start instanceof Tensor) {
      if (start !== original) original.data = start;
      this.originals = ["original"];
      this.registerParameter("original", original);
    } else {
      this.originals = start.map((_, i) => `original${i}`);
      start.forEach((x, i) => this.registerParameter(`original${i}`, new Parameter(x.detach())));
    }
  }

  /** Computes the parameter from the original tensors. */
  override forward(): never {
    const [first, ...others] = [...this];
    const start = this.originals.map((name) => members(this)[name] as Tensor);
    return others.reduce((x, one) => run(one, x), run(first!, ...start)) as never;
  }

  /** Assigns: has `forward` give this value from here on. */
  rightInverse(value: Tensor): void {
    noGrad(() => {
      const start = this.inverted(value);
      const list = start instanceof Tensor ? [start] : start;
      this.originals.forEach((name, i) => {
        (members(this)[name] as Parameter).data = list[i]!;
      });
    });
  }

  /** The only original tensor. */
  get only(): Parameter | undefined {
    return this.originals.length === 1 && this.originals[0] === "original"
      ? (members(this)["original"] as Parameter)
      : undefined;
  }

  private inverted(value: Tensor): Tensor | readonly Tensor[] {
    let current: Tensor | readonly Tensor[] = value;
    for (const one of [...this].reverse() as Parametrization[])
      if (one.rightInverse !== undefined) current = one.rightInverse(current as Tensor);
    return current;
  }
}

/** The list of one tensor's parametrizations. */
const listOf = (module: Module, name: string): ParametrizationList | undefined =>
  isParametrized(module, name)
    ? ((module as Parametrized).parametrizations!.get(module.keyOf(name)) as ParametrizationList)
    : undefined;

/** Whether a module has parametrizations, of the tensor of that name. */
export function isParametrized(module: Module, tensorName?: string): boolean {
  const { parametrizations } = module as Parametrized;
  if (!(parametrizations instanceof ModuleDict)) return false;
  return tensorName === undefined
    ? parametrizations.size > 0
    : parametrizations.has(module.keyOf(tensorName));
}

/**
 * The class of a module, without the parametrizations that gave it one of its own.
 *
 * ```ts
 * const layer = nn.utils.parametrizations.weightNorm(new nn.Linear(2, 2));
 * nn.utils.parametrize.typeBeforeParametrizations(layer) === nn.Linear; // true
 * ```
 */
export function typeBeforeParametrizations(module: Module): typeof Module {
  const type = module.constructor as typeof Module;
  return isParametrized(module) ? (Object.getPrototypeOf(type) as typeof Module) : type;
}

/** @throws TensorError for a parametrization that gives another shape or type */
function check(name: string, before: Tensor, after: Tensor): void {
  if (after.dtype !== before.dtype) {
    throw new TensorError(
      "value",
      `Registering a parametrization may not change the dtype of the tensor, unless \`unsafe\` flag is enabled.\nmodule.${name}.dtype: torch.${before.dtype}\nparametrization(module.${name}).dtype: torch.${after.dtype}`,
    );
  }
  if (sameShape(after.shape, before.shape)) return;
  throw new TensorError(
    "value",
    `Registering a parametrization may not change the shape of the tensor, unless \`unsafe\` flag is enabled.\nmodule.${name}.shape: ${formatSize(before.shape)}\nparametrization(module.${name}).shape: ${formatSize(after.shape)}`,
  );
}

/**
 * Has a parameter computed by another module wherever it is read: `module.weight` is `parametrization(original)`, and
 * `module.parametrizations.weight.original` is what an optimizer updates. Another parametrization of the same tensor is
 * applied after those before. A method `rightInverse` returns the originals for a value assigned to the parameter.
 *
 * ```ts
 * class Symmetric extends nn.Module {
 *   forward(x: Tensor): Tensor {
 *     return x.triu().add(x.triu(1).transpose(-1, -2));
 *   }
 * }
 * const layer = nn.utils.parametrize.registerParametrization(new nn.Linear(3, 3), "weight", new Symmetric());
 * ```
 * @param options unsafe: whether the shape may change
 * @returns the module
 * @throws TensorError for a name that is no parameter, or a shape that changes
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.parametrize.register_parametrization.html
 */
export function registerParametrization<M extends Module>(
  module: M,
  name: string,
  parametrization: Module,
  options: { unsafe?: boolean } = {},
): M {
  const tensorName = fieldOf(module, name);
  parametrization.train(module.training);
  const known = listOf(module, tensorName);
  if (known !== undefined) {
    if (options.unsafe !== true) {
      const before = members(module)[tensorName] as Tensor;
      check(
        tensorName,
        before,
        noGrad(() => run(parametrization, before)),
      );
    }
    known.append(parametrization);
    return module;
  }
  const weight = members(module)[tensorName];
  if (!(weight instanceof Parameter)) {
    throw new TensorError(
      "value",
      `Module '${module.toString()}' does not have a parameter, a buffer, or a parametrized element with name '${tensorName}'`,
    );
  }
  const list = new ParametrizationList([parametrization], weight);
  if (options.unsafe !== true) {
    check(
      tensorName,
      weight,
      noGrad(() => run(list)),
    );
  }
  Reflect.deleteProperty(module, tensorName);
  if (!isParametrized(module)) {
    rename(module);
    module.registerModule("parametrizations", new ModuleDict<Module>({}));
  }
  (module as Parametrized).parametrizations!.set(module.keyOf(tensorName), list);
  Object.defineProperty(module, tensorName, {
    get(this: Module): Tensor {
      const list = listOf(this, tensorName)!;
      if (cache === undefined) return run(list);
      const known = cache.get(list) ?? run(list);
      cache.set(list, known);
      return known;
    },
    set(this: Module, value: Tensor): void {
      const list = listOf(this, tensorName)!;
      cache?.delete(list);
      list.rightInverse(value);
    },
    enumerable: false,
    configurable: true,
  });
  return module;
}

/** Values of parametrized tensors while {@link cached} runs. */
let cache: Map<ParametrizationList, Tensor> | undefined;

/**
 * Runs `body` with each parametrized tensor computed once, when it is read first: for networks that read it in every step of a
 * sequence. Calls may be nested. PyTorch's `with parametrize.cached():`.
 *
 * ```ts
 * const output = nn.utils.parametrize.cached(() => inputs.map((x) => (h = cell(x, h))));
 * ```
 * @returns what `body` returns
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.parametrize.cached.html
 */
export function cached<T>(body: () => T): T {
  if (cache !== undefined) return body();
  cache = new Map();
  return finallyRun(body, () => (cache = undefined));
}

/** Gives a module a class of its own: `ParametrizedLinear`. */
function rename(module: Module): void {
  const Base = module.constructor as typeof Module;
  const Own = class extends Base {};
  Object.defineProperty(Own, "name", { value: `Parametrized${Base.name}` });
  Object.setPrototypeOf(module, Own.prototype);
}

/**
 * Makes a parametrized tensor a parameter again: with its current value, or with the tensor that it was computed from.
 * @throws TensorError when it was computed from several tensors and its value is not to be kept
 */
export function removeParametrizations<M extends Module>(
  module: M,
  name: string,
  options: boolean | { leaveParametrized?: boolean } = true,
): M {
  const tensorName = fieldOf(module, name);
  const leave = typeof options === "boolean" ? options : (options.leaveParametrized ?? true);
  const list = listOf(module, tensorName);
  if (list === undefined) {
    throw new TensorError(
      "value",
      `Module ${module.toString()} does not have a parametrization on ${tensorName}`,
    );
  }
  const { only } = list;
  if (!leave && only === undefined) {
    throw new TensorError(
      "value",
      "Cannot leave unparametrized (`leave_parametrized=False`) a tensor that is parametrized in terms of a sequence of tensors.",
    );
  }
  const value = leave ? noGrad(() => run(list)).detach() : undefined;
  const parameter = only ?? new Parameter(value!);
  if (only !== undefined && value !== undefined) only.data = value;
  const { parametrizations } = module as Parametrized;
  parametrizations!.delete(module.keyOf(tensorName));
  Reflect.deleteProperty(module, tensorName);
  if (parametrizations!.size === 0) {
    Reflect.deleteProperty(module, "parametrizations");
    Object.setPrototypeOf(module, Object.getPrototypeOf(Object.getPrototypeOf(module)) as object);
  }
  module.registerParameter(tensorName, parameter);
  return module;
}
