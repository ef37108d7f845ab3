// Modules as functions of their parameters.
import { TensorError } from "../../tensor/core/errors.ts";
import { stack } from "../../tensor/functions/shape/shape.ts";
import type { Tensor } from "../../tensor/core/tensor.ts";
import type { Module, Result } from "./module.ts";
import { submodule } from "./moduleMembers.ts";

/** Parameters and buffers by their paths. */
export type TensorsByName =
  | Readonly<Record<string, Tensor>>
  | ReadonlyMap<string, Tensor>
  | readonly (readonly [string, Tensor])[];

export interface FunctionalCallOptions {
  /** Whether a tensor with several names is replaced under all of them. Default true. */
  tieWeights?: boolean;
  /** Whether all parameters and buffers must be given, and nothing else. Default false. */
  strict?: boolean;
}

/** {@link FunctionalCallOptions} in the place of the named arguments, with those among them. */
interface NamedOptions extends FunctionalCallOptions {
  kwargs?: object | null;
}

/** Whether an object of named arguments has options of `functionalCall` alone: PyTorch takes these by name. */
const isOptions = (kwargs: object): kwargs is NamedOptions => {
  const names = Object.keys(kwargs);
  return names.length > 0 && names.every((name) => ["kwargs", "tieWeights", "strict"].includes(name));
};

function entriesOf(tensors: TensorsByName | readonly TensorsByName[]): [string, Tensor][] {
  if (Array.isArray(tensors)) {
    const list = tensors as readonly (readonly [string, Tensor] | TensorsByName)[];
    if (list.every((x) => Array.isArray(x) && typeof x[0] === "string")) return list as [string, Tensor][];
    return (list as readonly TensorsByName[]).flatMap(entriesOf);
  }
  return tensors instanceof Map ? [...tensors] : Object.entries(tensors as Record<string, Tensor>);
}

/**
 * `module(...args)` with other tensors in the place of its parameters and buffers; those that aren't given stay.
 *
 * ```ts
 * const parameters = Object.fromEntries(model.namedParameters());
 * const y = torch.func.functionalCall(model, parameters, [x]);
 * ```
 * @param tensors by path, or several such objects
 * @param args one argument, or a list of them
 * @param kwargs named arguments of the module; or the options, by name, with `kwargs` among them
 * @throws TensorError "functional_call got multiple values for keys ['a.weight', 'b.weight'], which are tied. Consider using tie_weights=False"
 */
export function functionalCall<M extends Module>(
  module: M,
  tensors: TensorsByName | readonly TensorsByName[],
  args: unknown = [],
  kwargs: object | null = null,
  options?: FunctionalCallOptions,
): Result<M> {
  if (options === undefined && kwargs !== null && isOptions(kwargs))
    return functionalCall(module, tensors, args, kwargs.kwargs ?? null, kwargs);
  const { tieWeights = true, strict = false } = options ?? {};
  const given = new Map(entriesOf(tensors));
  const all: [string, Tensor][] = [
    ...module.namedParameters({ removeDuplicate: false }),
    ...module.namedBuffers({ removeDuplicate: false }),
  ];
  if (strict) checkNames(module.constructor.name, new Set(all.map(([name]) => name)), given);
  const places = tieWeights ? tied(all, given) : given;
  const before: [owner: Module, key: string, value: unknown][] = [];
  try {
    for (const [name, tensor] of places) {
      const at = name.lastIndexOf(".");
      const [owner, key] = [submodule(module, at < 0 ? "" : name.slice(0, at)), name.slice(at + 1)];
      const old = owner.member(key);
      if (old === undefined) {
        throw new TensorError("value", `${owner.constructor.name} has no attribute \`${key}\``);
      }
      before.push([owner, key, old]);
      owner.replaceMember(key, tensor);
    }
    const list: unknown[] = Array.isArray(args) ? args : [args];
    const call = module as unknown as (...args: unknown[]) => Result<M>;
    return call(...list, ...(kwargs === null ? [] : [kwargs]));
  } finally {
    for (const [owner, key, value] of before.toReversed()) owner.replaceMember(key, value);
  }
}

/** Gives each name of a tensor with several the tensor that one of them is given. */
function tied(all: readonly [string, Tensor][], given: ReadonlyMap<string, Tensor>): Map<string, Tensor> {
  const names = new Map<Tensor, string[]>();
  for (const [name, tensor] of all) names.set(tensor, [...(names.get(tensor) ?? []), name]);
  const out = new Map(given);
  for (const group of names.values()) {
    const own = group.filter((name) => given.has(name));
    if (group.length < 2 || own.length === 0) continue;
    const tensor = given.get(own[0]!)!;
    if (own.some((name) => given.get(name) !== tensor)) {
      const list = own.toSorted().map((name) => `'${name}'`);
      throw new TensorError(
        "value",
        `functional_call got multiple values for keys [${list.join(", ")}], which are tied. Consider using tie_weights=False`,
      );
    }
    for (const name of group) out.set(name, tensor);
  }
  return out;
}

function checkNames(type: string, all: ReadonlySet<string>, given: ReadonlyMap<string, Tensor>): void {
  const unexpected = [...given.keys()].filter((name) => !all.has(name));
  const missing = [...all].filter((name) => !given.has(name));
  if (unexpected.length === 0 && missing.length === 0) return;
  const lines = [`Error(s) in reparametrizing for ${type}:`];
  const quoted = (names: readonly string[]): string =>
    names
      .toSorted()
      .map((name) => `'${name}'`)
      .join(", ");
  if (unexpected.length > 0) lines.push(`Unexpected key(s): ${quoted(unexpected)}.`);
  if (missing.length > 0) lines.push(`Missing key(s): ${quoted(missing)}.`);
  throw new TensorError("value", lines.join("\n\t"));
}

/** Parameters and buffers of equal models, stacked: `[parameters, buffers]`, for `vmap` over the models. */
export function stackModuleState(
  models: readonly Module[],
): [parameters: Record<string, Tensor>, buffers: Record<string, Tensor>] {
  if (models.length === 0)
    throw new TensorError("value", "stack_module_state: Expected at least one model, got 0.");
  const stacked = (lists: readonly [string, Tensor][][], learned: boolean): Record<string, Tensor> =>
    Object.fromEntries(
      lists[0]!.map(([name, first], i) => {
        const all = stack(lists.map((list) => list[i]![1].detach()));
        return [name, learned && first.requiresGrad ? all.requiresGrad_() : all];
      }),
    );
  return [
    stacked(
      models.map((m) => m.namedParameters()),
      true,
    ),
    stacked(
      models.map((m) => m.namedBuffers()),
      false,
    ),
  ];
}
