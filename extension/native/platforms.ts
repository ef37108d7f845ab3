import { TENSORFLOW_VERSION, type Host } from "./cache.ts";

/** Where TensorFlow's libraries come from on a platform, and how the binding is linked to them. */
export interface Platform {
  /** Requirement given to pip. */
  requirement: string;
  /** Files in the wheel's `tensorflow/`, loaded from beside the binding. */
  libraries: readonly string[];
  /** Arguments of the C++ compiler, for libraries in `directory`. */
  link: (directory: string) => string[];
}

const linux = (distribution: string): Platform => ({
  requirement: `${distribution}==${TENSORFLOW_VERSION}`,
  libraries: ["libtensorflow_cc.so.2", "libtensorflow_framework.so.2"],
  link: (directory) => [
    "-shared",
    `-L${directory}`,
    "-l:libtensorflow_cc.so.2",
    "-l:libtensorflow_framework.so.2",
    "-Wl,-rpath,$ORIGIN",
  ],
});

const darwin: Platform = {
  requirement: `tensorflow==${TENSORFLOW_VERSION}`,
  libraries: ["libtensorflow_cc.2.dylib", "libtensorflow_framework.2.dylib"],
  link: (directory) => [
    "-bundle",
    "-undefined",
    "dynamic_lookup",
    `${directory}/libtensorflow_cc.2.dylib`,
    `${directory}/libtensorflow_framework.2.dylib`,
    "-Wl,-rpath,@loader_path",
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
