import { createBirpc } from "birpc";
import { PROTOCOL_VERSION, type Hello } from "../../protocol/engine.ts";
import { describeError } from "./userErrors.ts";
import { EngineError } from "../../protocol/errors.ts";

type Functions<T> = { [K in keyof T]: (...args: never[]) => unknown };

/** Sends an event to the parent at once, or drops it when the parent has ended. */
export type Send<Events extends Functions<Events>> = <K extends keyof Events & string>(
  event: K,
  ...args: Parameters<Events[K]>
) => void;

export interface ParentChannel<Events extends Functions<Events>> {
  send: Send<Events>;
  /** Resolves when every message is handed to the system, so that the process may exit. */
  drained(): Promise<void>;
}

/**
 * Opens the channel to the process that forked this one. Errors of methods reach the caller as data: their `cause` is
 * a UserError.
 */
export function connectParent<Events extends Functions<Events>>(methods: object): ParentChannel<Events> {
  let pending = 0;
  let wake: (() => void) | undefined;
  const done = (): void => {
    if (--pending === 0) wake?.();
  };
  const rpc = createBirpc<Record<string, (...args: unknown[]) => void>>(asData(methods), {
    post: (message: unknown) => {
      if (!process.connected) return;
      pending++;
      // The callback also takes the error of a channel that closes at this moment, which would end the process.
      process.send?.(message, undefined, undefined, done);
    },
    on: (receive) => void process.on("message", receive),
    timeout: -1,
  });
  return {
    send: (event, ...args) => void rpc.$callEvent(event, ...args),
    drained: () =>
      new Promise((resolve) => {
        if (pending === 0) resolve();
        else wake = resolve;
      }),
  };
}

/** The first message of this process. */
export function hello(engine: Hello["engine"]): Hello {
  return { protocol: PROTOCOL_VERSION, pid: process.pid, node: process.version, engine };
}

function asData(methods: object): Record<string, (...args: unknown[]) => Promise<unknown>> {
  const wrapped: Record<string, (...args: unknown[]) => Promise<unknown>> = Object.create(null);
  for (const [name, method] of Object.entries(methods)) {
    wrapped[name] = async (...args) => {
      try {
        return await (method as (...args: unknown[]) => unknown)(...args);
      } catch (error) {
        throw new EngineError(describeError(error));
      }
    };
  }
  return wrapped;
}
