/** The pictures of a run's layers that the host has sent: those of one step. */
import {
  LAST,
  NO_PICTURES,
  pictureValues,
  type LayerPicture,
  type LayerPictureMethods,
  type PictureRow,
} from "../../../extension/protocol/layers/pictures.ts";

export class PictureSource {
  /** Undefined until the host has answered, and for runs without any. */
  row: PictureRow | undefined;
  /** Increases with each change. */
  version = 0;
  readonly #host: LayerPictureMethods;
  readonly #changed: () => void;
  readonly #values = new WeakMap<LayerPicture, Float32Array | undefined>();
  #have: { version: number; step: number } = NO_PICTURES;
  #wanted: number = LAST;
  #asking = false;
  /** Incremented when an answer under way becomes obsolete. */
  #turn = 0;

  /** @param changed Called when {@link row} has changed */
  constructor(host: LayerPictureMethods, changed: () => void) {
    this.#host = host;
    this.#changed = changed;
  }

  /** Drops everything when another run is shown. */
  reset(): void {
    this.#turn++;
    this.#asking = false;
    this.#have = NO_PICTURES;
    this.row = undefined;
    this.version++;
  }

  /** Requests the pictures of a step, or again those of the one that was wanted; undefined follows the end. */
  async show(step: number | undefined): Promise<void> {
    this.#wanted = step ?? LAST;
    // The answer under way is followed by this request.
    if (this.#asking) return;
    this.#asking = true;
    const turn = this.#turn;
    try {
      let wanted;
      do {
        wanted = this.#wanted;
        const shown = await this.#host.layerPictures(wanted, this.#have);
        if (turn !== this.#turn) return;
        if (shown !== null && shown !== undefined) {
          this.#have = { version: shown.version, step: shown.row?.step ?? LAST };
          this.row = shown.row;
          this.version++;
          this.#changed();
        }
      } while (wanted !== this.#wanted);
    } finally {
      if (turn === this.#turn) this.#asking = false;
    }
  }

  /** A layer's pictures; undefined where they are damaged. */
  of(path: string): { picture: LayerPicture; values: Float32Array } | undefined {
    const { row } = this;
    const picture = row && Object.hasOwn(row.layers, path) ? row.layers[path] : undefined;
    if (picture === undefined) return undefined;
    if (!this.#values.has(picture)) this.#values.set(picture, pictureValues(picture));
    const values = this.#values.get(picture);
    return values === undefined ? undefined : { picture, values };
  }
}
