import { kindOf, TensorError } from "../tensor/core/errors.ts";
import { bind } from "./arguments.ts";

/** Arguments of PyTorch's `torch.compile`, all without effect. */
export interface CompileOptions {
  fullgraph?: boolean;
  dynamic?: boolean | null;
  backend?: string | ((...args: never[]) => unknown) | null;
  mode?: string | null;
  options?: Readonly<Record<string, unknown>> | null;
  name?: string | null;
  disable?: boolean;
  recompileLimit?: number | null;
  isolateRecompiles?: boolean;
  dynamicShapes?: unknown;
}

/** A module, which is a function here, or a function. */
// oxlint-disable-next-line typescript/no-explicit-any -- `unknown` would refuse functions of typed arguments
type Compilable = (...args: any[]) => unknown;

const DEFAULTS = {
  fullgraph: false,
  dynamic: null,
  backend: "inductor",
  mode: null,
  options: null,
  name: null,
  disable: false,
  recompileLimit: null,
  isolateRecompiles: false,
  dynamicShapes: null,
} as const;

/**
 * Returns the model or function itself: every step that repeats is compiled anyway. Options are accepted and have no
 * effect. The names of a model's state dict stay the same, where PyTorch's begin with `_orig_mod.`.
 *
 * ```ts
 * const model = torch.compile(new nn.Linear(4, 2));
 * const silu = torch.compile({ fullgraph: true })((x: Tensor) => x.mul(x.sigmoid()));
 * ```
 * @returns without a model: a function that takes the model and returns it, PyTorch's decorator
 * @throws TensorError "A callable function is expected" for anything else
 */
export function compile<M extends Compilable>(model: M, options?: CompileOptions): M;
export function compile(
  model?: CompileOptions | null,
  options?: CompileOptions,
): <M extends Compilable>(model: M) => M;
export function compile(...args: unknown[]): unknown {
  const { model, mode, options } = bind<CompileOptions & { model?: unknown }>(
    "compile",
    args,
    { model: null, ...DEFAULTS },
    1,
  );
  if (model === null)
    return (later: unknown) => {
      if (later === null || later === undefined) throw new TensorError("value", "Model can't be None");
      return compile(later as Compilable);
    };
  if (mode !== null && options !== null)
    throw new TensorError(
      "value",
      "Either mode or options can be specified, but both can't be specified at the same time.",
    );
  if (typeof model === "function") return model;
  throw new TensorError("value", `A callable function is expected, but ${kindOf(model)} is provided.`);
}
