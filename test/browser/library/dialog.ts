import type { Page } from "playwright-core";
import { until } from "../../harness.ts";
import { patience } from "../../patience.ts";

/** Accepts VS Code's dialog for a file: what it offers, or a `file` that exists. Returns once the dialog has gone. */
export async function acceptFile(page: Page, file?: string, limit = 30_000): Promise<void> {
  const widget = page.locator(".quick-input-widget");
  const accept = widget.getByRole("button", { name: /^(OK|Compare|Save|Open)$/ });
  await accept.waitFor({ timeout: patience(limit) });
  await until("the end of the dialog", async () => {
    // It may take longer to go than the last look at it.
    if (await widget.isHidden()) return true;
    // It writes its folder over what is typed before it has listed that.
    if (file !== undefined) await widget.locator("input.input").fill(file, { timeout: 2000 });
    await accept.click({ timeout: 2000 });
    return widget.waitFor({ state: "hidden", timeout: 2000 }).then(() => true);
  });
}
