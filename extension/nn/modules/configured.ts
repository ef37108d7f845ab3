import { bind, REQUIRED, type Arguments, type Signature } from "../arguments.ts";
import { BuiltIn } from "../module/module.ts";

/** The types P by the names N, optional where they are in P. */
type Zipped<N extends string, P extends readonly unknown[]> = N extends `${infer A} ${infer B}`
  ? Head<A, P> & Zipped<B, Tail<P>>
  : Head<N, P>;

type Head<A extends string, P extends readonly unknown[]> = P extends readonly [infer T, ...unknown[]]
  ? { [K in A]: T }
  : P extends readonly [(infer T)?, ...unknown[]]
    ? { [K in A]?: T }
    : unknown;

type Tail<P extends readonly unknown[]> = P extends readonly [unknown?, ...infer R] ? R : [];

type Flat<T> = { [K in keyof T]: T[K] };

/** A layer with its arguments as fields. */
type Configured<O> = BuiltIn & { [K in keyof O]-?: Exclude<O[K], undefined> };

/**
 * A layer that takes P by position, and all by name. TypeScript calls a class that a program chooses, `new (gelu ? nn.GELU : nn.ReLU)()`,
 * only by a signature that all of them have: that without arguments.
 */
export type LayerClass<P extends readonly unknown[], N extends string, O> = LayerCalls<P, N, O> &
  ([] extends P ? new () => Configured<O> : unknown);

export interface LayerCalls<P extends readonly unknown[], N extends string, O> extends Pick<
  typeof BuiltIn,
  "stateDictNames"
> {
  new (...args: P): Configured<O>;
  new (...args: Arguments<O, N>): Configured<O>;
}

/**
 * The base class of a layer that keeps its arguments as they are. `P` are their types with PyTorch's order and names.
 * @returns a function of these names once more, and of the defaults of the last arguments: the others are required
 */
export function configured<P extends readonly unknown[]>() {
  return <N extends string>(
    names: N,
    ...defaults: readonly unknown[]
  ): LayerClass<P, N, Flat<Zipped<N, P>>> => {
    const list = names.split(" ");
    const required = list.length - defaults.length;
    const signature = Object.fromEntries(
      list.map((name, i) => [name, i < required ? REQUIRED : defaults[i - required]]),
    ) as Signature<object>;
    abstract class Layer extends BuiltIn {
      constructor(...args: unknown[]) {
        super();
        Object.assign(this, bind(this.constructor.name, args, signature));
      }
    }
    return Layer as unknown as LayerClass<P, N, Flat<Zipped<N, P>>>;
  };
}
