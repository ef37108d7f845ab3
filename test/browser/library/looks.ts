/** How a panel looks: in each theme, and narrow. */
import assert from "node:assert/strict";
import type { Frame, Page } from "playwright-core";
import { until } from "../../harness.ts";
import { accessibilityProblems, NARROW_RULES } from "./accessibility.ts";
import { THEMES, type Workbench } from "./workbench.ts";

/** Pixels of a panel beside a text, in a small window. */
const NARROW = 380;

/**
 * Checks and pictures of a panel in each theme, and narrow in the window's own; parts that themes don't change are
 * checked in the first. `frame` is the panel's.
 */
export async function looks(workbench: Workbench, frame: Frame, name: string): Promise<void> {
  await workbench.inThemes(THEMES, async () => {
    await workbench.screenshot(name);
    const rules = workbench.theme === THEMES[0] ? undefined : "colours";
    assert.deepEqual(await accessibilityProblems(frame, rules), [], workbench.theme);
  });
  await whileNarrow(workbench, async () => {
    await workbench.screenshot(`${name}-narrow`);
    assert.deepEqual(await overflowing(frame), [], "narrow");
    assert.deepEqual(await accessibilityProblems(frame, NARROW_RULES), [], "narrow");
  });
}

/** Looks at the window when it is so narrow that the shown panel has {@link NARROW} pixels. */
async function whileNarrow({ page, panel }: Workbench, look: () => Promise<void>): Promise<void> {
  const size = page.viewportSize()!;
  let { width } = size;
  await until(`a panel of ${NARROW} px`, async () => {
    const shown = (await panel.boundingBox())?.width ?? 0;
    if (Math.abs(shown - NARROW) < 10) return true;
    // A group beside it becomes narrower too.
    width += Math.round(NARROW - shown);
    await page.setViewportSize({ ...size, width });
    return false;
  });
  await look();
  await page.setViewportSize(size);
}

/** Elements that overflow a page at its right, outermost first; not those that scroll or are cut in another element. */
export function overflowing(page: Frame | Page): Promise<string[]> {
  return page.evaluate(() => {
    const { clientWidth, scrollWidth } = document.documentElement;
    const cut = (element: Element | null): boolean =>
      element !== null &&
      element !== document.body &&
      element !== document.documentElement &&
      (getComputedStyle(element).overflowX !== "visible" || cut(element.parentElement));
    const found: string[] = [];
    for (const element of document.body.querySelectorAll("*")) {
      const { right, width, height } = element.getBoundingClientRect();
      if (width <= 1 || height <= 1 || right <= clientWidth + 1 || cut(element.parentElement)) continue;
      const name = element.getAttribute("class") ?? "";
      found.push(`${element.localName}.${name} ends at ${Math.round(right)} of ${clientWidth} px`);
    }
    if (found.length === 0 && scrollWidth > clientWidth)
      found.push(`the page is ${scrollWidth} px wide in a window of ${clientWidth} px`);
    return found.slice(0, 5);
  });
}
