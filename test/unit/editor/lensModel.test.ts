import { expect, test } from "vitest";
import type { FileReport, ModelReport } from "../../../extension/protocol/preview.ts";
import { errorsOf, experimentsOf, unbuiltModels } from "../../../extension/editor/language/experiments.ts";
import { lensesOf, type Lens } from "../../../extension/editor/language/lensModel.ts";
import { scanSource } from "../../../extension/source/sourceScan.ts";

const SOURCE = `
class Block extends nn.Module {}
class Net extends nn.Module {}
export default experiment({ model: () => new Net() });
export const large = experiment({ model: () => new Net(9) });
`;

function model(name: string, total: number, experiments: string[]): ModelReport {
  return {
    name,
    experiments,
    text: "",
    rows: [],
    parameters: { total, trainable: total },
    parameterBytes: 4 * total,
  };
}

function report(models: ModelReport[]): FileReport {
  return { file: "/a.nn.ts", models, experiments: [], errors: [] };
}

const none = new Map<string, { total: number; trainable: number }>();
const text = (lenses: Lens[]): string[] =>
  lenses.map(({ line, action }) => {
    const target = [action.model, "exportName" in action ? action.exportName : undefined]
      .filter(Boolean)
      .join("#");
    const count = action.kind === "parameters" ? ` ${action.count?.total ?? "…"}` : "";
    return `${line} ${action.kind}${count} ${target}`.trim();
  });

test("a model has count, train, evaluate and preview; one that no experiment builds has only a preview", () => {
  const lenses = lensesOf(scanSource(SOURCE), {
    trusted: true,
    report: report([model("Net", 81, ["default", "large"])]),
    lastCounts: none,
  });
  expect(text(lenses)).toEqual([
    "1 preview Block",
    "2 parameters 81 Net",
    "2 train Net",
    "2 data Net",
    "2 evaluate Net",
    "2 preview Net",
    "3 train default",
    "3 data default",
    "3 evaluate default",
    "3 preview Net",
    "4 train large",
    "4 data large",
    "4 evaluate large",
    "4 preview Net",
  ]);
});

test("a model of one experiment trains that one", () => {
  const source = SOURCE.replace(/export const.*/, "");
  const lenses = lensesOf(scanSource(source), { trusted: true, report: undefined, lastCounts: none });
  expect(text(lenses)).toContain("2 train Net#default");
});

test("a model of a file without experiments is run with its file", () => {
  const source = "class Net extends nn.Module {}\nconst model = new Net();";
  const lenses = lensesOf(scanSource(source), { trusted: true, report: undefined, lastCounts: none });
  expect(text(lenses)).toEqual(["0 run", "0 preview Net"]);
});

test("where nothing is built by itself, no lens waits for a count; Train and the rest are there", () => {
  const lenses = lensesOf(scanSource(SOURCE), {
    trusted: true,
    report: undefined,
    lastCounts: none,
    counted: false,
  });
  expect(text(lenses)).not.toContain("2 parameters … Net");
  expect(text(lenses)).toEqual(
    expect.arrayContaining(["2 train Net", "3 train default", "4 evaluate large"]),
  );
});

test("an untrusted workspace has previews alone", () => {
  const lenses = lensesOf(scanSource(SOURCE), { trusted: false, report: undefined, lastCounts: none });
  expect(text(lenses)).toEqual(["1 preview Block", "2 preview Net", "3 preview Net", "4 preview Net"]);
});

test("lenses keep their places while a file can't be built: first a placeholder, then the last count", () => {
  const options = { trusted: true, report: undefined };
  const before = lensesOf(scanSource(SOURCE), { ...options, lastCounts: none });
  const counts = new Map([["Net", { total: 81, trainable: 80 }]]);
  const after = lensesOf(scanSource(SOURCE), { ...options, report: report([]), lastCounts: counts });
  expect(text(before)).toContain("2 parameters … Net");
  expect(text(after)).toContain("2 parameters 81 Net");
  expect(after.map(({ line, action }) => [line, action.kind])).toEqual(
    before.map(({ line, action }) => [line, action.kind]),
  );
});

test("experiments of a model: what the report saw and the text still has, and what was typed since", () => {
  const scan = scanSource(`${SOURCE}\nexport const made = experiment({ model: make });`);
  const known = report([model("Net", 1, ["default", "made", "deleted"])]);
  expect(experimentsOf("Net", scan, known)).toEqual(["default", "made", "large"]);
  expect(experimentsOf("Block", scan, known)).toEqual([]);
});

test("an experiment with a sweep has a lens for it, also above its model", () => {
  const source = SOURCE.replace(
    "experiment({ model: () => new Net(9)",
    "experiment({ sweep: { n: N }, model: () => new Net(9)",
  );
  const lenses = lensesOf(scanSource(source), { trusted: true, report: undefined, lastCounts: none });
  expect(text(lenses).filter((one) => one.includes("sweep"))).toEqual(["2 sweep Net#large", "4 sweep large"]);
  const untrusted = lensesOf(scanSource(source), { trusted: false, report: undefined, lastCounts: none });
  expect(text(untrusted).filter((one) => one.includes("sweep"))).toEqual([]);
  expect(
    scanSource(SOURCE.replace("() => new Net()", "() => new Net(sweep)")).experiments[0]!.swept,
  ).toBeUndefined();
});

const failing = (of: string | undefined, message: string): FileReport["errors"][number] => ({
  code: "error",
  message,
  ...(of === undefined ? {} : { of }),
});

test("a class that can't be built says so with its own error, once no newer report will follow", () => {
  const failed = {
    ...report([model("Other", 5, ["other"])]),
    errors: [failing(undefined, "of the file"), failing("large", "hidden must be positive")],
  };
  const of = (busy: boolean, given = failed): unknown =>
    lensesOf(scanSource(SOURCE), { trusted: true, report: given, lastCounts: none, busy })[1]?.action;
  expect(of(false)).toEqual({ kind: "parameters", model: "Net", reason: "hidden must be positive" });
  expect(of(true)).toEqual({ kind: "parameters", model: "Net" });
  expect(of(false, { ...failed, errors: [failing("other", "of another")] })).toMatchObject({ kind: "train" });
  expect(of(false, { ...failed, errors: [failing(undefined, "Still running")] })).toMatchObject({
    reason: "Still running",
  });
});

test("an experiment of an imported class has its count, which no class of the file has", () => {
  const source = 'import { Net } from "./net";\nexport default experiment({ model: () => new Net() });';
  const counts = (given: FileReport | undefined): unknown[] =>
    lensesOf(scanSource(source), { trusted: true, report: given, lastCounts: none })
      .map(({ action }) => action)
      .filter(({ kind }) => kind === "parameters");
  expect(counts(undefined)).toEqual([{ kind: "parameters", model: "default" }]);
  expect(counts(report([model("Net", 81, ["default"])]))).toEqual([
    { kind: "parameters", model: "Net", count: { total: 81, trainable: 81 } },
  ]);
  expect(counts({ ...report([]), errors: [failing("default", "no such size")] })).toEqual([
    { kind: "parameters", model: "default", reason: "no such size" },
  ]);
});

test("errors belong to the model whose experiment failed; a class that is built is not listed as failing", () => {
  const scan = scanSource(SOURCE.replace("new Net(9)", "new Block()"));
  const given = {
    ...report([model("Net", 81, ["default"])]),
    errors: [failing("large", "a"), failing(undefined, "b"), failing("default", "c")],
  };
  const messages = (name: string): string[] => errorsOf(name, scan, given).map(({ message }) => message);
  expect(messages("Block")).toEqual(["a", "b"]);
  expect(messages("large")).toEqual(["a", "b"]);
  expect(messages("Net")).toEqual(["c", "b"]);
  expect(unbuiltModels(scan, given)).toEqual(["Block"]);
});
