import { TensorError } from "../../../extension/tensor/core/errors.ts";
import type { Json } from "../format.ts";
import { build, type ModelSpec } from "../models.ts";
import { argument, callArguments, keywords, lookUp } from "../names.ts";

export interface ErrorsSpec {
  id: string;
  model?: ModelSpec;
  fn?: string;
  args?: Json[];
  kwargs?: Record<string, Json>;
}

export interface ErrorsExpectation {
  id: string;
  message: string;
}

/** A model's construction, or a call, that must be refused in PyTorch's words. */
export function runErrorsItem(spec: ErrorsSpec, expected: ErrorsExpectation): string | null {
  try {
    attempt(spec);
  } catch (error) {
    if (!(error instanceof TensorError)) throw error;
    return error.message === expected.message ? null : `"${error.message}" instead of "${expected.message}"`;
  }
  return `nothing is refused instead of "${expected.message}"`;
}

function attempt({ model, fn, args, kwargs }: ErrorsSpec): unknown {
  const given = callArguments((args ?? []).map(argument), keywords(kwargs));
  if (fn !== undefined) {
    const at = fn.indexOf(".");
    return lookUp(fn.slice(0, at), fn.slice(at + 1))(...given);
  }
  const built = build(model!);
  return args === undefined
    ? built
    : (built as unknown as (...input: readonly unknown[]) => unknown)(...given);
}
