import type { UserError } from "../protocol/errors.ts";

export { toUserError } from "../protocol/errors.ts";

/** One line of text for a log: code, place, message. */
export function errorLine(error: UserError): string {
  const { position } = error;
  const at = position === undefined ? "" : ` (${position.file}:${position.line}:${position.column})`;
  return `${error.message}${at} [${error.code}]`;
}
