import * as v from "valibot";

/** One frame of a user-visible stack, already mapped back to the `.nn.ts` source. Lines and columns are 1-based. */
export const SourcePosition = v.object({
  file: v.string(),
  line: v.number(),
  column: v.number(),
  endColumn: v.optional(v.number()),
});
export type SourcePosition = v.InferOutput<typeof SourcePosition>;

/** The layer whose call failed, and the number in its constructor that would make it fit. */
export const FailedLayer = v.object({
  className: v.string(),
  /** PyTorch's extra_repr. */
  detail: v.string(),
  /** Shapes of the call's inputs. */
  inputs: v.array(v.string()),
  /** Where the user's code made it. */
  position: v.optional(SourcePosition),
  fix: v.optional(
    v.object({
      /** PyTorch's name of the option, such as "in_features". */
      option: v.string(),
      /** Place among the constructor's arguments, from 0. */
      argument: v.number(),
      value: v.number(),
    }),
  ),
  /** The dtype that its input has to be converted to. */
  cast: v.optional(v.picklist(["float32", "int64"])),
});
export type FailedLayer = v.InferOutput<typeof FailedLayer>;

/**
 * An error as data: what every process sends and every view renders. `message` is the text a user reads (PyTorch's
 * own wording where PyTorch has one); `position` is the user's line, not ours.
 */
export const UserError = v.object({
  /** Stable id such as "shape", "dtype", "syntax", "no-experiment", "timeout", "out-of-range", "killed", "internal". */
  code: v.string(),
  message: v.string(),
  position: v.optional(SourcePosition),
  /** The user's frames, innermost first. */
  stack: v.optional(v.array(SourcePosition)),
  /** Dotted path of the module whose `forward` was running, such as "encoder.layers.0.linear1". */
  module: v.optional(v.string()),
  layer: v.optional(FailedLayer),
  hint: v.optional(v.string()),
});
export type UserError = v.InferOutput<typeof UserError>;

/** A {@link UserError} as an exception. Its `cause` is the data: structured clone keeps a cause, not own properties. */
export class EngineError extends Error {
  override readonly name = "EngineError";
  override readonly cause: UserError;

  constructor(error: UserError) {
    super(error.message);
    this.cause = error;
  }
}

/** Converts what this process or a child threw to the error that views render. */
export function toUserError(thrown: unknown): UserError {
  if (thrown instanceof EngineError) return thrown.cause;
  if (v.is(UserError, thrown)) return v.parse(UserError, thrown);
  if (thrown instanceof Error) {
    // An EngineError from a child arrives as a plain Error with a cause.
    if (v.is(UserError, thrown.cause)) return v.parse(UserError, thrown.cause);
    return { code: "internal", message: thrown.message };
  }
  return { code: "internal", message: String(thrown) };
}
