// Statistics of layers, read from a file that may be long, growing, broken or a stranger's.
import fs from "node:fs";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { LayerHistory } from "../../../extension/supervisor/runs/layerHistory.ts";
import { useFolder } from "../../folders.ts";
import { processorClock } from "../../bounds.ts";

const folder = useFolder();
const NONE = { generation: 0, kept: 0 };

const file = (): string => path.join(folder, "layers.jsonl");
const histogram = (mean: number, counts: number[] = [1, 4, 2]): object => ({
  low: mean - 1,
  high: mean + 1,
  mean,
  std: 0.5,
  counts,
});

function row(step: number, names: readonly string[] = ["fc1", "fc2"]): object {
  const layers = names.map((name, i) => [
    name,
    { gradNorm: step + i, updateRatio: 1e-3, meanActivation: 0.5, weights: histogram(step) },
  ]);
  return { step, epoch: Math.ceil(step / 10), layers: Object.fromEntries(layers) };
}

const write = (...rows: (object | string)[]): void =>
  fs.appendFileSync(
    file(),
    rows.map((one) => `${typeof one === "string" ? one : JSON.stringify(one)}\n`).join(""),
  );

const writeFindings = (...findings: (object | string)[]): void =>
  fs.writeFileSync(
    path.join(folder, "findings.jsonl"),
    findings.map((one) => `${typeof one === "string" ? one : JSON.stringify(one)}\n`).join(""),
  );

const LEAK = { kind: "labelLeak", text: "Column 7 gives the label away." };

async function stepsOf(history: LayerHistory): Promise<number[]> {
  return (await history.columns(NONE))?.steps ?? [];
}

test("gives each layer's numbers and the histograms of one", async () => {
  write(row(100), { ...row(200), layers: { relu: { deadUnits: 3, units: 8, activations: histogram(0) } } });
  const history = new LayerHistory(folder);
  const columns = await history.columns(NONE);
  expect(columns).toMatchObject({ from: 0, steps: [100, 200], epochs: [10, 20], omitted: 0 });
  expect(columns?.layers.map(({ path }) => path)).toEqual(["fc1", "fc2", "relu"]);
  expect(columns?.layers[1]).toMatchObject({ gradNorm: [101, null], deadUnits: [null, null] });
  expect(columns?.layers[2]).toMatchObject({
    gradNorm: [null, null],
    deadUnits: [null, 3],
    units: [null, 8],
  });
  const values = await history.values("fc1");
  expect(values?.steps).toEqual([100, 200]);
  expect(values?.histograms.weights).toEqual([
    { low: 99, high: 101, mean: 100, std: 0.5, bins: [63, 255, 127] },
    null,
  ]);
  expect(values?.histograms.gradients).toEqual([null, null]);
  expect(await history.values("fc3")).toBeNull();
});

test("has nothing where there is no file, an empty one, or a link", async () => {
  const history = new LayerHistory(folder);
  expect(await history.columns(NONE)).toBeNull();
  fs.writeFileSync(file(), "");
  expect(await history.columns(NONE)).toBeNull();
  fs.rmSync(file());
  fs.writeFileSync(path.join(folder, "elsewhere.jsonl"), `${JSON.stringify(row(1))}\n`);
  fs.symlinkSync("elsewhere.jsonl", file());
  expect(await history.columns(NONE)).toBeNull();
});

describe("advice", () => {
  const dead = { kind: "deadUnits", layer: "fc1", step: 100, text: "8 of 8 units are 0." };
  const other = { kind: "labelLeak", text: "Column 3 gives the label away." };
  const diverged = { kind: "nonFinite", step: 120, text: "The loss is NaN." };

  test("on data and the whole training stands above that on layers, each once", async () => {
    write(row(1));
    writeFindings(LEAK, dead, other, LEAK, diverged);
    expect((await new LayerHistory(folder).columns(NONE))?.advice).toEqual([
      { text: LEAK.text },
      { text: other.text },
      { step: 120, text: diverged.text },
      { layer: "fc1", step: 100, text: dead.text },
    ]);
  });

  test("is there before the first check, and of a training that never came to one", async () => {
    writeFindings(LEAK);
    const history = new LayerHistory(folder);
    expect(await history.columns(NONE)).toMatchObject({ steps: [], advice: [{ text: LEAK.text }] });
    write(row(1));
    writeFindings(LEAK, dead);
    expect(await history.columns(NONE)).toMatchObject({ from: 0, steps: [1], advice: { length: 2 } });
  });
});

describe("a file that grows", () => {
  test("sends a view only what it doesn't have", async () => {
    write(row(1), row(2));
    const history = new LayerHistory(folder);
    const first = (await history.columns(NONE))!;
    write(row(3));
    const second = (await history.columns(first))!;
    expect(second).toMatchObject({ from: first.kept, steps: [3], generation: first.generation });
    expect((await history.columns(second))!.steps).toEqual([]);
    // A view of another sample gets all.
    expect((await history.columns({ generation: 7, kept: 2 }))!.steps).toEqual([1, 2, 3]);
  });

  test("waits for the end of a line that is being written", async () => {
    write(row(1));
    const line = JSON.stringify(row(2));
    fs.appendFileSync(file(), line.slice(0, 40));
    const history = new LayerHistory(folder);
    expect(await stepsOf(history)).toEqual([1]);
    fs.appendFileSync(file(), `${line.slice(40)}\n`);
    expect(await stepsOf(history)).toEqual([1, 2]);
  });

  test("has each step once after a training that went back", async () => {
    write(row(10), row(20), row(30));
    const history = new LayerHistory(folder);
    const before = (await history.columns(NONE))!;
    write(row(20), row(25));
    const after = (await history.columns(before))!;
    expect(after).toMatchObject({ from: 0, steps: [10, 20, 25] });
    expect(after.generation).not.toBe(before.generation);
  });

  test("starts over when the file was replaced by a shorter one", async () => {
    write(row(10), row(20), row(30));
    const history = new LayerHistory(folder);
    const before = (await history.columns(NONE))!;
    fs.rmSync(file());
    write(row(5));
    expect(await history.columns(before)).toMatchObject({ from: 0, steps: [5] });
  });

  test("keeps the newest check while it grows beyond what is shown", async () => {
    const history = new LayerHistory(folder);
    let known = NONE;
    for (let step = 1; step <= 1500; step += 7) {
      write(...Array.from({ length: 7 }, (_, i) => row(step + i, ["fc"])));
      const columns = (await history.columns(known))!;
      known = { generation: columns.generation, kept: columns.kept };
      if (columns.steps.length > 0) expect(columns.steps.at(-1)).toBe(step + 6);
    }
    const steps = await stepsOf(history);
    expect(steps.length).toBeGreaterThan(90);
    expect(steps.length).toBeLessThanOrEqual(242);
    expect(steps).toEqual(steps.toSorted((a, b) => a - b));
  });
});

test("samples a long run evenly, without reading all of it", async () => {
  const rows = 100_000;
  const layers = ["a", "b", "c"];
  const descriptor = fs.openSync(file(), "w");
  for (let step = 1; step <= rows; step += 1000)
    fs.writeSync(
      descriptor,
      Array.from({ length: 1000 }, (_, i) => `${JSON.stringify(row(step + i, layers))}\n`).join(""),
    );
  fs.closeSync(descriptor);
  const { size } = fs.statSync(file());
  const lines = size / rows;
  const steps = await stepsOf(new LayerHistory(folder));
  expect(steps[0]).toBe(1);
  expect(steps.at(-1)).toBe(rows);
  expect(steps.length).toBeGreaterThan(90);
  expect(steps.length).toBeLessThanOrEqual(202);
  // Gaps differ by the length of a line at most, but for the last one.
  const gaps = steps.slice(1, -1).map((step, i) => step - steps[i]!);
  expect(Math.max(...gaps) / Math.min(...gaps)).toBeLessThan(1.2 + (10 * lines) / size);
});

describe("a stranger's file", () => {
  test("has its invalid rows left out", async () => {
    const broken = [
      "",
      "not JSON",
      "null",
      "[]",
      '{"step":1}',
      JSON.stringify({ step: "2", epoch: 1, layers: {} }),
      JSON.stringify({ step: 3, epoch: 1, layers: { fc: { gradNorm: "big" } } }),
      JSON.stringify({ step: 4, epoch: 1, layers: { fc: { weights: { low: 0, high: 1 } } } }),
      JSON.stringify({ step: 5, epoch: 1, layers: { fc: { weights: histogram(0, Array(65).fill(1)) } } }),
    ];
    write(...broken, row(6), "{", row(7));
    expect(await stepsOf(new LayerHistory(folder))).toEqual([6, 7]);
  });

  test("has its invalid histograms left out", async () => {
    const bad = [
      { low: 2, high: 1, mean: 0, std: 1, counts: [1] },
      { low: -1e308, high: 1e308, mean: 0, std: 1, counts: [1] },
      { low: 0, high: 1, mean: 0, std: 1, counts: [0, 0] },
      { low: 0, high: 1, mean: 0, std: 1, counts: [-1, -5] },
    ];
    write(...bad.map((weights, i) => ({ step: i + 1, epoch: 1, layers: { fc: { weights } } })));
    const values = await new LayerHistory(folder).values("fc");
    expect(values?.histograms.weights).toEqual([null, null, null, null]);
  });

  test("may name layers freely: names are text, and their number is limited", async () => {
    const html = '<img src=x onerror="alert(1)">';
    fs.writeFileSync(
      file(),
      `{"step":1,"epoch":1,"layers":{"__proto__":{"gradNorm":1},"toString":{"gradNorm":2},${JSON.stringify(html)}:{"gradNorm":3},${JSON.stringify("x".repeat(1000))}:{"gradNorm":4}}}\n`,
    );
    write(
      row(
        2,
        Array.from({ length: 5000 }, (_, i) => `layer.${i}`),
      ),
    );
    const columns = (await new LayerHistory(folder).columns(NONE))!;
    expect(columns.steps).toEqual([1, 2]);
    expect(columns.layers).toHaveLength(1000);
    expect(columns.layers.map(({ path }) => path)).toContain(html);
    expect(columns.omitted).toBe(
      5000 - columns.layers.filter(({ path }) => path.startsWith("layer.")).length,
    );
    expect(Object.prototype).not.toHaveProperty("gradNorm");
  });

  test("may have endless lines: the others are read", async () => {
    write(row(1), "x".repeat(3 * 2 ** 20), row(2), row(3));
    fs.appendFileSync(file(), "y".repeat(2 * 2 ** 20));
    const spent = processorClock();
    const steps = await stepsOf(new LayerHistory(folder));
    expect(steps[0]).toBe(1);
    expect(spent()).toBeLessThan(5000);
    fs.writeFileSync(file(), "z".repeat(5 * 2 ** 20));
    expect(await stepsOf(new LayerHistory(folder))).toEqual([]);
  });

  test("may have invalid findings: the valid ones are advice, once each", async () => {
    write(row(1));
    const finding = { kind: "deadUnits", layer: "fc1", step: 100, text: "8 of 8 units are 0." };
    writeFindings(finding, finding, { kind: "unknown", text: "?" }, "torn");
    const columns = await new LayerHistory(folder).columns(NONE);
    expect(columns?.advice).toEqual([{ layer: "fc1", step: 100, text: "8 of 8 units are 0." }]);
  });

  test("may have linked findings: there is no advice", async () => {
    write(row(1));
    fs.writeFileSync(path.join(folder, "elsewhere.jsonl"), `${JSON.stringify(LEAK)}\n`);
    fs.symlinkSync("elsewhere.jsonl", path.join(folder, "findings.jsonl"));
    expect(await new LayerHistory(folder).columns(NONE)).toMatchObject({ steps: [1], advice: [] });
  });
});
