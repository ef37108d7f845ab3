import { Worker } from "node:worker_threads";
import type { FlowLayout } from "../../protocol/flow.ts";
import type { LayoutRequest } from "../../protocol/preview.ts";
import { ours } from "../isolation/leftovers.ts";

export type LayoutAnswer = { places: FlowLayout } | { error: string };

/** Idle milliseconds after which the thread ends: it starts again faster than a panel's page loads. */
const IDLE = 60_000;

/** Lays out diagrams in a worker thread, which ends when it is idle. */
export class LayoutClient {
  #thread: Worker | undefined;
  readonly #waiting = new Map<number, (answer: LayoutAnswer) => void>();
  #asked = 0;
  #idle: NodeJS.Timeout | undefined;

  /** Starts the thread ahead of the first request. */
  warmUp(): void {
    this.#thread ??= this.#start();
    clearTimeout(this.#idle);
    const end = (): void => {
      if (this.#waiting.size > 0) return;
      void this.#thread?.terminate();
      this.#thread = undefined;
    };
    this.#idle = ours(() => setTimeout(end, IDLE).unref());
  }

  async layOut(request: LayoutRequest): Promise<FlowLayout> {
    this.warmUp();
    const id = this.#asked++;
    const answer = await new Promise<LayoutAnswer>((resolve) => {
      this.#waiting.set(id, resolve);
      this.#thread?.postMessage({ id, request }, []);
    });
    if ("error" in answer) throw new Error(answer.error);
    return answer.places;
  }

  #start(): Worker {
    const thread = ours(() => new Worker(new URL("./layoutThread.js", import.meta.url)));
    thread.unref();
    thread.on("message", ({ id, answer }: { id: number; answer: LayoutAnswer }) => {
      this.#waiting.get(id)?.(answer);
      this.#waiting.delete(id);
    });
    thread.on("error", (error) => {
      if (this.#thread === thread) this.#thread = undefined;
      for (const answer of this.#waiting.values()) answer({ error: String(error) });
      this.#waiting.clear();
    });
    return thread;
  }
}
