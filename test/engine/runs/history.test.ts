/** How a run came about, as its directory keeps it, and the same run again. */
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { commandOf, gitFacts } from "../../../extension/engine/reporting/provenance.ts";
import { PROVENANCE_FILE } from "../../../extension/protocol/history/provenance.ts";
import type { RunRequest } from "../../../extension/protocol/engine.ts";
import { RUNS_FOLDER } from "../../../extension/protocol/run.ts";
import { resumeRequest } from "../../../extension/supervisor/runs/resume.ts";
import { keepForTurn } from "../../../extension/supervisor/runs/queuedSources.ts";
import { readHistory } from "../../../extension/supervisor/runs/runHistory.ts";
import { spawnRun } from "../../../extension/supervisor/runs/run.ts";
import { dist, useWorkspace } from "../workspace.ts";

const workspace = useWorkspace();

const git = (...args: string[]): string =>
  execFileSync("git", ["-c", "user.name=t", "-c", "user.email=t@t", ...args], {
    cwd: workspace.folder,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "ignore"],
  });

const NET = `import { data, experiment, nn, optim, torch } from "layerwise";
import { size } from "../shared/size.js";
export default experiment({
  seed: 3,
  model: () => new nn.Linear(size, 1),
  data: () => new data.TensorDataset(torch.randn(8, size), torch.randn(8, 1)),
  loss: new nn.MSELoss(),
  optimizer: (parameters) => new optim.SGD(parameters, { lr: 0.1 }),
  epochs: 2,
});
`;

async function train(more: Partial<RunRequest> = {}): Promise<string> {
  const directory = path.join(workspace.file(RUNS_FOLDER), more.directory ?? "20260101-000000-first");
  fs.mkdirSync(directory, { recursive: true });
  const request: RunRequest = {
    kind: "train",
    file: workspace.file("nets/net.nn.ts"),
    exportName: "default",
    device: "cpu",
    outlive: false,
    ...more,
    directory,
  };
  const { error, record } = await spawnRun(request, {}, { dist }).ended;
  expect(error).toBeUndefined();
  expect(record?.state).toBe("finished");
  return directory;
}

test("a run keeps commit, changes, imports, versions, machine, model and command, and no environment", async () => {
  process.env["SECRET_TOKEN"] = "s3cr3t-value";
  const file = workspace.write("nets/net.nn.ts", NET);
  workspace.write("shared/size.ts", "export const size = 2;\n");
  git("init");
  git("add", ".");
  git("commit", "-m", "one");
  workspace.write("shared/size.ts", "export const size = 3;\n");
  const directory = await train();
  const { provenance, source, imports, run } = await readHistory(directory);
  expect(source).toBe(NET);
  expect(imports).toEqual({ "../shared/size.ts": "export const size = 3;\n" });
  expect(provenance?.git?.commit).toBe(git("rev-parse", "HEAD").trim());
  expect(provenance?.git?.patch).toContain("-export const size = 2;\n+export const size = 3;");
  expect(provenance?.git?.patch).not.toContain("net.nn.ts");
  expect(provenance?.model).toBe("Linear(in_features=3, out_features=1, bias=True)");
  expect(provenance?.versions["Node"]).toMatch(/^v\d+/);
  expect(provenance?.versions["Layerwise"]).toMatch(/^\d+\.\d+\.\d+/);
  expect(provenance?.machine.cores).toBeGreaterThan(0);
  expect(provenance?.command).toBe(`layerwise train ${file} --device cpu --seed 3`);
  expect(run.state).toBe("finished");
  expect(fs.readFileSync(path.join(directory, PROVENANCE_FILE), "utf8")).not.toContain("s3cr3t-value");
  delete process.env["SECRET_TOKEN"];
});

test("Run Again trains the kept version, although file and imports have changed", async () => {
  workspace.write("nets/net.nn.ts", NET);
  workspace.write("shared/size.ts", "export const size = 3;\n");
  const first = await train();
  workspace.write("nets/net.nn.ts", NET.replace("lr: 0.1", "lr: 0.5"));
  fs.rmSync(workspace.file("shared/size.ts"));
  const again = await train({ directory: "20260101-000001-again", version: first, seed: 3 });
  const of = async (directory: string) => (await readHistory(directory)).run.metrics;
  expect(await of(again)).toEqual(await of(first));
  const { source, imports, provenance, run } = await readHistory(again);
  expect(source).toBe(NET);
  expect(imports).toEqual({ "../shared/size.ts": "export const size = 3;\n" });
  expect(provenance?.command).toMatch(/ # with the version that run 20260101-000000-first has kept$/);
  expect(run.keptVersion).toBe(true);
  // Resuming runs what is on the disk, and nothing that only the run's folder has.
  await expect(resumeRequest(again)).rejects.toThrow(
    "is no longer there. Restore that version, then resume.",
  );
  workspace.write("shared/size.ts", "export const size = 3;\n");
  await expect(resumeRequest(again)).rejects.toThrow("is no longer there");
  workspace.write("nets/net.nn.ts", NET);
  expect(await resumeRequest(again)).toMatchObject({ resume: true });
});

test("a run that waited trains what was there at the click, although its file was renamed", async () => {
  const file = workspace.write("nets/net.nn.ts", NET);
  const size = workspace.write("shared/size.ts", "export const size = 3;\n");
  const directory = path.join(workspace.file(RUNS_FOLDER), "20260101-000000-waited");
  fs.mkdirSync(directory, { recursive: true });
  const base = {
    kind: "train",
    file,
    exportName: "default",
    device: "cpu",
    outlive: false,
    directory,
  } as const;
  const request = await keepForTurn(base);
  fs.renameSync(file, workspace.file("nets/other.nn.ts"));
  fs.rmSync(size);
  const { error, record } = await spawnRun(request, {}, { dist }).ended;
  expect(error).toBeUndefined();
  expect(record).toMatchObject({ state: "finished", parameters: { total: 4 } });
  expect(record).not.toHaveProperty("keptVersion");
  expect((await readHistory(directory)).source).toBe(NET);
});

test("a run that waited trains what its tsconfig's paths named at the click", async () => {
  workspace.write("tsconfig.json", '{ "compilerOptions": { "paths": { "@shared/*": ["./shared/*"] } } }');
  const file = workspace.write("nets/net.nn.ts", NET.replace("../shared/size.ts", "@shared/size.ts"));
  workspace.write("shared/size.ts", "export const size = 3;\n");
  const directory = path.join(workspace.file(RUNS_FOLDER), "20260101-000000-waited");
  fs.mkdirSync(directory, { recursive: true });
  const base = { kind: "train", file, exportName: "default", device: "cpu", outlive: false } as const;
  const request = await keepForTurn({ ...base, directory });
  workspace.write("shared/size.ts", "export const size = 30;\n");
  const { error, record } = await spawnRun(request, {}, { dist }).ended;
  expect(error).toBeUndefined();
  expect(record).toMatchObject({ state: "finished", parameters: { total: 4 } });
});

describe("the changes since a commit", () => {
  test("are undefined outside of a repository and before its first commit", async () => {
    const file = workspace.write("net.nn.ts", "1");
    expect(await gitFacts(file, new Map([[file, "1"]]))).toBeUndefined();
    git("init");
    expect(await gitFacts(file, new Map([[file, "2"]]))).toBeUndefined();
  });

  test("are asked for once while a process trains the same texts", async () => {
    const file = workspace.write("net.nn.ts", "a\n");
    git("init");
    git("add", ".");
    git("commit", "-m", "one");
    const first = await gitFacts(file, new Map([[file, "b\n"]]));
    expect(first?.patch).toContain("-a\n+b");
    git("commit", "--allow-empty", "-m", "two");
    expect(await gitFacts(file, new Map([[file, "b\n"]]))).toEqual(first);
    const other = await gitFacts(file, new Map([[file, "c\n"]]));
    expect(other?.patch).toContain("-a\n+c");
    expect(other?.commit).not.toBe(first?.commit);
  });

  test("ignore line ends, imports that the commit doesn't have, and git's filters", async () => {
    const marker = workspace.file("marker");
    const file = workspace.write("net.nn.ts", "a\nb\n");
    git("init");
    git("add", ".");
    git("commit", "-m", "one");
    workspace.write(".gitattributes", "*.ts filter=evil diff=evil\n");
    for (const key of ["filter.evil.clean", "diff.evil.textconv", "diff.external", "core.fsmonitor"])
      git("config", key, `touch ${marker}; cat`);
    expect(await gitFacts(file, new Map([[file, "a\r\nb\r\n"]]))).toMatchObject({ patch: "" });
    const other = workspace.file("sub/[odd] name.ts");
    const facts = await gitFacts(
      file,
      new Map([
        [file, "a\nc\n"],
        [other, "new\n"],
      ]),
    );
    expect(facts?.patch).toContain("-b\n+c");
    // It may be secret: what is ignored, or outside of the repository.
    expect(facts?.patch).not.toContain("new");
    expect(facts?.omitted).toEqual(["sub/[odd] name.ts"]);
    expect(fs.existsSync(marker)).toBe(false);
  });

  test("are left out of files that are too large", async () => {
    const file = workspace.write("net.nn.ts", "a\n");
    git("init");
    git("add", ".");
    git("commit", "-m", "one");
    const facts = await gitFacts(file, new Map([[file, "x".repeat(300_000)]]));
    expect(facts).toMatchObject({ patch: "", omitted: ["net.nn.ts"] });
  });
});

test("a command is quoted for the shell", () => {
  const request = {
    kind: "train",
    exportName: "small",
    directory: "",
    device: "auto",
    outlive: false,
  } as const;
  expect(
    commandOf(
      { ...request, file: "/my nets/it's.nn.ts", epochs: 5 },
      { seed: 1, hyperparameters: { lr: 0.1, "a b": "$(id)" } },
    ),
  ).toBe(
    String.raw`layerwise train '/my nets/it'\''s.nn.ts#small' --seed 1 --epochs 5 --set lr=0.1 --set 'a b=$(id)'`,
  );
});

test("a stranger's origin is left out if it is invalid, too large, or a link", async () => {
  workspace.write("nets/net.nn.ts", NET);
  workspace.write("shared/size.ts", "export const size = 3;\n");
  const directory = await train();
  const kept = path.join(directory, PROVENANCE_FILE);
  const good = fs.readFileSync(kept, "utf8");
  const secret = workspace.write("secret.json", good);
  for (const bad of ["", "[]", '{"version":1}', good.replace('"version": 1', '"version": 2')]) {
    fs.writeFileSync(kept, bad);
    expect((await readHistory(directory)).provenance).toBeUndefined();
  }
  fs.writeFileSync(kept, good + " ".repeat(3 * 2 ** 20));
  expect((await readHistory(directory)).provenance).toBeUndefined();
  fs.rmSync(kept);
  fs.symlinkSync(secret, kept);
  expect((await readHistory(directory)).provenance).toBeUndefined();
});
