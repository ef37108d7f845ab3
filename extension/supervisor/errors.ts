import * as v from "valibot";
import { EngineError, UserError } from "../protocol/errors.ts";

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

/** One line of text for a log: code, place, message. */
export function errorLine(error: UserError): string {
  const { position } = error;
  const at = position === undefined ? "" : ` (${position.file}:${position.line}:${position.column})`;
  return `${error.message}${at} [${error.code}]`;
}
