/** Announces changes to screen readers: the latest message, at most once per interval. */
export class Announcer {
  readonly element: HTMLElement;
  readonly #interval: number;
  #next = "";
  #last = Number.NEGATIVE_INFINITY;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** @param interval Milliseconds between two messages; of those in between, only the newest is announced */
  constructor(interval: number) {
    this.#interval = interval;
    this.element = document.createElement("div");
    this.element.className = "visually-hidden";
    this.element.setAttribute("role", "status");
    this.element.setAttribute("aria-live", "polite");
  }

  say(text: string): void {
    this.#next = text;
    if (this.#timer !== undefined) return;
    const wait = Math.max(0, this.#last + this.#interval - performance.now());
    this.#timer = setTimeout(() => this.#tell(), wait);
  }

  /** Announces at once, for what can't wait, such as the end of a run. */
  sayNow(text: string): void {
    this.#next = text;
    clearTimeout(this.#timer);
    this.#tell();
  }

  #tell(): void {
    this.#timer = undefined;
    this.#last = performance.now();
    this.element.textContent = this.#next;
  }
}
