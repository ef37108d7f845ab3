import { withoutSecrets } from "../protocol/text/secrets.ts";

/** Why the native engine can't be installed or used. */
export type NativeErrorCode =
  | "unsupported-platform"
  | "unsupported-machine"
  | "no-python"
  | "no-pip"
  | "no-compiler"
  | "no-network"
  | "no-wheel"
  | "no-space"
  | "no-permission"
  | "download-failed"
  | "corrupt-download"
  | "unknown-wheel"
  | "compile-failed"
  | "load-failed"
  | "not-installed"
  | "broken";

/** `message` is one line for the user; `detail` is the tool's output, for a log. */
export class NativeError extends Error {
  readonly code: NativeErrorCode;
  readonly detail: string | undefined;

  constructor(code: NativeErrorCode, message: string, options: { detail?: string; cause?: unknown } = {}) {
    super(withoutSecrets(message), options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "NativeError";
    this.code = code;
    // uv's errors have the index's address with its password.
    this.detail = options.detail === undefined ? undefined : withoutSecrets(options.detail);
  }
}

/** The code of a system error ("ENOENT"), undefined for anything else. */
export function systemErrorCode(error: unknown): string | undefined {
  if (!(error instanceof Error && "code" in error && typeof error.code === "string")) return undefined;
  return /^E[A-Z0-9]+$/.test(error.code) ? error.code : undefined;
}
