import type { Locator } from "playwright-core";
import { until } from "../../harness.ts";
import { patience } from "../../patience.ts";

/**
 * Chooses from the menu of an item until `effect` shows: VS Code ignores a click that comes too soon after its menu has
 * opened, and closes the menu when the tree is redrawn.
 */
export async function chooseFromMenu(
  item: Locator,
  entry: string,
  effect: () => Promise<unknown>,
): Promise<void> {
  const choice = item.page().getByRole("menuitem", { name: entry });
  await until(
    `effect of ${entry}`,
    async () => {
      if (!(await choice.isVisible())) await item.click({ button: "right", timeout: 5000 });
      await choice.click({ timeout: 1000 }).catch(() => undefined);
      // Its menu goes with a click that counts, later on a busy machine: a second click would be a second choice.
      await choice.waitFor({ state: "detached", timeout: patience(1000) });
      return effect().then(() => true);
    },
    60_000,
  );
}

/**
 * Clicks an item of a tree, or its button of this name, until `effect` shows. Rows are redrawn at each progress report,
 * and a click in that moment is lost.
 */
export async function clickItem(
  item: Locator,
  effect: () => Promise<unknown>,
  button?: string,
): Promise<void> {
  await until(
    "effect of the click on an item",
    async () => {
      if (button === undefined) await item.click({ timeout: 10_000 });
      // A button that is gone has had its effect, or its row is being redrawn.
      else if (await item.isVisible()) {
        await item.hover({ timeout: 10_000 });
        // At once: a busy machine may not find the button at rest before it is redrawn.
        await item.getByRole("button", { name: button }).click({ force: true, timeout: 2000 });
      }
      return effect().then(() => true);
    },
    60_000,
  );
}
