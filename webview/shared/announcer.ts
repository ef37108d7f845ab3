/** Announces changes to screen readers, politely: the latest messages, at most once per interval. */
export class Announcer {
  readonly element: HTMLElement;
  /** Milliseconds between two announcements. */
  interval: number;
  readonly #most: number;
  #next: string[] = [];
  #last = Number.NEGATIVE_INFINITY;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /**
   * @param interval Milliseconds between two announcements
   * @param most Messages of an interval that are announced together: the newest. Default 1
   */
  constructor(interval: number, most = 1) {
    this.interval = interval;
    this.#most = most;
    this.element = document.createElement("div");
    this.element.className = "visually-hidden";
    this.element.setAttribute("role", "status");
    this.element.setAttribute("aria-live", "polite");
  }

  say(text: string): void {
    if (!this.#next.includes(text)) this.#next.push(text);
    if (this.#next.length > this.#most) this.#next.shift();
    if (this.#timer !== undefined) return;
    const wait = Math.max(0, this.#last + this.interval - performance.now());
    this.#timer = setTimeout(() => this.#tell(), wait);
  }

  /** Announces urgent texts at once. */
  sayNow(text: string): void {
    this.cancel();
    this.#next.push(text);
    this.#tell();
  }

  /** Drops texts that were not announced yet. */
  cancel(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#next = [];
  }

  #tell(): void {
    this.#last = performance.now();
    const text = this.#next.join(" ");
    // Browsers and screen readers take the same text for no change.
    this.element.textContent = this.element.textContent === text ? `${text}\u00a0` : text;
    this.cancel();
  }
}
