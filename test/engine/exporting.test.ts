// `layerwise export` as a person runs it, and killed while it writes. What the files compute is tested by unit tests.
import fs from "node:fs";
import path from "node:path";
import process from "node:process";
import { expect, test } from "vitest";
import { killAll } from "../processes.ts";
import { slow } from "../slow.ts";
import { experimentFile, useWorkspace } from "./workspace.ts";

const workspace = useWorkspace();

/** A run's weights, without waiting for a training of their own for each test. */
async function trained(text = experimentFile({ epochs: "2" })): Promise<string> {
  const file = workspace.write("net.nn.ts", text);
  expect((await workspace.run(["train", file])).code).toBe(0);
  return file;
}

const others = (): string[] =>
  fs.readdirSync(workspace.folder).filter((name) => name !== ".layerwise" && name !== "net.nn.ts");

test("every format goes beside the file or where --out says, and replaces what was exported before", async () => {
  const file = await trained();
  for (const time of [1, 2]) {
    const onnx = await workspace.run(["export", file, "--format", "onnx"]);
    expect([time, onnx.code, onnx.stdout]).toEqual([
      time,
      0,
      expect.stringMatching(
        /^Wrote net\.onnx \([\d,]+ bytes\)\n  input \[batch, 4\] float32\n to\n  output \[batch, 3\] float32\n$/,
      ),
    ]);
    const tfjs = await workspace.run(["export", workspace.runs()[0]!, "--format", "tfjs", "--json"]);
    expect(JSON.parse(tfjs.stdout)).toMatchObject({
      event: "exported",
      out: workspace.file("net-tfjs"),
      outputs: [{ shape: ["batch", 3] }],
    });
    const typescript = await workspace.run(["export", file, "--format", "typescript", "--batch", "2"]);
    expect(typescript.stdout).toContain("output [2, 3] float32");
    expect(others()).toEqual(["net-tfjs", "net.model.ts", "net.onnx"]);
  }
  expect(fs.readdirSync(workspace.file("net-tfjs"))).toEqual([
    "model.json",
    expect.stringMatching(/^weights-[0-9a-f]{12}-1of1\.bin$/),
  ]);
  expect(fs.readFileSync(workspace.file("net.model.ts"), "utf8")).toMatch(
    /^\/\/ Written by Layerwise from net\.nn\.ts and its weights in final\.safetensors/,
  );

  workspace.write("net.model.ts", "export const mine = 1;\n");
  const refused = await workspace.run(["export", file, "--format", "typescript"]);
  expect(refused.code).toBe(1);
  expect(refused.stderr).toContain("net.model.ts is there already and was not written by Layerwise");
  expect(fs.readFileSync(workspace.file("net.model.ts"), "utf8")).toBe("export const mine = 1;\n");
  const nowhere = await workspace.run(["export", file, "--format", "tfjs", "--out", "no/such/folder"]);
  expect([nowhere.code, nowhere.stderr]).toEqual([
    1,
    expect.stringContaining("can't be written: the folder is gone"),
  ]);
});

test("what a format doesn't have is named, with its layer, and nothing is written", async () => {
  const text = experimentFile({ epochs: "1" }).replace(
    "return this.fc(x);",
    "return torch.linalg.inv(this.fc(x)[0]);",
  );
  const file = workspace.write("net.nn.ts", experimentFile({ epochs: "1" }));
  expect((await workspace.run(["train", file])).code).toBe(0);
  workspace.write(
    "net.nn.ts",
    text.replace(
      "this.fc(x)[0]",
      "this.fc(x).narrow(1, 0, 2).matmul(torch.ones(2, 2)).unsqueeze(1).expand(-1, 2, 2)",
    ),
  );
  for (const [format, reason] of [
    ["onnx", "inverse can't be exported: ONNX has no linear algebra of this kind"],
    ["tfjs", "inverse can't be exported: TensorFlow.js has no MatrixInverse"],
    ["typescript", "inverse can't be exported: ONNX has no linear algebra of this kind"],
  ] as const) {
    const result = await workspace.run(["export", file, "--format", format]);
    expect([result.code, result.stderr]).toEqual([1, expect.stringContaining(reason)]);
  }
  expect(others()).toEqual([]);
});

// As large as a file of each kind may be, to be caught while it is written.
for (const [format, width, options] of [
  ["onnx", 3_000_000, slow],
  ["tfjs", 3_000_000, slow],
  ["typescript", 12_000, {}],
] as const)
  test.skipIf(process.platform === "win32")(
    `killed at any moment, an export to ${format} leaves the old one or the new one, and nothing half`,
    options,
    async () => {
      const text = experimentFile(
        { epochs: "1", limitTrainBatches: "1" },
        'import fs from "node:fs"; fs.writeFileSync("pid", String(process.pid));',
      ).replace(
        "new nn.Linear(4, 3)",
        `new nn.Sequential(new nn.Linear(4, ${width}), new nn.Linear(${width}, 3))`,
      );
      const file = await trained(text);
      const out = workspace.file("out");
      const args = ["export", file, "--format", format, "--out", "out"];
      expect((await workspace.run(args)).code).toBe(0);
      const before = contentOf(out);
      let caught = 0;
      for (let round = 0; caught < 3 && round < 15; round++) {
        fs.rmSync(workspace.file("pid"));
        const command = workspace.start(args);
        const watcher = fs.watch(workspace.folder, (_, name) => {
          if (name?.endsWith(".tmp") !== true) return;
          watcher.close();
          killAll([Number(fs.readFileSync(workspace.file("pid"), "utf8"))]);
        });
        const { code, stderr } = await command.ended;
        watcher.close();
        if (code !== 0) {
          caught++;
          expect(stderr).toContain("The process ended: signal SIGKILL");
        }
        expect(others().filter((name) => name !== "pid")).toEqual(["out"]);
        expect(contentOf(out)).toEqual(before);
      }
      expect(caught).toBe(3);
    },
  );

/** Names and sizes of a file or a folder's files. */
const contentOf = (file: string): unknown =>
  fs.statSync(file).isDirectory()
    ? fs.readdirSync(file).map((name) => [name, fs.statSync(path.join(file, name)).size])
    : fs.statSync(file).size;
