// The other side of a connection: a machine that ssh reaches, or a job of a Ray cluster.
import * as v from "valibot";
import { EngineError } from "../protocol/errors.ts";
import type { Target } from "../protocol/target.ts";
import { EVENTS, type AgentAnswer, type AgentCall, type AgentEvent, type AgentEvents } from "./messages.ts";

/** A checked event of the agent, with the size of its message. */
export type Heard = {
  [K in AgentEvent]: { event: K; data: AgentEvents[K]; body: Buffer; length: number };
}[AgentEvent];

export interface Answered<K extends AgentCall> {
  value: AgentAnswer<K>;
  body: Buffer;
}

/** Starts, follows and controls runs elsewhere, by any transport. */
export interface Machine {
  readonly target: Target;
  /** Settles when the connection has ended, with the reason. */
  readonly ended: Promise<EngineError>;
  readonly closed: boolean;
  /** Takes events; set before a run is followed. */
  listener: ((heard: Heard) => void) | undefined;
  /** Calls the agent, and checks its answer. @throws EngineError */
  call<K extends AgentCall>(method: K, params?: object, body?: Buffer): Promise<Answered<K>>;
  /** Closes the connection; a run there continues. */
  close(): void;
}

/** Checks an event that arrived. @returns what is wrong with it, if it is invalid */
export function heard(event: string, data: unknown, body: Buffer, length: number): Heard | string {
  if (!Object.hasOwn(EVENTS, event)) return "it sent an event that doesn't exist";
  const name = event as AgentEvent;
  const checked = v.safeParse(EVENTS[name], data, { abortEarly: true });
  if (!checked.success) return `it sent a malformed "${name}"`;
  return { event: name, data: checked.output, body, length } as Heard;
}

/** The error of a connection that a message has closed: the other side is not trusted. */
export const brokenProtocol = ({ name }: Target, problem: string): EngineError =>
  new EngineError({
    code: "remote-protocol",
    message: `${name} doesn't keep to the protocol: ${problem}. The connection was closed.`,
  });

/** Whether the connection was lost, so that reconnecting helps. */
export const isCut = (code: string): boolean => /^(?:line|ssh-unreachable|ray-unreachable)$/.test(code);

/** Whether an error is of a machine or the connection to it, not of the run. */
export const isOfMachine = (code: string): boolean =>
  isCut(code) || /^(?:no-ssh|ssh-.+|ray|ray-.+|remote|remote-.+)$/.test(code);
