/** The host's data on a run's layers, kept up to date. */
import type { LayerHistoryMethods, LayerValues } from "../../../extension/protocol/layers/history.ts";
import { LayerHistory } from "./layerColumns.ts";

export class LayerSource {
  /** Undefined until the host has answered; without columns if the run has none. */
  history: LayerHistory | undefined;
  /** Of the selected layer, and until they arrive of the one before it. */
  values: LayerValues | undefined;
  readonly #host: LayerHistoryMethods;
  readonly #changed: () => void;
  #selected: string | undefined;
  /** Incremented when answers under way become obsolete. */
  #turn = 0;
  #asking = false;

  /** @param changed Called when {@link history} or {@link values} has changed */
  constructor(host: LayerHistoryMethods, changed: () => void) {
    this.#host = host;
    this.#changed = changed;
  }

  /** Drops everything when another run is shown. */
  reset(): void {
    this.#turn++;
    this.#asking = false;
    this.history = undefined;
    this.values = undefined;
    this.#selected = undefined;
  }

  /** Requests new columns. */
  async refresh(): Promise<void> {
    if (this.#asking) return;
    this.#asking = true;
    const turn = this.#turn;
    try {
      const history = this.history ?? new LayerHistory();
      const columns = await this.#host.layers(history.known);
      if (turn !== this.#turn) return;
      const first = this.history === undefined;
      this.history = history;
      const changed = columns !== null && columns !== undefined && history.add(columns);
      if (changed || first) this.#changed();
      if (changed) await this.#look();
    } finally {
      if (turn === this.#turn) this.#asking = false;
    }
  }

  /** Requests the values of a layer. */
  async select(path: string | undefined): Promise<void> {
    if (path === this.#selected) return;
    this.#selected = path;
    if (path === undefined) this.values = undefined;
    await this.#look();
  }

  async #look(): Promise<void> {
    const [path, turn] = [this.#selected, this.#turn];
    if (path === undefined) return;
    const values = await this.#host.layerValues(path);
    if (turn !== this.#turn || path !== this.#selected) return;
    this.values = values ?? undefined;
    this.#changed();
  }
}
