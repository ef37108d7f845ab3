import { describe, expect, test } from "vitest";
import { dataCalls } from "../../../extension/editor/language/deprecatedCalls.ts";
import { maskSource } from "../../../extension/source/sourceMask.ts";
import {
  argumentsOf,
  callSpan,
  isLiteral,
  offsetFinder,
  shifted,
} from "../../../extension/source/textSpans.ts";
import {
  describeFact,
  factsOf,
  outputLabel,
  parameterLabel,
} from "../../../extension/editor/language/previewFacts.ts";
import { variableTypes } from "../../../extension/editor/language/variableTypes.ts";
import type { CallReport, FileReport, SummaryRow } from "../../../extension/protocol/preview.ts";

describe("spans of a text", () => {
  test("move with what is typed before them, and grow with what is typed inside", () => {
    const span = { start: 10, end: 20 };
    const edit = (rangeOffset: number, rangeLength: number, text: string) =>
      shifted(span, { rangeOffset, rangeLength, text });
    expect(edit(0, 0, "ab")).toEqual({ start: 12, end: 22 });
    expect(edit(10, 0, "ab")).toEqual({ start: 12, end: 22 });
    expect(edit(4, 3, "")).toEqual({ start: 7, end: 17 });
    expect(edit(20, 0, "ab")).toEqual(span);
    expect(edit(15, 2, "abcd")).toEqual({ start: 10, end: 22 });
    expect(edit(5, 8, "")).toBeUndefined();
    expect(edit(15, 8, "x")).toBeUndefined();
  });

  test("calls with all their arguments, over lines and over brackets in strings", () => {
    const text = 'x = this.fc1!(\n  f(")"), [1, 2],\n).relu()';
    const masked = maskSource(text);
    const call = callSpan(masked, text.indexOf("fc1"));
    expect(text.slice(call.start, call.end)).toBe('fc1!(\n  f(")"), [1, 2],\n)');
    expect(text.slice(call.start, call.nameEnd)).toBe("fc1");
    expect(argumentsOf(masked, call).map(({ start, end }) => text.slice(start, end))).toEqual([
      'f(")")',
      "[1, 2]",
    ]);
    const made = callSpan("new nn.Linear(32 * 2, 4);", 0);
    expect(made).toMatchObject({ start: 0, nameEnd: 13, end: 24 });
    expect(callSpan("x.y + 1", 2)).toEqual({ start: 2, end: 3, nameEnd: 3, argumentsStart: undefined });
    expect(["784", "32 * 2 * 2", "1_000"].every(isLiteral)).toBe(true);
    expect(["size", "2 * n", "f(2)", "", "-1"].some(isLiteral)).toBe(false);
    expect(offsetFinder("ab\ncd")({ line: 2, column: 2 })).toBe(4);
  });
});

test("calls of a tensor's data() are those that TypeScript calls deprecated", () => {
  const text =
    'const a = x.data(), b = x.data.add(1), c = set.data(), d = "x.data()", e = old();\ny.grad! . data ( );';
  const span = (code: unknown, word: string, from: number) => {
    const start = text.indexOf(word, from);
    return { code, start, end: start + word.length };
  };
  const [first, view, other] = [text.indexOf("data"), text.indexOf("data.add"), text.indexOf("set.data") + 4];
  const last = text.lastIndexOf("data");
  const diagnostics = [
    span(6387, "data", first),
    span(6387, "data", view),
    span(2551, "data", other),
    span(6387, "old", 0),
    span(6385, "data", last),
    span(6385, "data", text.indexOf('"x.data') + 3),
  ];
  expect(dataCalls(maskSource(text), diagnostics).map(({ start }) => start)).toEqual([first, last]);
});

const file = "/net.nn.ts";
const text = `class Net extends nn.Module {
  fc = new nn.Linear(4, 3);
  forward(x: Tensor, mask: Tensor) {
    const y = this.fc(x);
    x = y.relu()
    return x.mul(mask);
  }
}
`;
const at = (part: string, from = 0): number => text.indexOf(part, from);
const place = (part: string) => {
  const before = text.slice(0, at(part)).split("\n");
  return { file, line: before.length, column: before.at(-1)!.length + 1 };
};
const type = (...shape: (number | string)[]) => ({ shape, dtype: "float32" });
const call = (part: string, rest: Partial<CallReport>): CallReport => ({
  position: place(part),
  name: "x",
  inputs: [],
  outputs: [],
  times: 1,
  ...rest,
});
const row = (rest: Partial<SummaryRow>): SummaryRow => ({
  path: "fc",
  depth: 1,
  className: "Linear",
  detail: "in_features=4, out_features=3, bias=True",
  parameters: 15,
  trainable: 15,
  ...rest,
});
const report: FileReport = {
  file,
  experiments: [],
  errors: [],
  models: [
    {
      name: "Net",
      experiments: [],
      text: "",
      parameters: { total: 15, trainable: 15 },
      parameterBytes: 60,
      rows: [
        row({ path: "", depth: 0, className: "Net" }),
        row({ position: place("new nn.Linear"), multiplyAdds: 120 }),
      ],
      calls: [
        { name: "Net", path: "", inputs: [type("N", 4), type("N", 1)], outputs: [type("N", 3)], times: 1 },
        call("fc(x)", { path: "fc", name: "Linear", inputs: [type("N", 4)], outputs: [type("N", 3)] }),
        call("relu()", { inputs: [type("N", 3)], outputs: [type("N", 3)] }),
        call("mul(mask)", { inputs: [type("N", 3), type("N", 1)], outputs: [type("N", 3)] }),
      ],
    },
  ],
};
const facts = factsOf(report, text);

test("facts stand at their calls and layers", () => {
  expect(facts.map(({ kind, start, end }) => [kind, text.slice(start, end)])).toEqual([
    ["call", "fc(x)"],
    ["call", "relu()"],
    ["call", "mul(mask)"],
    ["layer", "new nn.Linear(4, 3)"],
  ]);
  const layer = describeFact(facts[3]!, text);
  expect(layer).toContain("(fc): Linear(in_features=4, out_features=3, bias=True)");
  expect(layer).toContain("`[N, 4]` float32 → `[N, 3]` float32");
  expect(layer).toContain("15 parameters · 120 multiply-adds a batch");
  expect(describeFact(facts[1]!, text)).toContain("relu(…)");
});

test("labels of what several calls and layers say", () => {
  const outputs = (...types: CallReport["outputs"][]) =>
    outputLabel(types.map((one) => call("fc(x)", { outputs: one })));
  expect(outputs([type("N", 16, 14, 14)])).toBe("[N, 16, 14, 14]");
  expect(outputs([type()])).toBe("[]");
  expect(outputs([type("N", 4), type(1, "N", 4)])).toBe("([N, 4], [1, N, 4])");
  expect(outputs([type("N", 4)], [type("N", 8)])).toBe("[N, …]");
  expect(outputs([type("N", 4)], [type("N")])).toBe("[…]");
  expect(outputs([])).toBeUndefined();
  expect(outputs(Array.from({ length: 5 }, () => type("N", 1)))).toBe("([N, 1], [N, 1], … 5 tensors)");
  expect(parameterLabel([row({})])).toBe("15 parameters");
  expect(parameterLabel([row({ trainable: 0 })])).toBe("15 parameters, frozen");
  expect(parameterLabel([row({}), row({})])).toBe("2 × 15 parameters");
  expect(parameterLabel([row({}), row({ parameters: 5, trainable: 5 })])).toBe("20 parameters in 2 layers");
  expect(parameterLabel([row({ trainable: 12 })])).toBe("15 parameters, 3 frozen");
  expect(parameterLabel([row({}), row({ trainable: 0 })])).toBe("30 parameters in 2 layers, 15 frozen");
  expect(parameterLabel([row({ parameters: 0 })])).toBeUndefined();
});

test("variables hold what was last assigned to them, parameters what the model is called with", () => {
  const shape = (offset: number) =>
    variableTypes(text, offset, facts, report.models)?.map((one) => one.shape);
  expect(shape(at("y = this"))).toEqual([["N", 3]]);
  expect(shape(at("y.relu"))).toEqual([["N", 3]]);
  expect(shape(at("x);"))).toEqual([["N", 4]]);
  expect(shape(at("x.mul"))).toEqual([["N", 3]]);
  expect(shape(at("x: Tensor"))).toEqual([["N", 4]]);
  expect(shape(at("mask);"))).toEqual([["N", 1]]);
  expect(shape(at("this"))).toBeUndefined();
  expect(shape(at("Net"))).toBeUndefined();
  expect(shape(at("fc ="))).toBeUndefined();
});
