import { basename } from "node:path";
import { EngineError } from "../../protocol/errors.ts";
import type { TensorRow, TensorSnapshot } from "../../protocol/tensorFile.ts";
import type { TensorStatistics, TensorValues, TensorWindow } from "../../protocol/tensorValues.ts";
import type { EngineOptions } from "../../supervisor/engines/process.ts";
import { TensorFileReader } from "../../supervisor/engines/tensorFile.ts";
import type { ViewedTensor } from "./tensorPanel.ts";

/** A tensor of a file by its name, which a process reads while it is shown. */
export class FileTensor implements ViewedTensor {
  readonly #file: string;
  readonly #name: string;
  readonly #reader: TensorFileReader;

  constructor(file: string, name: string, engine: () => EngineOptions) {
    this.#file = file;
    this.#name = name;
    this.#reader = new TensorFileReader(file, engine, () => undefined);
  }

  async snapshot(): Promise<TensorSnapshot> {
    const { dtype, shape } = (await this.#find()).row;
    return { name: this.#name, from: basename(this.#file), dtype, shape, file: this.#file };
  }

  async statistics(): Promise<TensorStatistics | null> {
    return (await this.#reader.statistics((await this.#find()).index)) ?? null;
  }

  async window(window: TensorWindow): Promise<TensorValues> {
    return this.#reader.window((await this.#find()).index, window);
  }

  release(): void {
    this.#found = undefined;
    void this.#reader.release();
  }

  #found: Promise<{ row: TensorRow; index: number }> | undefined;

  /** Its place in the file as it is now. */
  #find(): Promise<{ row: TensorRow; index: number }> {
    if (this.#found !== undefined) return this.#found;
    const found = this.#search();
    this.#found = found;
    // Tried again with the next call: the file may be complete by then.
    found.catch(() => {
      if (this.#found === found) this.#found = undefined;
    });
    return found;
  }

  async #search(): Promise<{ row: TensorRow; index: number }> {
    const { tensors } = await this.#reader.open();
    const index = tensors.findIndex(({ name }) => name === this.#name);
    const row = tensors[index];
    if (row !== undefined) return { row, index };
    throw new EngineError({
      code: "file",
      message: `${basename(this.#file)} has no tensor ${JSON.stringify(this.#name)}.`,
    });
  }
}
