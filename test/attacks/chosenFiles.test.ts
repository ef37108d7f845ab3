// A stranger's run names files: the program to run again, its weights, the state to resume from.
import { execFileSync, spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { headOf } from "../../extension/engine/host/versions.ts";
import { saveFile } from "../../extension/engine/files/tensorFiles.ts";
import { restorePlain } from "../../extension/engine/resume/plainState.ts";
import { loadTraining, readStates } from "../../extension/engine/resume/trainingFile.ts";
import { writeModelFolder } from "../../extension/formats/writeModelFolder.ts";
import type { RunRecord } from "../../extension/protocol/run.ts";
import { bestFirst, weightsPath } from "../../extension/supervisor/runs/runDirectory.ts";
import { makeNamedDirectory, makeRunDirectory } from "../../extension/supervisor/runs/newRun.ts";
import { committedText } from "../../extension/supervisor/git.ts";
import { isOnDisk } from "../../extension/supervisor/runs/runHistory.ts";
import { sourceOfRun } from "../../extension/supervisor/runs/sourceFile.ts";
import { deleteCheckpoint, deleteRun } from "../../extension/supervisor/runs/trash.ts";
import { experimentFile, useWorkspace } from "../engine/workspace.ts";
import { checkpoint } from "./hostileRun.ts";
import { startingRecord } from "../../extension/protocol/engine.ts";
import { startState } from "../../extension/engine/training/trainerState.ts";
import { processorClock } from "../bounds.ts";

/** The user's folder; the hostile workspace is a folder in it. */
const user = useWorkspace();
const owned = (): boolean => fs.existsSync(user.file("owned"));
beforeEach(() => {
  user.write("outside/thesis.txt", "years of work");
  user.write(
    "outside/deploy.nn.ts",
    `import fs from "node:fs"; fs.writeFileSync(${JSON.stringify(user.file("owned"))}, "");`,
  );
});
afterEach(() => {
  const thesis = fs.readFileSync(user.file("outside/thesis.txt"), "utf8");
  const beside = fs.readdirSync(user.file("outside")).toSorted();
  expect(thesis).toBe("years of work");
  expect(beside).toEqual(["deploy.nn.ts", "thesis.txt"]);
});

const posix = it.skipIf(process.platform === "win32");

/** A training in the hostile workspace that was stopped. */
function store(
  file: string,
  more: Partial<RunRecord> = {},
  directory = user.file("hostile/.layerwise/runs/a"),
): string {
  fs.mkdirSync(path.join(directory, "checkpoints"), { recursive: true });
  const request = { kind: "train" as const, file, exportName: "default", directory, device: "cpu" as const };
  const record = { ...startingRecord({ ...request, outlive: false }), state: "stopped", ...more };
  fs.writeFileSync(path.join(directory, "run.json"), JSON.stringify(record));
  return directory;
}

describe("a run's program", () => {
  it.each([
    ["train", "--resume", "hostile/.layerwise/runs/a"],
    ["export", "hostile/.layerwise/runs/a", "--format", "onnx"],
  ])("is a file outside of its workspace: %s", async (...command) => {
    const directory = store(user.file("outside/deploy.nn.ts"), { checkpoints: [checkpoint] });
    fs.writeFileSync(path.join(directory, checkpoint.file), "");
    const result = await user.run(command);
    expect(result.code).toBe(1);
    expect(result.stderr).toContain("which is outside of the run's folder");
    expect(owned()).toBe(false);
  });

  it("is a file outside that the user has read and allows", async () => {
    store(user.file("outside/deploy.nn.ts"));
    await user.run(["train", "--resume", "hostile/.layerwise/runs/a", "--outside"]);
    expect(owned()).toBe(true);
  });

  it.each([
    "../outside/deploy.nn.ts",
    "outside/deploy.nn.ts",
    "net.nn.ts",
    "",
    "/x\0y",
    "\\\\evil\\share\\net.nn.ts",
    "//evil/share/net.nn.ts",
    "/\\evil/share/net.nn.ts",
  ])("is %j", async (file) => {
    const directory = store(file);
    await expect(sourceOfRun(directory, { id: "a", file })).rejects.toThrow(
      /no absolute path|outside of the run/,
    );
  });

  posix("is a link to a file outside, a pipe, a device or a folder", async () => {
    const link = user.file("hostile/net.nn.ts");
    const directory = store(link);
    fs.symlinkSync(user.file("outside/deploy.nn.ts"), link);
    const ask = (file: string): Promise<string> => sourceOfRun(directory, { id: "a", file });
    await expect(ask(link)).rejects.toThrow(/outside of the run/);
    execFileSync("mkfifo", [user.file("hostile/pipe.nn.ts")]);
    await expect(ask(user.file("hostile/pipe.nn.ts"))).rejects.toThrow(/no regular file/);
    fs.mkdirSync(user.file("hostile/folder.nn.ts"));
    await expect(ask(user.file("hostile/folder.nn.ts"))).rejects.toThrow(/no regular file/);
    await expect(ask("/dev/zero")).rejects.toThrow(/outside of the run/);
  });

  it("is outside of the user's folder, of a run that lies in no workspace", async () => {
    const file = user.write("mine/net.nn.ts", "");
    const directory = store(user.file("outside/deploy.nn.ts"), {}, user.file("elsewhere"));
    const folder = user.file("mine");
    await expect(
      sourceOfRun(directory, { id: "a", file: user.file("outside/deploy.nn.ts") }, { folder }),
    ).rejects.toThrow(/outside of the run/);
    expect(await sourceOfRun(directory, { id: "a", file }, { folder })).toBe(file);
  });
});

describe("the files that a run's program imported", () => {
  const kept = (imports: Record<string, string>): { directory: string; file: string } => {
    const file = user.write("hostile/nets/net.nn.ts", "net");
    const directory = store(file);
    fs.writeFileSync(path.join(directory, "source.ts"), "net");
    fs.writeFileSync(path.join(directory, "sources.json"), JSON.stringify(imports));
    return { directory, file };
  };

  it("are as they were", async () => {
    user.write("hostile/shared/size.ts", "size");
    const { directory, file } = kept({ "../shared/size.ts": "size" });
    expect(await isOnDisk(directory, file)).toBe(true);
  });

  it.each(["../../outside/thesis.txt", "OUTSIDE", "//evil/share/x", "\\\\evil\\share\\x"])(
    "are elsewhere, and read to be compared: %j",
    async (name) => {
      const { directory, file } = kept({
        [name.replace("OUTSIDE", user.file("outside/thesis.txt"))]: "years of work",
      });
      expect(await isOnDisk(directory, file)).toBe(false);
    },
  );
});

describe.skipIf(process.platform === "win32" || spawnSync("git", ["--version"]).status !== 0)(
  "a repository's configuration",
  () => {
    it("names a command as the remote that has the missing objects, for a git that knows no GIT_NO_LAZY_FETCH", async () => {
      const file = user.write("hostile/net.nn.ts", "committed");
      const folder = path.dirname(file);
      const git = (...args: string[]): string =>
        execFileSync("git", ["-c", "user.name=t", "-c", "user.email=t@t", ...args], {
          cwd: folder,
          encoding: "utf8",
          stdio: ["ignore", "pipe", "ignore"],
        }).trim();
      git("init");
      git("add", ".");
      git("commit", "-m", "one");
      const blob = git("rev-parse", "HEAD:net.nn.ts");
      fs.rmSync(path.join(folder, ".git/objects", blob.slice(0, 2), blob.slice(2)));
      for (const [key, value] of [
        ["core.repositoryFormatVersion", "1"],
        ["extensions.partialClone", "origin"],
        ["remote.origin.promisor", "true"],
        ["remote.origin.url", folder],
        ["remote.origin.uploadPack", `touch ${user.file("owned")}; false`],
      ])
        git("config", key!, value!);
      const old = user.write("old-git", '#!/bin/sh\nunset GIT_NO_LAZY_FETCH\nexec git "$@"\n');
      fs.chmodSync(old, 0o755);
      await expect(committedText(file, old)).rejects.toThrow(/can't be compared/);
      const head = await headOf(old, file, [file]);
      await expect(head.text(file)).rejects.toThrow();
      expect(owned()).toBe(false);
      // A command that may fetch missing objects would have run it.
      expect(() => git("cat-file", "blob", blob)).toThrow();
      expect(owned()).toBe(true);
    });
  },
);

describe("a run's weights", () => {
  posix("are a link to a file outside", async () => {
    const directory = store(user.write("hostile/net.nn.ts", experimentFile({ epochs: "1" })), {
      checkpoints: [checkpoint],
    });
    fs.symlinkSync(user.file("outside/thesis.txt"), path.join(directory, checkpoint.file));
    await expect(weightsPath(directory, checkpoint)).rejects.toThrow(/symbolic link/);
    const result = await user.run(["export", directory, "--format", "onnx"]);
    expect(result.code).toBe(1);
    expect(result.stderr).toContain("symbolic link");
  });

  it.each(["weights.safetensors", "\\\\evil\\share\\x.safetensors", "//evil/share/x.safetensors", ""])(
    "are no path of this machine: %j",
    async (weights) => {
      const directory = store(user.write("hostile/net.nn.ts", experimentFile({ epochs: "1" })), {
        settings: { checkpoint: weights },
      });
      const { code, stderr } = await user.run(["train", "--resume", directory]);
      expect(code).toBe(1);
      expect(stderr).toContain("which is no path of this machine");
    },
  );

  posix("are predictions' place, linked to a file outside: the link is replaced", async () => {
    user.write("hostile/net.nn.ts", experimentFile({ epochs: "1" }));
    const out = user.file("hostile/predictions.csv");
    fs.symlinkSync(user.file("outside/thesis.txt"), out);
    await user.run(["train", "hostile/net.nn.ts", "--out", "run"]);
    const { code } = await user.run([
      "predict",
      "hostile/net.nn.ts",
      "--checkpoint",
      path.join("run", "checkpoints", "final.safetensors"),
      "--out",
      out,
    ]);
    expect(code).toBe(0);
    expect(fs.lstatSync(out).isSymbolicLink()).toBe(false);
  });

  it("are a hundred thousand best ones", () => {
    const checkpoints = Array.from({ length: 100_000 }, (_, i) => ({ ...checkpoint, step: i }));
    const taken = processorClock();
    expect(bestFirst({ checkpoints } as unknown as RunRecord)).toHaveLength(100_000);
    expect(taken()).toBeLessThan(2000);
  });
});

describe("a training's state", () => {
  const whole = (): object => ({
    format: "layerwise-training",
    version: 1,
    state: { ...startState(), step: 3 },
    numbers: { epochMeans: {}, stepMeans: {}, measurement: {} },
    validationDue: false,
    callbacks: [],
    model_state_dict: {},
    frozen: [],
    evaluating: [],
    optimizers: { "": { state_dict: { state: {}, param_groups: [{}] }, exact: {} } },
    schedulers: [],
    gradients: {},
    generators: { epoch: [], now: [new Uint8Array(3)] },
    facts: { seed: 1, epochs: 2, model: "", experiment: "", source: "", executor: "", node: "", savedAt: "" },
  });
  const save = (state: unknown): string => {
    const directory = store(user.file("hostile/net.nn.ts"));
    saveFile(path.join(directory, "checkpoints/training.pth"), state);
    return directory;
  };

  it("is whole", () => {
    expect(loadTraining(save(whole()), () => undefined)?.state.step).toBe(3);
  });

  it.each([
    ["state", undefined],
    ["state", []],
    ["facts", undefined],
    ["numbers", null],
    ["callbacks", {}],
    ["generators", { epoch: [], now: ["x"] }],
    ["optimizers", { "": 3 }],
    ["frozen", "all"],
  ])("has as its %s: %j", (name, value) => {
    const [read] = readStates(save({ ...whole(), [name]: value }));
    expect(read).toBeInstanceOf(Error);
    expect((read as Error).message).toContain(`training: ${name}`);
  });

  it.each([
    ["step", -1],
    ["step", 1e308],
    ["step", Number.NaN],
    ["step", Number.POSITIVE_INFINITY],
    ["step", "../../x"],
    ["completed", 0.5],
    ["epoch", -5],
    ["seconds", Number.NaN],
    ["metrics", { loss: "low" }],
    ["kept", [{ file: "../../../outside/thesis.txt", value: 1, epoch: 1, step: 1 }]],
    ["kept", [{ file: "run.json", value: 1, epoch: 1, step: 1 }]],
  ])("says of the training's %s: %j", (name, value) => {
    const [read] = readStates(save({ ...whole(), state: { ...startState(), [name]: value } }));
    expect(read).toBeInstanceOf(Error);
    expect((read as Error).message).toContain(`training: state.${name}`);
  });

  it("changes the prototype of all objects", () => {
    const state = JSON.parse(
      '{"__proto__": {"__proto__": {"polluted": 1}}, "constructor": {"prototype": {"polluted": 1}}, "sum": 2}',
    ) as Record<string, unknown>;
    class Metric {
      sum = 0;
    }
    const metric = new Metric();
    restorePlain(metric, state);
    expect(metric).toEqual({ sum: 2 });
    expect(Reflect.get({}, "polluted")).toBeUndefined();
    expect(Reflect.get(new Metric(), "polluted")).toBeUndefined();
  });
});

describe("deleting", () => {
  it("is of a folder that is no run, of the runs' folder, or of the workspace", async () => {
    store(user.file("hostile/net.nn.ts"));
    for (const folder of ["outside", "hostile", "hostile/.layerwise", "hostile/.layerwise/runs"])
      await expect(deleteRun(user.file(folder))).rejects.toThrow(/there is no such run/);
    expect(fs.readdirSync(user.folder).toSorted()).toEqual(["hostile", "outside"]);
  });

  it("is undone over another run of that name", async () => {
    const directory = store(user.file("hostile/net.nn.ts"));
    const deleted = await deleteRun(directory);
    fs.mkdirSync(directory);
    await expect(deleted.undo()).rejects.toThrow(/is there again/);
    fs.rmdirSync(directory);
    await deleted.undo();
    expect(fs.existsSync(path.join(directory, "run.json"))).toBe(true);
  });

  posix("is undone where the runs' folder is a link by then", async () => {
    const directory = store(user.file("hostile/net.nn.ts"));
    const deleted = await deleteRun(directory);
    fs.rmdirSync(path.dirname(directory));
    fs.symlinkSync(user.file("outside"), path.dirname(directory));
    await expect(deleted.undo()).rejects.toThrow(/symbolic link/);
  });

  it("is of a run with the longest name that a folder can have", async () => {
    const directory = store(
      user.file("hostile/net.nn.ts"),
      {},
      user.file(`hostile/.layerwise/runs/${"x".repeat(255)}`),
    );
    await (await deleteRun(directory)).purge();
    expect(fs.existsSync(directory)).toBe(false);
  });

  it("is of a checkpoint that the record doesn't have", async () => {
    const directory = store(user.file("hostile/net.nn.ts"));
    await expect(deleteCheckpoint(directory, { ...checkpoint, file: "run.json" })).rejects.toThrow(
      /no checkpoint/,
    );
  });
});

describe("the place to write", () => {
  it("is within a run", async () => {
    const directory = store(user.file("hostile/net.nn.ts"));
    for (const name of ["checkpoints", "sub/deeper"])
      await expect(makeNamedDirectory(path.join(directory, name))).rejects.toThrow(/is within the run/);
    expect(() => writeModelFolder(directory, [])).toThrow(/a run is kept there/);
  });

  it.each([".hidden", "a:b", "a\nb", "a\u001b[2J", "aux", "Com1.best", "nul .x", "a.", "a "])(
    "has the name %j, which no reader takes",
    async (name) => {
      await expect(makeNamedDirectory(user.file(name))).rejects.toThrow(/can't be a run's directory/);
      expect(fs.existsSync(user.file(name))).toBe(false);
    },
  );

  it("is named by a file with the longest name there is", async () => {
    const directory = await makeRunDirectory(user.file("hostile"), "x".repeat(248));
    expect(path.basename(directory).length).toBeLessThan(130);
  });

  posix("is reached through a link", async () => {
    fs.mkdirSync(user.file("hostile"));
    fs.symlinkSync(user.file("outside"), user.file("hostile/.layerwise"));
    await expect(makeNamedDirectory(user.file("hostile/.layerwise/runs/a"))).rejects.toThrow(/symbolic link/);
    fs.symlinkSync(user.file("outside"), user.file("hostile/net-tfjs"));
    const model = [{ name: "model.json", chunks: [Buffer.from("{}")] }];
    expect(() => writeModelFolder(user.file("hostile/net-tfjs"), model)).toThrow(/symbolic link/);
  });
});
