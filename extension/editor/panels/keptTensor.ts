import * as vscode from "vscode";
import { EngineError, toUserError } from "../../protocol/errors.ts";
import type { TensorSnapshot } from "../../protocol/tensorFile.ts";
import type {
  OpenTensor,
  TensorStatistics,
  TensorValues,
  TensorWindow,
} from "../../protocol/tensorValues.ts";
import type { ViewedTensor } from "./tensorPanel.ts";

/** The session that keeps a tensor; its answers are undefined when the tensor is gone. */
interface Keeper {
  statistics(id: number): Promise<TensorStatistics | undefined>;
  window(id: number, window: TensorWindow): Promise<TensorValues | undefined>;
}

/** A tensor that the process of a session keeps. */
export class KeptTensor implements ViewedTensor {
  readonly #of: Pick<TensorSnapshot, "name" | "from">;
  readonly #keeper: Keeper;
  readonly #again: (() => Promise<OpenTensor | undefined>) | undefined;
  #open: OpenTensor;
  #opening: Promise<void> | undefined;

  /** @param again Computes the tensor again when the process no longer has it, where that gives the same values */
  constructor(
    of: Pick<TensorSnapshot, "name" | "from">,
    keeper: Keeper,
    open: OpenTensor,
    again?: () => Promise<OpenTensor | undefined>,
  ) {
    this.#of = of;
    this.#keeper = keeper;
    this.#open = open;
    this.#again = again;
  }

  snapshot(): Promise<TensorSnapshot> {
    const { dtype, shape, axes } = this.#open;
    return Promise.resolve({ ...this.#of, dtype, shape, ...(axes === undefined ? {} : { axes }) });
  }

  statistics(): Promise<TensorStatistics> {
    return this.#ask((id) => this.#keeper.statistics(id));
  }

  window(window: TensorWindow): Promise<TensorValues> {
    return this.#ask((id) => this.#keeper.window(id, window));
  }

  async #reopen(again: () => Promise<OpenTensor | undefined>): Promise<void> {
    this.#open = (await again()) ?? this.#open;
  }

  async #ask<T>(question: (id: number) => Promise<T | undefined>): Promise<T> {
    const { id } = this.#open;
    const answer = await question(id).catch(async (error: unknown) => {
      if (this.#again === undefined || toUserError(error).code !== "index") throw error;
      // Another request may have opened it meanwhile.
      if (this.#open.id === id)
        await (this.#opening ??= this.#reopen(this.#again).finally(() => (this.#opening = undefined)));
      return question(this.#open.id);
    });
    if (answer !== undefined) return answer;
    throw new EngineError({
      code: "cancelled",
      message: vscode.l10n.t(
        "The sample that this tensor is from is no longer loaded. View the tensor again from its sample.",
      ),
    });
  }
}
