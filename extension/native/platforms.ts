import path from "node:path";
import { TENSORFLOW_VERSION, type Build, type Host } from "./cache.ts";

/** Inputs of the compiler; all paths are absolute. */
export interface CompileInput {
  sources: readonly string[];
  includes: readonly string[];
  /** For intermediate files; removed afterwards. */
  scratch: string;
  output: string;
}

/** The source of TensorFlow's libraries on a platform, and how the binding is made. */
export interface Platform {
  /** Requirement for pip. */
  requirement: string;
  /** pip's arguments for the only wheel that serves, whatever Python runs pip; by default pip chooses. */
  pip?: readonly string[];
  /** uv's name of the platform. */
  uv: string;
  /** Files in the wheel's `tensorflow/` that are copied beside the binding, without their folders. */
  libraries: readonly string[];
  /** Whether CUDA's libraries are fetched too, from the wheels that are pinned for the build. */
  cuda?: boolean;
  /** Undefined where only the prebuilt binding serves. */
  compile?: (input: CompileInput) => Compilation;
}

/** The C++ compiler's calls, each a list of arguments. */
export interface Compilation {
  /** Calls that don't depend on each other. */
  units: string[][];
  /** The call after them. */
  link: string[];
}

const FLAGS = [
  // Kernels are loops for the compiler to vectorize.
  "-O3",
  "-fno-math-errno",
  // Of GCC alone: a comparison that could trap isn't vectorized.
  "-fno-trapping-math",
  "-std=c++17",
  "-fPIC",
  "-DNAPI_VERSION=8",
];

const objectOf = (source: string, { scratch }: CompileInput): string =>
  path.join(scratch, `${path.basename(source)}.o`);

const objectsOf = (input: CompileInput): string[] => input.sources.map((source) => objectOf(source, input));

const unitsOf = (input: CompileInput): string[][] =>
  input.sources.map((source) => [
    ...FLAGS,
    ...input.includes.map((folder) => `-I${folder}`),
    "-c",
    source,
    "-o",
    objectOf(source, input),
  ]);

/** `-z now` resolves all symbols when the binding is loaded, so a missing one fails at once. TensorFlow's are in library.cc. */
const linux = (distribution: string, uv: string): Platform => ({
  requirement: `${distribution}==${TENSORFLOW_VERSION}`,
  uv,
  libraries: ["libtensorflow_cc.so.2", "libtensorflow_framework.so.2"],
  compile: (input) => ({
    units: unitsOf(input),
    // -ldl for glibc before 2.34.
    link: [...objectsOf(input), "-shared", "-Wl,-z,now", "-ldl", "-o", input.output],
  }),
});

const darwin: Platform = {
  requirement: `tensorflow==${TENSORFLOW_VERSION}`,
  uv: "aarch64-apple-darwin",
  libraries: ["libtensorflow_cc.2.dylib", "libtensorflow_framework.2.dylib"],
  compile: (input) => ({
    units: unitsOf(input),
    link: [
      ...objectsOf(input),
      "-bundle",
      // The program that loads the binding provides Node's symbols.
      "-undefined",
      "dynamic_lookup",
      // With it, TensorFlow's libraries find each other.
      "-Wl,-rpath,@loader_path",
      "-o",
      input.output,
    ],
  }),
};

/**
 * TensorFlow's DLL imports names of python312.dll, for which a stub lies beside the binding: see windows/. Wheels for other versions
 * of Python import another DLL.
 */
const windows: Platform = {
  requirement: `tensorflow==${TENSORFLOW_VERSION}`,
  pip: ["--platform", "win_amd64", "--python-version", "3.12"],
  uv: "x86_64-pc-windows-msvc",
  libraries: ["python/_pywrap_tensorflow_common.dll"],
};

/**
 * Platforms with a native engine. tensorflow-cpu has no wheel for Linux arm64 and macOS: there `tensorflow` is the CPU build.
 * Windows is experimental: tried under Wine only.
 */
const PLATFORMS: Readonly<Record<string, Platform>> = {
  "linux-x64": linux("tensorflow-cpu", "x86_64-manylinux_2_28"),
  "linux-arm64": linux("tensorflow", "aarch64-manylinux_2_28"),
  "darwin-arm64": darwin,
  "win32-x64": windows,
};

/** TensorFlow's build for NVIDIA's GPUs, which loads and computes without a GPU too. */
const GPU: Readonly<Record<string, Platform>> = {
  "linux-x64": { ...linux("tensorflow", "x86_64-manylinux_2_28"), cuda: true },
};

export const findPlatform = ({ platform, arch }: Host, build: Build = "cpu"): Platform | undefined =>
  (build === "gpu" ? GPU : PLATFORMS)[`${platform}-${arch}`];
