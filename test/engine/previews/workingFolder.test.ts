// User code that an editor starts runs in the workspace folder that has its file, as in a terminal there.
import fs from "node:fs";
import { expect, test, vi } from "vitest";
import { PreviewEngine } from "../../../extension/supervisor/engines/preview.ts";
import { spawnRun } from "../../../extension/supervisor/runs/run.ts";
import { dist, experimentFile, useWorkspace } from "../workspace.ts";

const workspace = useWorkspace();

const engine = () => ({ dist, folders: [workspace.file("first"), workspace.file("second"), "/nowhere"] });

/** A model of as many inputs as the file `inputs` in the working directory says; a training saves its weights there. */
const TEXT = experimentFile(
  {
    epochs: "1",
    model: "() => new nn.Linear(Number(fs.readFileSync('inputs', 'utf8')), 3)",
    data: "() => new data.TensorDataset(torch.ones(4, Number(fs.readFileSync('inputs', 'utf8'))), torch.zeros(4).long())",
    callbacks: "{ onTrainEnd: ({ model }) => torch.save(model.stateDict(), 'weights.pth') }",
  },
  'import fs from "node:fs";',
);

function writeFolders(): void {
  for (const [folder, inputs] of [
    ["first", 4],
    ["second", 7],
  ] as const) {
    workspace.write(`${folder}/inputs`, String(inputs));
    workspace.write(`${folder}/models/net.nn.ts`, TEXT);
  }
}

test("previews of two folders, one after the other in one process", async () => {
  writeFolders();
  const logged: string[] = [];
  const previews = new PreviewEngine(engine, { onLog: (text) => logged.push(text) });
  try {
    for (const [folder, total] of [
      ["first", 15],
      ["second", 24],
      ["first", 15],
    ] as const) {
      const report = await previews.inspect({ file: workspace.file(`${folder}/models/net.nn.ts`) }, 20);
      expect(report?.errors).toEqual([]);
      expect(report?.models.map(({ parameters }) => parameters.total)).toContain(total);
    }
    expect(logged.join("\n")).not.toContain("new process");
  } finally {
    await previews.dispose();
  }
});

test("the command line of user code runs where it was started, not in the editor's folder", async () => {
  writeFolders();
  vi.stubEnv("LAYERWISE_FOLDERS", JSON.stringify([workspace.file("first")]));
  const previews = new PreviewEngine(() => ({ dist }));
  try {
    const report = await previews.inspect({ file: workspace.file("first/models/net.nn.ts") }, 20);
    expect(report?.models[0]?.error?.message ?? report?.errors[0]?.message).toContain("ENOENT");
  } finally {
    await previews.dispose();
    vi.unstubAllEnvs();
  }
});

test("a training reads and writes there", async () => {
  writeFolders();
  const run = spawnRun(
    {
      kind: "train",
      file: workspace.file("second/models/net.nn.ts"),
      exportName: "default",
      directory: workspace.file("second/.layerwise/runs/one"),
      device: "cpu",
      outlive: false,
    },
    {},
    engine(),
  );
  expect(await run.ended).toMatchObject({ record: { state: "finished" } });
  expect(fs.existsSync(workspace.file("second/weights.pth"))).toBe(true);
});
