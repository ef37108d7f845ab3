import { createHash } from "node:crypto";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { crc32, deflateRawSync } from "node:zlib";
import { onTestFinished } from "vitest";
import { BINDING_VERSION, type Host } from "../../../extension/native/cache.ts";
import { NativeError } from "../../../extension/native/errors.ts";
import type { InstallOptions } from "../../../extension/native/install/install.ts";
import type { InstallProgress } from "../../../extension/protocol/native.ts";

/** A temporary folder that goes with the test. */
export function temporaryFolder(): string {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "layerwise-native-"));
  onTestFinished(() => fs.rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export interface WheelOptions {
  /** Names with a wrong hash in RECORD. */
  misrecorded?: readonly string[];
  /** Names left out of RECORD. */
  unrecorded?: readonly string[];
  compress?: boolean;
  /** Bytes that the archive's directory says of each file, in place of the true numbers. */
  claimed?: number;
  /** The name of one more entry, which RECORD doesn't list. */
  more?: string;
}

/** Writes a Python wheel, a zip with its RECORD; answers its SHA-256. */
export function makeWheel(file: string, files: Record<string, string>, options: WheelOptions = {}): string {
  const record = "fake-1.0.dist-info/RECORD";
  const rows = Object.entries(files)
    .filter(([name]) => !options.unrecorded?.includes(name))
    .map(([name, text]) => {
      const hashed = options.misrecorded?.includes(name) ? `${text}!` : text;
      const sha256 = createHash("sha256").update(hashed).digest("base64url");
      return `${name},sha256=${sha256},${Buffer.byteLength(text)}`;
    });
  const all = { ...files, [record]: [...rows, `${record},,`].join("\n") };
  const entries = Object.entries(all);
  if (options.more !== undefined) entries.push([options.more, "more"]);
  const bytes = zip(entries, options.compress ?? true, options.claimed);
  fs.writeFileSync(file, bytes);
  return createHash("sha256").update(bytes).digest("hex");
}

function zip(files: readonly [name: string, text: string][], compress: boolean, claimed?: number): Buffer {
  const bodies: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const [name, text] of files) {
    const raw = Buffer.from(text);
    const data = compress ? deflateRawSync(raw) : raw;
    const common = Buffer.alloc(26);
    common.writeUInt16LE(20, 0);
    common.writeUInt16LE(compress ? 8 : 0, 4);
    common.writeUInt32LE(crc32(raw), 10);
    common.writeUInt32LE(data.length, 14);
    common.writeUInt32LE(name.startsWith("fake") ? raw.length : (claimed ?? raw.length), 18);
    common.writeUInt16LE(Buffer.byteLength(name), 22);
    const body = Buffer.concat([Buffer.from("PK\x03\x04"), common, Buffer.from(name), data]);
    const tail = Buffer.alloc(14);
    tail.writeUInt32LE(offset, 10);
    directory.push(
      Buffer.concat([Buffer.from("PK\x01\x02"), Buffer.from([20, 0]), common, tail, Buffer.from(name)]),
    );
    bodies.push(body);
    offset += body.length;
  }
  const central = Buffer.concat(directory);
  const end = Buffer.alloc(18);
  end.writeUInt16LE(directory.length, 4);
  end.writeUInt16LE(directory.length, 6);
  end.writeUInt32LE(central.length, 8);
  end.writeUInt32LE(offset, 12);
  return Buffer.concat([...bodies, central, Buffer.from("PK\x05\x06"), end]);
}

export const WHEEL_FILES = {
  "tensorflow/__init__.py": "not wanted",
  "tensorflow/libtensorflow_cc.so.2": "the big library ".repeat(5000),
  "tensorflow/libtensorflow_framework.so.2": "the small library",
  "tensorflow/THIRD_PARTY_NOTICES.txt": "licences",
  "tensorflow/include/tensorflow/c/c_api.h": "// the C API",
  "tensorflow/include/tensorflow/compiler/other.h": "// not wanted",
};

/** Why an installation failed. */
export async function failure(promise: Promise<unknown>): Promise<NativeError> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof NativeError)) throw new Error("expected a NativeError", { cause: error });
  return error;
}

const KEY = `native/tensorflow-2.21.0-tfjs-4.22.0-binding-${BINDING_VERSION}-linux-x64`;
/** Files of an installation. */
export const INSTALLED = [
  "THIRD_PARTY_NOTICES.txt",
  "libtensorflow_cc.so.2",
  "libtensorflow_framework.so.2",
  "manifest.json",
  "tfjs_binding.node",
].map((name) => `${KEY}/${name}`);
/** Behaviour of the fake `python3 -m pip download`. */
export type PipBehaviour =
  | { kind: "serves"; wheel: WheelOptions }
  /** Ends only when a part of the wheel is unpacked. */
  | { kind: "serves-in-parts" }
  | { kind: "serves-by-pip-alone" }
  | { kind: "serves-to-python-3.12" }
  | { kind: "hangs" }
  | { kind: "fails"; output: string }
  | { kind: "no-pip" };

/**
 * A machine of its own: Linux with a cache folder and a PATH that holds only the programs a test puts there. Every
 * call of a fake program is a line of its log.
 */
export class FakeMachine {
  readonly root = temporaryFolder();
  readonly bin = path.join(this.root, "bin");
  readonly cache = path.join(this.root, "cache");
  readonly host: Host = {
    platform: "linux",
    arch: "x64",
    env: { PATH: this.bin, LAYERWISE_CACHE: this.cache },
    machine: { glibc: "2.36", avx: true, memory: 8e9, wsl: false },
  };

  readonly #more: Record<string, string>;

  /** @param more Files of the wheel that its index serves, beside {@link WHEEL_FILES}. */
  constructor(more: Record<string, string> = {}) {
    this.#more = more;
    fs.mkdirSync(this.bin);
    for (const folder of ["sources", "headers", "own/kernels"])
      fs.mkdirSync(path.join(this.root, folder), { recursive: true });
    for (const file of ["sources/backend.cc", "own/binding.cc", "own/kernels/baseline.cc"])
      fs.writeFileSync(path.join(this.root, file), "// C++");
  }

  /** Puts a shell script on PATH. */
  program(name: string, script: string): void {
    const log = path.join(this.root, "calls.log");
    const text = `#!/bin/sh\nPATH=/usr/bin:/bin\necho "${name} $*" >> "${log}"\n${script}\n`;
    fs.writeFileSync(path.join(this.bin, name), text, { mode: 0o755 });
  }

  python(behaviour: PipBehaviour): void {
    if (behaviour.kind === "no-pip") return this.program("python3", 'echo "No module named pip" >&2; exit 1');
    const wheel = path.join(this.root, "fake-1.0.whl");
    // The user allows it: it isn't one of the pinned ones.
    this.host.env["LAYERWISE_WHEEL_SHA256"] = makeWheel(
      wheel,
      { ...WHEEL_FILES, ...this.#more },
      behaviour.kind === "serves" ? behaviour.wheel : {},
    );
    const serve = `for dest; do :; done; echo "Downloading fake-1.0.whl (2.5 kB)"; cp "${wheel}" "$dest"`;
    const early = `"${this.cache}"/downloads/*.unpacking/libtensorflow_framework.so.2`;
    const wait = `for i in $(seq 200); do [ -s ${early} ] && echo yes > "${this.root}/early" && break; sleep 0.05; done`;
    const parts = `for dest; do :; done; cp "${wheel}" "$dest/fake-1.0.whl.part"; ${wait}; mv "$dest/fake-1.0.whl.part" "$dest/fake-1.0.whl"`;
    const itself = `case "$1" in *download.py) exit 3;; *) ${serve};; esac`;
    const missing = 'echo "ERROR: No matching distribution found for tensorflow-cpu" >&2; exit 1';
    const download = {
      serves: serve,
      "serves-in-parts": parts,
      "serves-by-pip-alone": itself,
      "serves-to-python-3.12": `case "$*" in *"--python-version 3.12"*) ${serve};; *) ${missing};; esac`,
      hangs: this.hanging(),
      fails: `echo "${behaviour.kind === "fails" ? behaviour.output : ""}" >&2; exit 1`,
    }[behaviour.kind];
    this.program("python3", `case "$*" in *--version|*"import pip") exit 0;; esac\n${download}`);
  }

  /** uv, which unpacks the files that the user's hash allows, and leaves its cache in the given place. */
  uv(failure?: string): void {
    const files = path.join(this.root, "unpacked");
    for (const [name, text] of Object.entries(WHEEL_FILES)) {
      fs.mkdirSync(path.join(files, path.dirname(name)), { recursive: true });
      fs.writeFileSync(path.join(files, name), text);
    }
    const parse =
      "while [ $# -gt 0 ]; do case $1 in --target) target=$2;; --cache-dir) cache=$2;; --requirement) wanted=$2;; esac; shift; done";
    const install = `mkdir -p "$cache" && cp -r "${files}" "$target" && cp "$wanted" "${this.root}/wanted"`;
    this.program(
      "uv",
      `case "$*" in *--version|*"import pip") exit 0;; esac\n${parse}\n${
        failure === undefined ? install : `echo "${failure}" >&2; exit 1`
      }`,
    );
  }

  /** A compiler that writes its arguments to the output file. */
  compiler(failure?: string): void {
    this.program(
      "g++",
      failure === undefined
        ? 'out=; while [ $# -gt 0 ]; do [ "$1" = -o ] && out=$2; shift; done; echo binding > "$out"'
        : `echo "${failure}" >&2; exit 1`,
    );
  }

  /** A script that never ends, nor does what it starts; {@link pids} are their processes. */
  private hanging(): string {
    return `sleep 60 & echo "$$ $!" >> "${this.root}/pids"; wait`;
  }

  /** A compiler that has written half of its output and hangs. */
  hangingCompiler(): void {
    this.program(
      "g++",
      `while [ $# -gt 0 ]; do [ "$1" = -o ] && echo half > "$2"; shift; done\n${this.hanging()}`,
    );
  }

  /** A compiler that fails at the kernels, once others are at work, and hangs at the rest. */
  partlyFailingCompiler(): void {
    const others = Math.min(2, os.availableParallelism()) - 1;
    const started = `while [ $(cat "${this.root}/pids" 2> "${this.root}/none" | wc -l) -lt ${others} ]; do sleep 0.05; done`;
    this.program(
      "g++",
      `case "$*" in *baseline.cc*) ${started}; echo "error: no such kernel" >&2; exit 1;; esac\n${this.hanging()}`,
    );
  }

  /** Of programs that hang: they and what they started. */
  pids(): number[] {
    const file = path.join(this.root, "pids");
    return fs.existsSync(file) ? (fs.readFileSync(file, "utf8").match(/\d+/g) ?? []).map(Number) : [];
  }

  calls(name: string): number {
    const log = path.join(this.root, "calls.log");
    if (!fs.existsSync(log)) return 0;
    const lines = fs.readFileSync(log, "utf8").split("\n");
    return lines.filter((line) => line.startsWith(`${name} `) && !/(?:--version|import pip)$/.test(line))
      .length;
  }

  /** All files of the cache folder, relative to it. */
  files(): string[] {
    if (!fs.existsSync(this.cache)) return [];
    const entries = fs.readdirSync(this.cache, { recursive: true, withFileTypes: true });
    return entries
      .filter((entry) => entry.isFile())
      .map((entry) => path.relative(this.cache, path.join(entry.parentPath, entry.name)))
      .sort();
  }

  /** Options for an installation here; the binding is not really loaded. */
  options(progress: InstallProgress[] = []): InstallOptions {
    return {
      host: this.host,
      binding: {
        sources: path.join(this.root, "sources"),
        own: path.join(this.root, "own"),
        headers: path.join(this.root, "headers"),
        prebuilt: undefined,
      },
      tryBinding: () => Promise.resolve("2.21.0"),
      onProgress: (step) => progress.push(step),
    };
  }
}
