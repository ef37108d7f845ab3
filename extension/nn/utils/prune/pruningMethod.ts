// Code shared by all pruning methods: a mask of zeros and ones that multiplies a parameter before every call.
import { TensorError } from "../../../tensor/core/errors.ts";
import { formatSize, sameShape } from "../../../tensor/core/shape.ts";
import { Parameter, Tensor } from "../../../tensor/core/tensor.ts";
import { onesLike } from "../../../tensor/functions/creation/creation.ts";
import { index, indexPut } from "../../../tensor/functions/indexing/indexing.ts";
import type { IndexSpec } from "../../../tensor/functions/indexing/places.ts";
import { mul } from "../../../tensor/functions/pointwise/arithmetic.ts";
import { eq, ne } from "../../../tensor/functions/pointwise/elementwise.ts";
import { sum } from "../../../tensor/functions/reduction/reduction.ts";
import { noGrad } from "../../../tensor/recording/scope.ts";
import { isNamed } from "../../../tensor/signatures/bind.ts";
import type { ForwardPreHook } from "../../module/hooks.ts";
import type { Module } from "../../module/module.ts";
import { STATE } from "../../module/moduleCall.ts";
import { fieldOf, setProperty } from "../../module/moduleMembers.ts";

/** Input of a method's mask: elements that earlier masks left, channels that they left, or all. */
export type PruningType = "unstructured" | "structured" | "global";

/** Methods by the hooks that apply their masks. A copy of a module has the same hooks. */
const methods = new WeakMap<ForwardPreHook, BasePruningMethod>();

export const membersOf = (module: Module): Record<string, unknown> =>
  module as unknown as Record<string, unknown>;

/** The hook that prunes a module's parameter, and its method. */
function pruning(module: Module, name: string): [ForwardPreHook, BasePruningMethod] | undefined {
  for (const hook of module[STATE].beforeForward) {
    const method = methods.get(hook);
    if (method?.tensorName === name) return [hook, method];
  }
  return undefined;
}

/** Whether a hook of this very module prunes a parameter. */
export const prunes = (module: Module): boolean =>
  [...module[STATE].beforeForward].some((hook) => methods.has(hook));

/** The parameter that is to be pruned, or was pruned already. */
function weightOf(module: Module, name: string): Tensor {
  const weight = membersOf(module)[name];
  if (weight === undefined) {
    throw new TensorError("value", `'${module.constructor.name}' object has no attribute '${name}'`);
  }
  if (weight instanceof Parameter || pruning(module, name) !== undefined) return weight as Tensor;
  throw new TensorError(
    "value",
    `cannot assign '${weight === null ? "NoneType" : "torch.FloatTensor"}' object to parameter '${name}_orig' (torch.nn.Parameter or None required)`,
  );
}

/** @throws TensorError "importance_scores should have the same shape as …" */
function checkScores(scores: Tensor, of: Tensor, what: string): void {
  if (sameShape(scores.shape, of.shape)) return;
  throw new TensorError(
    "shape",
    `importance_scores should have the same shape as ${what}, got ${formatSize(scores.shape)} vs ${formatSize(of.shape)}`,
  );
}

/**
 * Base class of methods of pruning. A subclass computes the mask, and its `apply` prunes a parameter of a module:
 *
 * ```ts
 * class EveryOther extends nn.utils.prune.BasePruningMethod {
 *   static PRUNING_TYPE = "unstructured";
 *   computeMask(t: Tensor, defaultMask: Tensor): Tensor {
 *     const mask = defaultMask.clone();
 *     mask.view(-1).indexPut_(["0::2"], 0);
 *     return mask;
 *   }
 * }
 * EveryOther.apply(layer, "bias");
 * ```
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.prune.BasePruningMethod.html
 */
export abstract class BasePruningMethod {
  /** The elements left to a method that is applied after others: this, or a static `PRUNING_TYPE` as in PyTorch. */
  readonly pruningType?: PruningType;
  /** The dimension of the channels, of structured methods. */
  readonly dim?: number;
  /** @internal Name of the parameter that it prunes. */
  tensorName = "";

  /**
   * Computes the mask: 0 for pruned elements, else 1.
   * @param t importance of each element: the parameter itself, or scores
   * @param defaultMask mask of earlier methods, in the shape of `t`; ones if there are none
   */
  abstract computeMask(t: Tensor, defaultMask: Tensor): Tensor;

  /** The parameter, pruned: `name_mask` · `name_orig`. */
  applyMask(module: Module): Tensor {
    const [mask, original] = ["mask", "orig"].map((part) => membersOf(module)[`${this.tensorName}_${part}`]);
    return mul(mask as Tensor, original as Tensor);
  }

  /**
   * Prunes a parameter of a module: it becomes `name_mask` · `name_orig`, computed again before every call of the module. A
   * parameter that is pruned already is pruned further. Other arguments are those of the method's constructor; the last one
   * may have `importanceScores`, by which it decides in place of the parameter.
   * @returns the method; a {@link PruningContainer} of all when there are several
   * @throws TensorError for a name that is no parameter, or scores of another shape
   */
  static apply<A extends unknown[]>(
    this: new (...args: A) => BasePruningMethod,
    module: Module,
    name: string,
    ...args: A | [...A, { importanceScores?: Tensor | null | undefined }]
  ): BasePruningMethod {
    const { scores, rest } = withoutScores(args);
    return prune(module, name, new this(...(rest as A)), scores);
  }

  /** `t` · mask, without a module. */
  prune(t: Tensor, options: { defaultMask?: Tensor; importanceScores?: Tensor } = {}): Tensor {
    const { importanceScores = t, defaultMask = onesLike(t) } = options;
    checkScores(importanceScores, t, "tensor t");
    return mul(t, this.computeMask(importanceScores, defaultMask));
  }

  /** Leaves the parameter pruned for good: a parameter of its old name, without mask and hook. */
  remove(module: Module): void {
    const { tensorName: name } = this;
    const found = pruning(module, name);
    if (found !== undefined) module[STATE].beforeForward.remove(found[0]);
    const original = membersOf(module)[`${name}_orig`] as Parameter;
    original.data = noGrad(() => this.applyMask(module));
    for (const member of [name, `${name}_orig`, `${name}_mask`]) Reflect.deleteProperty(module, member);
    module[STATE].buffers.delete(`${name}_mask`);
    module.registerParameter(name, original);
  }
}

function withoutScores(args: readonly unknown[]): { scores: Tensor | null; rest: unknown[] } {
  const last = args.at(-1);
  if (!isNamed(last) || !("importanceScores" in last)) return { scores: null, rest: [...args] };
  const { importanceScores, ...named } = last;
  const rest = args.slice(0, -1);
  if (Object.keys(named).length > 0) rest.push(named);
  return { scores: (importanceScores ?? null) as Tensor | null, rest };
}

/** Prunes a parameter by a method, after those before. */
export function prune(
  module: Module,
  given: string,
  method: BasePruningMethod,
  scores: Tensor | null,
): BasePruningMethod {
  const name = fieldOf(module, given);
  const weight = weightOf(module, name);
  if (scores !== null) checkScores(scores, weight, `parameter ${name} of ${module.toString()}`);
  method.tensorName = name;
  const before = pruning(module, name);
  const all = before === undefined ? method : PruningContainer.of(before[1], method);
  const [original, masked] = [`${name}_orig`, `${name}_mask`];
  const mask = noGrad(() => {
    const known = before === undefined ? onesLike(weight) : (membersOf(module)[masked] as Tensor).detach();
    return all.computeMask(scores ?? weight, known).detach();
  });
  if (before === undefined) {
    Reflect.deleteProperty(module, name);
    module.registerParameter(original, weight);
    module.registerBuffer(masked, mask);
  } else {
    module[STATE].beforeForward.remove(before[0]);
    setProperty(module, masked, mask.persist());
  }
  const hook: ForwardPreHook = (self) => setProperty(self, name, all.applyMask(self));
  methods.set(hook, all);
  module.registerForwardPreHook(hook);
  setProperty(module, name, all.applyMask(module));
  return all;
}

/**
 * Ends pruning of a parameter, which keeps its pruned values.
 * @throws TensorError "Parameter 'weight' of module … has to be pruned before pruning can be removed"
 */
export function remove<M extends Module>(module: M, name: string): M {
  const found = pruning(module, fieldOf(module, name));
  if (found === undefined) {
    throw new TensorError(
      "value",
      `Parameter '${name}' of module ${module.toString()} has to be pruned before pruning can be removed`,
    );
  }
  found[1].remove(module);
  return module;
}

/**
 * Several methods that prune one parameter, in the order of their application. Each sees what those before have left:
 * elements, or whole channels if it is structured.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.prune.PruningContainer.html
 */
export class PruningContainer extends BasePruningMethod {
  override readonly pruningType = "global";
  private list: readonly BasePruningMethod[] = [];

  constructor(...methods: readonly BasePruningMethod[]) {
    super();
    if (methods[0] !== undefined) this.tensorName = methods[0].tensorName;
    for (const method of methods) this.addPruningMethod(method);
  }

  /** @internal Those before, and one more: copies of a module may have the same container. */
  static of(before: BasePruningMethod, method: BasePruningMethod): PruningContainer {
    return new PruningContainer(...(before instanceof PruningContainer ? before.list : [before]), method);
  }

  /**
   * Applies a method after those that are there.
   * @throws TensorError for a method of another parameter
   */
  addPruningMethod(method: BasePruningMethod): void {
    if (!(method instanceof BasePruningMethod)) {
      throw new TensorError("value", `${typeof method} is not a BasePruningMethod subclass`);
    }
    if (this.tensorName !== method.tensorName) {
      throw new TensorError(
        "value",
        `Can only add pruning methods acting on the parameter named '${this.tensorName}' to PruningContainer ${this.constructor.name}. Found '${method.tensorName}'`,
      );
    }
    this.list = [...this.list, method];
  }

  get length(): number {
    return this.list.length;
  }

  /** The method at a position; from the end if negative. */
  get(position: number): BasePruningMethod | undefined {
    return this.list.at(position);
  }

  [Symbol.iterator](): IterableIterator<BasePruningMethod> {
    return this.list[Symbol.iterator]();
  }

  override computeMask(t: Tensor, defaultMask: Tensor): Tensor {
    const method = this.list.at(-1)!;
    const left = remaining(method, t, defaultMask);
    return indexPut(defaultMask, left, method.computeMask(index(t, ...left), index(defaultMask, ...left)));
  }
}

/** A method's type, also from a class that says it as in PyTorch. */
export function typeOf(method: BasePruningMethod): unknown {
  const named = [method, method.constructor] as unknown as readonly { PRUNING_TYPE?: unknown }[];
  return method.pruningType ?? named.find((one) => one.PRUNING_TYPE !== undefined)?.PRUNING_TYPE;
}

/** Index of the elements that earlier masks leave to a method. */
function remaining(method: BasePruningMethod, t: Tensor, mask: Tensor): IndexSpec[] {
  const type = typeOf(method);
  if (type === "unstructured") return [eq(mask, 1)];
  const everything: IndexSpec[] = t.shape.map(() => ":");
  if (type === "global") return everything;
  if (type !== "structured") throw new TensorError("value", `Unrecognized PRUNING_TYPE ${String(type)}`);
  if (method.dim === undefined) {
    throw new TensorError(
      "value",
      'Pruning methods of PRUNING_TYPE "structured" need to have the attribute `dim` defined.',
    );
  }
  const dim = method.dim < 0 ? method.dim + t.ndim : method.dim;
  if (dim < 0) {
    throw new TensorError("index", `Index is out of bounds for tensor with dimensions ${t.ndim}`);
  }
  const others = [...t.shape.keys()].filter((d) => d !== dim);
  everything[dim] = ne(sum(mask, others), 0);
  return everything;
}
