/** Sources of other versions of a file, and of its weights. */
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { inspect } from "../../../extension/engine/preview/inspect.ts";
import { keepImports } from "../../../extension/engine/host/versions.ts";
import type { VersionSource } from "../../../extension/protocol/preview.ts";
import { RUNS_FOLDER, SOURCE_FILE, SOURCES_FILE } from "../../../extension/protocol/run.ts";
import { committedText } from "../../../extension/supervisor/git.ts";
import { weightStatistics } from "../../../extension/supervisor/engines/weightStatistics.ts";
import { writeSafetensors } from "../../../extension/formats/safetensors/safetensors.ts";
import { dist, experimentFile, useWorkspace } from "../workspace.ts";

const workspace = useWorkspace();

const git = (...args: string[]): void =>
  void execFileSync("git", ["-c", "user.name=t", "-c", "user.email=t@t", ...args], {
    cwd: workspace.folder,
    stdio: "ignore",
  });

test("git's HEAD has the file as it was committed; without one, it is told why", async () => {
  const file = workspace.write("net.nn.ts", "one\n");
  await expect(committedText(file)).rejects.toThrow(/HEAD: not a git repository/);
  git("init");
  await expect(committedText(file)).rejects.toThrow(/net\.nn\.ts can't be compared with git's HEAD/);
  git("add", ".");
  git("commit", "-m", "one");
  workspace.write("net.nn.ts", "two\n");
  expect(await committedText(file)).toBe("one\n");
  await expect(committedText(file, path.join(workspace.folder, "no-git"))).rejects.toThrow(
    /no git on this machine/,
  );
});

test("the values of a checkpoint's tensors, read in a process of their own", async () => {
  const file = workspace.file("weights.safetensors");
  const data = new Uint8Array(new Float32Array([-1, 0, 0, 3, Number.NaN, Infinity]).buffer);
  writeSafetensors(file, [{ name: "fc.weight", dtype: "F32", shape: [2, 3], data }], new Map());
  const [tensor] = await weightStatistics(file, { dist }, new AbortController().signal);
  expect(tensor).toMatchObject({
    name: "fc.weight",
    shape: [2, 3],
    min: -1,
    max: 3,
    mean: 0.5,
    zeros: 2,
    nans: 1,
    infinities: 1,
  });
  expect(tensor!.histogram!.reduce((sum, count) => sum + count, 0)).toBe(4);

  fs.writeFileSync(file, "no weights");
  await expect(weightStatistics(file, { dist }, new AbortController().signal)).rejects.toThrow(
    /safetensors|header|weights/i,
  );
  const cancelled = new AbortController();
  cancelled.abort();
  await expect(weightStatistics(file, { dist }, cancelled.signal)).rejects.toThrow(/cancelled/);
});

const NET = `import { nn, type Tensor } from "layerwise";
import { WIDTH } from "./parts/width.js";
import { block } from "./parts";
import names from "./names.json";
export class Net extends nn.Module {
  fc = new nn.Linear(WIDTH, names.length);
  block = block();
  forward(x: Tensor): Tensor {
    return this.block(this.fc(x));
  }
}
`;

/** Writes the network's imports. */
function writeParts(width: number, hidden: number, names: string): void {
  workspace.write("parts/width.ts", `export const WIDTH = ${width};\n`);
  workspace.write(
    "parts/index.ts",
    `import { nn } from "layerwise";\nexport const block = () => new nn.Linear(2, ${hidden});\n`,
  );
  workspace.write("names.json", names);
}

async function built(file: string, version?: VersionSource): Promise<string[]> {
  const { errors, models } = await inspect({
    file,
    text: fs.readFileSync(file, "utf8"),
    ...(version && { version }),
  });
  expect(errors).toEqual([]);
  return models[0]!.rows.slice(1).map(({ detail }) => detail.replace(", bias=True", ""));
}

test("git's HEAD is built with what it imported, and git runs no hook, filter or monitor", async () => {
  const marker = workspace.file("ran");
  const file = workspace.write("net.nn.ts", NET);
  writeParts(3, 5, '["a", "b"]');
  git("init");
  git("add", ".");
  git("commit", "-m", "one");
  workspace.write(".gitattributes", "*.ts filter=evil diff=evil\n");
  for (const key of [
    "filter.evil.clean",
    "filter.evil.smudge",
    "diff.evil.textconv",
    "diff.external",
    "core.fsmonitor",
    "core.pager",
  ])
    git("config", key, `touch ${marker}; cat`);
  for (const hook of ["post-checkout", "post-index-change", "fsmonitor-watchman"]) {
    workspace.write(`.git/hooks/${hook}`, `#!/bin/sh\ntouch ${marker}\n`);
    fs.chmodSync(workspace.file(`.git/hooks/${hook}`), 0o755);
  }
  writeParts(30, 50, '["a", "b"]');
  // Since then, a module has moved.
  fs.renameSync(workspace.file("parts/width.ts"), workspace.file("parts/size.ts"));
  fs.writeFileSync(file, NET.replace("width.js", "size.js"));
  expect(await built(file)).toEqual(["in_features=30, out_features=2", "in_features=2, out_features=50"]);
  const text = await committedText(file);
  const version = { kind: "git", git: "git", revision: "HEAD" } as const;
  const { errors, models } = await inspect({ file, text, version });
  expect(errors).toEqual([]);
  expect(models[0]!.text).toContain("(fc): Linear(in_features=3, out_features=2, bias=True)");
  expect(models[0]!.text).toContain("(block): Linear(in_features=2, out_features=5, bias=True)");
  expect(fs.existsSync(marker)).toBe(false);
  // A command that reads the working tree would have run them.
  git("status");
  expect(fs.existsSync(marker)).toBe(true);
});

test("a run is built with what it imported; one without those, with what is on the disk", async () => {
  const experiment = `import { data, experiment, nn, optim, torch, type Tensor } from "layerwise";
import { size } from "../shared/size";
class Net extends nn.Module {
  fc = new nn.Linear(size, 1);
  forward(x: Tensor): Tensor {
    return this.fc(x);
  }
}
export default experiment({
  model: () => new Net(),
  data: () => new data.TensorDataset(torch.randn(4, size), torch.randn(4, 1)),
  loss: new nn.MSELoss(),
  optimizer: (parameters) => new optim.SGD(parameters, { lr: 0.1 }),
  epochs: 1,
});
`;
  const file = workspace.write("nets/net.nn.ts", experiment);
  workspace.write("shared/size.ts", "export const size = 3;\n");
  const { code, stderr } = await workspace.start(["train", file]).ended;
  expect(code, stderr).toBe(0);
  const [id = ""] = fs.readdirSync(workspace.file(RUNS_FOLDER));
  const directory = path.join(workspace.file(RUNS_FOLDER), id);
  const kept = path.join(directory, SOURCES_FILE);
  expect(JSON.parse(fs.readFileSync(kept, "utf8"))).toEqual({
    "../shared/size.ts": "export const size = 3;\n",
  });
  workspace.write("shared/size.ts", "export const size = 30;\n");
  const version = { kind: "run", directory } as const;
  expect(await built(file, version)).toEqual(["in_features=3, out_features=1"]);
  for (const damaged of ["", "[]", '{"../shared/size.ts": 1}']) {
    fs.writeFileSync(kept, damaged);
    expect(await built(file, version)).toEqual(["in_features=30, out_features=1"]);
  }
  fs.rmSync(kept);
  expect(await built(file, version)).toEqual(["in_features=30, out_features=1"]);
});

test("what a run keeps of its imports is of the workspace and small", () => {
  const file = workspace.write("net.nn.ts", "");
  const source = (name: string, text: string): string => workspace.write(name, text);
  const kept = (sources: string[]): string[] => {
    fs.rmSync(workspace.file(SOURCES_FILE), { force: true });
    const texts = sources.map((name) => [name, fs.readFileSync(name, "utf8")] as const);
    keepImports(workspace.folder, file, new Map(texts), workspace.folder);
    const made = workspace.file(SOURCES_FILE);
    return fs.existsSync(made) ? Object.keys(JSON.parse(fs.readFileSync(made, "utf8")) as object) : [];
  };
  const small = source("a/small.ts", "1");
  const others = [source("node_modules/p/index.js", "2"), source("large.ts", " ".repeat(300_000)), dist];
  expect(kept([...others.slice(0, 2), small])).toEqual(["a/small.ts"]);
  expect(kept(others.slice(0, 1))).toEqual([]);
  expect(kept(Array.from({ length: 20 }, (_, i) => source(`m${i}.ts`, " ".repeat(200_000))))).toHaveLength(
    10,
  );
});

test("a training keeps the file as it was", async () => {
  const text = experimentFile({ epochs: "1" });
  const file = workspace.write("net.nn.ts", text);
  const { code, stderr } = await workspace.start(["train", file]).ended;
  expect(code, stderr).toBe(0);
  const [id = ""] = fs.readdirSync(workspace.file(RUNS_FOLDER));
  expect(fs.readFileSync(path.join(workspace.file(RUNS_FOLDER), id, SOURCE_FILE), "utf8")).toBe(text);
});
