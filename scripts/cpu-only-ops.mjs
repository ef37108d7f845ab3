// @ts-check
/**
 * `node scripts/cpu-only-ops.mjs`: rewrites extension/executors/tensorflow/cpuOnlyOps.json after a change of TensorFlow's version: the
 * ops in our sources that have kernels for CPUs alone. It asks the installed build for GPUs, whose registry has all kernels on a
 * machine without a GPU too.
 */
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { inRoot, main, ScriptError } from "./project.mjs";
import { cacheFolder } from "./torch.mjs";

/** Prints a line for each kernel: its op and its device. A KernelList has KernelDefs as field 1; a KernelDef has the two first. */
const LIST = `
import ctypes, sys
class Buffer(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("length", ctypes.c_size_t), ("free", ctypes.c_void_p)]
library = ctypes.CDLL(sys.argv[1])
library.TF_NewStatus.restype = ctypes.c_void_p
library.TF_GetAllRegisteredKernels.restype = ctypes.POINTER(Buffer)
library.TF_GetAllRegisteredKernels.argtypes = [ctypes.c_void_p]
found = library.TF_GetAllRegisteredKernels(library.TF_NewStatus()).contents
data = ctypes.string_at(found.data, found.length)

def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, at

def fields(data):
    at = 0
    while at < len(data):
        tag, at = varint(data, at)
        size, at = varint(data, at)
        if tag & 7 == 2:
            yield tag >> 3, data[at : at + size]
            at += size

for _, kernel in fields(data):
    names = dict((number, text) for number, text in fields(kernel) if number <= 2)
    print(names[1].decode(), names[2].decode())
`;

await main(async () => {
  const constants = fs.readFileSync(inRoot("extension/native/cache.ts"), "utf8");
  const version = /TENSORFLOW_VERSION = "([^"]+)"/.exec(constants)?.[1];
  const engines = path.join(cacheFolder(), "native");
  const engine = fs
    .readdirSync(engines)
    .find((name) => name.includes(`-${version}-`) && name.endsWith("-gpu"));
  if (engine === undefined) throw new ScriptError(`There is no engine for GPUs in ${engines}.`);
  const library = path.join(engines, engine, "tensorflow", "libtensorflow_cc.so.2");
  const { status, stdout, stderr } = spawnSync("python3", ["-c", LIST, library], {
    encoding: "utf8",
    maxBuffer: 1e8,
  });
  if (status !== 0) throw new ScriptError(`TensorFlow lists no kernels:\n${stderr}`);
  /** @type {Map<string, Set<string>>} */
  const devices = new Map();
  for (const line of stdout.trim().split("\n")) {
    const [op = "", device = ""] = line.split(" ");
    devices.set(op, (devices.get(op) ?? new Set()).add(device));
  }
  const sources = ["tensor", "executors"].flatMap((folder) =>
    fs
      .readdirSync(inRoot("extension", folder), { recursive: true, encoding: "utf8" })
      // opOutputs.ts has all ops of TensorFlow.
      .filter((name) => name.endsWith(".ts") && !name.endsWith("opOutputs.ts"))
      .map((name) => fs.readFileSync(inRoot("extension", folder, name), "utf8")),
  );
  const named = new Set(sources.flatMap((text) => text.match(/(?<=")[A-Z]\w+(?=")/g) ?? []));
  const ops = [...devices]
    .filter(([op, where]) => named.has(op) && !where.has("GPU") && !where.has("DEFAULT"))
    .map(([op]) => op)
    .sort();
  const text = JSON.stringify({ tensorflow: version, ops }, undefined, 2);
  fs.writeFileSync(inRoot("extension/executors/tensorflow/cpuOnlyOps.json"), `${text}\n`);
  console.log(`${ops.length} of ${named.size} names are ops for CPUs alone.`);
});
