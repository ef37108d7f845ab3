/** The layout engine in a thread of its own: a large model doesn't stop the panel. */
import ELK, { type ElkNode } from "elkjs/lib/elk-api.js";
import code from "elkjs/lib/elk-worker.min.js" with { type: "text" };

/** A webview may start workers from nothing but its own memory. */
function startWorker(): Worker {
  const url = URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
  try {
    return new Worker(url);
  } finally {
    URL.revokeObjectURL(url);
  }
}

export class LayoutEngine {
  readonly #elk = new ELK({ workerFactory: startWorker });

  /** The first layout takes longest: let it be one that nobody waits for. */
  async warmUp(): Promise<void> {
    await this.#elk.layout({
      id: "",
      layoutOptions: { "elk.algorithm": "layered", "elk.hierarchyHandling": "INCLUDE_CHILDREN" },
      children: [{ id: "a", children: [{ id: "b" }, { id: "c" }] }, { id: "d" }],
      edges: [
        { id: "bc", sources: ["b"], targets: ["c"], labels: [{ text: "x", width: 9, height: 9 }] },
        { id: "cd", sources: ["c"], targets: ["d"] },
      ],
    });
  }

  place(graph: ElkNode): Promise<ElkNode> {
    return this.#elk.layout(graph);
  }
}
