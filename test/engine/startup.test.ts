// What processes keep of their compiled code, for those after them.
import { execFile } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { PreviewEngine } from "../../extension/supervisor/engines/preview.ts";
import { dist, useWorkspace } from "./workspace.ts";

const workspace = useWorkspace();

const PROGRAM = 'import { torch, print } from "layerwise";\nprint(torch.ones(2).sum());\n';
const PRINTED = { code: 0, stdout: "tensor(2.)\n", stderr: "" };

const runProgram = (cache: string): ReturnType<typeof workspace.run> =>
  workspace.run(["run", workspace.write("net.nn.ts", PROGRAM)], { env: { LAYERWISE_CACHE: cache } });

const compiled = (cache: string): string[] => fs.readdirSync(path.join(cache, "compiled"));
const sized = (folder: string): [string, number][] =>
  compiled(folder).map((name) => [name, fs.statSync(path.join(folder, "compiled", name)).size]);

test("the command line and the engine keep it, where the user's cache is", async () => {
  const cache = workspace.file("cache");
  for (let i = 0; i < 3; i++) expect(await runProgram(cache)).toMatchObject(PRINTED);
  expect(
    compiled(cache)
      .map((name) => name.replace(/-.*/, ""))
      .sort(),
  ).toEqual(["cli", "runEngine"]);
  // Compiled code is most of a program's text.
  for (const [, size] of sized(cache)) expect(size).toBeGreaterThan(200_000);
  const before = sized(cache);
  await runProgram(cache);
  expect(sized(cache)).toEqual(before);
});

test("an engine starts with the functions that the one before compiled later", async () => {
  const file = workspace.write(
    "net.nn.ts",
    `import v8 from "node:v8";
import { nn, optim, print, torch } from "layerwise";
print(v8.getHeapCodeStatistics().bytecode_and_metadata_size);
const model = new nn.LSTM(2, 3);
const optimizer = new optim.Adam(model.parameters());
const [out] = model(torch.randn(4, 1, 2));
out.square().mean().backward();
optimizer.step();
`,
  );
  const env = { LAYERWISE_CACHE: workspace.file("cache") };
  const sizes: number[] = [];
  for (let i = 0; i < 2; i++) sizes.push(Number((await workspace.run(["run", file], { env })).stdout));
  expect(sizes[0]).toBeGreaterThan(0);
  // Without them both sizes are equal but for a percent.
  expect(sizes[1]! / sizes[0]!).toBeGreaterThan(1.05);
});

test.each(["é", "“”", "🙂"])("a program may have the characters %s as they are", async (text) => {
  fs.copyFileSync(path.join(dist, "cli.js"), workspace.file("program.js"));
  workspace.write("package.json", '{"type": "module"}');
  workspace.write("program.cjs", `const { log } = console;\nlog(String.raw\`${text}\`);\n`);
  const run = promisify(execFile);
  for (let i = 0; i < 2; i++) {
    const { stdout } = await run(process.execPath, [workspace.file("program.js")], {
      env: { ...process.env, LAYERWISE_CACHE: workspace.file("cache") },
    });
    expect(stdout).toBe(`${text}\n`);
  }
  expect(compiled(workspace.file("cache"))).toHaveLength(1);
});

test("damaged files of it change nothing", async () => {
  const cache = workspace.file("cache");
  await runProgram(cache);
  for (const name of compiled(cache)) {
    const place = path.join(cache, "compiled", name);
    const bytes = fs.readFileSync(place);
    for (let i = 1000; i < bytes.length; i += 1000) bytes[i]! ^= 255;
    fs.writeFileSync(place, bytes);
  }
  expect(await runProgram(cache)).toMatchObject(PRINTED);
});

test("a cache that can't be written changes nothing", async () => {
  const cache = workspace.write("cache", "a file");
  expect(await runProgram(cache)).toMatchObject(PRINTED);
});

test("a preview keeps it after its answer", async () => {
  const cache = workspace.file("cache");
  const engine = new PreviewEngine(() => ({ dist, env: { LAYERWISE_CACHE: cache } }), {});
  try {
    const report = await engine.inspect({ file: workspace.file("net.nn.ts"), text: "export {};" }, 20);
    expect(report).toMatchObject({ errors: [] });
    await expect
      .poll(() => fs.existsSync(path.join(cache, "compiled")) && compiled(cache), { timeout: 10_000 })
      .toEqual([expect.stringMatching(/^previewEngine-/)]);
  } finally {
    await engine.dispose();
  }
});
