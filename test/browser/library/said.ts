import type { Frame, Page } from "playwright-core";

/** Characters of a panel's text that a failed test prints. */
const SAID = 300;

/** The beginning of what each panel and notification says: a log of failed tests has no pictures. */
export async function said(page: Page): Promise<string[]> {
  const texts = (frame: Frame, selector: string): Promise<string[]> =>
    frame.locator(selector).evaluateAll((all) => all.map((one) => (one as HTMLElement).innerText ?? ""));
  const panels = page.frames().filter((frame) => frame.url().includes("/fake.html"));
  const all = await Promise.all([
    texts(page.mainFrame(), ".notification-list-item-message"),
    ...panels.map((frame) => texts(frame, "body").catch(() => [])),
  ]);
  return all.flat().flatMap((text) => text.replaceAll(/\s+/g, " ").trim().slice(0, SAID) || []);
}
