// @ts-check
/** The required and allowed contents of a VSIX, and its size limit. */
import yauzl from "yauzl";
import { bindingSources, JPEG_DECODER, SQLITE } from "../build.mjs";
import { NODE_PROGRAMS, webviewEntries } from "../build/bundles.mjs";
import { ScriptError } from "../project.mjs";
import { bindingNames } from "./prebuilt.mjs";

/** Size limit in bytes of the archive, as users download it. */
export const SIZE_BUDGET = 25e6;

/**
 * @typedef {{ name: string, bytes: number }} Entry
 *   A file by its path in the extension's folder, and its size in the archive.
 */

/** Where the package `@esbuild/<target>` has its program. @param {string} target */
const esbuildProgram = (target) => (target.startsWith("win32-") ? "esbuild.exe" : "bin/esbuild");

/** The list of prebuilt bindings, and those of some platforms. @param {readonly string[]} targets */
export const bindingFiles = (targets) =>
  [
    "bindings.json",
    ...targets.flatMap((target) => bindingNames(target).map((name) => `${target}/${name}`)),
  ].map((name) => inDist(`native/prebuilt/${name}`));

/** The required files of a VSIX. @param {string} target @param {boolean} [prebuilt] With its binding. */
export function required(target, prebuilt = false) {
  return [
    "package.json",
    "package.nls.json",
    "readme.md",
    "changelog.md",
    "LICENSE.txt",
    ...[
      "extension.cjs",
      "tsPlugin.cjs",
      "remoteAgent.cjs",
      "tfjs.cjs",
      "THIRD_PARTY_NOTICES.txt",
      "types/index.d.ts",
      "l10n/bundle.l10n.json",
    ].map(inDist),
    ...NODE_PROGRAMS.map(inDist),
    ...Object.keys(webviewEntries()).map((name) => inDist(`webview/${name}.js`)),
    ...["", "-simd", "-threaded-simd"].map((kind) => inDist(`wasm/tfjs-backend-wasm${kind}.wasm`)),
    inDist(`wasm/${JPEG_DECODER}`),
    inDist(`wasm/${SQLITE}`),
    // Only the binding and its sources: TensorFlow is installed on demand.
    ...[...bindingSources(), "binding/tfjs_binding.cc", "include/node_api.h"].map((name) =>
      inDist(`native/${name}`),
    ),
    ...(prebuilt ? bindingFiles([target]) : []),
    inDist("node_modules/esbuild/lib/main.js"),
    inDist(`node_modules/@esbuild/${target}/${esbuildProgram(target)}`),
    "node_modules/layerwise-ts-plugin/package.json",
  ];
}

/** @param {string} name */
const inDist = (name) => `dist/${name}`;

/** Files allowed beside the {@link required} ones; any other is a mistake of .vscodeignore or of the build. */
const ALLOWED = [
  /^dist\/types\/.+\.d\.ts$/,
  /^dist\/webview\/.+\.(css|js|ttf)$/,
  /^dist\/native\/((binding|include|kernels)\/)?[^/]+\.(cc|h|def)$/,
  /^dist\/node_modules\/esbuild\/(package\.json|LICENSE\.md)$/,
  /^media\/.+(\.(css|csv|gz|json|md|png|svg|ts|txt)|\/LICENSE)$/,
];

/**
 * Throws an error that lists all problems: missing files, files that may not ship, and the largest files if it is too large.
 * @param {string} target The platform, such as `linux-x64`.
 * @param {readonly Entry[]} entries
 * @param {number} size Size of the archive in bytes.
 * @param {boolean} [prebuilt] Whether the platform's binding must be there.
 */
export function checkContents(target, entries, size, prebuilt = false) {
  const wanted = new Set(required(target, prebuilt));
  const names = new Set(entries.map(({ name }) => name));
  const own = new RegExp(`^dist/node_modules/@esbuild/${target}/(package\\.json|README\\.md)$`);
  const missing = [...wanted].filter((name) => !names.has(name));
  const strange = [...names].filter(
    (name) => !wanted.has(name) && ![...ALLOWED, own].some((pattern) => pattern.test(name)),
  );
  const problems = [
    ...missing.map((name) => `${name} is missing`),
    ...strange.map((name) => `${name} has no place in it`),
  ];
  if (size > SIZE_BUDGET)
    problems.push(
      `it has ${megabytes(size)}, more than ${megabytes(SIZE_BUDGET)}; the largest files:`,
      ...entries
        .toSorted((a, b) => b.bytes - a.bytes)
        .slice(0, 10)
        .map(({ name, bytes }) => `  ${megabytes(bytes).padStart(8)}  ${name}`),
    );
  if (problems.length > 0) throw new ScriptError(`The VSIX for ${target}:\n  ${problems.join("\n  ")}`);
}

/** @param {number} bytes */
export const megabytes = (bytes) => `${(bytes / 1e6).toFixed(1)} MB`;

/** The extension's files in a VSIX. @param {string} vsix @returns {Promise<Entry[]>} */
export function readContents(vsix) {
  const folder = "extension/";
  return new Promise((resolve, reject) => {
    yauzl.open(vsix, (error, zip) => {
      if (error) return reject(error);
      /** @type {Entry[]} */
      const entries = [];
      zip.on("entry", ({ fileName, compressedSize }) => {
        if (fileName.startsWith(folder))
          entries.push({ name: fileName.slice(folder.length), bytes: compressedSize });
      });
      zip.once("end", () => resolve(entries)).once("error", reject);
    });
  });
}
