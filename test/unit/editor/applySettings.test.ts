import { describe, expect, test } from "vitest";
import { defaultEdits } from "../../../extension/editor/language/applySettings.ts";
import type { Settings } from "../../../extension/protocol/sweeps/sweep.ts";

/** The text after the edits; what is missing, where there are none. */
function applied(source: string, settings: Settings, exportName = "default"): string {
  const edits = defaultEdits(source, exportName, settings);
  if ("missing" in edits) return `missing ${edits.missing ?? "sweep"}`;
  return edits
    .toSorted((a, b) => b.start - a.start)
    .reduce((text, { start, end, code }) => text.slice(0, start) + code + text.slice(end), source);
}

const file = (sweep: string): string => `import { experiment, sweep } from "layerwise";
export default experiment({
  // sweep: { lr: no }
  model: ({ lr }) => new Net({ sweep: { lr: 3 } }),
  sweep: ${sweep},
  epochs: 3,
});
`;

describe("a trial's settings", () => {
  test("become the defaults at the end of each domain", () => {
    const before = file(`{
    lr: sweep.logUniform(1e-4, 1e-1), // the rate
    width: sweep.choice(32, 64, 128),
    kind: sweep.choice("relu, gelu", "it's"),
    bias: sweep.choice(true, false),
  }`);
    const after = file(`{
    lr: sweep.logUniform(1e-4, 1e-1).default(0.0031), // the rate
    width: sweep.choice(32, 64, 128).default(64),
    kind: sweep.choice("relu, gelu", "it's").default("it's"),
    bias: sweep.choice(true, false).default(false),
  }`);
    expect(applied(before, { lr: 0.0031, width: 64, kind: "it's", bias: false })).toBe(after);
  });

  test("replace defaults that there are", () => {
    const before = file(
      "{ lr: sweep.uniform(f(0), 1).default(g(0.5, [1])), n: sweep.int(1, 4) . default ( 2 ) }",
    );
    expect(applied(before, { lr: 0.25, n: 3 })).toBe(
      file("{ lr: sweep.uniform(f(0), 1).default(0.25), n: sweep.int(1, 4) . default (3) }"),
    );
  });

  test("find quoted names, names alone, and variables", () => {
    expect(applied(file('{ "lr": RATES, width }'), { lr: 1, width: 2 })).toBe(
      file('{ "lr": RATES.default(1), width: width.default(2) }'),
    );
  });

  test("are those of the experiment that is named", () => {
    const two = `import { experiment, sweep } from "layerwise";
export const a = experiment({ sweep: { lr: sweep.uniform(0, 1) } });
export const b = experiment({ sweep: { lr: sweep.uniform(0, 2) } });`;
    expect(applied(two, { lr: 0.5 }, "b")).toBe(two.replace("(0, 2)", "(0, 2).default(0.5)"));
  });

  test("keep texts of a hostile record texts", () => {
    const text = '"); evil(`${1}`); //\u2028\\';
    const after = applied(file("{ kind: KINDS }"), { kind: text });
    const literal = /default\((.*)\) \},/.exec(after)![1]!;
    expect(JSON.parse(literal)).toBe(text);
  });

  test("say what the text doesn't have", () => {
    expect(applied(file("{ lr: sweep.uniform(0, 1) }"), { lr: 1, depth: 2 })).toBe("missing depth");
    expect(applied(file("SPACE"), { lr: 1 })).toBe("missing sweep");
    expect(applied("export default 3;", { lr: 1 })).toBe("missing sweep");
  });
});
