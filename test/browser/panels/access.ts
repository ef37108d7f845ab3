/** Checks of a panel for users without a mouse, or with reduced motion. */
import type { Page } from "playwright-core";

/** More keys than any panel needs. */
const KEYS = 500;

interface Access {
  /** Elements that the Tab key should reach, with their names. */
  wanted: Map<Element, string>;
  reached: Set<Element>;
  /** The previously focused element, and its look with the focus. */
  last: { element: Element; look: string } | undefined;
}
type AccessPage = typeof globalThis & { access: Access; look: (element: Element) => string };

/** Runs in the page. */
function begin(): void {
  const global = globalThis as AccessPage;
  const visible = (element: Element): boolean =>
    element.checkVisibility({ checkVisibilityCSS: true }) && element.getClientRects().length > 0;
  const named = (element: Element): string =>
    `<${element.tagName.toLowerCase()} class="${element.getAttribute("class") ?? ""}"> ${
      element.getAttribute("aria-label") ?? element.textContent?.trim().slice(0, 40) ?? ""
    }`;
  const all = document.body.querySelectorAll<HTMLElement>(
    "a[href], button, input, select, textarea, summary, [tabindex], [role=button], [role=link]",
  );
  // The Tab key reaches one element of a group of radio buttons, and of a grid.
  const grouped = "vscode-radio, [role=gridcell], [role=option], [role=radio]";
  const wanted = [...all].filter(
    (element) =>
      visible(element) &&
      // The toolkit's, for forms.
      element.slot !== "form-associated-proxy" &&
      !element.matches(":disabled, [disabled], [aria-disabled=true]") &&
      !(element.matches(grouped) && element.tabIndex < 0) &&
      !element.matches("input[type=radio]:not(:checked)") &&
      element.getAttribute("tabindex") !== "-1",
  );
  global.access = {
    wanted: new Map(wanted.map((element) => [element, named(element)])),
    reached: new Set(),
    last: undefined,
  };
  // All that may look different with the focus: the element, its content, its shadow, its ancestors.
  global.look = (element) =>
    [
      element.parentElement,
      element,
      ...element.querySelectorAll("*"),
      ...(element.shadowRoot?.querySelectorAll("*") ?? []),
    ]
      .flatMap((one) => (one === null ? [] : [one, one]))
      .slice(0, 80)
      .map((one, i) => {
        const style = getComputedStyle(one, i % 2 === 0 ? undefined : "::before");
        const { outline, boxShadow, borderColor, backgroundColor, stroke, strokeWidth, textDecoration } =
          style;
        return [outline, boxShadow, borderColor, backgroundColor, stroke, strokeWidth, textDecoration].join();
      })
      .join("\n");
  (document.activeElement as HTMLElement | null)?.blur();
}

/** Runs in the page after a press of Tab: whether it is around, and the last element if its focus is invisible. */
function next(): { around: boolean; unseen?: string } {
  const { access, look } = globalThis as AccessPage;
  const { activeElement: active } = document;
  const { last } = access;
  const unseen =
    last !== undefined && last.element.isConnected && look(last.element) === last.look
      ? (access.wanted.get(last.element) ?? last.element.outerHTML.slice(0, 100))
      : undefined;
  // Between the last element and the first, the page itself has it.
  const outside = active === null || active === document.body;
  const around = !outside && access.reached.has(active);
  access.last = outside || around ? undefined : { element: active, look: look(active) };
  if (!outside) access.reached.add(active);
  return { around, ...(unseen === undefined ? {} : { unseen }) };
}

/** Runs in the page. */
function missed(): string[] {
  const { wanted, reached } = (globalThis as AccessPage).access;
  return [...wanted].flatMap(([element, name]) =>
    // The toolkit's elements have the focus inside of them, and a label its input.
    reached.has(element) || [...reached].some((one) => one.contains(element)) || !element.isConnected
      ? []
      : [name],
  );
}

/** Elements that the Tab key alone can't reach, and those that don't show the focus. */
export async function keyboardProblems(page: Page): Promise<string[]> {
  await page.evaluate(begin);
  const problems: string[] = [];
  for (let key = 0; ; key++) {
    await page.keyboard.press("Tab");
    const { around, unseen } = await page.evaluate(next);
    if (unseen !== undefined) problems.push(`the focus can't be seen on ${unseen}`);
    if (around) break;
    if (key === KEYS) return [`the Tab key doesn't come around in ${KEYS} presses`];
  }
  const unreached = await page.evaluate(missed);
  return [...problems, ...unreached.map((name) => `the Tab key doesn't come to ${name}`)];
}

/** Elements that move by themselves. */
export function motions(page: Page): Promise<string[]> {
  return page.evaluate(() => {
    const roots = [
      document,
      ...[...document.querySelectorAll("*")].flatMap(({ shadowRoot }) => shadowRoot ?? []),
    ];
    return roots
      .flatMap((root) => root.getAnimations())
      .filter(
        ({ playState, effect }) =>
          playState === "running" && Number(effect?.getComputedTiming().duration) > 0,
      )
      .map((animation) =>
        "animationName" in animation ? String(animation.animationName) : animation.id || "a transition",
      );
  });
}
