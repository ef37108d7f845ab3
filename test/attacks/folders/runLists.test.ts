// A table of runs in a folder of a stranger's, who has made many runs with much in each.
import fs from "node:fs";
import path from "node:path";
import { expect, it, vi } from "vitest";
import { startingRecord } from "../../../extension/protocol/engine.ts";
import { RUNS_FOLDER } from "../../../extension/protocol/run.ts";
import { useFolder } from "../../folders.ts";
import { done } from "../hostilePage.ts";

vi.mock("vscode", async () => (await import("../hostilePage.ts")).vscode());

const workspace = useFolder();

it("has a hundred runs with labels of a megabyte and the id of another run", async () => {
  const { runTable } = await import("../../../extension/editor/panels/runTable.ts");
  done.workspace = workspace;
  const file = path.join(workspace, "net.nn.ts");
  const folder = path.join(workspace, RUNS_FOLDER);
  const names = Array.from({ length: 100 }, (_, i) => `run-${i}`);
  const request = { kind: "train", file, exportName: "default", device: "cpu", outlive: false } as const;
  const record = startingRecord({ ...request, directory: path.join(folder, "run-0") });
  const labels = path.join(workspace, "labels.json");
  fs.writeFileSync(labels, JSON.stringify({ name: "large" }).padEnd(2 ** 20));
  for (const name of names) {
    fs.mkdirSync(path.join(folder, name), { recursive: true });
    fs.writeFileSync(path.join(folder, name, "run.json"), JSON.stringify({ ...record, state: "finished" }));
    fs.linkSync(labels, path.join(folder, name, "labels.json"));
  }
  const runs = await runTable(() => ({ directory: path.join(folder, "run-0"), file })).runs();
  // A view opens, labels and deletes a run by its id.
  expect(runs.map(({ run }) => run.id).sort()).toEqual(names.toSorted());
  expect(runs.filter(({ labels: { name } }) => name === "large")).toHaveLength(64);
});
