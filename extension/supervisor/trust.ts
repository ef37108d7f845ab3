// Before a workspace is trusted, nothing of it is written, moved, deleted or signalled: the one rule for all of them.
import { EngineError } from "../protocol/errors.ts";

let trusted = (): boolean => true;
let explain = (): string => "The workspace is not trusted, so nothing in it is changed. Trust it first.";

/** Has a window ask whether its workspace is trusted. On a command line, the user's command is the trust. */
export function trustWhen(isTrusted: () => boolean, message = explain): void {
  trusted = isTrusted;
  explain = message;
}

/** @throws EngineError "untrusted" */
export function demandTrust(): void {
  if (!trusted()) throw new EngineError({ code: "untrusted", message: explain() });
}
