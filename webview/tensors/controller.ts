/** A file's tensors in a page: requests them from the host, and values when they are shown. */
import type { BirpcReturn } from "birpc";
import type { UserError } from "../../extension/protocol/errors.ts";
import type { TensorsHostMethods, TensorsSnapshot } from "../../extension/protocol/views.ts";
import { messageOf } from "../shared/host.ts";
import type { Page } from "../shared/page.ts";
import { strings } from "../shared/strings.ts";
import type { Actions } from "./actions.ts";
import type { TensorsState, TensorsUi } from "./state.ts";

const text = strings.tensors;

export interface TensorsPage {
  host: BirpcReturn<TensorsHostMethods, object>;
  page: Pick<Page<object>, "announcer" | "redraw" | "retry">;
  /** The file, as the host has it now. */
  read: () => Promise<TensorsSnapshot>;
  /** Shows a file that was read. */
  show: (state: TensorsState) => void;
  /** Keeps the user's settings. */
  save: (ui: TensorsUi) => void;
}

export class TensorsController {
  state: TensorsState | undefined;
  readonly actions: Actions;
  readonly #options: TensorsPage;
  #ui: TensorsUi;

  constructor(options: TensorsPage, ui: TensorsUi) {
    this.#options = options;
    this.#ui = ui;
    this.actions = this.#makeActions();
  }

  /** Share done of the current request. */
  progress(share: number): void {
    this.change((now) => {
      if (now.work) now.work = { ...now.work, share };
    });
  }

  /** Reloads the file: its known values are obsolete. @throws the host's error for the file */
  async load(): Promise<void> {
    try {
      this.#show(await this.#options.read());
    } catch (error) {
      if (!isCancelled(error)) throw error;
    }
  }

  change(apply: (now: TensorsState) => void): void {
    if (!this.state) return;
    apply(this.state);
    this.#options.page.redraw();
  }

  /** Shows why a request failed. */
  reportFailure(call: Promise<void>): void {
    call.catch((error: unknown) => this.change((now) => (now.error = userError(error))));
  }

  #setUi(part: Partial<TensorsUi>): void {
    this.#ui = { ...this.#ui, ...part };
    this.#options.save(this.#ui);
    this.change((now) => (now.ui = this.#ui));
  }

  #show({ tensors, checkpoint, other }: TensorsSnapshot): void {
    this.state = {
      tensors,
      checkpoint,
      ui: this.#ui,
      statistics: new Map(),
      other,
      comparison: undefined,
      work: undefined,
      error: undefined,
    };
    this.#options.show(this.state);
    void this.#restoreValues(this.state);
  }

  /** Restores the comparison and the values of open tensors after a reload. */
  async #restoreValues({ tensors, other, ui }: TensorsState): Promise<void> {
    if (other !== undefined && !(await this.#compare())) return;
    const open = tensors.tensors.flatMap(({ name }, index) => (ui.open.includes(name) ? [index] : []));
    await this.#loadValues(open);
  }

  /** Runs one request at a time, since the host reads files one by one. Returns whether it completed. */
  async #work(what: string, run: () => Promise<void>): Promise<boolean> {
    const mine = this.state;
    if (!mine || mine.work) return false;
    this.change((now) => {
      now.work = { text: what, share: undefined };
      now.error = undefined;
    });
    let error: UserError | undefined;
    let done = false;
    try {
      await run();
      done = true;
    } catch (thrown) {
      if (!isCancelled(thrown)) error = userError(thrown);
    }
    // The file may have changed meanwhile.
    if (this.state === mine)
      this.change((now) => {
        now.work = undefined;
        now.error = error;
      });
    if (error) this.#options.page.announcer.sayNow(error.message);
    return done && this.state === mine;
  }

  /** Requests the values of tensors that were not shown yet. */
  async #loadValues(indices: readonly number[]): Promise<void> {
    for (const index of indices) {
      const name = this.state?.tensors.tensors[index]?.name;
      if (name === undefined || this.state?.statistics.has(index)) continue;
      const looked = await this.#work(text.looking(name), async () => {
        const mine = this.state;
        const found = await this.#options.host.statistics(index);
        if (this.state === mine)
          this.change((now) => (now.statistics = new Map([...now.statistics, [index, found]])));
      });
      if (!looked) return;
    }
  }

  #compare(): Promise<boolean> {
    return this.#work(text.comparing, async () => {
      const mine = this.state;
      const comparison = await this.#options.host.compare();
      if (this.state === mine) this.change((now) => (now.comparison = comparison));
    });
  }

  async #chooseAndCompare(): Promise<void> {
    const other = await this.#options.host.choose();
    if (other === null) return;
    this.change((now) => {
      now.other = other;
      now.comparison = undefined;
    });
    await this.#compare();
  }

  #makeActions(): Actions {
    const { host, page } = this.#options;
    return {
      setUi: (part) => this.#setUi(part),
      toggle: (index) => {
        const name = this.state?.tensors.tensors[index]?.name;
        if (name === undefined) return;
        const { open: shown } = this.#ui;
        const open = shown.includes(name);
        this.#setUi({ open: open ? shown.filter((one) => one !== name) : [...shown, name] });
        if (!open) void this.#loadValues([index]);
      },
      lookAtAll: () =>
        void this.#loadValues(this.state?.tensors.tensors.map((_tensor, index) => index) ?? []),
      compare: () => void this.#chooseAndCompare(),
      closeComparison: () => {
        this.change((now) => (now.comparison = now.other = undefined));
        void host.forget();
      },
      view: (index) => this.reportFailure(host.view(index)),
      evaluate: () => this.reportFailure(host.evaluate()),
      trainOn: () => this.reportFailure(host.trainOn()),
      cancel: () => void host.cancel(),
      dismiss: () => this.change((now) => (now.error = undefined)),
      retry: () => void page.retry(),
    };
  }
}

const isCancelled = (error: unknown): boolean =>
  typeof error === "object" && error !== null && "code" in error && error.code === "cancelled";

export const userError = (error: unknown): UserError => ({ code: "file", message: messageOf(error) });
