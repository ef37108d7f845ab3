// PyTorch's torch.nn.utils.prune.
import { TensorError } from "../../../tensor/core/errors.ts";
import type { Tensor } from "../../../tensor/core/tensor.ts";
import { onesLike } from "../../../tensor/functions/creation/creation.ts";
import { narrow } from "../../../tensor/functions/shape/parts.ts";
import { cat, reshape } from "../../../tensor/functions/shape/shape.ts";
import { noGrad } from "../../../tensor/recording/scope.ts";
import { bind, REQUIRED, type Call } from "../../arguments.ts";
import type { Module } from "../../module/module.ts";
import {
  type BasePruningMethod,
  membersOf,
  prune,
  PruningContainer,
  prunes,
  typeOf,
} from "./pruningMethod.ts";
import * as methods from "./methods.ts";

export { BasePruningMethod, PruningContainer, remove, type PruningType } from "./pruningMethod.ts";
export * from "./methods.ts";

interface Unstructured {
  /** Name of the parameter. */
  name: string;
  /** The share that is pruned, between 0 and 1; a whole number, as 1, is how many. */
  amount: number;
}

interface Scored {
  /** Decides in place of the parameter; of its shape. */
  importanceScores?: Tensor | null;
}

interface Structured extends Unstructured {
  /** The dimension of the channels. */
  dim: number;
}

type Norm = Structured & Scored & { /** The norm's order. */ n: methods.NormOrder };

/**
 * Gives a parameter a mask of ones, so that it has the form of a pruned one.
 * @returns the module
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.prune.identity.html
 */
export function identity<M extends Module>(module: M, name: string | { name: string }): M {
  prune(module, typeof name === "string" ? name : name.name, new methods.Identity(), null);
  return module;
}

/**
 * Prunes elements of a parameter that are drawn: it becomes `name_orig` · `name_mask`, and only `name_orig` is learned.
 *
 * ```ts
 * nn.utils.prune.randomUnstructured(layer, "weight", { amount: 0.3 });
 * ```
 * @returns the module
 * @throws TensorError "amount=-1 should either be a float in the range [0, 1] or a non-negative integer"
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.prune.random_unstructured.html
 */
export function randomUnstructured<M extends Module>(
  module: M,
  ...rest: Call<Unstructured, "name amount">
): M {
  const { name, amount } = bind<Unstructured>("random_unstructured", rest, {
    name: REQUIRED,
    amount: REQUIRED,
  });
  prune(module, name, new methods.RandomUnstructured(amount), null);
  return module;
}

/**
 * Prunes the elements of a parameter that have the smallest absolute values.
 *
 * ```ts
 * nn.utils.prune.l1Unstructured(layer, "weight", { amount: 0.3 });
 * [...layer.stateDict().keys()]; // ["bias", "weight_orig", "weight_mask"]
 * ```
 * @returns the module
 * @throws TensorError for an amount that is neither a share nor a count, or larger than the parameter
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.prune.l1_unstructured.html
 */
export function l1Unstructured<M extends Module>(
  module: M,
  ...rest: Call<Unstructured & Scored, "name amount importanceScores">
): M {
  const { name, amount, importanceScores } = bind<Unstructured & Scored>("l1_unstructured", rest, {
    name: REQUIRED,
    amount: REQUIRED,
    importanceScores: null,
  });
  prune(module, name, new methods.L1Unstructured(amount), importanceScores);
  return module;
}

/**
 * Prunes channels of a parameter that are drawn: all elements at some places of dimension `dim`.
 * @returns the module
 * @throws TensorError "Structured pruning can only be applied to multidimensional tensors. …"
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.prune.random_structured.html
 */
export function randomStructured<M extends Module>(
  module: M,
  ...rest: Call<Structured, "name amount dim">
): M {
  const { name, amount, dim } = bind<Structured>("random_structured", rest, {
    name: REQUIRED,
    amount: REQUIRED,
    dim: REQUIRED,
  });
  prune(module, name, new methods.RandomStructured(amount, dim), null);
  return module;
}

/**
 * Prunes the channels of a parameter that have the smallest norm of order `n`: all elements at some places of `dim`.
 *
 * ```ts
 * nn.utils.prune.lnStructured(layer, "weight", { amount: 0.5, n: 2, dim: 0 });
 * ```
 * @returns the module
 * @throws TensorError "Structured pruning can only be applied to multidimensional tensors. …"
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.prune.ln_structured.html
 */
export function lnStructured<M extends Module>(
  module: M,
  ...rest: Call<Norm, "name amount n dim importanceScores">
): M {
  const { name, amount, n, dim, importanceScores } = bind<Norm>("ln_structured", rest, {
    name: REQUIRED,
    amount: REQUIRED,
    n: REQUIRED,
    dim: REQUIRED,
    importanceScores: null,
  });
  prune(module, name, new methods.LnStructured(amount, n, dim), importanceScores);
  return module;
}

/**
 * Prunes where a mask of the parameter's shape is 0.
 * @returns the module
 * @throws TensorError "default_mask shape torch.Size([2, 3]) must match self.mask shape torch.Size([2])"
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.prune.custom_from_mask.html
 */
export function customFromMask<M extends Module>(
  module: M,
  ...rest: Call<{ name: string; mask: Tensor }, "name mask">
): M {
  const { name, mask } = bind<{ name: string; mask: Tensor }>("custom_from_mask", rest, {
    name: REQUIRED,
    mask: REQUIRED,
  });
  prune(module, name, new methods.CustomFromMask(mask), null);
  return module;
}

/** A module and the name of one of its parameters. */
export type PrunedParameter = readonly [module: Module, name: string];

/** Arguments of a method by name. */
type Named = Readonly<Record<string, unknown>>;

type MethodClass = new (named: never) => BasePruningMethod;
type GlobalOptions = Named & { importanceScores?: ReadonlyMap<PrunedParameter, Tensor> | null };

/**
 * Prunes several parameters as if they were one vector, so that some lose more than others.
 *
 * ```ts
 * nn.utils.prune.globalUnstructured(
 *   [[net.conv1, "weight"], [net.fc, "weight"]],
 *   nn.utils.prune.L1Unstructured,
 *   { amount: 0.2 },
 * );
 * ```
 * @param options arguments of the method; `importanceScores` maps entries of `parameters` to tensors of their shapes
 * @throws TensorError 'Only "unstructured" PRUNING_TYPE supported for the `pruning_method`. …'
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.prune.global_unstructured.html
 */
export function globalUnstructured(
  parameters: Iterable<PrunedParameter>,
  pruningMethod: MethodClass,
  options: GlobalOptions,
): void;
export function globalUnstructured(
  parameters: Iterable<PrunedParameter>,
  options: GlobalOptions & { pruningMethod: MethodClass },
): void;
export function globalUnstructured(
  parameters: Iterable<PrunedParameter>,
  given: MethodClass | (GlobalOptions & { pruningMethod: MethodClass }),
  options: GlobalOptions = {},
): void {
  const { pruningMethod, importanceScores, ...named } =
    typeof given === "function" ? { ...options, pruningMethod: given } : given;
  const list = [...parameters];
  const method = new pruningMethod(named as never);
  if (typeOf(method) !== "unstructured") {
    throw new TensorError(
      "value",
      `Only "unstructured" PRUNING_TYPE supported for the \`pruning_method\`. Found method ${pruningMethod.name} of type ${String(typeOf(method))}`,
    );
  }
  const weights = list.map(([module, name]) => membersOf(module)[name] as Tensor);
  noGrad(() => {
    const vector = (tensors: readonly Tensor[]): Tensor => cat(tensors.map((x) => reshape(x, [-1])));
    const scores = vector(list.map((entry, i) => importanceScores?.get(entry) ?? weights[i]!));
    const before = vector(
      list.map(
        ([module, name], i) =>
          (membersOf(module)[`${name}_mask`] as Tensor | undefined) ?? onesLike(weights[i]!),
      ),
    );
    const mask = new PruningContainer(method).computeMask(scores, before);
    let at = 0;
    for (const [i, [module, name]] of list.entries()) {
      const { shape } = weights[i]!;
      const size = weights[i]!.numel();
      customFromMask(module, name, reshape(narrow(mask, 0, at, size), shape));
      at += size;
    }
  });
}

/**
 * Whether a parameter of a module, or of one inside it, is pruned. One whose pruning was removed is not.
 * @see https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.prune.is_pruned.html
 */
export const isPruned = (module: Module): boolean => module.modules().some(prunes);
