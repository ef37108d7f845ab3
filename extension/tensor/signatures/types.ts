// The types of functions called as table.ts says. They keep the implementation's own type and add the missing forms.
import type { DType } from "../core/dtype.ts";
import type { RandomStream } from "../random/stream.ts";
import type { Tensor } from "../core/tensor.ts";
import type { METHODS, SIGNATURES } from "./table.ts";

type Split<S extends string> = S extends `${infer A} ${infer B}` ? [A, ...Split<B>] : S extends "" ? [] : [S];

/** Words up to a mark. */
type Before<
  W extends readonly string[],
  Mark extends string,
  Found extends string[] = [],
> = W extends readonly [infer A extends string, ...infer B extends string[]]
  ? A extends Mark
    ? Found
    : Before<B, Mark, [...Found, A]>
  : Found;

type Unmarked<W extends readonly string[], Found extends string[] = []> = W extends readonly [
  infer A extends string,
  ...infer B extends string[],
]
  ? Unmarked<B, A extends "*" | "|" ? Found : [...Found, A]>
  : Found;

/** The name that a word of a signature gives a parameter. */
type Name<W extends string> = W extends `...${infer R}`
  ? R
  : W extends `~${infer R}`
    ? Name<R>
    : W extends `${"-" | "!"}${infer R}?`
      ? R
      : W extends `${infer R}?`
        ? R
        : W;

/** The type of an option in the objects that an implementation takes. */
type Option<P, N extends string> = P extends Tensor | readonly unknown[]
  ? never
  : P extends object
    ? N extends keyof P
      ? P[N]
      : never
    : never;

/** A parameter that isn't an object of options. */
type Positional<T> = T extends Tensor | readonly unknown[] ? T : T extends object ? never : T;

type Known<T> = [T] extends [never] ? unknown : T;

/** The type of the parameter at `I`: the implementation's own, or that of an option. */
type TypeOf<
  P extends readonly unknown[],
  Taken extends readonly string[],
  I extends number,
  W extends string,
> = `${I}` extends keyof Taken
  ? W extends `...${string}`
    ? readonly number[]
    : Exclude<P[I], undefined>
  : Known<Exclude<Option<P[number], Name<W>> | Positional<P[I]>, undefined>>;

type Typed<
  W extends readonly string[],
  P extends readonly unknown[],
  Taken extends readonly string[],
  Found extends [string, unknown][] = [],
> = W extends readonly [infer A extends string, ...infer B extends string[]]
  ? Typed<B, P, Taken, [...Found, [Untagged<A>, TypeOf<P, Taken, Found["length"], A>]]>
  : Found;

/** Parameters by name, required or not. */
type Named<T extends readonly [string, unknown][]> = Flat<
  {
    [E in T[number] as E[0] extends `${string}?` | "dim" ? never : Name<E[0]>]: E[1];
  } & { [E in T[number] as E[0] extends `${string}?` ? Name<E[0]> : never]?: E[1] | null | undefined } & {
    [E in T[number] as E[0] extends keyof NumPy ? NumPy[E[0]] : never]?: E[1] | null | undefined;
  } & Dimension<T>
>;

/** NumPy's names of parameters that may be left out. */
interface NumPy {
  "dim?": "axis";
  keepdim: "keepdims";
  "keepdim?": "keepdims";
}

/** A required dimension, by either of its names. */
type Dimension<T extends readonly [string, unknown][]> = "dim" extends T[number][0]
  ? { [N in "dim" | "axis"]: { [K in N]: Extract<T[number], ["dim", unknown]>[1] } }["dim" | "axis"]
  : unknown;

/** One object: a part without properties would let anything pass. */
type Flat<T> = { [K in keyof T]: T[K] };

/** All ways to divide parameters into some by position and the rest by name, with what else may be named. */
type Divided<
  T extends readonly [string, unknown][],
  Positional extends readonly unknown[],
  Extra,
  Front extends unknown[] = [],
> = T extends readonly [infer E extends [string, unknown], ...infer R extends [string, unknown][]]
  ? | (AllOptional<T> extends true
        ? [...front: Front, named?: (Named<T> & Extra) | undefined]
        : [...front: Front, named: Named<T> & Extra])
    | (Positional extends readonly [unknown, ...infer Q]
        ? E[0] extends `...${string}`
          ? never
          : Divided<R, Q, Extra, [...Front, E[0] extends `${string}?` ? E[1] | null | undefined : E[1]]>
        : never)
  : unknown extends Extra
    ? Front
    : [...front: Front, named?: Extra | undefined];

type AllOptional<T extends readonly [string, unknown][]> = T extends readonly [
  infer E extends [string, unknown],
  ...infer R extends [string, unknown][],
]
  ? E[0] extends `${string}?`
    ? AllOptional<R>
    : false
  : true;

/** Types of parameters of functions with overloads, whose implementation has one for all of them. */
export interface ByName {
  input: Tensor;
  y: Tensor;
  x: Tensor;
  other: Tensor | number | boolean;
  index: Tensor;
  src: Tensor | number;
  value: number;
  dim: number | readonly number[] | null;
  keepdim: boolean;
  unbiased: boolean;
  correction: number;
  reduce: string;
  sections: number | readonly number[];
  indices: readonly number[];
  tensorIndicesOrSections: number | readonly number[];
  start: number;
  end: number;
  step: number;
  low: number;
  high: number;
  size: readonly number[];
  mean: Tensor | number;
  std: Tensor | number;
  dx: number;
  dtype: DType;
  requiresGrad: boolean;
  generator: RandomStream;
}

type TypesByName<W extends readonly string[], Found extends [string, unknown][] = []> = W extends readonly [
  infer A extends string,
  ...infer B extends string[],
]
  ? TypesByName<B, [...Found, [A, Bare<A> extends keyof ByName ? ByName[Bare<A>] : unknown]]>
  : Found;

/** `unbiased:boolean` is the parameter `unbiased`. */
type Bare<W extends string> = Name<W> extends `${infer A}:${string}` ? A : Name<W>;

/** A parameter without its type: `k` of `k:int`, `k?` of `k:int?`. */
type Untagged<W extends string> = W extends `${infer N}:${string}?`
  ? `${N}?`
  : W extends `${infer N}:${string}`
    ? N
    : W;

type Untyped<W extends readonly string[], Found extends string[] = []> = W extends readonly [
  infer A extends string,
  ...infer B extends string[],
]
  ? Untyped<B, [...Found, Untagged<A>]>
  : Found;

type OfOverload<S extends string, Extra> = Divided<
  TypesByName<Untyped<Unmarked<Split<S>>>>,
  Untyped<Unmarked<Before<Split<S>, "*">>>,
  Extra
>;

/** Argument lists that a signature adds to a function of parameters P. */
type Forms<S extends string, P extends readonly unknown[], Extra> = S extends `${infer A} / ${infer B}`
  ? OfOverload<A, Extra> | (B extends `${string} / ${string}` ? Forms<B, P, Extra> : OfOverload<B, Extra>)
  : Divided<Typed<Unmarked<Split<S>>, P, Before<Split<S>, "|">>, Unmarked<Before<Split<S>, "*">>, Extra>;

/** Where results are written. */
export interface Out {
  readonly out?: Tensor | readonly Tensor[] | undefined;
}

/** A function called as its line of a table says. */
type Callable<F, S> = S extends string
  ? F extends (...args: infer P) => infer R
    ? [Forms<S, P, Out>] extends [never]
      ? F
      : F & ((...args: Forms<S, P, Out>) => R)
    : F
  : F;

/** @hidden The functions of a namespace, called as the table says. */
export type Callables<M, Table> = {
  readonly [N in keyof M]: N extends keyof Table ? Callable<M[N], Table[N]> : M[N];
};

type SignatureOf<N> = N extends keyof typeof METHODS
  ? (typeof METHODS)[N]
  : N extends keyof typeof SIGNATURES
    ? (typeof SIGNATURES)[N]
    : N extends `${infer Computing}_`
      ? SignatureOf<Computing>
      : never;

type OfMethod<S extends string> = S extends `${infer A} / ${infer B}`
  ? `${OfMethod<A>} / ${OfMethod<B>}`
  : S extends `${string} ${infer R}`
    ? R
    : "";

/** Arguments of a method beyond those of its implementation. */
export type MethodForms<N, P extends readonly unknown[]> = [SignatureOf<N>] extends [never]
  ? never
  : Forms<OfMethod<SignatureOf<N>>, P, unknown>;
