/** Kind of mistake that a {@link TensorError} reports. */
export type TensorErrorCode =
  | "shape"
  | "dtype"
  | "index"
  | "file"
  | "value"
  | "autograd"
  | "released"
  | "unsupported"
  /** Values that are not finite. */
  | "non-finite"
  /** A value was requested where nothing computes: no mistake, but the end of a preview. */
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
  /** Whether it was found when values were computed: its own stack shows the code that reads them. */
  late = false;
  /** Stacks of the calls that recorded the op, as far as they are known: the user's line then. */
  sites: readonly Error[] = [];
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

/** An integer that int64 tensors can hold, but no engine computes with. */
export const beyond32Bits = (): TensorError =>
  new TensorError("value", "integers beyond ±2³¹ can be read but not computed with");

/** Name of a value's type in messages. */
export function kindOf(x: unknown): string {
  if (x === null || typeof x !== "object") return x === null ? "null" : typeof x;
  // Not every object has a class.
  const { constructor } = x as { constructor?: { name: string } };
  return Array.isArray(x) ? "list" : (constructor?.name ?? "object");
}

/** Hint for a quotient that must be a whole number. */
export const WHOLE_HINT = "Python's a // b is Math.floor(a / b)";
