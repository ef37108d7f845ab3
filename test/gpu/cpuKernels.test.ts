// The build for NVIDIA's GPUs. Where there is no GPU, its kernels for CPUs compute, and CUDA's libraries are loaded in vain.
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, test } from "vitest";
import {
  nativeDirectory,
  readManifest,
  TENSORFLOW_VERSION,
  thisHost,
  type Host,
} from "../../extension/native/cache.ts";
import { findBindingSources } from "../../extension/native/install/compile.ts";
import { installNative } from "../../extension/native/install/install.ts";
import { findPrebuilt } from "../../extension/native/install/prebuilt.ts";
import { machineOf } from "../../extension/native/machine.ts";
import { prebuiltBindings } from "../../scripts/package/prebuilt.mjs";
import { cacheFolder } from "../../scripts/torch.mjs";
import { hasNative } from "../engines.ts";

// TensorFlow computes trainings from their first step on: it is what is compared.
process.env["LAYERWISE_KERNELS_FIRST"] = "0";

const root = (...parts: string[]): string =>
  fileURLToPath(new URL(`../../${parts.join("/")}`, import.meta.url));

const why =
  `${process.platform}-${process.arch}` !== "linux-x64"
    ? "it is for linux-x64"
    : spawnSync("python3", ["-m", "pip", "--version"]).status !== 0
      ? "there is no Python with pip"
      : !hasNative
        ? "the native engine to compare with is not installed"
        : undefined;
if (why !== undefined) process.stdout.write(`The build for GPUs is not tested: ${why}.\n`);

const hasDriver = machineOf(thisHost()).nvidia !== undefined;

describe.skipIf(why !== undefined)("the build for GPUs", () => {
  /** Kept for the next time: the engine has several gigabytes. */
  const cache = path.join(cacheFolder(), "gpu-test");
  const host: Host = {
    ...thisHost(),
    env: { ...process.env, LAYERWISE_CACHE: cache },
    // A driver, so that it is installed here.
    machine: { ...machineOf(thisHost()), nvidia: { version: "999.0" } },
  };
  const directory = nativeDirectory(host, "gpu");

  beforeAll(async () => {
    const prebuilt = findPrebuilt(await prebuiltBindings(["linux-x64"]), host);
    await installNative({ host, build: "gpu", binding: { ...findBindingSources(host), prebuilt } });
  });

  function run(args: string[], env: Record<string, string> = {}): string {
    const { status, stdout, stderr } = spawnSync(process.execPath, args, {
      encoding: "utf8",
      cwd: root(),
      env: { ...process.env, LAYERWISE_CACHE: cache, LAYERWISE_NO_CHECK: "1", ...env },
    });
    expect(status, stdout + stderr).toBe(0);
    return stdout + stderr;
  }

  const files = (): string[] => Object.keys(readManifest(directory)!.files);
  const LIBRARIES = [
    "cublas/lib/libcublas.so.12",
    "cublas/lib/libcublasLt.so.12",
    "cuda_runtime/lib/libcudart.so.12",
    "cudnn/lib/libcudnn.so.9",
    "cufft/lib/libcufft.so.11",
    "cusolver/lib/libcusolver.so.11",
    "cusparse/lib/libcusparse.so.12",
    "nccl/lib/libnccl.so.2",
  ];

  test("brings CUDA's libraries where TensorFlow looks for them", () => {
    expect(files()).toEqual(expect.arrayContaining(LIBRARIES.map((name) => `nvidia/${name}`)));
    // The paths in which the loader searches for them, as the libraries have them in their tables.
    const searched = ["libtensorflow_cc.so.2", "libtensorflow_framework.so.2"].map((name) =>
      fs.readFileSync(path.join(directory, "tensorflow", name)),
    );
    for (const name of LIBRARIES)
      expect(searched.some((bytes) => bytes.includes(`$ORIGIN/../nvidia/${path.dirname(name)}:`))).toBe(true);
  });

  test("brings all that CUDA's libraries need of each other", () => {
    const script = `
      for (const file of ${JSON.stringify(LIBRARIES.map((name) => path.join(directory, "nvidia", name)))})
        try { process.dlopen({ exports: {} }, file); } catch (error) { console.log(error.message); }`;
    const lines = run(["--eval", script]).trim().split("\n");
    // They load, but are no addons.
    for (const line of lines) expect(line).toMatch(/^Module did not self-register/);
    expect(lines).toHaveLength(LIBRARIES.length);
  });

  test("trains digits to the CPU build's losses, and says what computes", () => {
    const folder = fs.mkdtempSync(path.join(cache, "project-"));
    try {
      const file = path.join(folder, "digits.nn.ts");
      fs.copyFileSync(root("media/examples/digits.nn.ts"), file);
      const train = (device: string, env: Record<string, string> = {}): string =>
        run([root("dist/cli.js"), "train", file, "--device", device], env);
      const output = train("gpu");
      if (hasDriver) expect(output).toContain(`TensorFlow ${TENSORFLOW_VERSION} on a GPU`);
      else
        expect(output).toContain(
          `Running on TensorFlow ${TENSORFLOW_VERSION} (TensorFlow's kernels for the CPU compute: There is no NVIDIA driver`,
        );
      const losses = (text: string): number[] =>
        [...text.matchAll(/^Epoch .*, Loss: (\d+\.\d+)/gm)].map(([, loss]) => Number(loss));
      const expected = losses(train("native", { LAYERWISE_CACHE: cacheFolder() }));
      expect(expected).toHaveLength(20);
      expect(losses(output)).toHaveLength(20);
      losses(output).forEach((loss, i) => expect(Math.abs(loss - expected[i]!)).toBeLessThan(3e-4));
    } finally {
      fs.rmSync(folder, { recursive: true });
    }
  });

  test("computes PyTorch's numbers", () => {
    const output = run([root("scripts/parity.mjs"), root("test/fixtures/golden"), "--engine", "gpu"]);
    expect(output).toMatch(/^\d+ passed, 0 failed/m);
  });
});
