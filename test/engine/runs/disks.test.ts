// Disks that are full or become read-only during a training, a download or an export: small ones in memory.
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { loadSafetensors } from "../../../extension/formats/safetensors/safetensors.ts";
import { HubServer, NAME } from "../../hubServer.ts";
import { dist, experimentFile, hasDisks, readRows, readRun, useWorkspace } from "../workspace.ts";

const workspace = useWorkspace();

const EPOCHS = 10;

/** A training whose callbacks do something to the disk at the ends of epochs; in "whole" they do nothing. */
function write(atEnd: Record<number, string>): void {
  const cases = Object.entries(atEnd).map(([epoch, code]) => `if (epoch === ${epoch}) { ${code} }`);
  const text = experimentFile(
    {
      epochs: String(EPOCHS),
      optimizer: "(parameters) => new optim.Adam(parameters, { lr: 0.1 })",
      checkpoints: "{ everyNTrainSteps: 4 }",
      callbacks: `{ onEpochEnd: ({ epoch }) => { if (process.env.LAYERWISE_TEST_DISK) { ${cases.join(" ")} } } }`,
    },
    `import fs from "node:fs";
import { execFileSync } from "node:child_process";
function fill() {
  const file = fs.openSync("disk/filler", "a");
  try {
    for (const block of [4096, 1]) try { for (;;) fs.writeSync(file, Buffer.alloc(block, 1)); } catch {}
  } finally { fs.closeSync(file); }
}`,
  );
  workspace.write("net.nn.ts", text);
}

const TRAIN = ["train", "net.nn.ts", "--no-progress", "--out"];
const RESUME = `"${process.execPath}" "${path.join(dist, "cli.js")}" train --resume disk/run --no-progress`;

const weights = (directory: string): Record<string, string> => {
  const { entries } = loadSafetensors(workspace.file(`${directory}/checkpoints/final.safetensors`));
  return Object.fromEntries(entries.map(({ name, data }) => [name, Buffer.from(data).toString("hex")]));
};

/** The run in "kept" is as one that nothing happened to. */
async function expectWhole(): Promise<void> {
  expect((await workspace.run([...TRAIN, "whole"])).code).toBe(0);
  expect(weights("kept/run")).toEqual(weights("whole"));
  expect(readRun(workspace.file("kept/run"))).toMatchObject({ state: "finished", epoch: EPOCHS });
  const rows = (run: string): object[] =>
    readRows(workspace.file(run)).map((row) => ({ ...row, time: 0, spent: undefined }));
  expect(rows("kept/run")).toEqual(rows("whole"));
  const left = fs.readdirSync(workspace.file("kept/run/checkpoints"));
  expect(left.filter((name) => name.endsWith(".tmp"))).toEqual([]);
}

describe.skipIf(!hasDisks())("a disk", () => {
  test("that is full for a while: reported, training continues, and every file is complete in the end", async () => {
    write({ 3: "fill();", 7: 'fs.rmSync("disk/filler");' });
    const { code, stdout, stderr } = await workspace.run([...TRAIN, "disk/run"], {
      env: { LAYERWISE_TEST_DISK: "400k" },
    });
    expect(stderr).toMatch(
      /The weights can't be saved to .*: the disk is full \(ENOSPC\)\. The training continues\./,
    );
    expect(stderr).toMatch(/The training's state can't be saved in .*: the disk is full \(ENOSPC\)\./);
    expect(stderr.match(/can't be saved/g)!.length).toBeLessThan(4);
    expect(stdout).toContain(`Epoch [${EPOCHS}/${EPOCHS}]`);
    expect(code).toBe(0);
    await expectWhole();
  });

  test("that stays full: the run's record has its last state all the same", async () => {
    write({ 3: "fill();" });
    const { stdout } = await workspace.run([...TRAIN, "disk/run"], { env: { LAYERWISE_TEST_DISK: "400k" } });
    expect(stdout).toContain(`Epoch [${EPOCHS}/${EPOCHS}]`);
    // Its last weights can't be saved.
    const { state, error } = readRun(workspace.file("kept/run"));
    expect([state, error?.message]).toEqual(["failed", expect.stringContaining("the disk is full (ENOSPC)")]);
  });

  test("that is full when the run is killed: it resumes from the earlier save", async () => {
    write({
      3: 'if (!fs.existsSync("killed")) fill();',
      5: 'if (!fs.existsSync("killed")) { fs.writeFileSync("killed", ""); process.kill(process.pid, "SIGKILL"); }',
    });
    const { code, stdout } = await workspace.run([...TRAIN, "disk/run"], {
      env: { LAYERWISE_TEST_DISK: "400k", LAYERWISE_TEST_THEN: `rm disk/filler; ${RESUME}` },
    });
    expect(stdout).toMatch(/Resumed after step (8|12)/);
    expect(code).toBe(0);
    await expectWhole();
  });

  test("that becomes read-only for a while: reported, training continues, and every file is complete in the end", async () => {
    const mount = (...args: string[]): string => `execFileSync("mount", ${JSON.stringify(args)});`;
    const folder = "disk/run/checkpoints";
    write({
      3: mount("--bind", folder, folder) + mount("-o", "remount,bind,ro", folder),
      7: `execFileSync("umount", [${JSON.stringify(folder)}]);`,
    });
    const { code, stdout, stderr } = await workspace.run([...TRAIN, "disk/run"], {
      env: { LAYERWISE_TEST_DISK: "4m" },
    });
    expect(stderr).toMatch(
      /The weights can't be saved to .*: the file system is read-only \(EROFS\)\. The training continues\./,
    );
    expect(stderr).toMatch(
      /The training's state can't be saved in .*: the file system is read-only \(EROFS\)\./,
    );
    expect(stdout).toContain(`Epoch [${EPOCHS}/${EPOCHS}]`);
    expect(code).toBe(0);
    await expectWhole();
  });

  test("too small for a model of the hub: refused before the download, which works elsewhere", async () => {
    const tiny = fileURLToPath(new URL("../../fixtures/golden/files/data/bert_tiny", import.meta.url));
    const server = new HubServer(tiny);
    await server.listen();
    workspace.write(
      "hub.nn.ts",
      `import { nn } from "layerwise";\nconsole.log(nn.BertModel.fromPretrained("${NAME}").config.hiddenSize);\n`,
    );
    try {
      const env = { HF_ENDPOINT: server.endpoint, HF_HOME: workspace.file("disk/hf") };
      const full = await workspace.run(["run", "hub.nn.ts"], { env: { ...env, LAYERWISE_TEST_DISK: "20k" } });
      expect(full.stderr).toMatch(/someone\/tiny has [\d,]+ bytes, and the disk of .*hub has [\d,]+ left\./);
      expect(full.stderr).toContain("hub.nn.ts:2:");
      const HF_HOME = workspace.file("kept/hf");
      const again = await workspace.run(["run", "hub.nn.ts"], { env: { ...env, HF_HOME } });
      expect(again.stdout.trim()).toMatch(/^\d+$/);
    } finally {
      server.close();
    }
  });

  test("too small for an export: said, and the file before is whole", async () => {
    workspace.write(
      "net.nn.ts",
      experimentFile({ epochs: "1" }).replaceAll("4, 3", "4, 3000").replace("(0, 3,", "(0, 3000,"),
    );
    expect((await workspace.run(["train", "net.nn.ts"])).code).toBe(0);
    for (const [format, name] of [
      ["onnx", "net.onnx"],
      ["tfjs", "net-tfjs"],
      ["typescript", "net.model.ts"],
    ] as const) {
      fs.rmSync(workspace.file("kept"), { recursive: true, force: true });
      const { code, stderr } = await workspace.run(
        ["export", "net.nn.ts", "--format", format, "--out", `disk/${name}`],
        {
          env: { LAYERWISE_TEST_DISK: "24k" },
        },
      );
      expect([format, code, stderr]).toEqual([
        format,
        1,
        expect.stringContaining("the disk is full (ENOSPC)"),
      ]);
      expect(fs.readdirSync(workspace.file("kept"))).toEqual([]);
    }
  });
});
