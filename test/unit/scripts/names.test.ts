import { transformSync } from "esbuild";
import { expect, test } from "vitest";
import { asciiComments, cheaperNames, withoutClosureNames } from "../../../scripts/build/names.mjs";

const SOURCE = `
class Linear { static make = () => Linear; scale = (x) => 2 * x; }
const outer = (n) => {
  const double = (x) => {
    const inner = function () { return x * 2; };
    return inner;
  };
  function named() { return double(n)(); }
  return { double, named, renamed: class Other {} };
};
export const names = () => {
  const { double, named, renamed } = outer(4);
  const line = new Linear();
  return [Linear.name, line.scale.name, outer.name, double.name, double(1).name, named.name, renamed.name, named(), line.scale(3)];
};
`;

test("closures lose the helper's calls, and keep their names, values and places", async () => {
  const bundled = transformSync(SOURCE, { keepNames: true, format: "esm" }).code;
  const code = withoutClosureNames(cheaperNames(bundled));
  const run = async (text: string): Promise<unknown> => {
    const { names } = (await import(`data:text/javascript,${encodeURIComponent(text)}`)) as {
      names: () => unknown;
    };
    return names();
  };
  expect(await run(code)).toEqual(await run(bundled));
  const calls = (text: string): number => text.split("__name(").length;
  expect(calls(code)).toBeLessThan(calls(bundled));
  for (const word of ["const inner", "return x * 2", "class Other", "named()"]) {
    expect(bundled).toContain(word);
    expect(code.split("\n").findIndex((line) => line.includes(word))).toBe(
      bundled.split("\n").findIndex((line) => line.includes(word)),
    );
  }
  // Blanks stand for what is taken out.
  const columns = (text: string): number[] => text.split("\n").map((line) => line.indexOf("return x * 2"));
  expect(columns(code)).toEqual(columns(bundled));
});

test("comments are written in ASCII, line by line and as long as before", () => {
  const code = "/** 1 − β. */\nconst a = 1; // kept\n  // ∂L\n   * a · b\nString.raw`é * ü`;\n";
  expect(asciiComments(code)).toBe(
    "/** 1 ? ?. */\nconst a = 1; // kept\n  // ?L\n   * a ? b\nString.raw`é * ü`;\n",
  );
});
