/** Styles use only colours that every kind of theme has: elements with an undefined one are invisible or black. */
import fs from "node:fs";
import { describe, expect, test } from "vitest";
import { inRoot } from "../../../scripts/project.mjs";

const THEMES = ["light", "dark", "hc-light", "hc"].map((name) => {
  const file = inRoot("test/fixtures/panels/themes", `${name}.json`);
  return [
    name,
    (JSON.parse(fs.readFileSync(file, "utf8")) as { variables: Record<string, string> }).variables,
  ] as const;
});

const folder = inRoot("media/styles");
const styles = fs
  .readdirSync(folder)
  .map((name) => fs.readFileSync(`${folder}/${name}`, "utf8"))
  .join("\n");
/** Variables of VS Code that are used without a fallback. */
const needed = new Set([...styles.matchAll(/var\((--vscode-[\w-]+)\)/g)].map(([, name]) => name!));
/** Variables that only high-contrast themes have, used in rules for them. */
const CONTRAST = /^--vscode-contrast/;

describe.each(THEMES)("the theme %s", (name, theme) => {
  test("has every variable that styles rely on", () => {
    expect(needed.size).toBeGreaterThan(20);
    const lacking = [...needed].filter((one) => theme[one] === undefined);
    expect(lacking.filter((one) => name.startsWith("hc") || !CONTRAST.test(one))).toEqual([]);
  });

  test("has charts' colours that are opaque", () => {
    const charts = [...needed].filter((one) => /^--vscode-charts-(?!lines)/.test(one));
    expect(charts.length).toBeGreaterThan(4);
    expect(charts.filter((one) => !/^#[\da-f]{6}$/i.test(theme[one] ?? ""))).toEqual([]);
  });
});
