import fs from "node:fs";
import { createRequire } from "node:module";
import type { RunOptions } from "axe-core";
import type { Frame, Page } from "playwright-core";
import { QUICK } from "../../harness.ts";

const AXE = fs.readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** Some of axe-core's rules. Those for colours take most of its time. */
const RULES = {
  colours: ["color-contrast", "link-in-text-block"],
  names: { type: "tag", values: ["cat.name-role-value", "cat.aria", "cat.forms"] },
} satisfies Record<string, RunOptions["runOnly"]>;

/** Rules for a narrow page: its colours are those of a wide one, and `npm test` leaves them out. */
export const NARROW_RULES = QUICK ? "names" : undefined;

/** Problems that axe-core rates serious or worse, by all of its rules or by some, one line each. */
export async function accessibilityProblems(
  page: Frame | Page,
  rules?: keyof typeof RULES,
): Promise<string[]> {
  // Evaluated by the browser's debugger, which a content security policy doesn't bind.
  if (await page.evaluate(() => !("axe" in globalThis))) await page.evaluate(AXE);
  // The toolkit's elements take over their names a frame after their content.
  await page.evaluate(
    () => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))),
  );
  const violations = await page.evaluate(async (named) => {
    const { axe } = globalThis as unknown as { axe: typeof import("axe-core") };
    const results = await axe.run(globalThis.document, {
      resultTypes: ["violations"],
      ...(named && { runOnly: named }),
    });
    return results.violations;
  }, rules && RULES[rules]);
  return violations
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .flatMap(({ id, help, nodes }) =>
      nodes.map((node) => `${id}: ${help}: ${node.target.join(" ")} ${node.failureSummary ?? ""}`),
    );
}
