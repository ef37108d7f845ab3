import type { Node } from "./graph.ts";

/** Message of an error that is created only for its stack frames. */
export const SITE = "site";

/** What is being recorded right now: set by module calls, backward and optimizers, read when a node is made. */
export const scope = {
  /** Dotted path of the innermost module whose forward is running; "" outside. */
  path: "",
  /** 0 in the user's own loop; more inside a module, a loss, backward or an optimizer. */
  depth: 0,
  /** How many of those levels are the library's own work: 0 in the user's loop, and in a forward. */
  hidden: 0,
  /** False under `noGrad`. */
  gradients: true,
  /** Whether nodes keep the stack of the call that made them: on in the preview and until a run's first steps are through. */
  sites: false,
  /** The node whose gradient is being recorded, while sites are kept. */
  forward: undefined as Node | undefined,
  /** Told of every node that is recorded: a summary counts them. */
  onNode: undefined as ((node: Node) => void) | undefined,
  /** Told of every module that is called, before its `forward`; what it answers is told of the result. */
  onCall: undefined as ((module: object, input: readonly unknown[]) => (output: unknown) => void) | undefined,
};

/** Runs `body` as the library's own work, whose intermediate values the user cannot hold. */
export function hidden<T>(body: () => T): T {
  scope.depth++;
  scope.hidden++;
  try {
    return body();
  } finally {
    scope.depth--;
    scope.hidden--;
  }
}

/** Runs `body` with gradient recording on or off. */
export function withGradients<T>(on: boolean, body: () => T): T {
  const before = scope.gradients;
  scope.gradients = on;
  try {
    return body();
  } finally {
    scope.gradients = before;
  }
}

/** PyTorch's `torch.no_grad()`: nothing recorded in `body` can be differentiated. */
export function noGrad<T>(body: () => T): T {
  return withGradients(false, body);
}
