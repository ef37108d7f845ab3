import type { Locator } from "playwright-core";
import { until } from "../../harness.ts";

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
      await choice.waitFor({ state: "detached", timeout: 1000 });
      return effect().then(() => true);
    },
    60_000,
  );
}
