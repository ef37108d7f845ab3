import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { list, parseTarget } from "../../../extension/cli/command.ts";
import { epochLine, evaluationLines, logEvery } from "../../../extension/cli/display.ts";
import { parseRows } from "../../../extension/cli/inputRows.ts";
import { duration, coloursFor, renderError, table } from "../../../extension/cli/render.ts";
import type { RunRecord } from "../../../extension/protocol/run.ts";

const plain = coloursFor({ isTTY: false }, {});

function source(text: string, name = "model.nn.ts"): string {
  const file = path.join(fs.mkdtempSync(path.join(os.tmpdir(), "layerwise-cli-")), name);
  fs.writeFileSync(file, text);
  return file;
}

describe("renderError", () => {
  test("place, frame with carets below tabs too, module, calls, hint", () => {
    const file = source("a\n\tconst b = fail(1);\nc\n");
    const text = renderError(
      {
        code: "shape",
        message: "it failed\nin two lines",
        position: { file, line: 2, column: 12, endColumn: 16 },
        stack: [
          { file, line: 2, column: 12 },
          { file, line: 3, column: 1 },
        ],
        module: "encoder.fc",
        hint: "try again\nharder",
      },
      plain,
    );
    expect(text).toBe(`${file}:2:12 error: it failed
in two lines
  1 | a
> 2 | \tconst b = fail(1);
    | \t          ^^^^
  3 | c
  in module encoder.fc
  called at ${file}:3:1
  hint: try again
  hint: harder`);
  });

  test("shows of a long line what is around the column", () => {
    const file = source(`${"a".repeat(999)}BAD${"c".repeat(1_000_000)}\nnext`, "long.nn.ts");
    const position = { file, line: 1, column: 1000, endColumn: 1003 };
    const [, code = "", carets = "", next] = renderError({ code: "x", message: "no", position }, plain).split(
      "\n",
    );
    expect(code).toHaveLength("> 1 | ……".length + 200);
    const at = code.indexOf("BAD");
    expect(carets).toBe(`    |${" ".repeat(at - 5)}^^^`);
    expect(next).toBe("  2 | …");
  });

  test("without a place, or with a file that is gone", () => {
    expect(renderError({ code: "x", message: "no" }, plain)).toBe("error: no");
    expect(
      renderError({ code: "x", message: "no", position: { file: "/gone.ts", line: 1, column: 2 } }, plain),
    ).toBe("/gone.ts:1:2 error: no");
  });

  test("is coloured on a terminal unless the user wants none", () => {
    expect(coloursFor({ isTTY: true }, {}).red("x")).toBe("\u001b[31mx\u001b[39m");
    expect(coloursFor({ isTTY: true }, { NO_COLOR: "1" }).red("x")).toBe("x");
  });
});

describe("parseRows", () => {
  test("JSON: rows of any depth, or one row", () => {
    expect(parseRows("[[1, 2], [3, 4]]", "-").rows).toEqual([
      [1, 2],
      [3, 4],
    ]);
    expect(parseRows("[[[1, 2], [3, 4]]]", "-").rows).toEqual([[1, 2, 3, 4]]);
    expect(parseRows(" [1, 2]", "-").rows).toEqual([[1, 2]]);
    const deep = 200_000;
    expect(parseRows(`${"[".repeat(deep)}7${"]".repeat(deep)}`, "-").rows).toEqual([[7]]);
  });

  test("CSV: with and without a header, empty lines and comments", () => {
    expect(parseRows("a,b\n1, 2\n\n3,-4e1\n# end\n", "x.csv").rows).toEqual([
      [1, 2],
      [3, -40],
    ]);
    expect(parseRows("1,2\n", "x.csv").rows).toEqual([[1, 2]]);
  });

  test("CSV with names: its texts too, as a table may have categories", () => {
    const table = { names: ["a", "kind"], rows: [["1", "flat"]] };
    expect(parseRows("a,kind\n1,flat\n", "x.csv")).toEqual({ table });
  });

  test.each([
    ["[[1], []]", "standard input: row 2 is not an array of numbers."],
    ['[["a"]]', "standard input: row 1 is not an array of numbers."],
    ["[1,", "standard input: "],
    ["1,2\n1,x\n", 'standard input: line 2, column 2: expected a number, got "x". Texts need a first line'],
    ["1,2\n1\n", "standard input: "],
    ["a,b\n", "standard input has no rows."],
  ])("refuses %j", (text, message) => {
    expect(() => parseRows(text, "-")).toThrow(message);
  });
});

test("parseTarget: a file, an export, a file with # in its name", () => {
  const file = source("", "a#b.nn.ts");
  expect(parseTarget(file)).toEqual({ file, exportName: undefined });
  expect(parseTarget(`${file}#small`)).toEqual({ file, exportName: "small" });
  expect(() => parseTarget(`${file}#`)).toThrow('the name of the export is missing after "#"');
  expect(() => parseTarget("/nowhere.nn.ts")).toThrow("There is no file /nowhere.nn.ts.");
});

describe("lines of a run", () => {
  const record = { kind: "train", epochs: 50, settings: {} } as RunRecord;
  const row = (values: Record<string, number>) =>
    ({ kind: "epoch", step: 1, epoch: 7, time: 0, values }) as const;

  test("are PyTorch's, without extra text", () => {
    expect(epochLine(row({ loss: 0.74354, accuracy: 0.5, lr: 0.1 }), record)).toBe(
      "Epoch [7/50], Loss: 0.7435",
    );
    expect(epochLine(row({ loss: Number.NaN, val_loss: 1, val_accuracy: 0.25 }), record)).toBe(
      "Epoch [7/50], Loss: nan, Val Loss: 1.0000, Val Accuracy: 0.2500",
    );
    const named = { ...record, settings: { metrics: "accuracy" } };
    expect(epochLine(row({ loss: 1, accuracy: 0.5 }), named)).toBe(
      "Epoch [7/50], Loss: 1.0000, Accuracy: 0.5000",
    );
  });

  test("come ten times a run, or as the experiment says", () => {
    expect(logEvery(record)).toBe(5);
    expect(logEvery({ ...record, epochs: 3 })).toBe(1);
    expect(logEvery({ ...record, settings: { logEvery: 20 } })).toBe(20);
  });
});

test("evaluationLines: precision and recall of each class, and the matrix", () => {
  const lines = evaluationLines({
    samples: 10,
    metrics: { loss: 0.5, accuracy: 0.8 },
    confusion: [
      [4, 1],
      [1, 4],
    ],
    classes: ["cat", "dog"],
  });
  expect(lines).toEqual([
    "10 samples, Loss: 0.5000, Accuracy: 0.8000",
    "",
    "class  samples  precision  recall",
    "cat          5     80.0 %  80.0 %",
    "dog          5     80.0 %  80.0 %",
    "",
    "Confusion (rows: actual, columns: predicted)",
    "     cat  dog",
    "cat    4    1",
    "dog    1    4",
  ]);
  expect(evaluationLines({ samples: 2, metrics: { loss: 1 } })).toEqual(["2 samples, Loss: 1.0000"]);
});

test("list: known names, with commas between them", () => {
  const parse = list(["one", "two"]);
  expect(parse("two, one")).toEqual(["two", "one"]);
  expect(() => parse("one,three")).toThrow('"three" is not one of one, two.');
});

test("table clips a long cell", () => {
  const [line = ""] = table([["x".repeat(5_000_000), "end"]]);
  expect(line).toBe(`${"x".repeat(200)}…  end`);
});

test("table aligns, duration reads", () => {
  expect(
    table(
      [
        ["a", "bb"],
        ["ccc", "1"],
      ],
      [false, true],
    ),
  ).toEqual(["a    bb", "ccc   1"]);
  expect([0.42, 12.4, 185, 7620].map(duration)).toEqual(["0.4 s", "12 s", "3 min 05 s", "2 h 07 min"]);
});
