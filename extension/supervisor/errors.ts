import * as v from "valibot";
import { UserError } from "../protocol/errors.ts";

/** A {@link UserError} on its way as an exception. */
export class EngineError extends Error {
  readonly error: UserError;

  constructor(error: UserError) {
    super(error.message);
    this.name = "EngineError";
    this.error = error;
  }
}

/** Whatever was thrown here or in a child, as the error that views render. */
export function toUserError(thrown: unknown): UserError {
  if (thrown instanceof EngineError) return thrown.error;
  if (v.is(UserError, thrown)) return v.parse(UserError, thrown);
  if (thrown instanceof Error) {
    // Engines throw errors that carry their data; structured clone keeps a cause, not own properties.
    if (v.is(UserError, thrown.cause)) return v.parse(UserError, thrown.cause);
    return { code: "internal", message: thrown.message };
  }
  return { code: "internal", message: String(thrown) };
}

/** One line of text for a log: code, place, message. */
export function errorLine(error: UserError): string {
  const { position } = error;
  const at = position === undefined ? "" : ` (${position.file}:${position.line}:${position.column})`;
  return `${error.message}${at} [${error.code}]`;
}
