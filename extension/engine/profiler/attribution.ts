import type { Module } from "../../nn/module/module.ts";
import type { Optimizer } from "../../nn/optim/optimizer.ts";
import type { Node } from "../../tensor/recording/graph.ts";
import { scope } from "../../tensor/recording/scope.ts";

export type Phase = "forward" | "backward" | "update";

/** The module and the part of the step that a node belongs to. */
export interface Owner {
  /** Dotted path of the innermost module of the model; "" outside all. */
  readonly path: string;
  readonly phase: Phase;
}

/**
 * Notes, while a step is recorded, which module and which part of the step each node belongs to. A node of the backward
 * pass belongs to the module whose node it differentiates.
 */
export class Attribution {
  readonly #paths: ReadonlyMap<object, string>;
  readonly #optimizers: readonly Optimizer[];
  readonly #running: string[] = [];
  readonly #own = new WeakMap<Node, string>();
  readonly #updates = new WeakSet<Node>();
  readonly #owners = new WeakMap<Node, Owner>();
  #updating = false;

  constructor(model: Module, optimizers: readonly Optimizer[]) {
    this.#paths = new Map(model.namedModules().map(([path, module]) => [module, path]));
    this.#optimizers = optimizers;
  }

  /** Runs `body`, whose nodes are attributed. */
  async watch<T>(body: () => Promise<T>): Promise<T> {
    const { sites, onNode, onCall } = scope;
    scope.sites = true;
    scope.onNode = (node) => {
      onNode?.(node);
      if (this.#updating) this.#updates.add(node);
      else this.#own.set(node, this.#running.at(-1) ?? "");
    };
    scope.onCall = (module) => {
      // A module that isn't one of the model's counts for its caller; a loss counts for none.
      this.#running.push(this.#paths.get(module) ?? this.#running.at(-1) ?? "");
      return () => void this.#running.pop();
    };
    const restore = this.#optimizers.map((optimizer) => this.#mark(optimizer));
    try {
      return await body();
    } finally {
      Object.assign(scope, { sites, onNode, onCall });
      for (const back of restore) back();
    }
  }

  /** The owner of a node. The nodes before it in its plan must have been looked up first. */
  of(node: Node): Owner {
    let owner = this.#owners.get(node);
    if (owner === undefined) this.#owners.set(node, (owner = this.#find(node)));
    return owner;
  }

  #find(node: Node): Owner {
    if (this.#updates.has(node)) return { path: "", phase: "update" };
    const { forward } = node;
    if (forward !== undefined) return { path: this.#own.get(forward) ?? "", phase: "backward" };
    // Nodes that take gradients outside a backward pass change them before the update: clipping, accumulation.
    const clips = node.inputs.some(({ producer }) => {
      if (producer.kind !== "node" || this.#updates.has(producer)) return false;
      return this.of(producer).phase !== "forward";
    });
    return clips ? { path: "", phase: "update" } : { path: this.#own.get(node) ?? "", phase: "forward" };
  }

  /** Notes when an optimizer steps; returns a function that stops this. */
  #mark(optimizer: Optimizer): () => void {
    const step: (closure?: () => unknown) => unknown = optimizer.step.bind(optimizer);
    Object.defineProperty(optimizer, "step", {
      configurable: true,
      value: (closure?: () => unknown) => {
        this.#updating = true;
        try {
          return step(closure);
        } finally {
          this.#updating = false;
        }
      },
    });
    return () => void Reflect.deleteProperty(optimizer, "step");
  }
}
