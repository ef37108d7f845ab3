/** Loads the visible values of a slice, in blocks. */
import type { TensorValues, TensorWindow } from "../../extension/protocol/tensorValues.ts";
import type { Slice } from "./slice.ts";

export const BLOCK_ROWS = 64;
export const BLOCK_COLUMNS = 32;
/** Most blocks in the cache: 200,000 values. */
const MOST_BLOCKS = 100;

type Load = (window: TensorWindow) => Promise<TensorValues>;

export class Blocks {
  readonly #load: Load;
  readonly #changed: () => void;
  readonly #failed: (error: unknown) => void;
  readonly #known = new Map<string, TensorValues | "loading" | "failed">();
  #slice: Slice = { rowAxis: -1, columnAxis: -1, at: [] };
  #prefix = "";

  constructor(load: Load, changed: () => void, failed: (error: unknown) => void) {
    this.#load = load;
    this.#changed = changed;
    this.#failed = failed;
  }

  /** Shows another slice; blocks of the one before are kept for a while. */
  show(slice: Slice): void {
    this.#slice = slice;
    const { rowAxis, columnAxis, at } = slice;
    const fixed = at.map((index, i) => (i === rowAxis || i === columnAxis ? "" : index));
    this.#prefix = `${rowAxis} ${columnAxis} ${fixed.join()}`;
  }

  clear(): void {
    this.#known.clear();
  }

  /** Failed blocks are loaded again when they are visible again. */
  retry(): void {
    for (const [key, block] of this.#known) if (block === "failed") this.#known.delete(key);
  }

  /** Returns a value, or undefined and starts loading it. */
  value(row: number, column: number): number | string | undefined {
    const [i, j] = [Math.floor(row / BLOCK_ROWS), Math.floor(column / BLOCK_COLUMNS)];
    const key = `${this.#prefix} ${i} ${j}`;
    const block = this.#known.get(key);
    if (block === undefined) void this.#fetch(key, i, j);
    if (typeof block !== "object") return undefined;
    return block.values[(row - i * BLOCK_ROWS) * block.columns + column - j * BLOCK_COLUMNS];
  }

  async #fetch(key: string, i: number, j: number): Promise<void> {
    this.#known.set(key, "loading");
    for (const old of this.#known.keys()) {
      if (this.#known.size <= MOST_BLOCKS) break;
      this.#known.delete(old);
    }
    try {
      const values = await this.#load({
        ...this.#slice,
        row: i * BLOCK_ROWS,
        rows: BLOCK_ROWS,
        column: j * BLOCK_COLUMNS,
        columns: BLOCK_COLUMNS,
      });
      this.#known.set(key, values);
      this.#changed();
    } catch (error) {
      // Retrying at once could fail forever.
      this.#known.set(key, "failed");
      this.#failed(error);
    }
  }
}
