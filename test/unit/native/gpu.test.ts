import fs from "node:fs";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { describeStatus } from "../../../extension/cli/engineCommand.ts";
import { nativeDirectory, TENSORFLOW_VERSION } from "../../../extension/native/cache.ts";
import { diagnose } from "../../../extension/native/install/doctor.ts";
import { installNative, removeNative } from "../../../extension/native/install/install.ts";
import { cudaRequirements } from "../../../extension/native/install/pins.ts";
import { nvidiaDriver } from "../../../extension/native/machine.ts";
import { nativeStatus } from "../../../extension/native/status.ts";
import cpuOnly from "../../../extension/executors/tensorflow/cpuOnlyOps.json";
import type { InstallProgress } from "../../../extension/protocol/native.ts";
import { failure, FakeMachine, temporaryFolder } from "./fakes.ts";

const CUDA = {
  "nvidia/cublas/lib/libcublas.so.12": "a library",
  "nvidia/cublas/include/cublas.h": "not wanted",
  "nvidia_cublas_cu12-12.9.dist-info/licenses/License.txt": "its licence",
};

/** For 13 wheels, each with a process of its own, on a busy machine. */
const MANY_PROCESSES = 60_000;

/** Linux with NVIDIA's driver, and an index whose every wheel holds TensorFlow and a library of CUDA. */
function gpuMachine(
  nvidia: { version: string | undefined } | undefined = { version: "550.54.14" },
): FakeMachine {
  const machine = new FakeMachine(CUDA);
  machine.python({ kind: "serves", wheel: {} });
  machine.compiler();
  machine.host.machine = { ...machine.host.machine!, ...(nvidia && { nvidia }) };
  return machine;
}

const onGpu = (machine: FakeMachine) =>
  nativeStatus({ ...machine.host, env: { ...machine.host.env, LAYERWISE_DEVICE: "gpu" } });

describe.skipIf(process.platform === "win32")("the build for GPUs", () => {
  test(
    "is installed beside the one for CPUs, with CUDA's libraries and their licences",
    async () => {
      const machine = gpuMachine();
      const progress: InstallProgress[] = [];
      const { directory } = await installNative({ ...machine.options(progress), build: "gpu" });
      expect(directory).toBe(nativeDirectory(machine.host, "gpu"));
      expect(machine.calls("python3")).toBe(1 + cudaRequirements().length);
      expect(fs.readdirSync(directory, { recursive: true, encoding: "utf8" }).sort()).toEqual([
        "manifest.json",
        "nvidia",
        "nvidia/cublas",
        "nvidia/cublas/lib",
        "nvidia/cublas/lib/libcublas.so.12",
        "nvidia/nvidia_cublas_cu12-12.9-License.txt",
        "tensorflow",
        ...[
          "THIRD_PARTY_NOTICES.txt",
          "libtensorflow_cc.so.2",
          "libtensorflow_framework.so.2",
          "tfjs_binding.node",
        ].map((name) => `tensorflow/${name}`),
      ]);
      expect(progress.map(({ fraction }) => fraction)).toEqual(
        progress.map(({ fraction }) => fraction).toSorted((a, b) => a - b),
      );
      expect(progress[0]?.text).toMatch(/for GPUs with pip \(\d\.\d GB; needs \d+\.\d GB of disk/);
      expect(nativeStatus(machine.host).state).toBe("not-installed");
      expect(onGpu(machine)).toMatchObject({ backend: "tensorflow", state: "installed", directory });
      expect((await installNative({ ...machine.options(), build: "gpu" })).installed).toBe(false);
      await installNative(machine.options());
      expect(nativeStatus(machine.host)).toMatchObject({
        state: "installed",
        directory: nativeDirectory(machine.host),
      });
      expect(await removeNative({ host: machine.host })).toBe(true);
      expect(machine.files()).toEqual([]);
    },
    MANY_PROCESSES,
  );

  test(
    "is damaged without one of CUDA's libraries",
    async () => {
      const machine = gpuMachine();
      const { directory } = await installNative({ ...machine.options(), build: "gpu" });
      fs.rmSync(path.join(directory, "nvidia/cublas/lib/libcublas.so.12"));
      expect(onGpu(machine)).toMatchObject({
        state: "broken",
        reason:
          'The native engine for GPUs is damaged (nvidia/cublas/lib/libcublas.so.12 is missing). Install it with "layerwise engine install --gpu".',
      });
    },
    MANY_PROCESSES,
  );

  test.each([
    [undefined, "There is no NVIDIA driver"],
    [
      { version: "470.82.01" },
      "CUDA needs NVIDIA's driver 525.60.13 or newer; this one is 470.82.01. Upgrade the driver.",
    ],
  ])("is not installed for the driver %o", async (driver, message) => {
    const machine = gpuMachine(driver);
    if (driver === undefined) delete (machine.host.machine as { nvidia?: object }).nvidia;
    const error = await failure(installNative({ ...machine.options(), build: "gpu" }));
    expect(error.code).toBe("unsupported-machine");
    expect(error.message).toContain(message);
    expect(machine.calls("python3")).toBe(0);
  });

  test("is not for other platforms", async () => {
    const machine = gpuMachine();
    const host = { ...machine.host, platform: "win32" as const };
    expect((await failure(installNative({ ...machine.options(), host, build: "gpu" }))).message).toBe(
      "TensorFlow computes on NVIDIA's GPUs on Linux x64 only; this is win32-x64. On Windows, use Windows Subsystem for Linux.",
    );
  });

  test("has a line in status, and the doctor says how to have it", async () => {
    const machine = gpuMachine();
    expect(describeStatus(nativeStatus(machine.host))).toContain(
      "GPU:            the build for GPUs is not installed, and there is NVIDIA's driver 550.54.14; layerwise engine install --gpu\n",
    );
    const checks = await diagnose({ host: machine.host, binding: machine.options().binding! });
    expect(checks.find(({ name }) => name === "GPU")).toMatchObject({
      state: "ok",
      fix: "Run layerwise engine install --gpu, then choose it with --device gpu.",
    });
    expect(nativeStatus(new FakeMachine().host).gpu).toBeUndefined();
  });

  test(
    "computes on the CPU when the driver has gone, which status and the doctor say",
    async () => {
      const machine = gpuMachine();
      await installNative({ ...machine.options(), build: "gpu" });
      delete (machine.host.machine as { nvidia?: object }).nvidia;
      expect(describeStatus(nativeStatus(machine.host))).toContain(
        "the build for GPUs is installed. There is no NVIDIA driver",
      );
      const checks = await diagnose({ host: machine.host, binding: machine.options().binding! });
      expect(checks.find(({ name }) => name === "GPU")).toMatchObject({
        state: "warning",
        text: expect.stringContaining("Device gpu computes on the CPU."),
      });
    },
    MANY_PROCESSES,
  );
});

describe.skipIf(process.platform === "win32")("NVIDIA's driver", () => {
  /** A file system with some files. */
  function root(files: Record<string, string>): string {
    const folder = temporaryFolder();
    for (const [name, text] of Object.entries(files)) {
      fs.mkdirSync(path.join(folder, path.dirname(name)), { recursive: true });
      fs.writeFileSync(path.join(folder, name), text);
    }
    return folder;
  }
  const version = "proc/driver/nvidia/version";
  const closed =
    "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.14  Thu Feb 22 01:44:30 UTC 2024\nGCC version:  gcc 12.2.0\n";
  const open =
    "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  575.51.03  Release Build  (root@host)\n";

  test.each([
    [
      "a closed module",
      { "usr/lib/x86_64-linux-gnu/libcuda.so.1": "", [version]: closed },
      { version: "550.54.14" },
    ],
    ["an open module", { "usr/lib64/libcuda.so.1": "", [version]: open }, { version: "575.51.03" }],
    ["Windows' driver", { "usr/lib/wsl/lib/libcuda.so.1": "", "dev/dxg": "" }, { version: undefined }],
    ["a library without a module", { "usr/lib64/libcuda.so.1": "" }, undefined],
    ["a module without the library, as in a container", { [version]: closed }, undefined],
  ])("is found by its files: %s", (_, files, expected) => {
    expect(nvidiaDriver(root(files), undefined)).toEqual(expected);
  });

  test("is found in LD_LIBRARY_PATH too", () => {
    const folder = root({ "opt/driver/libcuda.so.1": "", [version]: closed });
    expect(nvidiaDriver(folder, "/nowhere:/opt/driver")).toEqual({ version: "550.54.14" });
  });
});

test("the ops without kernels for GPUs are those of the installed version", () => {
  expect(cpuOnly.tensorflow).toBe(TENSORFLOW_VERSION);
  expect(cpuOnly.ops.length).toBeGreaterThan(0);
});
