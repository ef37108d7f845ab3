/** The webview's end of the protocol: birpc over VS Code's postMessage, and the saved state of a view. */
import { createBirpc } from "birpc";
import type {
  ArchitectureViewState,
  TensorsViewState,
  TrainingViewState,
} from "../../extension/protocol/views.ts";
import type { DataFileViewState } from "../../extension/protocol/data/dataFile.ts";
import type { DataViewState } from "../../extension/protocol/data/data.ts";
import type { TensorViewState } from "../../extension/protocol/tensorFile.ts";
import type { SweepViewState } from "../../extension/protocol/sweeps/views.ts";
import type { UserError } from "../../extension/protocol/errors.ts";
import { strings } from "./strings.ts";

interface VSCodeApi {
  postMessage: (message: unknown) => void;
  getState: () => unknown;
  setState: (state: unknown) => void;
}
declare function acquireVsCodeApi(): VSCodeApi;

// VS Code allows one call only.
const { postMessage: send, getState, setState } = acquireVsCodeApi();

/**
 * Exposes `view` to the extension host and returns the host's methods. Calls have no timeout: an evaluation may take minutes,
 * and the host answers every request, if only with an error.
 */
export function connect<Host extends object, View extends object>(view: View) {
  return createBirpc<Host, View>(view, {
    post: send,
    on: (receive) => addEventListener("message", (event: MessageEvent<unknown>) => receive(event.data)),
    timeout: -1,
  });
}

/** The state saved by `setState`; undefined in a new panel. The caller knows its type. */
export function savedState<State extends object>(): Partial<State> | undefined {
  const state = getState();
  return typeof state === "object" && state !== null ? state : undefined;
}

export function saveState(
  state:
    | TrainingViewState
    | ArchitectureViewState
    | TensorsViewState
    | SweepViewState
    | DataViewState
    | DataFileViewState
    | TensorViewState,
): void {
  setState(state);
}

/**
 * Returns `defaults`, overridden by the fields of `saved` that have the same type. So the state of an older version of the view
 * can't break a newer one.
 */
export function restored<Ui extends object>(defaults: Ui, saved: unknown): Ui {
  if (typeof saved !== "object" || saved === null) return defaults;
  const known = Object.entries(saved).filter(
    ([key, value]) => key in defaults && typeof value === typeof defaults[key as keyof Ui],
  );
  return { ...defaults, ...Object.fromEntries(known) };
}

/** The error of a failed call. */
export const errorOf = (error: unknown): UserError =>
  typeof error === "object" && error !== null && "code" in error && "message" in error
    ? (error as UserError)
    : { code: "failed", message: messageOf(error) };

/** The message of a failed call. An Error that crossed postMessage is a plain object. */
export function messageOf(error: unknown): string {
  if (typeof error === "string") return error;
  if (typeof error === "object" && error !== null && "message" in error && typeof error.message === "string")
    return error.message;
  return strings.error.unknown;
}
