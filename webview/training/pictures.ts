/** Pictures that a training has drawn: the newest one while it runs, or the chosen one. */
import type { nothing, TemplateResult } from "lit";
import type { Picture, TrainingHostMethods } from "../../extension/protocol/views.ts";
import { pictureSeries } from "../shared/pictures.ts";
import type { TrainingState } from "./state.ts";

type Host = Pick<TrainingHostMethods, "pictures" | "picture">;

/** Pictures that are kept: their files may be large. */
const MOST_FETCHED = 50;

export class PicturesSection {
  readonly #host: Host;
  readonly #redraw: () => void;
  #run = "";
  /** The run with its end, if it has ended: of an imported run that is followed, both change. */
  #state = "";
  #pictures: readonly Picture[] = [];
  /** The chosen picture; undefined follows the newest. */
  #chosen: number | undefined;
  #fetched = new Map<string, string>();
  readonly #failed = new Set<string>();
  #reading = false;
  /** The run has ended and its pictures are known. */
  #complete = false;
  /** Where the run was when its newest picture was read: the same file may be drawn again in an epoch. */
  #step = -1;

  constructor(host: Host, redraw: () => void) {
    this.#host = host;
    this.#redraw = redraw;
  }

  /** Reads what is new; of an ended run once. */
  async refresh({ run: { id, step, endedAt }, live, progress }: TrainingState): Promise<void> {
    if (id !== this.#run) {
      this.#run = id;
      this.#pictures = [];
      this.#chosen = undefined;
      this.#fetched.clear();
    }
    const runState = `${id} ${live ? "" : (endedAt ?? "")}`;
    if (runState !== this.#state) {
      this.#state = runState;
      this.#complete = false;
      this.#step = -1;
    }
    const now =
      progress === undefined ? step : progress.stepsPerEpoch * progress.epoch + progress.stepInEpoch;
    if (this.#reading || this.#complete || (live && now === this.#step)) return;
    this.#reading = true;
    try {
      const pictures = (await this.#host.pictures()) ?? [];
      // The next call reads them as they are then.
      if (runState !== this.#state) return;
      this.#pictures = pictures;
      this.#step = now;
      this.#complete = !live;
      await this.#fetch(true);
    } finally {
      this.#reading = false;
    }
  }

  get #index(): number {
    return Math.min(this.#chosen ?? Number.POSITIVE_INFINITY, this.#pictures.length - 1);
  }

  /** Reads the shown picture. The newest is shown as it was until then, when it may have been drawn again. */
  async #fetch(again = false): Promise<void> {
    const wanted = this.#pictures[this.#index];
    const run = this.#run;
    const isNewest = this.#index === this.#pictures.length - 1;
    if (wanted !== undefined && ((again && isNewest) || !this.#fetched.has(wanted.file))) {
      const png = await this.#host.picture(wanted.file).catch((error: unknown) => {
        // Reported once: a live training's pictures are read repeatedly.
        if (this.#failed.has(wanted.file)) return "";
        this.#failed.add(wanted.file);
        this.#redraw();
        throw error;
      });
      if (run !== this.#run) return;
      if (this.#fetched.size >= MOST_FETCHED) this.#fetched.delete([...this.#fetched.keys()][0]!);
      this.#fetched.set(wanted.file, png);
    }
    this.#redraw();
  }

  view(): TemplateResult | typeof nothing {
    return pictureSeries({
      pictures: this.#pictures,
      index: this.#index,
      fetched: this.#fetched,
      onMove: (index) => {
        this.#chosen = index === this.#pictures.length - 1 ? undefined : index;
        this.#redraw();
        // A failure is shown as a missing picture, whose name and epoch stay.
        this.#fetch().catch(() => undefined);
      },
    });
  }
}
