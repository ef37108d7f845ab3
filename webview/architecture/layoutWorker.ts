/** The layout engine in a thread of its own: a large model doesn't stop the panel. */
import ELK, { type ElkNode } from "elkjs/lib/elk-api.js";
import type { FlowLayout } from "../../extension/protocol/flow.ts";
import { placesIn, WARM_UP } from "../../extension/diagram/layout.ts";

/** Beside the view's script, which is loaded sooner without it: what a panel shows first is laid out already. */
const PROGRAM = "elk-worker.min.js";
const script = document.currentScript;
const base = script instanceof HTMLScriptElement ? script.src : document.baseURI;

/** A webview may start workers from nothing but its own memory. */
async function startEngine(): Promise<InstanceType<typeof ELK>> {
  const response = await fetch(new URL(PROGRAM, base));
  if (!response.ok) throw new Error(`${PROGRAM}: ${response.statusText}`);
  const url = URL.createObjectURL(new Blob([await response.text()], { type: "text/javascript" }));
  try {
    return new ELK({ workerFactory: () => new Worker(url) });
  } finally {
    URL.revokeObjectURL(url);
  }
}

export class LayoutEngine {
  #elk: ReturnType<typeof startEngine> | undefined;

  /** The first layout takes longest: warm up with one that nothing waits for. */
  async warmUp(): Promise<void> {
    if (this.#elk === undefined) await this.#layout(WARM_UP);
  }

  async place(graph: ElkNode): Promise<FlowLayout> {
    return placesIn(await this.#layout(graph));
  }

  async #layout(graph: ElkNode): Promise<ElkNode> {
    this.#elk ??= startEngine();
    this.#elk.catch(() => (this.#elk = undefined));
    return (await this.#elk).layout(graph);
  }
}
