import type { SourcePosition } from "../../protocol/errors.ts";
import type { ValueReport } from "../../protocol/preview.ts";
import { allocate, type HostArray } from "../../tensor/core/dtype.ts";
import { numel } from "../../tensor/core/shape.ts";
import type { Value } from "../../tensor/recording/graph.ts";
import { runtime } from "../../tensor/recording/runtime.ts";
import { SITE, scope } from "../../tensor/recording/scope.ts";
import { userFrames } from "../host/stackTraces.ts";

/** Reads after which a forward is ended: a loop that waits for a value may never get it. */
const MOST_READS = 100;

/** Gives zeros to a forward that reads values, which a preview doesn't compute, so that it comes to its end. */
export class ValueReads {
  readonly #places = new Map<string, SourcePosition>();
  #assumed = 0;
  #complete = true;

  /** Runs `body`, in which models are called. */
  async watch(body: () => unknown): Promise<void> {
    runtime.standIn = (value, shapes) => this.#read(value, shapes);
    try {
      await body();
    } finally {
      runtime.standIn = undefined;
    }
  }

  /** Whether a forward was given zeros. */
  get assumed(): boolean {
    return this.#assumed > 0;
  }

  /**
   * Undefined if no forward read a value.
   * @param failed The zeros led to an error
   */
  report(failed: boolean): ValueReport | undefined {
    if (this.#places.size === 0) return undefined;
    return { places: [...this.#places.values()], complete: this.#complete && !failed };
  }

  #read(value: Value, shapes: boolean): HostArray | undefined {
    // A step that reads its loss has called the model.
    if (scope.depth === 0) return undefined;
    const [position] = userFrames(new Error(SITE));
    if (position !== undefined) this.#places.set(`${position.line} ${position.file}`, position);
    if (shapes || this.#assumed >= MOST_READS) {
      this.#complete = false;
      return undefined;
    }
    this.#assumed++;
    return allocate(value.dtype, numel(value.shape));
  }
}
