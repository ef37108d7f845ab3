/** The webview's end of the protocol: birpc over VS Code's postMessage, and the state that survives a closed view. */
import { createBirpc } from "birpc";
import type {
  ArchitectureViewState,
  TensorsViewState,
  TrainingViewState,
} from "../../extension/protocol/views.ts";
import { strings } from "./strings.ts";

interface VSCodeApi {
  postMessage: (message: unknown) => void;
  getState: () => unknown;
  setState: (state: unknown) => void;
}
declare function acquireVsCodeApi(): VSCodeApi;

// It can be acquired once.
const { postMessage: send, getState, setState } = acquireVsCodeApi();

/**
 * Offers `view` to the extension host and returns the host's methods. A call never times out here: an evaluation may
 * take minutes, and the host answers every request, be it with an error.
 */
export function connect<Host extends object, View extends object>(view: View) {
  return createBirpc<Host, View>(view, {
    post: send,
    on: (receive) => addEventListener("message", (event: MessageEvent<unknown>) => receive(event.data)),
    timeout: -1,
  });
}

/** What `setState` kept; undefined in a new panel. The caller knows which type its own view has written. */
export function savedState<State extends object>(): Partial<State> | undefined {
  const state = getState();
  return typeof state === "object" && state !== null ? state : undefined;
}

export function saveState(state: TrainingViewState | ArchitectureViewState | TensorsViewState): void {
  setState(state);
}

/**
 * `defaults` overridden by those fields of `saved` that have the same type: what an older version of the view has
 * written can't break a newer one.
 */
export function restored<Ui extends object>(defaults: Ui, saved: unknown): Ui {
  if (typeof saved !== "object" || saved === null) return defaults;
  const known = Object.entries(saved).filter(
    ([key, value]) => key in defaults && typeof value === typeof defaults[key as keyof Ui],
  );
  return { ...defaults, ...Object.fromEntries(known) };
}

/** What to show of a failed call; an Error that crossed postMessage is a plain object. */
export function messageOf(error: unknown): string {
  if (typeof error === "string") return error;
  if (typeof error === "object" && error !== null && "message" in error && typeof error.message === "string")
    return error.message;
  return strings.error.unknown;
}
