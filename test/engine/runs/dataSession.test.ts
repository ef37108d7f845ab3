import { afterEach, expect, test } from "vitest";
import type { DataReading, DataRequest } from "../../../extension/protocol/data/data.ts";
import { DataSession, type DataSessionOptions } from "../../../extension/supervisor/engines/dataSession.ts";
import { dist, useWorkspace } from "../workspace.ts";

const workspace = useWorkspace("all");
const sessions: DataSession[] = [];

afterEach(async () => {
  await Promise.all(sessions.splice(0).map((session) => session.dispose()));
});

/** An experiment whose samples are what `get` gives. */
function write(name: string, get: string, length = "100", rest = ""): string {
  return workspace.write(
    `${name}.nn.ts`,
    `import { torch, nn, optim, data, experiment, type Tensor } from "layerwise";
class Own extends data.Dataset<[Tensor, number]> {
  length = ${length};
  get(i: number): [Tensor, number] {
    ${get}
  }
}
export default experiment({
  model: () => new nn.Linear(4, 3),
  data: () => new Own(),
  loss: new nn.CrossEntropyLoss(),
  optimizer: (parameters) => new optim.Adam(parameters, { lr: 0.01 }),
  batchSize: 20,
  epochs: 1,
  ${rest}
});
`,
  );
}

function open(
  file: string,
  options: DataSessionOptions = {},
  seeds: Pick<DataRequest, "seed" | "defaultSeed"> = { seed: 0 },
): DataSession {
  const request = { file, exportName: "default", device: "cpu" as const, ...seeds };
  const engine = () => ({ dist, env: { LAYERWISE_READ_LIMIT: "1" } });
  const session = new DataSession(request, engine, options);
  sessions.push(session);
  return session;
}

const SAMPLE = "return [torch.ones(4).mul(i), i % 3];";

test("a process reads the data, shows samples and tensors, and ends with its session", async () => {
  const session = open(write("plain", SAMPLE));
  const summary = await session.summary();
  expect(summary?.splits).toMatchObject([{ name: "train", samples: 100, read: 100, classes: [34, 33, 33] }]);
  const page = await session.samples({ split: "train", offset: 98, count: 24 });
  expect(page?.samples.map(({ index }) => index)).toEqual([98, 99]);
  const opened = await session.openTensor({ split: "train", index: 7 }, "input");
  expect(opened).toMatchObject({ dtype: "float32", shape: [4] });
  const window = { rowAxis: 0, columnAxis: -1, at: [0], row: 0, rows: 9, column: 0, columns: 1 };
  expect((await session.window(opened!.id, window))?.values).toEqual([7, 7, 7, 7]);
  expect(await session.statistics(opened!.id)).toMatchObject({ count: 4, mean: 7 });
  await expect(session.openTensor({ split: "train", index: 7 }, "other")).rejects.toThrow("no tensor");
  await expect(session.samples({ split: "test", offset: 0, count: 1 })).rejects.toThrow("no test data");
  const pid = session.pid!;
  await session.dispose();
  expect(() => process.kill(pid, 0)).toThrow();
});

test("a restarted process splits the data as before, and has no tensor of its predecessor", async () => {
  const session = open(write("unseeded", SAMPLE, "100", "validation: 0.5,"), {}, { defaultSeed: 11 });
  const values = async (): Promise<string> =>
    JSON.stringify(await session.samples({ split: "train", offset: 0, count: 24 }));
  const before = await values();
  const place = { split: "train" as const, index: 1 };
  const { id } = (await session.openTensor(place, "input"))!;
  await session.cancel();
  expect(session.state).toBe("closed");
  expect(await values()).toBe(before);
  const again = (await session.openTensor(place, "input"))!;
  expect(again.id).not.toBe(id);
  await expect(session.statistics(id)).rejects.toThrow("no longer kept");
  const other = open(write("unseeded", SAMPLE, "100", "validation: 0.5,"), {}, { defaultSeed: 12 });
  expect(JSON.stringify(await other.samples({ split: "train", offset: 0, count: 24 }))).not.toBe(before);
  const seeded = write("seeded", SAMPLE, "100", "validation: 0.5, seed: 11,");
  const own = open(seeded, {}, { defaultSeed: 12 });
  expect(JSON.stringify(await own.samples({ split: "train", offset: 0, count: 24 }))).toBe(before);
});

test("a sample that fails names its line when it is drawn, or a tensor of it is viewed", async () => {
  const session = open(write("failing", `if (i === 7) throw new Error("broken file");\n    ${SAMPLE}`));
  const place = { split: "train" as const, index: 7 };
  const failed = { cause: { message: "broken file", position: { line: 5 } } };
  await expect(session.draw(place)).rejects.toMatchObject(failed);
  await expect(session.openTensor(place, "input")).rejects.toMatchObject(failed);
});

test("a slow set reports progress, ends in time, and has samples from all of it", async () => {
  const told: DataReading[] = [];
  const wait = `for (const end = performance.now() + 5; performance.now() < end; ); ${SAMPLE}`;
  const session = open(write("slow", wait, "10_000_000"), { onReading: (progress) => told.push(progress) });
  const [split] = (await session.summary())!.splits;
  expect(split).toMatchObject({ timedOut: true, samples: 10_000_000 });
  expect(split!.read).toBeLessThan(1000);
  expect(told.length).toBeGreaterThan(2);
  expect(told.at(-1)).toMatchObject({ split: "train", of: 10_000_000 });
});

test("a sample that blocks ends the reading with its line", async () => {
  const session = open(write("endless", `if (i === 50) for (;;);\n    ${SAMPLE}`));
  await expect(session.summary()).rejects.toMatchObject({
    cause: { code: "timeout", position: { line: 5 } },
  });
});

test("reading is cancelled, and starts again with the next request", async () => {
  const wait = `for (const end = performance.now() + 5; performance.now() < end; ); ${SAMPLE}`;
  let cancelled: Promise<void> | undefined;
  const session: DataSession = open(write("cancelled", wait, "1000"), {
    onReading: () => void (cancelled ??= session.cancel()),
  });
  expect(await session.summary()).toBeUndefined();
  await cancelled;
  expect(session.state).toBe("closed");
  expect((await session.summary())?.splits).toHaveLength(1);
});
