import path from "node:path";
import { TENSORFLOW_VERSION, type Host } from "./cache.ts";

/** What the compiler is given; all paths absolute. */
export interface CompileInput {
  sources: readonly string[];
  includes: readonly string[];
  /** Where TensorFlow's libraries are. */
  libraries: string;
  /** For intermediate files; removed afterwards. */
  scratch: string;
  output: string;
}

/** Where TensorFlow's libraries come from on a platform, and how the binding is linked to them. */
export interface Platform {
  /** Requirement given to pip. */
  requirement: string;
  /** Files in the wheel's `tensorflow/`; they end up beside the binding. */
  libraries: readonly string[];
  /** The C++ compiler's calls, each a list of arguments. */
  compile: (input: CompileInput) => string[][];
}

const compileFlags = ({ sources, includes }: CompileInput): string[] => [
  "-O2",
  "-std=c++17",
  "-fPIC",
  "-DNAPI_VERSION=8",
  ...includes.map((folder) => `-I${folder}`),
  ...sources,
];

/**
 * The binding is linked to an empty library of the real one's name: a linker takes 10 s to read the real one's symbols.
 * `-z now` has them all looked up when the binding is loaded, so one that is missing shows at once.
 */
const linux = (distribution: string): Platform => ({
  requirement: `${distribution}==${TENSORFLOW_VERSION}`,
  libraries: ["libtensorflow_cc.so.2", "libtensorflow_framework.so.2"],
  compile: (input) => {
    const library = "libtensorflow_cc.so.2";
    const stub = path.join(input.scratch, library);
    return [
      ["-shared", "-nostdlib", `-Wl,-soname,${library}`, "-o", stub, "-x", "c++", "/dev/null"],
      [
        ...compileFlags(input),
        "-shared",
        "-Wl,--no-as-needed",
        stub,
        "-Wl,-z,now",
        "-Wl,-rpath,$ORIGIN",
        "-o",
        input.output,
      ],
    ];
  },
});

const darwin: Platform = {
  requirement: `tensorflow==${TENSORFLOW_VERSION}`,
  libraries: ["libtensorflow_cc.2.dylib", "libtensorflow_framework.2.dylib"],
  compile: (input) => [
    [
      ...compileFlags(input),
      "-bundle",
      // Node's own symbols come from the program that loads the binding.
      "-undefined",
      "dynamic_lookup",
      ...darwin.libraries.map((name) => path.join(input.libraries, name)),
      "-Wl,-rpath,@loader_path",
      "-o",
      input.output,
    ],
  ],
};

/**
 * Platforms with a native engine. tensorflow-cpu has no wheel for Linux arm64 and macOS: there `tensorflow` is the
 * CPU build. Windows is missing because its wheel's library needs the one Python version it was built for.
 */
const PLATFORMS: Readonly<Record<string, Platform>> = {
  "linux-x64": linux("tensorflow-cpu"),
  "linux-arm64": linux("tensorflow"),
  "darwin-arm64": darwin,
};

export const findPlatform = ({ platform, arch }: Host): Platform | undefined =>
  PLATFORMS[`${platform}-${arch}`];
