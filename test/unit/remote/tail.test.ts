import fs from "node:fs";
import path from "node:path";
import { PassThrough } from "node:stream";
import { afterEach, expect, test, vi } from "vitest";
import { Counted } from "../../../extension/remote/rows.ts";
import { ofFollowed } from "../../../extension/remote/messages.ts";
import { Peer } from "../../../extension/remote/wire.ts";
import { Follower } from "../../../extension/supervisor/remote/follower.ts";
import { ChangedError, RowTail } from "../../../extension/supervisor/remote/tail.ts";
import { useFolder } from "../../folders.ts";

const folder = useFolder();
afterEach(() => void vi.restoreAllMocks());

/** A row of 800 kB. */
const row = (step: number): object => ({
  step,
  epoch: 1,
  layers: { ["x".repeat(800_000)]: { gradNorm: 1 } },
});

test("sends any number of long rows in messages within the size limit", async () => {
  const lines = Array.from({ length: 50 }, (_, step) => `${JSON.stringify(row(step))}\n`);
  fs.writeFileSync(path.join(folder, "layers.jsonl"), lines.join(""));
  const tail = new RowTail(folder, "layers");
  // Others are there, so that all are sent.
  expect(await tail.skip({ count: 100, hash: "0".repeat(64) })).toBe(false);
  const steps: number[] = [];
  for (let rows = await tail.next(); rows.length > 0; rows = await tail.next()) {
    expect(JSON.stringify(rows).length).toBeLessThan(4 * 2 ** 20);
    steps.push(...rows.map((one) => (one as { step: number }).step));
  }
  await tail.close();
  expect(steps).toEqual(lines.map((_, step) => step));
});

test("sends many short rows in messages of at most a thousand", async () => {
  const rows = Array.from({ length: 2500 }, (_, step) => ({
    kind: "step",
    step,
    epoch: 1,
    time: 0,
    values: {},
  }));
  fs.writeFileSync(
    path.join(folder, "metrics.jsonl"),
    rows.map((one) => `${JSON.stringify(one)}\n`).join(""),
  );
  const tail = new RowTail(folder, "metrics");
  await tail.skip({ count: 3000, hash: "0".repeat(64) });
  const counts: number[] = [];
  for (let next = await tail.next(); next.length > 0; next = await tail.next()) counts.push(next.length);
  await tail.close();
  expect(counts).toEqual([1000, 1000, 500]);
});

test("starts over if files are replaced while they are compared", async () => {
  const lines = [1, 2, 3].map((step) => ({ kind: "step", step, epoch: 1, time: 0, values: {} }));
  fs.writeFileSync(
    path.join(folder, "metrics.jsonl"),
    lines.map((one) => `${JSON.stringify(one)}\n`).join(""),
  );
  const two = new Counted();
  for (const one of lines.slice(0, 2)) two.line(JSON.stringify(one));
  const none = new Counted().have;
  const have = { ...ofFollowed(() => none), metrics: two.have };
  const line = new Peer(new PassThrough(), new PassThrough(), {});
  const skip = vi.spyOn(RowTail.prototype, "skip").mockRejectedValueOnce(new ChangedError());
  const follower = new Follower(folder, folder, line);
  expect(await follower.skip(have)).toEqual(ofFollowed(() => true));
  expect(skip).toHaveBeenCalledTimes(5);
  await follower.stop();
  skip.mockRejectedValue(new ChangedError());
  await expect(new Follower(folder, folder, line).skip(have)).rejects.toThrow(ChangedError);
});
