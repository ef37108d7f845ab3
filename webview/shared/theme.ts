/** The editor's colours for canvases, which CSS can't style. Everything else uses `var(--vscode-…)`. */

/** The current value of the first of these variables, such as "--vscode-charts-blue", that the theme defines. */
export function themeValue(...names: [string, ...string[]]): string {
  const style = getComputedStyle(document.documentElement);
  for (const name of names) {
    const value = style.getPropertyValue(name).trim();
    if (value) return value;
  }
  return "";
}

/** `colour` at `share` (0 to 1) of its opacity. */
export function translucent(colour: string, share: number): string {
  return `color-mix(in srgb, ${colour} ${Math.round(share * 100)}%, transparent)`;
}

export const isHighContrast = (): boolean =>
  document.body.dataset["vscodeThemeKind"]?.startsWith("vscode-high-contrast") ?? false;

/** Calls `listener` when VS Code changes theme, font or contrast, which rewrites the root's style and the body's class. */
export function onThemeChange(listener: () => void): void {
  let scheduled = false;
  const observer = new MutationObserver(() => {
    if (scheduled) return;
    scheduled = true;
    requestAnimationFrame(() => {
      scheduled = false;
      listener();
    });
  });
  observer.observe(document.documentElement, { attributes: true, attributeFilter: ["style"] });
  observer.observe(document.body, {
    attributes: true,
    attributeFilter: ["class", "data-vscode-theme-id", "data-vscode-theme-kind"],
  });
}
