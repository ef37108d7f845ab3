import { inspect } from "node:util";
import { EngineError, type SourcePosition, type UserError } from "../../protocol/errors.ts";
import { clipped } from "../../protocol/text/clip.ts";
import { TensorError } from "../../tensor/core/errors.ts";
import { userFrames } from "./stackTraces.ts";

/** Errors may cause each other in a ring. */
const MOST_CAUSES = 3;
/** Characters of a message and of a hint. */
const LONGEST = 2 ** 14;
const INTERNAL = /^internal: /;

/**
 * Converts a thrown value to data for views: the message, the user's frames of the stack, and the fields of the
 * library's own errors. An error without user code on its stack that no check of ours threw is a bug of this program:
 * its message begins with `internal:`.
 */
export function describeError(thrown: unknown): UserError {
  if (thrown instanceof EngineError) return bounded(thrown.cause);
  try {
    return bounded(described(thrown));
  } catch {
    // Getters and proxies may throw, and properties may be anything.
    return { code: "exception", message: "Uncaught error, whose properties can't be read" };
  }
}

/** A record with the error has a limit, above which no reader takes it. */
function bounded(error: UserError): UserError {
  const { message, hint } = error;
  if (message.length <= LONGEST && (hint?.length ?? 0) <= LONGEST) return error;
  return {
    ...error,
    message: clipped(message, LONGEST),
    ...(hint === undefined ? {} : { hint: clipped(hint, LONGEST) }),
  };
}

/**
 * Has an error without code of the user's on its stack name a place: a thrown text, or one of the library's errors, whose cause is what a
 * function gave.
 * @param site of the experiment
 */
export function placed(thrown: unknown, site: Error): unknown {
  if (thrown instanceof TensorError && framesOf(thrown).length === 0) thrown.sites = [...thrown.sites, site];
  if (thrown instanceof Error) return thrown;
  const stack = userFrames(site);
  return new EngineError({
    ...describeError(thrown),
    ...(stack[0] === undefined ? {} : { position: stack[0], stack }),
    hint: "throw new Error(…), and its line is known",
  });
}

/** The error of a process that ends while its run is under way, if the user's code ends it. */
export function exitError(code: number): UserError | undefined {
  const stack = userFrames(new Error());
  if (stack[0] === undefined) return undefined;
  const message = `The program ended the process of its run: process.exit(${code})`;
  return {
    code: "exit",
    message,
    position: stack[0],
    stack,
    hint: "A callback ends a training with stop(), and an error with throw new Error(…)",
  };
}

function described(thrown: unknown): UserError {
  if (!(thrown instanceof Error)) return { code: "exception", message: `Uncaught ${inspectValue(thrown)}` };
  const stack = framesOf(thrown);
  const { code, module, hint } = details(thrown);
  const said = typeof thrown.message === "string" ? thrown.message : inspectValue(thrown.message);
  const fault = INTERNAL.test(said) || (code === undefined && stack.length === 0 && isOurs(thrown));
  const advice = [hint, laterHint(thrown), ...causesOf(thrown)].filter((one) => one !== undefined).join("\n");
  const named = code === undefined && thrown.name !== "Error" && thrown.name !== "";
  const message = named ? `${thrown.name}: ${said}` : said || thrown.name;
  return {
    code: fault ? "internal" : (code ?? "exception"),
    message: fault && !INTERNAL.test(message) ? `internal: ${message}` : message,
    ...(stack[0] === undefined ? {} : { position: stack[0], stack }),
    ...(module === undefined ? {} : { module }),
    ...(advice === "" ? {} : { hint: advice }),
  };
}

/** Whether code of this program is on an error's stack. That of a worker's error, or of a program's, is elsewhere. */
function isOurs({ stack }: Error): boolean {
  const frames = typeof stack === "string" ? stack.split("\n").filter((line) => /^\s+at /.test(line)) : [];
  return frames.some((line) => /[/\\]/.test(line) && !/\bnode:|\[(?:worker )?eval\]/.test(line));
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
