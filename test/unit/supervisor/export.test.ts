import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { writeAtomic } from "../../../extension/files/writeAtomic.ts";
import { exportModel, removeUnfinished } from "../../../extension/supervisor/engines/export.ts";

test("what a killed writer left is removed, and nothing else", async () => {
  const folder = mkdtempSync(join(tmpdir(), "layerwise-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const path = join(folder, "model");
  const kept = ["model", ".model.tmp", ".model.2.0123456789ab.tmp", ".other.0123456789ab.tmp"];
  for (const name of kept) writeFileSync(join(folder, name), "mine");
  let left = "";
  function* watched(): Iterable<Uint8Array> {
    left = readdirSync(folder).find((name) => !kept.includes(name)) ?? "";
    yield Uint8Array.of(1);
  }
  writeAtomic(path, watched());
  writeFileSync(join(folder, left), "half");
  await removeUnfinished(path);
  await removeUnfinished(join(folder, "nowhere", "model"));
  expect(readdirSync(folder).sort()).toEqual(kept.toSorted());
});

test("no model is exported to a name that Windows keeps for a device", async () => {
  const options = { root: "nowhere", onLog: () => undefined };
  const request = {
    file: "a.nn.ts",
    exportName: "default",
    device: "auto",
    checkpoint: "a.safetensors",
  } as const;
  for (const out of ["aux.onnx", "con", "a:b.onnx", "model."])
    await expect(exportModel(options as never, { ...request, format: "onnx", out })).rejects.toThrow(
      /choose another one/,
    );
});
