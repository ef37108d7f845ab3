import type { Locator, Page } from "playwright-core";
import { until } from "../../harness.ts";
import { patience } from "../../patience.ts";

/** The command palette of a window, and the lists and boxes that its commands open. */
export class QuickInput {
  readonly #page: Page;

  constructor(page: Page) {
    this.#page = page;
  }

  /**
   * Opens the command palette with a text in it. A notification, or a view that takes the focus, may swallow F1 or close the
   * palette at any moment: then it is opened again.
   */
  async #openPalette(text: string): Promise<Locator> {
    const widget = this.#page.locator(".quick-input-widget");
    const input = widget.locator("input.input");
    await until(
      `the command palette with "${text}"`,
      async () => {
        await this.#page.keyboard.press("F1");
        await input.fill(text, { timeout: 2000 });
        return widget
          .locator(".monaco-list-row")
          .first()
          .waitFor({ timeout: 5000 })
          .then(() => true);
      },
      30_000,
    );
    return widget;
  }

  /** Runs a command by its title. */
  async command(title: string): Promise<void> {
    const widget = await until(
      `the command ${title}`,
      async () => {
        const palette = await this.#openPalette(`>${title}`);
        await palette.locator(".monaco-list-row", { hasText: title }).first().click({ timeout: 5000 });
        return palette;
      },
      60_000,
    );
    // Another notification may have taken its place.
    const input = widget.locator("input.input");
    await until(
      `the palette to be gone, or to ask on, after "${title}"`,
      async () => (await widget.isHidden()) || (await input.inputValue({ timeout: 500 })) !== `>${title}`,
    );
  }

  /**
   * Takes steps that answer lists and boxes, such as {@link choose} and {@link accept}, until each was answered. VS Code
   * closes a list that loses the focus, as when a panel or another list opens: then the first step opens it again.
   */
  async answer(what: string, steps: () => Promise<unknown>): Promise<void> {
    await until(what, () => steps().then(() => true), 60_000);
  }

  /** An entry of the list that is open. */
  entry(text: string): Locator {
    return this.#page.locator(".quick-input-widget .monaco-list-row", { hasText: text }).first();
  }

  /** Chooses an entry of the list that is open or about to open. */
  async choose(text: string): Promise<void> {
    await this.entry(text).click({ timeout: patience(5000) });
  }

  /** Accepts the value that a box proposes. */
  async accept(value: string): Promise<void> {
    const input = this.#page.locator(".quick-input-widget input.input");
    await until(
      `the proposed ${value}`,
      async () => (await input.inputValue({ timeout: 2000 })) === value,
      5000,
    );
    await input.press("Enter", { timeout: 2000 });
  }

  /** The box that asks for a secret. */
  get secret(): Locator {
    return this.#page.locator(".quick-input-widget input.input[type=password]");
  }

  /** Types a secret into the box that is open or about to open. */
  async enterSecret(text: string): Promise<void> {
    await this.secret.fill(text, { timeout: patience(5000) });
    await this.secret.press("Enter", { timeout: 2000 });
  }

  /** Whether the palette offers a command of exactly this label, such as "Layerwise: Train". */
  async offers(label: string): Promise<boolean> {
    const widget = await this.#openPalette(`>${label}`);
    const rows = await widget.locator(".monaco-list-row .label-name").allInnerTexts();
    await this.#page.keyboard.press("Escape");
    return rows.some((row) => row.trim() === label);
  }
}
