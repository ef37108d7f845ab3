// A user's own TypeScript project with the packed library, on a PATH without a compiler.
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import lock from "../../package-lock.json";
import { packageLibrary } from "../../scripts/package/npm.mjs";
import { compileBinding } from "../../scripts/package/prebuilt.mjs";
import { programs, PYTHON, REASON, TARGET, where } from "./machine.ts";
import { patience } from "../patience.ts";
import { slow } from "../slow.ts";

const root = (...parts: string[]): string =>
  fileURLToPath(new URL(`../../${parts.join("/")}`, import.meta.url));
if (REASON !== undefined) process.stdout.write(`The packed library is not tested: ${REASON}.\n`);

describe.skipIf(REASON !== undefined)("the packed library", () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "layerwise-install-"));
  const project = path.join(folder, "project");
  const bin = path.join(folder, "bin");
  const packed = path.join(folder, "layerwise.tgz");
  /** Of this test alone, so that the engine is installed in full. */
  const cache = path.join(folder, "cache");

  function run(command: string, args: string[], env: Record<string, string> = {}, cwd = project) {
    const { LAYERWISE_DEVICE: _, VIRTUAL_ENV: __, ...inherited } = process.env;
    const result = spawnSync(command, args, {
      cwd,
      encoding: "utf8",
      env: { ...inherited, PATH: bin, LAYERWISE_CACHE: cache, LAYERWISE_NO_CHECK: "1", ...env },
    });
    return { ...result, output: result.stdout + result.stderr };
  }
  const mustRun = (command: string, args: string[], env?: Record<string, string>): string => {
    const { status, output } = run(command, args, env);
    expect(output, `${command} ${args.join(" ")}`).toSatisfy(() => status === 0);
    return output;
  };
  const layerwise = (...args: string[]): string => mustRun("npx", ["--no-install", "layerwise", ...args]);

  beforeAll(async () => {
    await packageLibrary({ out: packed, bindings: [TARGET] });
    programs(bin, {
      node: process.execPath,
      npm: where("npm"),
      npx: where("npx"),
      python3: PYTHON!,
      sh: "/bin/sh",
      env: where("env"),
    });
    fs.cpSync(root("test/fixtures/project"), project, { recursive: true });
    fs.renameSync(path.join(project, "src/service.check.ts"), path.join(project, "src/service.test.ts"));
    fs.copyFileSync(root("media/examples/digits.nn.ts"), path.join(project, "digits.nn.ts"));
    mustRun("npm", ["init", "--yes"]);
    mustRun("npm", ["pkg", "set", "type=module"]);
  });
  afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));

  test("is compiled to the same bytes again", slow, async () => {
    const again = path.join(folder, "again.node");
    await compileBinding(TARGET, again);
    const first = root("out/prebuilt", TARGET, "tfjs_binding.node");
    expect(fs.readFileSync(again).equals(fs.readFileSync(first))).toBe(true);
  });

  test("is installed by npm, and runs no install script", () => {
    const version = (name: string): string =>
      (lock.packages as Record<string, { version?: string }>)[`node_modules/${name}`]?.version ?? "";
    const tools = ["typescript", "vitest", "@types/node"].map((name) => `${name}@${version(name)}`);
    mustRun("npm", ["install", "--no-audit", "--no-fund", packed]);
    mustRun("npm", ["install", "--no-audit", "--no-fund", "--save-dev", ...tools]);
    const installed = JSON.parse(
      fs.readFileSync(path.join(project, "node_modules/.package-lock.json"), "utf8"),
    ) as { packages: Record<string, { hasInstallScript?: boolean }> };
    const scripts = Object.entries(installed.packages).filter(
      ([place, { hasInstallScript }]) => /layerwise|esbuild/.test(place) && hasInstallScript,
    );
    expect(scripts).toEqual([]);
  });

  test("computes on its own kernels where there is no Python, and says what the engine needs", () => {
    const bare = path.join(folder, "bare");
    programs(bare, {
      node: process.execPath,
      npx: fs.realpathSync(where("npx")),
      sh: "/bin/sh",
      env: "/usr/bin/env",
    });
    const env = { PATH: bare };
    const install = run("npx", ["--no-install", "layerwise", "engine", "install"], env);
    expect(install.status).toBe(1);
    expect(install.stderr).toContain(
      "Installing the native engine needs Python 3 with pip (packages python3 and python3-pip), or uv.",
    );
    const train = mustRun(
      "npx",
      ["--no-install", "layerwise", "train", "digits.nn.ts", "--epochs", "1"],
      env,
    );
    expect(train).toMatch(/Trained 1 epochs in .* on Layerwise's own kernels/);
  });

  test("installs the native engine and trains on it, without a compiler", () => {
    expect(layerwise("engine", "doctor")).toContain("It ships with Layerwise; no compiler is needed.");
    expect(layerwise("engine", "install")).toContain("The native engine is installed");
    expect(layerwise("engine", "doctor")).toContain("TensorFlow 2.21.0 loads");
    expect(layerwise("train", "digits.nn.ts")).toMatch(/^Epoch \[20\/20\], .* Val Accuracy: 0\.9[89]/m);
    // From the first step on TensorFlow: the losses of a binding that g++ has compiled. Own kernels round as their compiler does.
    const train = ["--no-install", "layerwise", "train", "digits.nn.ts"];
    const output = mustRun("npx", train, { LAYERWISE_KERNELS_FIRST: "0" });
    expect(output).toContain("Epoch [20/20], Loss: 0.0484, Val Loss: 0.0322, Val Accuracy: 0.9916");
    expect(output).toContain("on TensorFlow 2.21.0");
  });

  test("computes PyTorch's numbers with the prebuilt binding", () => {
    const cases = [root("test/fixtures/golden"), "--every", "8", "--engine", "native"];
    const output = mustRun(process.execPath, [root("scripts/parity.mjs"), ...cases]);
    expect(output).toContain("TensorFlow 2.21.0");
    expect(output).toMatch(/^\d+ passed, 0 failed/m);
  });

  test("installs nothing for a second project", () => {
    const second = path.join(folder, "second");
    fs.mkdirSync(second);
    const started = performance.now();
    const { output } = run(
      path.join(project, "node_modules/.bin/layerwise"),
      ["engine", "install"],
      {},
      second,
    );
    expect(output).toContain("The native engine is already installed");
    expect(performance.now() - started).toBeLessThan(patience(5000));
  });

  test("has declarations that a strict project compiles with", () => {
    mustRun("npx", ["--no-install", "tsc"]);
  });

  test("trains and serves a model in the project's own tests", () => {
    const output = mustRun("npx", ["--no-install", "vitest", "run"]);
    expect(output).toMatch(/1 passed/);
  });

  describe("loads", () => {
    // Its last function has no kernel of our own.
    const PROGRAM =
      "console.log(new nn.Linear(1, 1)(torch.ones(1, 1)).shape.join(), torch.special.besselJ0(torch.zeros(1)).item());";
    const IMPORT = `import { nn, torch } from "layerwise";\n${PROGRAM}`;
    const write = (name: string, text: string): void => fs.writeFileSync(path.join(project, name), text);

    test.each(["native", "kernels", "wasm"])("in an ES module and a CommonJS module, on %s", (device) => {
      write("program.mjs", IMPORT);
      write(
        "program.cjs",
        `const { nn, torch, ready } = require("layerwise");\nready().then(() => {\n${PROGRAM}\n});`,
      );
      for (const name of ["program.mjs", "program.cjs"])
        expect(mustRun("node", [name], { LAYERWISE_DEVICE: device })).toMatch(/^1,1 1$/m);
    });

    test("in CommonJS, and says what to wait for", () => {
      write(
        "early.cjs",
        `const { nn, torch } = require("layerwise");\nnew nn.Linear(1, 1)(torch.ones(1, 1)).item();`,
      );
      const { status, stderr } = run("node", ["early.cjs"], { LAYERWISE_DEVICE: "wasm" });
      expect(status).toBe(1);
      expect(stderr).toContain(
        "The engine isn't loaded yet: write `await ready()` before the first computation",
      );
    });

    test.each(["native", "kernels", "wasm"])("from a bundle, on %s", async (device) => {
      const { build } = await import("esbuild");
      write("program.mjs", IMPORT);
      const outfile = path.join(project, "dist/program.js");
      await build({
        absWorkingDir: project,
        entryPoints: ["program.mjs"],
        bundle: true,
        platform: "node",
        format: "esm",
        outfile,
        logLevel: "silent",
      });
      expect(mustRun("node", [outfile], { LAYERWISE_DEVICE: device })).toMatch(/^1,1 1$/m);
    });
  });
});
