// The packed extension in a real VS Code, on a PATH without a compiler and build tools.
import { createHash } from "node:crypto";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { RunRecord } from "../../extension/protocol/run.ts";
import { packageExtension } from "../../scripts/package.mjs";
import { packageLibrary } from "../../scripts/package/npm.mjs";
import { inRoot } from "../../scripts/project.mjs";
import { ensureVscode, installExtension, type VscodeServer } from "../../scripts/vscode/server.mjs";
import { launchBrowser } from "../browser/library/browser.ts";
import { Workbench } from "../browser/library/workbench.ts";
import { until } from "../harness.ts";
import { newestRun } from "../runDirectories.ts";
import { programs, PYTHON, REASON, TARGET } from "./machine.ts";

if (REASON !== undefined) process.stdout.write(`The packed extension is not tested: ${REASON}.\n`);

describe.skipIf(REASON !== undefined)("a package", () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "layerwise-same-"));
  afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));
  const hashOf = (file: string): string => createHash("sha256").update(fs.readFileSync(file)).digest("hex");

  test.each([
    ["VSIX", (out: string) => packageExtension({ out, bindings: [TARGET] })],
    ["npm package", (out: string) => packageLibrary({ out, bindings: [TARGET] })],
  ])("has the same bytes when the %s is packed again", async (name, pack) => {
    const hashes: string[] = [];
    for (const zone of ["Asia/Tokyo", "America/New_York"]) {
      const before = process.env["TZ"];
      process.env["TZ"] = zone;
      hashes.push(hashOf(await pack(path.join(folder, `${name}-${hashes.length}`))));
      if (before === undefined) delete process.env["TZ"];
      else process.env["TZ"] = before;
    }
    expect(hashes[1]).toBe(hashes[0]);
  });
});

describe.skipIf(REASON !== undefined)("the packed extension", () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "layerwise-vsix-"));
  const place = { dataFolder: path.join(folder, "data"), extensionsFolder: path.join(folder, "extensions") };
  let server: VscodeServer;
  let browser: Browser;

  beforeAll(async () => {
    server = await ensureVscode();
    const vsix = await packageExtension({ out: path.join(folder, "layerwise.vsix"), bindings: [TARGET] });
    await installExtension(server, { vsix, ...place });
    browser = await launchBrowser();
    const shell = { sh: "/bin/sh", env: "/usr/bin/env" };
    programs(path.join(folder, "bare"), shell);
    programs(path.join(folder, "python"), { ...shell, python3: PYTHON! });
  });
  afterAll(async () => {
    await browser.close();
    fs.rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
  });

  /** A window whose programs are those of a folder, and whose cache is this test's. */
  function open(bin: string): Promise<Workbench> {
    const none = { VIRTUAL_ENV: "", CONDA_PREFIX: "", CXX: "", LAYERWISE_DEVICE: "" };
    // Else VS Code takes the PATH of a login shell.
    const env = {
      ...none,
      VSCODE_CLI: "1",
      PATH: path.join(folder, bin),
      LAYERWISE_CACHE: path.join(folder, "cache"),
    };
    return Workbench.open({ browser, server, extensionsFolder: place.extensionsFolder, env });
  }

  /** Clicks "Train" in an example and waits for the end of its training. */
  async function train(workbench: Workbench, name: string): Promise<RunRecord> {
    await workbench.openFile(name);
    await workbench.clickLens("Train", () => until("a run", () => newestRun(workbench.folder)));
    return until(
      "the training's end",
      () => {
        const run = newestRun(workbench.folder);
        return run?.endedAt !== undefined && run;
      },
      120_000,
    );
  }

  test("trains on its own kernels where there is no Python, says what the engine needs, and shows its README", async () => {
    const workbench = await open("bare");
    const example = fs.readFileSync(inRoot("media/examples/digits.nn.ts"), "utf8");
    fs.writeFileSync(path.join(workbench.folder, "digits.nn.ts"), example.replace("epochs: 20", "epochs: 2"));
    const { state, epoch, executor } = await train(workbench, "digits.nn.ts");
    expect({ state, epoch }).toEqual({ state: "finished", epoch: 2 });
    const needed = "Python 3 with pip (packages python3 and python3-pip), or uv";
    expect(executor?.backend).toBe("kernels");
    expect(executor?.reason).toBe(`The native engine is not installed. Installing it needs ${needed}.`);
    await workbench.command("Layerwise: Install Native Engine");
    await workbench.notified(`Installing the native engine needs ${needed}.`);

    await workbench.command("Extensions: Show Installed Extensions");
    await workbench.page.locator(".extension-list-item", { hasText: "Layerwise" }).first().click();
    await until(
      "the README",
      async () => {
        for (const frame of workbench.page.frames()) {
          const heading = frame.getByRole("heading", { name: "Your code and your data" });
          if ((await heading.count().catch(() => 0)) > 0) return true;
        }
        return false;
      },
      30_000,
    );
    await workbench.close();
  });

  test("installs the native engine from its own binding, and trains digits on it", async () => {
    const workbench = await open("python");
    await workbench.activated();
    await workbench.command("Layerwise: Install Native Engine");
    await until(
      "the engine",
      () =>
        fs.existsSync(path.join(folder, "cache/native")) &&
        fs.readdirSync(path.join(folder, "cache/native")).some((name) => name.endsWith(TARGET)),
      180_000,
    );
    await workbench.notified("The native engine is installed. The next run uses it.");
    const { state, executor, metrics } = await train(workbench, "digits.nn.ts");
    expect({ state, backend: executor?.backend, version: executor?.version }).toEqual({
      state: "finished",
      backend: "tensorflow",
      version: "TensorFlow 2.21.0 with Layerwise's own kernels",
    });
    // Own kernels round as their compiler does, which 20 epochs magnify: 0.0477 by g++, 0.0501 by zig and in wasm, 0.0484 by TensorFlow.
    expect(metrics["loss"]).toBeGreaterThan(0.045);
    expect(metrics["loss"]).toBeLessThan(0.053);
    expect(metrics["val_accuracy"]).toBeCloseTo(0.99, 2);
    await workbench.close();
  });
});
