/** Runs the layout engine in a worker, so that a large model doesn't block the panel. */
import ELK, { type ElkNode } from "elkjs/lib/elk-api.js";
import type { FlowLayout } from "../../extension/protocol/flow.ts";
import { positionsOf, WARM_UP } from "../../extension/diagram/layout.ts";

/** A separate script, so that the panel loads sooner: the host has laid out what it shows first. */
const PROGRAM = "elk-worker.min.js";
const script = document.currentScript;
const base = script instanceof HTMLScriptElement ? script.src : document.baseURI;

/** A webview can start workers only from blob URLs. */
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

  /** Runs a warm-up layout, since the first one takes longest. */
  async warmUp(): Promise<void> {
    if (this.#elk === undefined) await this.#layout(WARM_UP);
  }

  async place(graph: ElkNode): Promise<FlowLayout> {
    return positionsOf(await this.#layout(graph));
  }

  async #layout(graph: ElkNode): Promise<ElkNode> {
    this.#elk ??= startEngine();
    this.#elk.catch(() => (this.#elk = undefined));
    return (await this.#elk).layout(graph);
  }
}
