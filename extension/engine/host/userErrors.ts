import { inspect } from "node:util";
import { EngineError, type SourcePosition, type UserError } from "../../protocol/errors.ts";
import { TensorError } from "../../tensor/core/errors.ts";
import { userFrames } from "./stackTraces.ts";

/** Errors may cause each other in a ring. */
const MOST_CAUSES = 3;
const INTERNAL = /^internal: /;

/**
 * Converts a thrown value to data for views: the message, the user's frames of the stack, and the fields of the
 * library's own errors. An error without user code on its stack that no check of ours threw is a bug of this program:
 * its message begins with `internal:`.
 */
export function describeError(thrown: unknown): UserError {
  if (thrown instanceof EngineError) return thrown.cause;
  if (!(thrown instanceof Error)) return { code: "exception", message: `Uncaught ${inspectValue(thrown)}` };
  const stack = framesOf(thrown);
  const { code, module, hint } = details(thrown);
  const fault = INTERNAL.test(thrown.message) || (code === undefined && stack.length === 0);
  const advice = [hint, laterHint(thrown), ...causesOf(thrown)].filter((one) => one !== undefined).join("\n");
  const named = code === undefined && thrown.name !== "Error" && thrown.name !== "";
  const message = named ? `${thrown.name}: ${thrown.message}` : thrown.message || thrown.name;
  return {
    code: fault ? "internal" : (code ?? "exception"),
    message: fault && !INTERNAL.test(message) ? `internal: ${message}` : message,
    ...(stack[0] === undefined ? {} : { position: stack[0], stack }),
    ...(module === undefined ? {} : { module }),
    ...(advice === "" ? {} : { hint: advice }),
  };
}

/** Advice where an error names the line that reads values, as that of the call isn't known. */
function laterHint(thrown: Error): string | undefined {
  if (!(thrown instanceof TensorError) || !thrown.late || thrown.op === undefined) return undefined;
  if (thrown.sites.length > 0 || userFrames(thrown).length === 0) return undefined;
  return `The op ${thrown.op} was called before this line, which computes it. With torch.autograd.setDetectAnomaly(true), errors name the line of the call.`;
}

/** The user's frames of an error: of the call that made a value, if that is known, rather than of the one that read it. */
export function framesOf(thrown: Error): SourcePosition[] {
  const sites = thrown instanceof TensorError ? thrown.sites : [];
  return [...sites, thrown].map(userFrames).find((frames) => frames.length > 0) ?? [];
}

/** The library's errors carry a code, the path of the module whose `forward` ran, and a hint. */
function details(error: Error): { code?: string; module?: string; hint?: string } {
  const found: { code?: string; module?: string; hint?: string } = {};
  for (const key of ["code", "module", "hint"] as const) {
    const value: unknown = Reflect.get(error, key);
    if (typeof value === "string" && value !== "") found[key] = value;
  }
  return found;
}

function inspectValue(value: unknown): string {
  return typeof value === "string"
    ? JSON.stringify(value)
    : inspect(value, { depth: 2, breakLength: Infinity });
}

/** The causes of an error, innermost last. */
function causesOf(error: Error): string[] {
  const causes: string[] = [];
  for (let cause = error.cause; cause !== undefined && causes.length < MOST_CAUSES;) {
    causes.push(`Caused by ${cause instanceof Error ? String(cause) : inspectValue(cause)}`);
    cause = cause instanceof Error ? cause.cause : undefined;
  }
  return causes;
}

/** An error as lines of a log: position, message and hint. */
export function errorText({ message, position, hint }: UserError): string {
  const at = position === undefined ? "" : `${position.file}:${position.line}:${position.column} `;
  return `${at}${message}\n${hint === undefined ? "" : `${hint}\n`}`;
}
