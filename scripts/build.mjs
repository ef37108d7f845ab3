// @ts-check
/**
 * Builds dist/:
 *
 *   extension.cjs                     the extension host's part; vscode stays external
 *   tsPlugin.cjs                      the TypeScript server's plugin
 *   remoteAgent.cjs                   the program on machines that runs go to
 *   cli.js, runEngine.js, previewEngine.js, tensorFileEngine.js   Node programs; watchdogWorker.js, layoutThread.js and readingThread.js are their threads
 *   cli.cjs, runEngine.cjs, previewEngine.cjs   what the files of these names start; mcp.cjs is a part of cli.cjs that is loaded when it is needed
 *   webview/<view>.js, .css           one script for each folder of webview/ that has a main.ts
 *   webview/codicons/, wasm/, native/ files that are read from disk at run time
 *   node_modules/                     esbuild, with which the engine bundles users' files
 *   THIRD_PARTY_NOTICES.txt           licences of the packages inside
 *   l10n/                             texts of the extension host, for translators
 *   types/                            declarations of the `layerwise` package that users import
 *
 * Options: --watch builds again on every change; --release minifies and leaves source maps out.
 */
import { createRequire } from "node:module";
import fs from "node:fs";
import path from "node:path";
import { parseArgs } from "node:util";
import * as esbuild from "esbuild";
import { codiconFont, codiconStyles } from "./codicons.mjs";
import { BUNDLE, messages } from "./l10n.mjs";
import { shippedPackages, thirdPartyNotices } from "./package/notices.mjs";
import { bundles, programOptions, TFJS_APART } from "./build/bundles.mjs";
import { asciiComments, cheaperNames, withoutClosureNames } from "./build/names.mjs";
import { inRoot, isMain, main, mustRun } from "./project.mjs";

const require = createRequire(import.meta.url);

/**
 * Bundles the library that programs import from the npm package. Node prints the line that threw, so lines are kept short.
 * @param {string} outfile
 */
export async function buildLibrary(outfile) {
  const entryPoints = ["extension/engine/entry/library.ts"];
  const { outdir: _, ...options } = programOptions(false);
  const { outputFiles } = await esbuild.build({
    ...options,
    sourcemap: false,
    entryPoints,
    outfile,
    write: false,
    plugins: [TFJS_APART],
  });
  for (const { path: file, text } of outputFiles)
    writeFile(file, Buffer.from(withoutClosureNames(cheaperNames(text))));
}

/**
 * Writes a file atomically: another process may be starting from dist/ at the same time.
 * @param {string} file
 * @param {Uint8Array} contents
 */
function writeFile(file, contents) {
  if (fs.existsSync(file) && fs.readFileSync(file).equals(contents)) return;
  fs.mkdirSync(path.dirname(file), { recursive: true });
  const temporary = `${file}.${process.pid}.tmp`;
  // The command line is executable.
  fs.writeFileSync(temporary, contents, { mode: path.basename(file) === "cli.js" ? 0o755 : 0o644 });
  fs.renameSync(temporary, file);
}

/** Removes bundles of an earlier build that this one didn't write: a package would have them. @param {Set<string>} written */
function removeOthers(written) {
  for (const folder of new Set([...written].map((file) => path.dirname(file))))
    for (const entry of fs.readdirSync(folder, { withFileTypes: true })) {
      const file = path.join(folder, entry.name);
      const isBundle = /\.(c?js|css)(\.map)?$/.test(entry.name);
      if (entry.isFile() && isBundle && !written.has(file)) fs.rmSync(file);
    }
}

/** @param {string} from @param {string} to */
function copy(from, to) {
  if (fs.statSync(from).isDirectory())
    for (const name of fs.readdirSync(from)) copy(path.join(from, name), path.join(to, name));
  else {
    writeFile(to, fs.readFileSync(from));
    fs.chmodSync(to, fs.statSync(from).mode);
  }
}

/** Our own C++ files of the binding, relative to extension/native. */
export const bindingSources = () =>
  ["", "functions/", "kernels/"].flatMap((folder) =>
    fs
      .readdirSync(inRoot("extension", "native", folder))
      .filter((name) => /\.(cc|h)$/.test(name))
      .map((name) => folder + name),
  );

/** @param {string} name */
const packageFolder = (name) => path.dirname(require.resolve(`${name}/package.json`));

/** The JPEG decoder's program, in dist/wasm. */
export const JPEG_DECODER = "mozjpeg_dec.wasm";

/** SQLite, in dist/wasm. */
export const SQLITE = "sql-wasm.wasm";

/** Packages of which {@link copyFiles} copies files, for the notices. */
const COPIED = ["@tensorflow/tfjs-node", "@vscode/codicons", "elkjs", "esbuild", "node-api-headers"].map(
  (name) => `node_modules/${name}`,
);

function copyFiles() {
  const dist = inRoot("dist");
  const wasm = path.join(packageFolder("@tensorflow/tfjs-backend-wasm"), "dist");
  for (const name of fs.readdirSync(wasm).filter((file) => file.endsWith(".wasm")))
    copy(path.join(wasm, name), path.join(dist, "wasm", name));
  copy(
    path.join(packageFolder("@jsquash/jpeg"), "codec", "dec", JPEG_DECODER),
    path.join(dist, "wasm", JPEG_DECODER),
  );
  copy(inRoot("node_modules", "sql.js", "dist", SQLITE), path.join(dist, "wasm", SQLITE));
  copy(
    path.join(packageFolder("elkjs"), "lib", "elk-worker.min.js"),
    path.join(dist, "webview", "elk-worker.min.js"),
  );
  copy(codiconFont, path.join(dist, "webview", "codicons", "codicon.ttf"));
  writeFile(path.join(dist, "webview", "codicons", "codicon.css"), Buffer.from(codiconStyles()));
  copy(path.join(packageFolder("@tensorflow/tfjs-node"), "binding"), path.join(dist, "native", "binding"));
  for (const name of bindingSources())
    copy(inRoot("extension", "native", name), path.join(dist, "native", name));
  copy(path.join(packageFolder("node-api-headers"), "include"), path.join(dist, "native", "include"));
  // The engine bundles users' files with esbuild. This platform's binary; scripts/package.mjs takes the others from npm.
  for (const name of ["esbuild", `@esbuild/${process.platform}-${process.arch}`])
    copy(packageFolder(name), path.join(dist, "node_modules", name));
}

/**
 * Emits the declarations that users import.
 * @param {string} [types] The folder.
 */
export async function emitTypes(types = inRoot("dist", "types")) {
  const entry = "extension/nn/index.ts";
  if (!exists(entry)) return;
  const config = inRoot("dist", `tsconfig.types-${process.pid}.json`);
  writeFile(
    config,
    Buffer.from(
      JSON.stringify({
        extends: "../tsconfig.base.json",
        compilerOptions: {
          types: ["node"],
          typeRoots: ["../node_modules/@types"],
          noEmit: false,
          // `npm run check` reports type errors.
          noCheck: true,
          declaration: true,
          emitDeclarationOnly: true,
          stripInternal: true,
          rootDir: "../extension",
          outDir: types,
        },
        files: [`../${entry}`],
      }),
    ),
  );
  try {
    await mustRun(process.execPath, [path.join(packageFolder("typescript"), "bin", "tsc"), "-p", config]);
  } finally {
    fs.rmSync(config);
  }
  writeFile(path.join(types, "index.d.ts"), Buffer.from('export * from "./nn/index.ts";\n'));
}

/** Whether an entry exists; a missing one is skipped with a message. @param {string} entry */
function exists(entry) {
  const found = fs.existsSync(inRoot(entry));
  if (!found) process.stdout.write(`  skipped ${entry}: it does not exist\n`);
  return found;
}

/** Programs in which users' code computes. */
const COMPUTING = /\b(runEngine|previewEngine|tfjs)\.cjs$/;

/** @type {(watch: boolean) => esbuild.Plugin} */
const writeOutputs = (watch) => ({
  name: "write outputs",
  setup(build) {
    /** @param {esbuild.OutputFile} file */
    const contents = ({ path: name, text, contents }) => {
      if (!/\.c?js$/.test(name)) return contents;
      const code = asciiComments(cheaperNames(text));
      // Parsing takes longer than bundling.
      return Buffer.from(!watch && COMPUTING.test(name) ? withoutClosureNames(code) : code);
    };
    build.onEnd((result) => {
      for (const file of result.outputFiles ?? []) writeFile(file.path, contents(file));
      for (const [file, { bytes, entryPoint }] of Object.entries(result.metafile?.outputs ?? {}))
        if (entryPoint)
          process.stdout.write(`  ${file.padEnd(32)} ${(bytes / 1024).toFixed(0).padStart(7)} kB\n`);
    });
  },
});

/**
 * @param {{ watch?: boolean, release?: boolean }} [options]
 * @returns {Promise<import("./package/notices.mjs").ShippedPackage[]>} The packages inside; none while it watches.
 */
export async function build({ watch = false, release = false } = {}) {
  /** @type {string[]} */
  const bundled = [];
  /** @type {Set<string>} */
  const written = new Set();
  for (const options of bundles(release)) {
    const entryPoints = Object.fromEntries(
      Object.entries(options.entryPoints).filter(([, file]) => exists(file)),
    );
    if (Object.keys(entryPoints).length === 0) continue;
    const final = { ...options, entryPoints, plugins: [...(options.plugins ?? []), writeOutputs(watch)] };
    if (watch) await (await esbuild.context(final)).watch();
    else {
      const { metafile, outputFiles } = await esbuild.build(final);
      bundled.push(...Object.keys(metafile?.inputs ?? {}));
      for (const file of outputFiles ?? []) written.add(file.path);
    }
  }
  if (watch) return (copyFiles(), []);
  removeOthers(written);
  copyFiles();
  const packages = shippedPackages([...bundled, ...COPIED]);
  writeFile(inRoot("dist", "THIRD_PARTY_NOTICES.txt"), Buffer.from(thirdPartyNotices(packages)));
  writeFile(inRoot(BUNDLE), Buffer.from(`${JSON.stringify(messages(), null, 2)}\n`));
  await emitTypes();
  return packages;
}

if (isMain(import.meta.url))
  await main(async () => {
    const { values } = parseArgs({ options: { watch: { type: "boolean" }, release: { type: "boolean" } } });
    if (values.release) fs.rmSync(inRoot("dist"), { recursive: true, force: true });
    await build(values);
  });
