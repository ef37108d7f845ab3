/** What kind of mistake a {@link TensorError} reports. */
export type TensorErrorCode =
  | "shape"
  | "dtype"
  | "index"
  | "file"
  | "value"
  | "autograd"
  | "released"
  | "unsupported"
  /** Values came up that are no finite numbers. */
  | "non-finite"
  /** A value was asked for where nothing computes: no mistake, but as far as a preview gets. */
  | "preview";

/**
 * A mistake in the user's program, worded as PyTorch words it. Errors are data first: the editor places them by the
 * stack and reads `code`, `op`, `module` and `hint`.
 */
export class TensorError extends Error {
  override readonly name = "TensorError";
  readonly code: TensorErrorCode;
  /** Name of the op of the table that refused its inputs. */
  op?: string;
  /** Dotted path of the module whose forward was running. */
  module?: string;
  readonly hint?: string;

  constructor(code: TensorErrorCode, message: string, hint?: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    if (hint !== undefined) this.hint = hint;
  }
}

/** A fault of the library itself, never of the user's program. */
export function internal(message: string): never {
  throw new Error(`internal: ${message}`);
}

/** What a value is, in messages about its type. */
export function kindOf(x: unknown): string {
  if (x === null || typeof x !== "object") return x === null ? "null" : typeof x;
  // Not every object has a class.
  const { constructor } = x as { constructor?: { name: string } };
  return Array.isArray(x) ? "list" : (constructor?.name ?? "object");
}

/** What to write where a quotient of whole numbers has a fraction. */
export const WHOLE_HINT = "Python's a // b is Math.floor(a / b)";
