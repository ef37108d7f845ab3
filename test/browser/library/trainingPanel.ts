import type { Frame } from "playwright-core";
import { until } from "../../harness.ts";
import { assertUnbroken } from "../../runDirectories.ts";
import type { Workbench } from "./workbench.ts";

/** The training panel of a window, as a user reads it. */
export class TrainingPanel {
  readonly frame: Frame;

  private constructor(frame: Frame) {
    this.frame = frame;
  }

  static async of(workbench: Workbench, limit = 30_000): Promise<TrainingPanel> {
    return new TrainingPanel(await workbench.webview("training", limit));
  }

  /** State of the run in words of the run record, such as "running". */
  async state(): Promise<string | null> {
    return this.frame.locator("[data-state]").first().getAttribute("data-state", { timeout: 2000 });
  }

  /** Id of the run that is shown. */
  async run(): Promise<string> {
    return this.frame.locator('li[title="Run"]').innerText({ timeout: 2000 });
  }

  async reaches(state: string, limit = 30_000): Promise<void> {
    await until(`state ${state} in the training panel`, async () => (await this.state()) === state, limit);
  }

  /** How many points the first curve has, by its description for screen readers. */
  async points(): Promise<number> {
    const label = await this.frame
      .locator('[aria-roledescription="chart"]')
      .first()
      .getAttribute("aria-label", { timeout: 2000 });
    const count = /([\d,]+) points/.exec(label ?? "")?.[1];
    return Number(count?.replaceAll(",", "") ?? 0);
  }

  async hasPoints(atLeast: number, limit = 30_000): Promise<number> {
    return until(
      `${atLeast} points on the curve`,
      async () => {
        const points = await this.points();
        return points >= atLeast && points;
      },
      limit,
    );
  }

  /** Share of the first chart's pixels that are drawn on: curves, axes, grid. */
  async ink(): Promise<number> {
    return this.frame.evaluate(() => {
      const canvas = document.querySelector<HTMLCanvasElement>(".plot canvas");
      const pixels = canvas?.getContext("2d")?.getImageData(0, 0, canvas.width, canvas.height).data;
      if (!pixels) return 0;
      let drawn = 0;
      for (let index = 3; index < pixels.length; index += 4) if (pixels[index] !== 0) drawn += 1;
      return (drawn * 4) / pixels.length;
    });
  }

  /**
   * The epochs that the table of values lists, the first one first: the last two hundred. A panel that was just opened
   * still moves while its sections arrive, so a click may miss: waits are short, and the next poll clicks again.
   */
  async epochs(): Promise<number[]> {
    const soon = { timeout: 2000 };
    const table = this.frame.locator(".by-epoch");
    if ((await table.getAttribute("open", soon)) === null) await table.locator("summary").click(soon);
    await table.locator("tbody tr").first().waitFor(soon);
    const cells = await table.locator("tbody tr > :first-child").allInnerTexts();
    return cells.map((text) => Number(text.replaceAll(",", ""))).reverse();
  }

  /** Once the table lists every epoch up to one after `later`, each once: answers the last one. */
  async hasAllEpochs(later = 0): Promise<number> {
    const epochs = await until(`all epochs, to one after ${later}`, async () => {
      const shown = await this.epochs();
      const [first = 0, last = 0] = [shown[0], shown.at(-1)];
      // The table has the last two hundred.
      const from = Math.max(1, last - 199);
      if (first !== from) throw new Error(`it shows ${shown.join()}, ${await this.points()} points`);
      return last > later && shown;
    });
    assertUnbroken(epochs, "epoch");
    return epochs.at(-1)!;
  }

  async press(label: string): Promise<void> {
    await this.frame.locator(`vscode-button[aria-label="${label}"]`).first().click();
  }

  text(): Promise<string> {
    return this.frame.locator("main").innerText();
  }
}
