import fs from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ForeignReader, type FoundRuns } from "../../../extension/formats/foreign/findRuns.ts";
import { eventRecord, fileVersion, record } from "../../../extension/formats/tensorboard.ts";
import type { ForeignRun, ForeignSeries } from "../../../extension/protocol/history/foreignRun.ts";

const FIXTURES = fileURLToPath(new URL("../../fixtures/foreign/", import.meta.url));
const STEPS = Array.from({ length: 12 }, (_, step) => step);
/** Names that every object has. */
const INHERITED = Object.getOwnPropertyNames(Object.prototype);
const EVENTS = "events.out.tfevents.1700000000.host.1.0";

const readForeignRuns = (chosen: string): Promise<FoundRuns> => new ForeignReader(chosen).read();

let folder: string;
beforeEach(() => {
  folder = fs.mkdtempSync(path.join(tmpdir(), "layerwise-foreign-"));
});
afterEach(() => fs.rmSync(folder, { recursive: true, force: true }));

/** A copy of a fixture that a test may damage. */
function copied(name: string): string {
  const copy = path.join(folder, name);
  fs.cpSync(path.join(FIXTURES, name), copy, { recursive: true });
  return copy;
}

async function runsOf(name: string): Promise<Map<string, ForeignRun>> {
  const { runs, problems } = await readForeignRuns(path.join(FIXTURES, name));
  expect(problems).toEqual([]);
  expect(runs.flatMap((run) => run.problems)).toEqual([]);
  return new Map(runs.map((run) => [run.name, run]));
}

function seriesOf(run: ForeignRun | undefined, name: string): ForeignSeries {
  return run!.series.find((one) => one.name === name)!;
}

function expectLoss({ steps, values }: ForeignSeries, rate: number, digits = 6): void {
  expect(steps).toEqual(STEPS);
  values.forEach((value, step) => expect(value).toBeCloseTo(Math.exp(-rate * step), digits));
}

describe("files of the tools themselves", () => {
  test("reads each folder of event files as a run, with histograms and pictures", async () => {
    const runs = await runsOf("tensorboardx");
    expect([...runs.keys()]).toEqual(["baseline", "wide"]);
    const wide = runs.get("wide")!;
    expectLoss(seriesOf(wide, "train/loss"), 0.5);
    expect(seriesOf(wide, "epoch").values).toEqual(STEPS.map((step) => Math.floor(step / 4)));
    expect(wide.histograms.map(({ name, step }) => [name, step])).toEqual(
      [3, 7, 11].flatMap((step) => [
        ["fc1.weight", step],
        ["fc1.weight.grad", step],
      ]),
    );
    const [weights] = wide.histograms;
    expect(weights!.counts.reduce((sum, count) => sum + count, 0)).toBe(200);
    expect(weights!.std).toBeCloseTo(0.1, 1);
    expect(wide.pictures.map(({ name, step }) => [name, step])).toEqual([
      ["samples/first", 3],
      ["samples/first", 7],
      ["samples/first", 11],
    ]);
  });

  test("reads scalars, histograms and pictures that are tensors, and hyperparameters", async () => {
    const run = (await runsOf("tensorboard")).get("tensorboard")!;
    expectLoss(seriesOf(run, "epoch_loss"), 0.3);
    expect(Object.fromEntries(run.parameters)).toEqual({ lr: 0.01, optimizer: "adam", amsgrad: true });
    expect(run.histograms).toHaveLength(3);
    expect(run.histograms[0]!.counts).toEqual(Array.from({ length: 30 }, (_, i) => i));
    expect(run.histograms[0]!.edges[0]).toBeCloseTo(-1);
    expect(run.pictures.map(({ step }) => step)).toEqual([0, 4, 8]);
  });

  test.each(["mlruns", "mlflow-sql"])("reads MLflow's runs of %s", async (store) => {
    const runs = await runsOf(store);
    const { group, state, parameters, notes, tool } = runs.get("baseline")!;
    expect({ group, state, tool }).toEqual({ group: "digits", state: "finished", tool: "mlflow" });
    expect(runs.get("failing")!.state).toBe("failed");
    expectLoss(seriesOf(runs.get("failing"), "train_loss"), 0.5);
    expect(Object.fromEntries(parameters)).toEqual({ lr: 0.01, batch_size: 32, "model/name": "mlp" });
    expect(Object.fromEntries(notes)).toEqual({
      team: "a: b # c",
      commit: "0".repeat(40),
      source: "make.py",
    });
    expect(seriesOf(runs.get("baseline"), "diverged").values).toEqual([Number.NaN]);
    // Logged without steps: MLflow has 0 for each.
    const { steps, values } = seriesOf(runs.get("baseline"), "unnumbered");
    expect([steps, values]).toEqual([
      [0, 1, 2],
      [3, 2, 1],
    ]);
  });

  test("reads trackio's runs", async () => {
    const runs = await runsOf("trackio");
    const { group, parameters, series } = runs.get("wide")!;
    expect(group).toBe("digits");
    expect(parameters.get("lr")).toBe(0.01);
    expect([...parameters.keys()].filter((name) => name.startsWith("_"))).toEqual([]);
    const { steps, values } = series.find(({ name }) => name === "train/loss")!;
    expect(steps).toEqual([...STEPS, 12]);
    expect(values.at(-1)).toBeNaN();
    expect(values[2]).toBeCloseTo(Math.exp(-1), 10);
  });

  test("reads rows that are in a database's log only", async () => {
    const live = (await runsOf("trackio-live")).get("baseline") ?? (await runsOf("trackio-live")).get("wide");
    const all = [...(await runsOf("trackio-live")).values()].flatMap(({ series }) => series);
    expect(live).toBeDefined();
    expect(all.some(({ steps, values }) => steps.at(-1) === 20 && values.at(-1) === 0.125)).toBe(true);
  });

  test("reads one MLflow run by its folder, and names its experiment", async () => {
    const { runs } = await readForeignRuns(runFolder(path.join(FIXTURES, "mlruns")));
    expect(runs.map(({ group }) => group)).toEqual(["digits"]);
  });

  test("reads all runs below a folder", async () => {
    const { runs } = await readForeignRuns(FIXTURES);
    expect(runs).toHaveLength(11);
  });
});

/** Writes an event file. */
function events(...records: Uint8Array[]): string {
  fs.writeFileSync(path.join(folder, EVENTS), Buffer.concat([fileVersion(1), ...records]));
  return path.join(folder, EVENTS);
}

const scalar = (step: number, value = 1, tag = "loss"): Uint8Array =>
  eventRecord({ wallTime: 1000 + step, step, values: [{ tag, scalar: value }] });

describe("a tool that still logs", () => {
  const lossOf = ({ runs }: FoundRuns): readonly number[][] =>
    runs.map((run) => [...seriesOf(run, "loss").steps]);

  test("adds events, of which the last may be half written", async () => {
    const file = events(scalar(0), scalar(1));
    const reader = new ForeignReader(folder);
    expect(lossOf(await reader.read())).toEqual([[0, 1]]);
    expect(lossOf(await reader.read())).toEqual([]);
    const next = scalar(2);
    fs.appendFileSync(file, next.subarray(0, 20));
    const half = await reader.read();
    expect(lossOf(half)).toEqual([[0, 1]]);
    expect(half.runs[0]!.problems[0]).toContain("ends within a record");
    fs.appendFileSync(file, next.subarray(20));
    const whole = await reader.read();
    expect(lossOf(whole)).toEqual([[0, 1, 2]]);
    expect(whole.runs[0]!.problems).toEqual([]);
  });

  test("is read from where the last reading has ended", async () => {
    const file = events(scalar(0), scalar(1));
    const reader = new ForeignReader(folder);
    await reader.read();
    // Read again, it would be a damaged file.
    const handle = fs.openSync(file, "r+");
    fs.writeSync(handle, Buffer.alloc(30, 255), 0, 30, 30);
    fs.closeSync(handle);
    fs.appendFileSync(file, scalar(2));
    const { runs } = await reader.read();
    expect(lossOf({ runs, problems: [] })).toEqual([[0, 1, 2]]);
    expect(runs[0]!.problems).toEqual([]);
  });

  test("may write its files once more from the start", async () => {
    const file = events(scalar(0), scalar(1), scalar(2));
    const reader = new ForeignReader(file);
    await reader.read();
    events(scalar(7));
    expect(lossOf(await reader.read())).toEqual([[7]]);
  });

  test("begins another file, and another run", async () => {
    events(scalar(0));
    const reader = new ForeignReader(folder);
    await reader.read();
    fs.writeFileSync(path.join(folder, `${EVENTS}.1`), Buffer.concat([fileVersion(1), scalar(1)]));
    fs.mkdirSync(path.join(folder, "second"));
    fs.copyFileSync(path.join(folder, EVENTS), path.join(folder, "second", EVENTS));
    const { runs } = await reader.read();
    expect(runs.map(({ path: from, series }) => [path.relative(folder, from), series[0]!.steps])).toEqual([
      ["", [0, 1]],
      ["second", [0]],
    ]);
    expect(reader.writtenAt).toBeGreaterThan(Date.now() - 60_000);
  });

  test("adds lines to MLflow's metrics, of which the last may be half written", async () => {
    const root = copied("mlruns");
    const file = path.join(runFolder(root), "metrics", "train_loss");
    const reader = new ForeignReader(root);
    expect((await reader.read()).runs).toHaveLength(2);
    fs.appendFileSync(file, "1700000000000 0.5 12\n1700000001000 0.25 1");
    const [first, ...others] = (await reader.read()).runs;
    expect(others).toEqual([]);
    expect(seriesOf(first, "train_loss")).toMatchObject({ steps: [...STEPS, 12] });
    fs.appendFileSync(file, "3\n");
    const [second] = (await reader.read()).runs;
    expect(seriesOf(second, "train_loss").steps).toEqual([...STEPS, 12, 13]);
    expect(seriesOf(second, "train_loss").values.slice(-2)).toEqual([0.5, 0.25]);
  });

  test("adds rows to a database's log", async () => {
    const root = copied("trackio-live");
    const reader = new ForeignReader(root);
    const log = path.join(
      root,
      fs.readdirSync(root).find((name) => name.endsWith("-wal"))!,
    );
    const bytes = fs.readFileSync(log);
    const rowsOf = ({ runs }: FoundRuns): number =>
      runs.flatMap(({ series }) => series.flatMap(({ steps }) => steps)).length;
    fs.truncateSync(log, 0);
    const before = rowsOf(await reader.read());
    expect(rowsOf(await reader.read())).toBe(0);
    fs.writeFileSync(log, bytes);
    expect(rowsOf(await reader.read())).toBeGreaterThan(before);
  });

  test("is not searched for below a path whose own run is meant", async () => {
    events(scalar(0));
    fs.mkdirSync(path.join(folder, "below"));
    fs.copyFileSync(path.join(folder, EVENTS), path.join(folder, "below", EVENTS));
    const { runs } = await new ForeignReader(folder, "exact").read();
    expect(runs.map((run) => run.path)).toEqual([folder]);
  });
});

describe("damaged and hostile files", () => {
  test("keeps what comes before the damaged record of an event file, and says where that is", async () => {
    const last = scalar(2);
    last[last.length - 6]! ^= 1;
    const { runs } = await readForeignRuns(events(scalar(0), scalar(1), last));
    expect(seriesOf(runs[0], "loss").steps).toEqual([0, 1]);
    expect(runs[0]!.problems).toEqual([
      expect.stringMatching(/tfevents.*: a damaged record at byte \d+; later/),
    ]);
  });

  test("keeps what a file has that ends within a record", async () => {
    const { runs } = await readForeignRuns(events(scalar(0), scalar(1).subarray(0, 20)));
    expect(seriesOf(runs[0], "loss").steps).toEqual([0]);
    expect(runs[0]!.problems[0]).toContain("the file ends within a record");
  });

  test("refuses a record of a length that no file has", async () => {
    const file = events();
    fs.appendFileSync(file, record(new Uint8Array(0)).fill(255, 0, 8));
    await expect(readForeignRuns(file)).rejects.toThrow(/damaged/);
  });

  test("drops the later steps of a training that was resumed", async () => {
    const restart = eventRecord({ wallTime: 2000, step: 2, restart: true });
    const { runs } = await readForeignRuns(
      events(scalar(1), scalar(2, 5), scalar(3, 5), restart, scalar(2, 7)),
    );
    expect(seriesOf(runs[0], "loss")).toMatchObject({ steps: [1, 2], values: [1, 7] });
  });

  test("an event file beside others is a run of its own", async () => {
    const file = events(scalar(1));
    const alone = await readForeignRuns(file);
    expect(alone.runs[0]!.path).toBe(folder);
    fs.copyFileSync(file, `${file}.2`);
    expect((await readForeignRuns(file)).runs[0]!.path).toBe(file);
    expect((await readForeignRuns(folder)).runs.map((run) => run.path)).toEqual([folder]);
  });

  test("skips records that are no events", async () => {
    const { runs } = await readForeignRuns(events(record(new Uint8Array([255, 255, 255])), scalar(4)));
    expect(seriesOf(runs[0], "loss").steps).toEqual([4]);
    expect(runs[0]!.problems[0]).toContain("no event of TensorBoard");
  });

  test("thins metrics of very many values, and keeps the last", async () => {
    const { runs } = await readForeignRuns(
      events(...Array.from({ length: 100_001 }, (_, i) => scalar(i, i))),
    );
    const { steps, values } = seriesOf(runs[0], "loss");
    expect(steps.length).toBeLessThan(40_001);
    expect([steps.at(-1), values.at(-1)]).toEqual([100_000, 100_000]);
    expect(runs[0]!.problems[0]).toContain("evenly spaced");
  });

  test("leaves out names that no record can have", async () => {
    const { runs } = await readForeignRuns(events(...INHERITED.map((name) => scalar(1, 1, name)), scalar(1)));
    expect(runs[0]!.series.map(({ name }) => name)).toEqual(["loss"]);
  });

  test.each(INHERITED)("takes %s for no word of MLflow's", async (name) => {
    const root = copied("mlruns");
    const file = path.join(runFolder(root), "metrics", "train_loss");
    fs.appendFileSync(file, `1700000000000 ${name} 99\n`);
    fs.writeFileSync(path.join(runFolder(root), "tags", name), "1");
    const meta = path.join(runFolder(root), "meta.yaml");
    fs.writeFileSync(meta, fs.readFileSync(meta, "utf8").replace(/^status: .*$/m, `status: ${name}`));
    const { runs } = await readForeignRuns(runFolder(root));
    expect(runs[0]!.state).toBe("stopped");
    expect([...runs[0]!.notes.keys()]).not.toContain(name);
    expect(runs[0]!.problems).toEqual([`${file}: 1 lines are no values and are left out.`]);
  });

  test("says what is wrong with a metric's lines", async () => {
    const root = copied("mlruns");
    const file = path.join(runFolder(root), "metrics", "train_loss");
    fs.appendFileSync(file, "garbage\n1 2 3 4 5\n17000000000 nan 1\n");
    const { runs } = await readForeignRuns(root);
    const problems = runs.flatMap((run) => run.problems);
    expect(problems).toEqual([`${file}: 1 lines are no values and are left out.`]);
  });

  test.each([
    ["run_id: &a [*a, *a]", /aliases|not a record|no runs|YAML/],
    ["run_id: !!js/function 'x'\nname: {", /YAML/],
    ["- 1", /not a record of MLflow/],
  ])("refuses meta.yaml with %j", async (text, problem) => {
    fs.writeFileSync(path.join(folder, "meta.yaml"), text);
    await expect(readForeignRuns(folder)).rejects.toThrow(problem);
  });

  test("names a run's metadata that is too large", async () => {
    fs.writeFileSync(path.join(folder, "meta.yaml"), `run_id: ${"x".repeat(300_000)}`);
    await expect(readForeignRuns(folder)).rejects.toThrow(/300,008 bytes; the limit is/);
  });

  test("refuses a file that only has a database's name", async () => {
    fs.writeFileSync(path.join(folder, "a.db"), "not a database");
    await expect(readForeignRuns(folder)).rejects.toThrow(/no database of SQLite/);
  });

  test("refuses a truncated database", async () => {
    const root = copied("trackio");
    fs.truncateSync(path.join(root, "digits.db"), 9000);
    await expect(readForeignRuns(root)).rejects.toThrow(/digits\.db.*(can't be read|neither)|no runs/);
  });

  test("runs no view of a database", async () => {
    const { default: initSqlite } = await import("sql.js");
    const { Database } = await initSqlite();
    const database = new Database();
    database.run(
      "CREATE VIEW metrics AS WITH RECURSIVE c(id) AS (SELECT 1 UNION ALL SELECT id FROM c) SELECT id, 'a' run_name, 1 step, '{}' metrics FROM c",
    );
    fs.writeFileSync(path.join(folder, "a.db"), database.export());
    await expect(readForeignRuns(folder)).rejects.toThrow(/neither a database of trackio nor one of MLflow/);
  });

  test.skipIf(process.platform === "win32")("follows no links", async () => {
    fs.symlinkSync(path.join(FIXTURES, "mlruns"), path.join(folder, "linked"));
    fs.symlinkSync(path.join(FIXTURES, "trackio/digits.db"), path.join(folder, "a.db"));
    await expect(readForeignRuns(folder)).rejects.toThrow(/no runs of TensorBoard, MLflow or trackio/);
    await expect(readForeignRuns(path.join(folder, "a.db"))).rejects.toThrow(
      /a symbolic link, which is not followed/,
    );
  });
});

/** The folder of a run in MLflow's file store. */
function runFolder(root: string): string {
  const [experiment] = fs.readdirSync(root).filter((name) => /^\d+$/.test(name));
  const [run] = fs.readdirSync(path.join(root, experiment!)).filter((name) => name !== "meta.yaml");
  return path.join(root, experiment!, run!);
}
