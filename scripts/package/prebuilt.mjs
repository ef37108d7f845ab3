// @ts-check
/**
 * Compiles the native engine's binding for every platform on this one, with Zig's C++ compiler from the `ziglang` wheel: the
 * same bytes each time. Zig has no wheel for macOS, so bindings are made on Linux or Windows. The first time it downloads Zig
 * (100 MB) and TensorFlow's headers (a wheel of 274 MB) with pip, and compiles for 4 minutes on two cores; later 1 minute.
 */
import { createHash } from "node:crypto";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { bindingSources } from "../build.mjs";
import { digest, inRoot, mustRun, root, ScriptError, unlessStamped } from "../project.mjs";
import { cacheFolder } from "../torch.mjs";

const ZIG = "0.17.1";
/** The hashes of Zig's wheels for Linux x64, Linux arm64 and Windows x64. */
const ZIG_WHEELS = [
  "ea6cc5d87b033cf0aedfbc8f9549a908cae6c50ac31f1698188fa48a74524b54",
  "b7c5f02fccd40f89b999ee16a1f5ddced56e6182370f8affe494bcf8a28cf07e",
  "69c3dfc3aff6a297ec4017aa904782c0e450eb988982d7f675d83edce27526fb",
];

/** As the bill of materials names it. */
export const COMPILER = `ziglang ${ZIG}`;

const BINDING = "tfjs_binding.node";
/** The oldest glibc that the bindings load on. */
const GLIBC = "2.17";
const FOLDER = "out/prebuilt";

/**
 * How to link for a platform. `sources` are more files of own/ to compile, and `beside` the libraries to make of one source each.
 * @typedef {{ target: string, glibc?: string, link: readonly string[], defines?: readonly string[], sources?: readonly string[],
 *   beside?: Readonly<Record<string, string>> }} Recipe
 */

/** @param {string} arch @returns {Recipe} */
const linux = (arch) => ({
  target: `${arch}-linux-gnu.${GLIBC}`,
  glibc: GLIBC,
  link: ["-shared", "-Wl,-z,now", "-ldl"],
});

/** @type {Readonly<Record<string, Recipe>>} */
const RECIPES = {
  "linux-x64": linux("x86_64"),
  "linux-arm64": linux("aarch64"),
  "darwin-arm64": {
    target: "aarch64-macos.12.0",
    // Zig's linker crashes for a bundle; Node loads both. The program that loads it provides Node's symbols.
    link: [
      "-dynamiclib",
      `-Wl,-install_name,@rpath/${BINDING}`,
      "-undefined",
      "dynamic_lookup",
      "-Wl,-rpath,@loader_path",
    ],
  },
  "win32-x64": {
    target: "x86_64-windows-gnu",
    link: ["-shared"],
    defines: ["-DNAPI_EXTERN=__declspec(dllimport)"],
    sources: ["own/windows/imports.c"],
    beside: { "python312.dll": "own/windows/python312.c" },
  },
};

/** The files of a platform's binding. @param {string} target */
export const bindingNames = (target) => [BINDING, ...Object.keys(RECIPES[target]?.beside ?? {})];

/** The platforms that have a prebuilt binding. */
export const PREBUILT_TARGETS = Object.keys(RECIPES);

/** Inputs of a build that are in the repository. */
const SOURCES = [
  ...bindingSources().map((name) => `extension/native/${name}`),
  "extension/native/windows",
  "node_modules/@tensorflow/tfjs-node/binding",
  "node_modules/node-api-headers/include",
  "scripts/package/prebuilt.mjs",
];

/**
 * Compiles the bindings whose sources have changed, and lists them in `bindings.json` with their SHA-256.
 * @param {readonly string[]} [targets]
 * @returns {Promise<string>} Their folder; each lies in the subfolder of its platform.
 */
export async function prebuiltBindings(targets = PREBUILT_TARGETS) {
  for (const target of targets)
    await unlessStamped(`${FOLDER}/${target}.stamp`, digest(SOURCES), async () => {
      process.stdout.write(`Compiling the binding for ${target} …\n`);
      await compileBinding(target, inRoot(FOLDER, target, BINDING));
    });
  listBindings(inRoot(FOLDER), targets);
  return inRoot(FOLDER);
}

/** @param {string} file */
const hashOf = (file) => createHash("sha256").update(fs.readFileSync(file)).digest("hex");

/** @param {string} folder @param {readonly string[]} targets */
function listBindings(folder, targets) {
  const files = Object.fromEntries(
    targets.map((target) => {
      const { glibc } = /** @type {Recipe} */ (RECIPES[target]);
      const hashes = bindingNames(target).map((name) => [name, hashOf(path.join(folder, target, name))]);
      return [target, { sha256: Object.fromEntries(hashes), ...(glibc && { glibc }) }];
    }),
  );
  const binding = Number(constant("BINDING_VERSION"));
  fs.writeFileSync(
    path.join(folder, "bindings.json"),
    `${JSON.stringify({ binding, files }, undefined, 2)}\n`,
  );
}

/**
 * Copies the bindings of some platforms and their list into a package.
 * @param {string} folder @param {readonly string[]} targets
 */
export async function copyBindings(folder, targets) {
  const from = await prebuiltBindings(targets);
  for (const target of targets)
    for (const name of bindingNames(target))
      fs.cpSync(path.join(from, target, name), path.join(folder, target, name), { recursive: true });
  listBindings(folder, targets);
}

/**
 * Compiles one binding. All paths that the compiler sees are relative, so none of this machine's is in the output.
 * @param {string} target @param {string} output
 */
export async function compileBinding(target, output) {
  const recipe = RECIPES[target];
  if (recipe === undefined) throw new ScriptError(`There is no native engine for ${target}.`);
  const [zig, headers] = await prepareCompiler();
  const scratch = `${output}.scratch`;
  fs.rmSync(scratch, { recursive: true, force: true });
  fs.mkdirSync(scratch, { recursive: true });
  for (const name of bindingSources())
    fs.cpSync(inRoot("extension/native", name), path.join(scratch, "own", name), { recursive: true });
  for (const [name, from] of Object.entries({
    "own/windows": inRoot("extension/native/windows"),
    binding: inRoot("node_modules/@tensorflow/tfjs-node/binding"),
    node: inRoot("node_modules/node-api-headers/include"),
    tensorflow: headers,
  }))
    fs.cpSync(from, path.join(scratch, name), { recursive: true });

  const cache = path.join(cacheFolder(), `zig-${ZIG}-cache`);
  const env = { ZIG_GLOBAL_CACHE_DIR: cache, ZIG_LOCAL_CACHE_DIR: cache };
  const compiler =
    (/** @type {string} */ language) =>
    (/** @type {string[]} */ ...args) =>
      mustRun(zig, [language, "-target", recipe.target, ...args], { cwd: scratch, env, quiet: true });
  const [cc, cxx] = [compiler("cc"), compiler("c++")];
  const sources = ["own/kernels", "own", "binding"].flatMap((folder) =>
    fs
      .readdirSync(path.join(scratch, folder))
      .filter((name) => name.endsWith(".cc") && name !== "tfjs_binding.cc")
      .map((name) => `${folder}/${name}`),
  );
  const objects = sources.map((name) => `${path.basename(name)}.o`);
  const includes = ["binding", "node", "tensorflow"].map((name) => `-I${name}`);
  const units = sources.entries();
  const lane = async () => {
    for (const [i, source] of units)
      await cxx(
        ...FLAGS,
        ...(recipe.defines ?? []),
        ...includes,
        "-c",
        source,
        "-o",
        /** @type {string} */ (objects[i]),
      );
  };
  await Promise.all(Array.from({ length: os.availableParallelism() }, lane));

  for (const source of recipe.sources ?? []) {
    const object = `${path.basename(source)}.o`;
    await cc("-O2", "-g0", "-c", source, "-o", object);
    objects.push(object);
  }
  for (const [library, source] of Object.entries(recipe.beside ?? {})) {
    await cc("-O2", "-g0", "-s", "-shared", "-nostdlib", source, "-lkernel32", "-o", library);
    fs.renameSync(path.join(scratch, library), path.join(path.dirname(output), library));
  }
  await cxx("-O3", "-s", ...objects, ...recipe.link, "-o", BINDING);
  fs.renameSync(path.join(scratch, BINDING), output);
  fs.rmSync(scratch, { recursive: true, force: true });
}

/** As for a compiler at the user's, see platforms.ts; its warnings are of loops that Clang doesn't vectorize. */
const FLAGS = [
  "-O3",
  "-g0",
  "-w",
  "-fno-math-errno",
  "-fno-trapping-math",
  "-fvisibility=hidden",
  "-std=c++17",
  "-fPIC",
  "-DNAPI_VERSION=8",
];

/** @returns {Promise<[zig: string, headers: string]>} What compiling needs: it is downloaded at the first use. */
export const prepareCompiler = async () => [await findZig(), await tensorflowHeaders()];

/** @returns {Promise<string>} Zig's program, which pip installs at the first use. */
export async function findZig() {
  const folder = path.join(cacheFolder(), `zig-${ZIG}`);
  const zig = path.join(folder, "ziglang", process.platform === "win32" ? "zig.exe" : "zig");
  if (fs.existsSync(zig)) return zig;
  if (process.platform === "darwin")
    throw new ScriptError("Zig has no wheel for macOS: pack on Linux, or in a container.");
  await withPinned(`ziglang==${ZIG}`, ZIG_WHEELS, async (requirements) => {
    const partial = `${folder}.partial`;
    fs.rmSync(partial, { recursive: true, force: true });
    await pip("install", "--target", partial, ...requirements);
    fs.renameSync(partial, folder);
  });
  return zig;
}

/** @returns {Promise<string>} The folder of TensorFlow's C headers, which are the same for all platforms. */
async function tensorflowHeaders() {
  const version = constant("TENSORFLOW_VERSION");
  const folder = path.join(cacheFolder(), `tensorflow-${version}-headers`);
  if (fs.existsSync(folder)) return folder;
  const wheels = JSON.parse(fs.readFileSync(inRoot("extension/native/install/wheels.json"), "utf8"))[
    "linux-x64"
  ];
  await withPinned(`tensorflow-cpu==${version}`, Object.values(wheels), async (requirements, scratch) => {
    const platform = ["--platform", "manylinux_2_27_x86_64", "--python-version", "3.12"];
    await pip("download", "--dest", scratch, ...platform, ...requirements);
    await mustRun("python3", ["-c", UNPACK_HEADERS, scratch, `${folder}.partial`]);
    fs.renameSync(`${folder}.partial`, folder);
  });
  return folder;
}

const UNPACK_HEADERS = `
import glob, os, sys, zipfile
scratch, folder = sys.argv[1:]
with zipfile.ZipFile(glob.glob(scratch + "/*.whl")[0]) as wheel:
    for name in wheel.namelist():
        inside = name.removeprefix("tensorflow/include/")
        if inside != name and inside.endswith(".h") and inside.startswith(
            ("tensorflow/c/", "tensorflow/core/platform/", "tsl/platform/", "xla/tsl/c/")
        ):
            target = os.path.join(folder, inside)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            with open(target, "wb") as file:
                file.write(wheel.read(name))
`;

/**
 * Runs a body with pip's arguments for one package that must have one of some hashes.
 * @param {string} requirement @param {readonly string[]} hashes
 * @param {(requirements: string[], scratch: string) => Promise<void>} body
 */
async function withPinned(requirement, hashes, body) {
  const scratch = fs.mkdtempSync(path.join(makeFolder(cacheFolder()), "pip-"));
  try {
    const file = path.join(scratch, "requirements.txt");
    fs.writeFileSync(file, [requirement, ...hashes.map((hash) => `--hash=sha256:${hash}`)].join(" "));
    await body(["--require-hashes", "--no-deps", "--only-binary=:all:", "--requirement", file], scratch);
  } finally {
    fs.rmSync(scratch, { recursive: true, force: true });
  }
}

/** @param {string[]} args */
const pip = (...args) =>
  mustRun("python3", ["-m", "pip", ...args, "--quiet", "--disable-pip-version-check"], {
    cwd: root,
    env: { PIP_ROOT_USER_ACTION: "ignore" },
  });

/** @param {string} folder */
function makeFolder(folder) {
  fs.mkdirSync(folder, { recursive: true });
  return folder;
}

/** The value of a constant of cache.ts. @param {string} name */
function constant(name) {
  const source = fs.readFileSync(inRoot("extension/native/cache.ts"), "utf8");
  const value = new RegExp(`${name} = "?([^";]+)`).exec(source)?.[1];
  if (value === undefined) throw new ScriptError(`extension/native/cache.ts has no ${name}.`);
  return value;
}
