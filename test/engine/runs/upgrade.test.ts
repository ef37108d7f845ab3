// Files of earlier versions stay usable: runs, their states and weights, settings. See test/fixtures/upgrade.
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { beforeEach, describe, expect, test } from "vitest";
import manifest from "../../../package.json";
import { loadSafetensors } from "../../../extension/formats/safetensors/safetensors.ts";
import { readLabels } from "../../../extension/supervisor/runs/runLabels.ts";
import { readRows, readRun, useWorkspace } from "../workspace.ts";

const fixture = (name: string): string =>
  fileURLToPath(new URL(`../../fixtures/upgrade/${name}`, import.meta.url));

describe("runs of an earlier version", () => {
  const FINISHED = "20261128-020846-net";
  const KILLED = "20261128-020849-net";
  const EVALUATION = "20261128-020852-net";
  const workspace = useWorkspace();
  const directory = (id: string): string => workspace.file(`.layerwise/runs/${id}`);
  const env = { LAYERWISE_DEVICE: "cpu" };

  beforeEach(() => {
    fs.copyFileSync(fixture("net.nn.ts"), workspace.file("net.nn.ts"));
    fs.cpSync(fixture("runs"), workspace.file(".layerwise/runs"), { recursive: true });
    for (const id of [FINISHED, KILLED, EVALUATION]) {
      const file = path.join(directory(id), "run.json");
      const text = fs.readFileSync(file, "utf8");
      fs.writeFileSync(file, text.replace("/workspace/", `${workspace.folder.replaceAll("\\", "/")}/`));
    }
  });

  /** The bytes of a run's final weights. */
  function weights(id: string): Record<string, string> {
    const { entries } = loadSafetensors(path.join(directory(id), "checkpoints/final.safetensors"));
    return Object.fromEntries(entries.map(({ name, data }) => [name, Buffer.from(data).toString("hex")]));
  }

  test("are listed with names, states and metrics", async () => {
    const { stdout, code } = await workspace.run(["runs", "--json"]);
    expect(code).toBe(0);
    const records = stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as { id: string });
    const listed = new Map(records.map((run) => [run.id, run]));
    expect([...listed.keys()].sort()).toEqual([FINISHED, KILLED, EVALUATION]);
    expect(listed.get(FINISHED)).toMatchObject({ state: "finished", epoch: 6, kind: "train" });
    expect(listed.get(KILLED)).toMatchObject({ state: "killed" });
    expect(listed.get(EVALUATION)).toMatchObject({ state: "finished", kind: "evaluate" });
    expect(await readLabels(directory(FINISHED))).toMatchObject({ name: "First network", tags: ["iris"] });
  });

  test("resume where they were killed, and end in the weights of an uninterrupted one", async () => {
    const { code, stderr } = await workspace.run(["train", "--resume", directory(KILLED), "--no-progress"], {
      env,
    });
    expect(stderr).toContain("Trained 6 epochs");
    expect(code).toBe(0);
    expect(readRun(directory(KILLED))).toMatchObject({ state: "finished", epoch: 6, step: 48 });
    const epochs = readRows(directory(KILLED)).filter(({ kind }) => kind === "epoch");
    expect(epochs.map(({ epoch }) => epoch)).toEqual([1, 2, 3, 4, 5, 6]);
    expect(weights(KILLED)).toEqual(weights(FINISHED));
  });

  test("have weights that evaluate to the same results", async () => {
    const file = path.join(directory(FINISHED), "checkpoints/final.safetensors");
    const { stdout, code } = await workspace.run(["evaluate", "net.nn.ts", "--checkpoint", file], { env });
    expect(code).toBe(0);
    expect(stdout).toContain("30 samples, Loss: 0.8778, Accuracy: 0.6333");
  });
});

describe("settings of an earlier version", () => {
  interface Setting {
    type: string;
    default: unknown;
    enum?: string[];
    minimum?: number;
    maximum?: number;
  }
  const now: Record<string, Setting> = manifest.contributes.configuration.properties;
  const before: Record<string, Setting> = JSON.parse(fs.readFileSync(fixture("settings.json"), "utf8"));

  test.each(Object.entries(before))("%s takes the same values", (name, was) => {
    const is = now[name];
    expect(is?.type).toBe(was.type);
    expect(is?.enum ?? was.enum ?? []).toEqual(expect.arrayContaining(was.enum ?? []));
    expect(is?.minimum ?? -Infinity).toBeLessThanOrEqual(was.minimum ?? -Infinity);
    expect(is?.maximum ?? Infinity).toBeGreaterThanOrEqual(was.maximum ?? Infinity);
    expect(is?.default).toEqual(was.default);
  });
});
