import type { Locator } from "playwright-core";
import { until } from "../../harness.ts";

/** Chooses from the menu of an item until `effect` shows: a menu that has just opened ignores clicks. */
export async function chooseFromMenu(
  item: Locator,
  entry: string,
  effect: () => Promise<unknown>,
): Promise<void> {
  const chosen = item.page().locator(".monaco-menu .action-item", { hasText: entry });
  await until(
    `effect of ${entry}`,
    async () => {
      if (!(await chosen.isVisible())) await item.click({ button: "right", timeout: 5000 });
      await chosen.click({ timeout: 5000 });
      return effect().then(() => true);
    },
    60_000,
  );
}
