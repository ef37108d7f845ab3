// Groups of parameters with their options, which also have PyTorch's names.
import { TensorError } from "../../tensor/core/errors.ts";
import { Tensor } from "../../tensor/core/tensor.ts";
import { bind, REQUIRED, type Signature } from "../arguments.ts";
import { typeName } from "../module/moduleMembers.ts";
import { snakeCase } from "../module/repr.ts";

/** Options that all optimizers have for a group of parameters. */
export interface BaseOptions {
  lr: number;
}

/** Options by any name: those of an optimizer whose class isn't known, as of one that a program defines. */
export interface AnyOptions extends BaseOptions {
  // oxlint-disable-next-line typescript/no-explicit-any -- PyTorch's groups are dicts
  [name: string]: any;
}

/** A group of parameters with its own options. */
export type ParamGroup<O extends BaseOptions = AnyOptions> = O & {
  params: Tensor[];
  /** Names of the parameters, where they were given. */
  paramNames?: string[];
  /** The name that the caller gave the group. */
  name?: string;
  /** The rate a schedule started from. */
  initialLr?: number;
  /** Bounds of the rates and momenta of `OneCycleLR` and `CyclicLR`. */
  maxLr?: number;
  minLr?: number;
  maxMomentum?: number;
  baseMomentum?: number;
  /** Final rate of `SWALR`. */
  swaLr?: number;
  /** Entries of the program's own, which the optimizer only keeps: a factor of the rate, for example. */
  // oxlint-disable-next-line typescript/no-explicit-any -- a program knows what it has put there
  [own: string]: any;
};

/** A parameter with its name, as `namedParameters()` gives them. */
export type NamedParameter = readonly [name: string, parameter: Tensor];

/** Options as the caller passes them; a tensor of one element stands for its number. */
export type Given<O> = { [K in keyof O]?: O[K] | (O[K] extends number ? Tensor : never) };

/** A group as the caller passes it: missing options are the optimizer's own. */
export type ParamGroupInput<O extends BaseOptions> = Given<O> & {
  params: Tensor | Iterable<Tensor> | Iterable<NamedParameter>;
  /** A name for programs: the optimizer only keeps it, and other entries. */
  name?: string;
  [own: string]: unknown;
};

/** Parameters of an optimizer, with names or without, or groups of them with their own options. */
export type Params<O extends BaseOptions> =
  | Iterable<Tensor>
  | Iterable<NamedParameter>
  | Iterable<ParamGroupInput<O>>;

/** The parameters of a group, and their names where they have some. @throws TensorError where only some have */
export function named(
  given: ParamGroupInput<BaseOptions>["params"],
): Pick<ParamGroup, "params" | "paramNames"> {
  const list = given instanceof Tensor ? [given] : [...given];
  const isPair = (p: (typeof list)[number]): p is NamedParameter => Array.isArray(p);
  const pairs = list.filter(isPair);
  const params = list.map((p) => (isPair(p) ? p[1] : p));
  if (pairs.length === 0) return { params };
  if (pairs.length === list.length) return { params, paramNames: pairs.map(([name]) => name) };
  throw new TensorError(
    "value",
    "all optimizer params should be with/without names. Some param names are missing",
  );
}

/** What an optimizer is given, as groups. @throws TensorError for what is no list, or an empty one */
export function groupsOf<O extends BaseOptions>(params: Params<O>): ParamGroupInput<O>[] {
  if (params instanceof Tensor || !isIterable(params)) {
    throw new TensorError(
      "value",
      `params argument given to the optimizer should be an iterable of Tensors or dicts, but got ${typeName(params)}`,
    );
  }
  const list = [...params];
  if (list.length === 0) throw new TensorError("value", "optimizer got an empty parameter list");
  return (isGroup(list[0]) ? list : [{ params: list }]) as ParamGroupInput<O>[];
}

const isIterable = (x: unknown): x is Iterable<unknown> =>
  typeof x === "object" && x !== null && Symbol.iterator in x;

const isGroup = (x: unknown): boolean =>
  typeof x === "object" && x !== null && !(x instanceof Tensor) && "params" in x;

/**
 * Replaces tensors among the named options, such as `lr: torch.tensor(0.01)`, by the numbers that they hold.
 * @throws TensorError "Tensor lr must be 1-element"
 */
export function readTensors(options: object, names: readonly string[]): void {
  const record = options as Record<string, unknown>;
  const read = (name: string, value: unknown): unknown => {
    if (!(value instanceof Tensor)) return value;
    if (value.numel() !== 1) throw new TensorError("value", `Tensor ${snakeCase(name)} must be 1-element`);
    return value.item();
  };
  for (const name of names) {
    const value = record[name];
    if (value instanceof Tensor) record[name] = read(name, value);
    else if (Array.isArray(value) && value.some((one) => one instanceof Tensor))
      record[name] = value.map((one, i) => read(`${name}[${i}]`, one));
  }
}

export const DUPLICATES_WARNING =
  "optimizer contains a parameter group with duplicate parameters; in future, this will cause an error; see github.com/pytorch/pytorch/issues/40967 for more information";

/** Entries that schedules add to a group. */
export const SCHEDULED = [
  "initialLr",
  "maxLr",
  "minLr",
  "maxMomentum",
  "baseMomentum",
  "swaLr",
] satisfies (keyof ParamGroup)[];

/** The arguments of an optimizer: what to optimize, by position or as `params`, and its options. */
export function bindParams<O extends BaseOptions>(
  callee: string,
  args: readonly unknown[],
  signature: Signature<O>,
  order = "",
): [params: Params<O>, options: O] {
  const bound: Record<string, unknown> = bind<O & { params: Params<O> }>(callee, args, {
    params: REQUIRED,
    ...signature,
  } as unknown as Signature<O & { params: Params<O> }>);
  const { params } = bound;
  delete bound["params"];
  if (order !== "") {
    for (const name of order.split(" ")) {
      const value = bound[name];
      delete bound[name];
      bound[name] = value;
    }
  }
  return [params as Params<O>, bound as unknown as O];
}

/** Makes PyTorch's name of an entry, such as `weight_decay` for `weightDecay`, read and write it. */
export function alias(owner: object, name: string): void {
  const record = owner as Record<string, unknown>;
  const theirs = snakeCase(name);
  if (theirs === name || Object.hasOwn(record, theirs)) return;
  Object.defineProperty(record, theirs, {
    get: () => record[name],
    set: (next: unknown) => {
      record[name] = next;
    },
    configurable: true,
  });
}

/** `exp_avg` → `expAvg`: our name for one of PyTorch's. */
export const camelCase = (name: string): string =>
  name.replaceAll(/_([a-z0-9])/g, (_, c: string) => c.toUpperCase());
