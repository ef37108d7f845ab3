// Code shared by PyTorch's own optimizers: their calls, their checks and their common options.
import { kindOf, TensorError } from "../../tensor/core/errors.ts";
import type { Tensor } from "../../tensor/core/tensor.ts";
import type { Arguments, Signature } from "../arguments.ts";
import { pyFloat, snakeCase } from "../module/repr.ts";
import {
  bindParams,
  readTensors,
  type BaseOptions,
  type Given,
  type ParamGroup,
  type Params,
} from "./groups.ts";
import { Optimizer, require } from "./optimizer.ts";

/** Options that choose among PyTorch's implementations: printed and saved, without effect here. */
export const IMPLEMENTATION = { foreach: null, differentiable: false } as const;
export const CAPTURABLE = { foreach: null, capturable: false, differentiable: false } as const;

export interface DecayOptions {
  /** Times the parameter, added to its gradient; 0 by default. */
  weightDecay: number;
  /** Go uphill. */
  maximize: boolean;
}

export interface MomentOptions extends DecayOptions {
  /** How slowly the means of gradients and of their squares change: 0.9 and 0.999 by default. */
  betas: readonly [number, number];
  /** Keeps the division finite; 1e-8 by default. */
  eps: number;
}

export interface DecoupledOptions extends MomentOptions {
  /** Shrink the weights by lr · weightDecay instead of adding to the gradient. */
  decoupledWeightDecay: boolean;
}

const TITLES: Readonly<Record<string, string>> = { lr: "learning rate", eps: "epsilon value" };

/** @throws TensorError for the first of the named options that is negative, or a β outside of [0, 1) */
export function checkOptions(options: object, names: string): void {
  for (const name of names.split(" ")) {
    const value = (options as Readonly<Record<string, number | readonly number[]>>)[name]!;
    if (typeof value === "number") {
      require(value >= 0, `Invalid ${TITLES[name] ?? `${snakeCase(name)} value`}: ${pyFloat(value)}`);
    } else {
      value.forEach((beta, i) =>
        require(beta >= 0 && beta < 1, `Invalid beta parameter at index ${i}: ${pyFloat(beta)}`),
      );
    }
  }
}

/**
 * Refuses an option of another kind than its default, such as a text where a number belongs.
 * @throws TensorError "Adam(): argument 'lr' must be number, not string"
 */
function checkKinds(callee: string, options: object, signature: object): void {
  const given = options as Readonly<Record<string, unknown>>;
  for (const [name, initial] of Object.entries(signature)) {
    const value = given[name];
    const fits = Array.isArray(initial)
      ? Array.isArray(value) &&
        value.length === initial.length &&
        value.every((one, i) => typeof one === "number" || (one === null && initial[i] === null))
      : typeof initial !== "number" || typeof value === "number";
    if (fits || value === undefined) continue;
    const expected = Array.isArray(initial) ? `list of ${initial.length} numbers` : "number";
    const kind = Array.isArray(value) ? `[${value.map(kindOf).join(", ")}]` : kindOf(value);
    throw new TensorError("value", `${callee}(): argument '${name}' must be ${expected}, not ${kind}`);
  }
}

/** The class whose signature an optimizer has: a program's subclass is called as the class that it extends. */
function ownerOf(optimizer: OptimizerConstructor): OptimizerConstructor {
  let owner = optimizer;
  while (!Object.hasOwn(owner, "signature")) owner = Object.getPrototypeOf(owner) as typeof owner;
  return owner;
}

interface OptimizerConstructor {
  readonly name: string;
  readonly signature: object;
}

/** An optimizer of PyTorch's: see {@link builtIn}. */
export abstract class BuiltInOptimizer<O extends BaseOptions> extends Optimizer<O> {
  declare static readonly signature: object;
  static readonly checked: string = "lr";
  static readonly groupOrder: string = "";

  constructor(...args: unknown[]) {
    const { signature, groupOrder } = new.target;
    const { name } = ownerOf(new.target);
    const [params, options] = bindParams(name, args, signature as Signature<O>, groupOrder);
    new.target.checkTensors(options);
    readTensors(options, Object.keys(signature));
    checkKinds(name, options, signature);
    new.target.check(options);
    super(params, options);
    this.initialize();
  }

  /** Runs when the groups are there: before the fields of a subclass. */
  protected initialize(): void {}

  protected override readTensors(group: ParamGroup<O>): void {
    super.readTensors(group);
    const { name, signature } = ownerOf(this.constructor as unknown as OptimizerConstructor);
    checkKinds(name, group, signature);
  }

  static check(options: object): void {
    checkOptions(options, this.checked);
  }

  /** Refuses tensors among the options that PyTorch refuses, before they are read. */
  static checkTensors(_options: object): void {}
}

/** Options that choose among PyTorch's implementations, which are all one here: `fused`, `foreach`. */
type Switches<Implementation> = { [K in keyof Implementation]?: boolean | null };

/** Options of every optimizer with weight decay. */
export interface SharedOptions extends BaseOptions {
  weightDecay: number;
}

export interface OptimizerClass<
  Options extends BaseOptions,
  Names extends string,
  Implementation,
  Shared extends BaseOptions = SharedOptions,
> {
  new (
    params: Params<Options>,
    options?: Given<Options> & Switches<Implementation>,
  ): BuiltInOptimizer<Options & Implementation>;
  // TypeScript calls a class that a program chooses by name only by a signature that all of them have.
  new (params: Params<Shared>, options?: Given<Shared>): BuiltInOptimizer<Options & Implementation>;
  new (
    named: Given<Options> & Switches<Implementation> & { params: Params<Options> },
  ): BuiltInOptimizer<Options & Implementation>;
  new (
    params: Params<Options>,
    lr: number | Tensor,
    options?: Given<Omit<Options, "lr">> & Switches<Implementation>,
  ): BuiltInOptimizer<Options & Implementation>;
  new (
    params: Params<Options>,
    ...rest: Arguments<Given<Options>, Names>
  ): BuiltInOptimizer<Options & Implementation>;
  /** @internal Defaults of all options, in the order of PyTorch's parameters. */
  readonly signature: object;
  /** @internal Options that must not be negative, in PyTorch's order. */
  readonly checked: string;
  /** @internal Options that follow the others in a group, where PyTorch's order there differs. */
  readonly groupOrder: string;
  /** @internal Throws a TensorError for options that no step can use. */
  check(options: object): void;
  /** @internal Throws a TensorError for tensors among them that PyTorch refuses. */
  checkTensors(options: object): void;
}

/** The base class of an optimizer of PyTorch's, which takes the options of `Names` by position, and all by name. */
export const builtIn = <
  Options extends BaseOptions,
  Names extends string,
  Implementation extends object = typeof CAPTURABLE,
  Shared extends BaseOptions = SharedOptions,
>(): OptimizerClass<Options, Names, Implementation, Shared> =>
  BuiltInOptimizer as unknown as OptimizerClass<Options, Names, Implementation, Shared>;
