// PyTorch's torch.autograd.Function: functions whose gradient the user writes.
import { applyAll } from "../recording/apply.ts";
import { TensorError } from "../core/errors.ts";
import { fillValue } from "../recording/graph.ts";
import { castTo } from "../functions/pointwise/operands.ts";
import type { GradientContext } from "../recording/op.ts";
import { identities, sumTo } from "../ops/movement/movement.ts";
import { hidden, scope, withGradients } from "../recording/scope.ts";
import { formatShape, sameShape, type Shape } from "../core/shape.ts";
import { Tensor } from "../core/tensor.ts";
import { checkSaved } from "../recording/version.ts";
import { setCustomGradient } from "./customGradients.ts";

const STATE = Symbol("state");

/** State that `forward` passes to `backward`: saved tensors, and any attribute that a program sets. */
export class FunctionCtx {
  /** @internal */
  readonly [STATE] = {
    saved: [] as readonly (Tensor | null)[],
    /** Throws if saved tensors were written to since, or freed. */
    check: undefined as (() => void) | undefined,
    constant: new Set<Tensor>(),
    dirty: new Set<Tensor>(),
    materialize: true,
    needs: [] as readonly boolean[],
    /** Output by the tensor that `forward` returned: a saved output has the function's own gradient. */
    outputs: new Map<Tensor, Tensor>(),
  };

  // Programs set attributes of any type.
  // oxlint-disable-next-line typescript/no-explicit-any
  [attribute: string]: any;

  /** Keeps tensors for `savedTensors` in `backward`. */
  saveForBackward(...tensors: (Tensor | null)[]): void {
    this[STATE].saved = tensors;
  }

  /**
   * Tensors that {@link saveForBackward} has kept.
   * @throws TensorError "one of the variables needed for gradient computation has been modified by an inplace operation …"
   */
  get savedTensors(): Tensor[] {
    const { saved, outputs, check } = this[STATE];
    check?.();
    return saved.map((t) => (t === null ? null : (outputs.get(t) ?? t))) as Tensor[];
  }

  /** Whether each argument of `forward` needs a gradient. */
  get needsInputGrad(): readonly boolean[] {
    return this[STATE].needs;
  }

  /** Marks outputs that have no gradient. */
  markNonDifferentiable(...outputs: Tensor[]): void {
    for (const t of outputs) this[STATE].constant.add(t);
  }

  /** Marks arguments that `forward` has changed in place and returns. */
  markDirty(...inputs: Tensor[]): void {
    for (const t of inputs) this[STATE].dirty.add(t);
  }

  /** Whether `backward` sees zeros for outputs without a gradient (the default), or null. */
  setMaterializeGrads(value: boolean): void {
    this[STATE].materialize = value;
  }
}

/** The static side of a user's function. */
interface Definition<A extends readonly unknown[], R> {
  forward(ctx: FunctionCtx, ...args: A): R;
}

/** The static side of a function with `setupContext`. */
interface SplitDefinition<A extends readonly unknown[], R> {
  forward(...args: A): R;
  setupContext(ctx: FunctionCtx, inputs: A, output: R): void;
}

interface Statics {
  readonly name: string;
  forward?(...args: unknown[]): unknown;
  setupContext?(ctx: FunctionCtx, inputs: readonly unknown[], output: unknown): void;
  backward?(ctx: FunctionCtx, ...grads: (Tensor | null)[]): unknown;
}

/**
 * Base of functions with a gradient of their own: static `forward(ctx, …)` and `backward(ctx, …gradients of outputs)`, which
 * returns a gradient (or null) for each argument.
 *
 * ```ts
 * class Exp extends torch.autograd.Function {
 *   static forward(ctx: torch.FunctionCtx, x: Tensor) {
 *     const y = x.exp();
 *     ctx.saveForBackward(y);
 *     return y;
 *   }
 *   static backward(ctx: torch.FunctionCtx, grad: Tensor) {
 *     const [y] = ctx.savedTensors;
 *     return grad.mul(y);
 *   }
 * }
 * Exp.apply(x);
 * ```
 *
 * `forward` may leave out `ctx` when there is a static `setupContext(ctx, inputs, output)`.
 * @throws TensorError "function ExpBackward returned an incorrect number of gradients (expected 1, got 2)"; for `apply` without
 * its class, as in `const exp = Exp.apply`: write `(x: Tensor) => Exp.apply(x)`
 */
// As in PyTorch, a program derives a class and never instantiates it.
// oxlint-disable-next-line typescript/no-extraneous-class
export class Function {
  /** Calls `forward`; gradients of its result go through `backward`. */
  static apply<A extends readonly unknown[], R>(this: SplitDefinition<A, R>, ...args: A): R;
  static apply<A extends readonly unknown[], R>(this: Definition<A, R>, ...args: A): R;
  static apply(this: unknown, ...args: unknown[]): unknown {
    if (this === undefined) {
      throw new TensorError(
        "autograd",
        "Function.apply was called without its class",
        "write (x) => MyFunction.apply(x) where PyTorch has MyFunction.apply",
      );
    }
    return run(this as Statics, args);
  }
}

const isWanted = (x: unknown): x is Tensor => scope.gradients && x instanceof Tensor && x.requiresGrad;

function run(definition: Statics, args: readonly unknown[]): unknown {
  const ctx = new FunctionCtx();
  const state = ctx[STATE];
  state.needs = args.map(isWanted);
  // The tensors before the call, which may change them in place.
  const inputs = args.map((x) => (isWanted(x) ? new Tensor(x.value, x.edge) : null));
  const result = hidden(() => withGradients(false, () => forward(definition, ctx, args)));
  const list: readonly unknown[] = Array.isArray(result) ? result : [result];
  const tensors = list.filter((x) => x instanceof Tensor);
  if (state.needs.includes(true)) attach(definition, ctx, args, inputs, tensors);
  else if (scope.depth === 0) for (const t of tensors) t.value.visible = true;
  const given = list.map((x) => (x instanceof Tensor ? (state.outputs.get(x) ?? x) : x));
  return Array.isArray(result) ? given : given[0];
}

function forward(definition: Statics, ctx: FunctionCtx, args: readonly unknown[]): unknown {
  if (definition.forward === undefined) {
    throw new TensorError(
      "autograd",
      "You must implement the forward function for custom autograd.Function.",
    );
  }
  if (definition.setupContext === undefined) return definition.forward(ctx, ...args);
  const output = definition.forward(...args);
  definition.setupContext(ctx, args, output);
  return output;
}

/** Adds a node to the outputs, whose gradient is the user's. */
function attach(
  definition: Statics,
  ctx: FunctionCtx,
  args: readonly unknown[],
  inputs: readonly (Tensor | null)[],
  tensors: readonly Tensor[],
): void {
  const { constant, dirty, outputs } = ctx[STATE];
  const wanted = inputs.filter((x) => x !== null);
  if ([...dirty].some((t) => t.isLeaf && t.requiresGrad)) {
    throw new TensorError(
      "autograd",
      "a leaf Variable that requires grad has been used in an in-place operation.",
    );
  }
  const through = tensors.filter((t) => t.dtype === "float32" && !constant.has(t));
  if (through.length === 0) return;
  const plain = through.map((t) => new Tensor(t.value));
  const results = hidden(() => applyAll(identities, [...plain, ...wanted], {})).slice(0, through.length);
  const { node } = results[0]!.edge!;
  setCustomGradient(node!, (c) => {
    const grads = backward(definition, ctx, c, tensors, through);
    const ofInputs = inputs.flatMap((x, i) => (x === null ? [] : [fitted(definition, grads[i], x.shape, i)]));
    grads.forEach((g, i) => {
      if (inputs[i] !== null || args[i] instanceof Tensor || g === null || g === undefined) return;
      throw new TensorError(
        "autograd",
        `function ${definition.name}Backward returned a gradient different than None at position ${i + 1}, but the corresponding forward input was not a Variable`,
      );
    });
    return [...through.map(() => null), ...ofInputs];
  });
  through.forEach((t, i) => {
    const y = results[i]!;
    if (scope.depth === 0) y.value.visible = true;
    y.edge = { node: node!, index: i, name: `${definition.name}Backward`, leaf: undefined };
    if (dirty.has(t)) t.replace(y.value, y.edge);
    outputs.set(t, dirty.has(t) ? t : y);
  });
  const state = ctx[STATE];
  const saved = state.saved.flatMap((t) => (t === null ? [] : [outputs.get(t) ?? t]));
  const values = saved.map((t) => t.value);
  state.check = () => values.forEach((value, i) => checkSaved(value, saved[i]!.edge, node!));
}

/** The gradients that the user's `backward` returns, one for each argument. */
function backward(
  definition: Statics,
  ctx: FunctionCtx,
  { grads }: GradientContext<object>,
  tensors: readonly Tensor[],
  through: readonly Tensor[],
): readonly unknown[] {
  const { materialize, needs } = ctx[STATE];
  if (definition.backward === undefined) {
    throw new TensorError(
      "autograd",
      "You must implement either the backward or vjp method for your custom autograd.Function to use it with backward mode AD.",
    );
  }
  const given = tensors.map((t) => {
    const at = through.indexOf(t);
    const grad = at < 0 ? null : (grads[at] ?? null);
    return grad ?? (materialize ? new Tensor(fillValue(0, t.shape, t.dtype)) : null);
  });
  const result = definition.backward(ctx, ...given);
  const list = (Array.isArray(result) ? result : [result]) as readonly unknown[];
  const name = `${definition.name}Backward`;
  // PyTorch lets further ones be None.
  if (list.length < needs.length || list.slice(needs.length).some((g) => g !== null && g !== undefined)) {
    throw new TensorError(
      "autograd",
      `function ${name} returned an incorrect number of gradients (expected ${needs.length}, got ${list.length})`,
    );
  }
  return list;
}

/** A gradient of the input's shape. */
function fitted(definition: Statics, grad: unknown, shape: Shape, i: number): Tensor | null {
  if (grad === null || grad === undefined) return null;
  const name = `${definition.name}Backward`;
  if (!(grad instanceof Tensor)) {
    throw new TensorError(
      "autograd",
      `expected Variable or None (got ${typeof grad === "number" ? "float" : typeof grad})`,
    );
  }
  const g = castTo(grad, "float32");
  if (sameShape(g.shape, shape)) return g;
  const lead = g.ndim - shape.length;
  if (lead >= 0 && shape.every((n, d) => n === 1 || n === g.shape[lead + d])) return sumTo(g, shape);
  throw new TensorError(
    "shape",
    `Function ${name} returned an invalid gradient at index ${i} - got ${formatShape(g.shape)} but expected shape compatible with ${formatShape(shape)}`,
  );
}

/** The gradients of a `backward` that can't be differentiated again. */
class OnceDifferentiable extends Function {
  static forward(_: FunctionCtx, compute: () => unknown, ..._grads: unknown[]): unknown {
    return compute();
  }

  static backward(): never {
    throw new TensorError(
      "autograd",
      "trying to differentiate twice a function that was marked with @once_differentiable",
    );
  }
}

/**
 * Marks a `backward` whose gradients can't be differentiated again, since it doesn't record what it computes.
 *
 * ```ts
 * static backward = torch.autograd.function.onceDifferentiable((ctx: torch.FunctionCtx, grad: Tensor) => grad.mul(2));
 * ```
 */
export function onceDifferentiable<A extends readonly unknown[], R>(
  backward: (ctx: FunctionCtx, ...grads: A) => R,
): (ctx: FunctionCtx, ...grads: A) => R {
  return (ctx, ...grads) => OnceDifferentiable.apply(() => backward(ctx, ...grads), ...grads) as R;
}
