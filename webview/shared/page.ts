/** The frame of a panel's page: draws its state, or in its place that it loads or why it can't be shown. */
import { render, type TemplateResult } from "lit";
import { Announcer } from "./announcer.ts";
import { everyFrame } from "./frame.ts";
import { loading } from "./widgets.ts";

export interface PageOptions<State> {
  /** Milliseconds between two announcements to screen readers. */
  announceEvery: number;
  /** Shown until there is a state. */
  loading: string;
  /** Requests the page's content from the host, and shows it. */
  load: () => Promise<void>;
  view: (state: State) => TemplateResult;
  /** Shown when `load` has failed. */
  failed: (error: unknown) => TemplateResult;
  /** Called after each drawing. */
  drawn?: () => void;
}

export class Page<State extends object> {
  readonly announcer: Announcer;
  /** Draws the page in the next frame. */
  readonly redraw = everyFrame(() => this.#draw());
  readonly #options: PageOptions<State>;
  readonly #root = document.createElement("main");
  #state: State | undefined;
  #failure: { error: unknown } | undefined;

  constructor(options: PageOptions<State>) {
    this.#options = options;
    this.announcer = new Announcer(options.announceEvery);
    document.body.append(this.#root, this.announcer.element);
    render(loading(options.loading), this.#root);
  }

  get state(): State | undefined {
    return this.#state;
  }

  /** Shows a state in place of the one before, or of a failure. */
  show(state: State): void {
    this.#failure = undefined;
    this.#state = state;
    this.redraw();
  }

  /** Changes the state; nothing happens until there is one. */
  change(part: Partial<State>): void {
    if (this.#state === undefined) return;
    this.#state = { ...this.#state, ...part };
    this.redraw();
  }

  async load(): Promise<void> {
    try {
      await this.#options.load();
    } catch (error) {
      this.#failure = { error };
      this.redraw();
    }
  }

  /** Loads the page again, from the beginning. */
  async retry(): Promise<void> {
    this.#failure = this.#state = undefined;
    this.redraw();
    await this.load();
  }

  #draw(): void {
    const { view, failed, drawn } = this.#options;
    if (this.#failure !== undefined) render(failed(this.#failure.error), this.#root);
    else render(this.#state ? view(this.#state) : loading(this.#options.loading), this.#root);
    if (this.#failure ?? this.#state) document.body.dataset["ready"] = "1";
    drawn?.();
  }
}
