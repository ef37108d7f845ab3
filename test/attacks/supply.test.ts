import { execFileSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { nativeDirectory } from "../../extension/native/cache.ts";
import type { NativeError } from "../../extension/native/errors.ts";
import { installNative } from "../../extension/native/install/install.ts";
import { extractWheel } from "../../extension/native/install/wheel.ts";
import {
  FakeMachine,
  makeWheel,
  temporaryFolder,
  WHEEL_FILES,
  type WheelOptions,
} from "../unit/native/fakes.ts";

const KEPT = "downloads/tensorflow-cpu-2.21.0-linux-x64.whl";

/** A machine whose user allows the wheel that its index serves. */
function machine(): FakeMachine {
  const machine = new FakeMachine();
  machine.python({ kind: "serves", wheel: {} });
  machine.compiler();
  return machine;
}

/** Why an installation failed; fails itself when there was none. */
async function refusal(attacked: FakeMachine): Promise<NativeError> {
  return installNative(attacked.options()).then(
    () => expect.fail("The engine was installed."),
    (error: NativeError) => error,
  );
}

/** Runs the test in a folder of the attacker's. */
function enter(folder: string): void {
  const before = process.cwd();
  process.chdir(folder);
  onTestFinished(() => process.chdir(before));
}

describe.skipIf(process.platform === "win32")("the package index", () => {
  it("serves a wheel of its own, with hashes that agree", async () => {
    const attacked = machine();
    delete attacked.host.env["LAYERWISE_WHEEL_SHA256"];
    const error = await refusal(attacked);
    expect(error.code).toBe("unknown-wheel");
    expect(error.message).toMatch(/SHA-256 [0-9a-f]{64}\); nothing of it was installed/);
    expect(attacked.files()).toEqual([]);
    expect(attacked.calls("g++")).toBe(0);
  });

  it("serves another wheel than the one that the user allowed", async () => {
    const attacked = machine();
    const allowed = attacked.host.env["LAYERWISE_WHEEL_SHA256"]!;
    attacked.python({ kind: "serves", wheel: { compress: false } });
    attacked.host.env["LAYERWISE_WHEEL_SHA256"] = allowed;
    expect((await refusal(attacked)).code).toBe("unknown-wheel");
    expect(attacked.files()).toEqual([]);
  });

  it("is named with a password, which its errors repeat: no message or log has it", async () => {
    const attacked = machine();
    for (const said of ["error: Failed to fetch", "error sending request for url"]) {
      const output = `${said} https://someone:hunter2@index.example/simple/?token=hunter2`;
      attacked.python({ kind: "fails", output });
      const { message, detail } = await refusal(attacked);
      expect(detail).toContain("https://***@index.example/simple/?***");
      expect(`${message} ${detail}`).not.toMatch(/hunter2/);
    }
  });

  it("sends a wheel that doesn't end", async () => {
    const attacked = machine();
    const file = path.join(attacked.root, "endless.cjs");
    fs.writeFileSync(
      file,
      `const fs = require("node:fs"), file = process.env.TMPDIR + "/endless";
fs.writeFileSync(file, "");
fs.truncateSync(file, 2e9);
setTimeout(() => {}, 60_000);`,
    );
    attacked.program(
      "python3",
      `case "$*" in *--version|*"import pip") exit 0;; esac\nexec "${process.execPath}" "${file}"`,
    );
    expect((await refusal(attacked)).message).toContain("sent more than 1 GB");
    expect(attacked.files()).toEqual([]);
  });
});

describe.skipIf(process.platform === "win32")("the folder where the engine is installed from", () => {
  it("holds a pip.py, which Python prefers to pip", async () => {
    const attacked = machine();
    const folder = temporaryFolder();
    fs.writeFileSync(path.join(folder, "pip.py"), "");
    enter(folder);
    const script = fs.readFileSync(path.join(attacked.bin, "python3"), "utf8");
    // As Python with -m does: the current folder comes first.
    const asPython = script.replace("\n", `\n[ -e pip.py ] && /bin/touch "${attacked.root}/stolen"\n`);
    fs.writeFileSync(path.join(attacked.bin, "python3"), asPython);
    await installNative(attacked.options());
    expect(fs.existsSync(path.join(attacked.root, "stolen"))).toBe(false);
  });

  it("holds a python3 and a compiler, and PATH has a relative entry", async () => {
    const attacked = machine();
    const folder = temporaryFolder();
    for (const name of ["python3", "g++"])
      fs.writeFileSync(path.join(folder, name), `#!/bin/sh\n/bin/touch "${attacked.root}/stolen"\n`, {
        mode: 0o755,
      });
    enter(folder);
    attacked.host.env["PATH"] = `.:${attacked.bin}`;
    await installNative(attacked.options());
    expect(fs.existsSync(path.join(attacked.root, "stolen"))).toBe(false);
  });
});

describe.skipIf(process.platform === "win32")("the cache folder", () => {
  it("holds another wheel under the name of a finished download", async () => {
    const attacked = machine();
    const kept = path.join(attacked.cache, KEPT);
    fs.mkdirSync(path.dirname(kept), { recursive: true });
    makeWheel(kept, { ...WHEEL_FILES, "tensorflow/libtensorflow_cc.so.2": "the attacker's library" });
    await installNative(attacked.options());
    const library = path.join(nativeDirectory(attacked.host), "libtensorflow_cc.so.2");
    expect(fs.readFileSync(library, "utf8")).toBe(WHEEL_FILES["tensorflow/libtensorflow_cc.so.2"]);
  });

  it("holds a named pipe under the name of a finished download", async () => {
    const attacked = machine();
    const kept = path.join(attacked.cache, KEPT);
    fs.mkdirSync(path.dirname(kept), { recursive: true });
    execFileSync("mkfifo", [kept]);
    expect((await installNative(attacked.options())).installed).toBe(true);
  });
});

describe("a wheel that the user allowed", () => {
  const unpack = async (options: WheelOptions, message: RegExp, place = (name: string): string => name) => {
    const folder = temporaryFolder();
    const wheel = path.join(folder, "in", "x.whl");
    fs.mkdirSync(path.dirname(wheel));
    makeWheel(wheel, { "a.txt": "a".repeat(1e6), "b.txt": "more" }, options);
    const directory = path.join(folder, "in", "out");
    const done = extractWheel(wheel, {
      admit: () => undefined,
      place: (name) => (name.includes("dist-info") ? undefined : place(name)),
      directory,
    });
    await expect(done).rejects.toMatchObject({
      code: "corrupt-download",
      message: expect.stringMatching(message),
    });
    return fs.readdirSync(folder, { recursive: true }).filter((name) => !String(name).startsWith("in"));
  };

  it.each(["../../escaped.txt", "/escaped.txt", "..\\..\\escaped.txt", "a/../../../escaped.txt"])(
    "holds a file named %s",
    async (more) => {
      expect(await unpack({ more }, /invalid relative path|absolute path/)).toEqual([]);
    },
  );

  it("is unpacked to a place outside of the engine's folder", async () => {
    expect(await unpack({}, /outside/, () => "../../escaped.txt")).toEqual([]);
    expect(await unpack({}, /outside/, () => path.resolve("/escaped.txt"))).toEqual([]);
  });

  it("holds a file twice", async () => {
    await unpack({ more: "b.txt" }, /holds b\.txt twice/);
  });

  it("holds a file that is longer than it says", async () => {
    await unpack({ claimed: 10 }, /longer than the archive says/);
  });
});
