import type { Meta } from "../core/meta.ts";
import { Node, type GradientEdge, type SampleRecording, type Value } from "../recording/graph.ts";
import type { AnyOp } from "../recording/nodeOp.ts";
import { scope } from "../recording/scope.ts";

/** Thrown where a function of one sample does something that can't be recorded once for all samples. */
class PerSample extends Error {
  override readonly name = "PerSample";

  constructor() {
    super("vmap calls this function for each sample: code must not catch this error");
  }
}

/** Nodes recorded by a function of one sample, apart from all others: no barrier computes them. */
export class SampleGraph implements SampleRecording {
  readonly outer = scope.sample;
  /** In the order of recording. */
  readonly nodes: Node[] = [];
  /** Whether the function has to be called for each sample. */
  refused = false;
  readonly #values = new Set<Value>();
  readonly #own = new WeakSet<object>();

  /** Runs the function. @returns undefined where it has to be called for each sample */
  record<T>(body: () => T): { readonly result: T } | undefined {
    const { sample } = scope;
    scope.sample = this;
    // Not the user's own loop: its values are not computed with the step.
    scope.depth++;
    try {
      const result = body();
      return this.refused ? undefined : { result };
    } catch (error) {
      if (this.refused) return undefined;
      throw error;
    } finally {
      scope.depth--;
      scope.sample = sample;
    }
  }

  /** Adds a value that differs from sample to sample. */
  enter(value: Value): void {
    this.#values.add(value);
  }

  has(value: Value): boolean {
    return this.#values.has(value);
  }

  includes(value: Value): boolean {
    return this.#values.has(value) || this.outer?.includes(value) === true;
  }

  add(
    op: AnyOp,
    attributes: object,
    inputs: readonly Value[],
    outputs: Meta | readonly Meta[],
    edges: readonly (GradientEdge | undefined)[] | undefined,
  ): Node {
    const { onNode } = scope;
    scope.onNode = scope.onSample;
    const node = new Node(op, attributes, inputs, outputs, edges);
    scope.onNode = onNode;
    for (const output of node.outputs) this.#values.add(output);
    this.nodes.push(node);
    return node;
  }

  own(tensor: object): void {
    this.#own.add(tensor);
  }

  owns(tensor: object): boolean {
    return this.#own.has(tensor);
  }

  checkRead(value: Value): void {
    if (this.#values.has(value)) this.refuse();
    this.outer?.checkRead(value);
  }

  checkWrite(tensor: object): void {
    if (!this.#own.has(tensor)) this.refuse();
  }

  refuse(): never {
    this.refused = true;
    throw new PerSample();
  }
}
