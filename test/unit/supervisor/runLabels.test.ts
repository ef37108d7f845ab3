import fs from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { readRows } from "../../../extension/supervisor/runs/metrics.ts";
import { readLabels, writeLabels } from "../../../extension/supervisor/runs/runLabels.ts";
import { useFolder } from "../../folders.ts";

const directory = useFolder();

const none = { name: "", tags: [], archived: false };

test("labels are read as they were written; a run without them, or with what is none, has none", async () => {
  expect(await readLabels(directory)).toEqual(none);
  const labels = { name: "wide", tags: ["a", "b"], archived: true };
  await writeLabels(directory, labels);
  expect(await readLabels(directory)).toEqual(labels);
  fs.writeFileSync(path.join(directory, "labels.json"), '{ "name": "old" }');
  expect(await readLabels(directory)).toEqual({ ...none, name: "old" });
  for (const text of ["{", '{ "tags": 5 }', "null"]) {
    fs.writeFileSync(path.join(directory, "labels.json"), text);
    expect(await readLabels(directory)).toEqual(none);
  }
});

test("a long run's rows are as many as asked for, with the newest and every event", async () => {
  const lines = Array.from({ length: 5000 }, (_, i) => ({
    kind: "step",
    step: i + 1,
    epoch: 1,
    time: i,
    values: { loss: 1 },
  }));
  const event = { kind: "event", step: 7, epoch: 1, time: 7, values: { lr: 0.1 }, text: "changed" };
  fs.writeFileSync(
    path.join(directory, "metrics.jsonl"),
    [...lines, event].map((line) => `${JSON.stringify(line)}\n`).join(""),
  );
  const rows = await readRows(directory, 1000);
  expect(rows.length).toBeLessThanOrEqual(1002);
  expect(rows.length).toBeGreaterThan(400);
  expect(rows.at(-1)).toMatchObject({ step: 5000 });
  expect(rows.filter(({ kind }) => kind === "event")).toEqual([event]);
});
