/** Tells screen readers what changes, without drowning them: the latest message at most once per interval. */
export class Announcer {
  readonly element: HTMLElement;
  readonly #interval: number;
  #next = "";
  #last = Number.NEGATIVE_INFINITY;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** `interval` in milliseconds between two messages; only the newest that came meanwhile is told. */
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

  /** For what can't wait, such as the end of a run. */
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
