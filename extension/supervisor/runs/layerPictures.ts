import { firstIssue } from "../../files/json.ts";
import {
  LAST,
  NO_PICTURES,
  PictureRow,
  PICTURES_FILE,
  type ShownPictures,
} from "../../protocol/layers/pictures.ts";
import { LineSample } from "./lineSample.ts";
import { Sample } from "./sampledRows.ts";

/** Rows kept, between this and twice as many: each may have 90 KB. */
const ROWS = 60;
/** Most characters of a row: the file may be anyone's. */
const LONGEST = 1 << 17;

/** Pictures of a run's layers, read from its directory in bounded time and memory. */
export class LayerPictures {
  readonly #lines: LineSample;
  #rows = new Sample<PictureRow>(ROWS);
  #last: PictureRow | undefined;
  #newest = -Infinity;
  /** Counts the times that earlier rows have changed. */
  #version = 0;
  #reading: Promise<void> | undefined;

  constructor(directory: string) {
    this.#lines = new LineSample(directory, PICTURES_FILE);
  }

  /**
   * The last pictures up to a step, or of all.
   * @param have Version and step of the view's pictures; the answer is null if they are current
   */
  async at(
    step: number,
    have: { version: number; step: number } = NO_PICTURES,
  ): Promise<ShownPictures | null> {
    await this.#refresh();
    const row = this.#find(step);
    if (have.version === this.#version && have.step === (row?.step ?? LAST)) return null;
    return { version: this.#version, ...(row === undefined ? {} : { row }) };
  }

  /** Without any up to the step, the first ones: a slider's first step may have none. */
  #find(step: number): PictureRow | undefined {
    const { rows } = this.#rows;
    const all = this.#last === undefined ? rows : [...rows, this.#last];
    return step === LAST ? all.at(-1) : (all.findLast((one) => one.step <= step) ?? all[0]);
  }

  /** Reads what is new; calls at the same time share one reading. */
  #refresh(): Promise<void> {
    this.#reading ??= this.#read().finally(() => (this.#reading = undefined));
    return this.#reading;
  }

  async #read(): Promise<void> {
    await this.#lines.read(
      (line, sampled) => this.#take(line, sampled),
      () => {
        this.#version++;
        this.#rows = new Sample(ROWS);
        this.#last = undefined;
        this.#newest = -Infinity;
      },
    );
  }

  #take(line: string, sampled: boolean): void {
    const row = line.length > LONGEST ? undefined : parsed(line);
    if (row === undefined) return;
    // The training was resumed from an earlier step, or rolled back to one: later rows don't count.
    if (row.step <= this.#newest) {
      this.#rows.cut(row.step - 1);
      this.#version++;
    }
    this.#newest = row.step;
    this.#last = sampled ? undefined : row;
    if (sampled) this.#rows.push(row);
  }
}

function parsed(line: string): PictureRow | undefined {
  try {
    const row = firstIssue(PictureRow, JSON.parse(line));
    return row.success ? row.output : undefined;
  } catch {
    return undefined;
  }
}
