import { createHash } from "node:crypto";
import { createRequire, isBuiltin } from "node:module";
import path from "node:path";
import vm from "node:vm";
import { pathToFileURL } from "node:url";
import * as esbuild from "esbuild";
import { EngineError, type UserError } from "../../protocol/errors.ts";
import { codeString } from "../../protocol/text/code.ts";
import { TensorError } from "../../tensor/core/errors.ts";
import { userFolder } from "../files/dataFiles.ts";
import { isDebugged } from "./debugger.ts";
import { GENERATED, SourceMap } from "./sourceMap.ts";
import { forgetScript, registerScript, userFrames } from "./stackTraces.ts";
import { enterFolderOf } from "./workingFolder.ts";
import { candidates, versionPlugin, type Version } from "./versions.ts";

/** Several files' errors would bury the first, which is usually the cause of the others. */
const MAX_ERRORS = 20;
/** Name under which evaluated code finds its surroundings. */
const HOST = GENERATED;
/** Name under which the bundle imports the user's file: an unsaved one needn't be on the disk. */
const ENTRY = "__layerwise:file";

export interface LoadOptions {
  /** The editor's unsaved text, instead of the file's. */
  text?: string | undefined;
  /** Texts in place of the files that it imports. */
  imports?: Version | undefined;
  /** The library of this process, for `import … from "layerwise"`. */
  library: Readonly<Record<string, unknown>>;
  /** The path that the file has where it will run, if that is another machine. */
  place?: string | undefined;
}

/** A user's `.nn.ts` file, evaluated. */
export interface UserModule {
  readonly file: string;
  readonly exports: Readonly<Record<string, unknown>>;
  /** Forgets its source map, once none of its code will run any more. */
  dispose(): void;
}

/** A file that can't be bundled, with esbuild's errors. */
export class SyntaxErrors extends EngineError {
  readonly errors: readonly UserError[];
  /** As in {@link Bundle}, with the places where a missing file would be found. */
  readonly imported: readonly string[];

  constructor(errors: readonly UserError[], imported: readonly string[]) {
    super(errors[0] ?? { code: "syntax", message: "The file can't be read." });
    this.errors = errors;
    this.imported = imported;
  }
}

/** A file and what it imports, as one script. */
export interface Bundle {
  file: string;
  code: string;
  /** The files that it imports, packages included: absolute paths. */
  imported: readonly string[];
  /** Whether it exports what it assigns to `module.exports`, if anything: it has no import and no export. */
  commonJs: boolean;
  /** Source map of the code with one line above it. */
  map: string;
  /** The hash that all machines agree on, if several run the program, each from a folder of its own. */
  hash?: string;
}

/** The SHA-256 of a bundle's code. */
export const hashOfCode = ({ code, hash }: Pick<Bundle, "code" | "hash">): string =>
  hash ?? createHash("sha256").update(code).digest("hex");

/**
 * Bundles and evaluates a file.
 * @throws {@link SyntaxErrors} when it can't be bundled; whatever its top-level code throws
 */
export async function loadUserModule(file: string, options: LoadOptions): Promise<UserModule> {
  return evaluateUserModule(await bundleUserModule(file, options), options.library);
}

/**
 * Bundles a file with what it imports: packages from the workspace, `layerwise` from this process.
 * @throws {@link SyntaxErrors} when that is not possible
 */
export async function bundleUserModule(
  file: string,
  { text, imports, library, place }: LoadOptions,
): Promise<Bundle> {
  const folder = path.dirname(file);
  const read = new Set<string>();
  let result: esbuild.BuildResult<{ write: false; metafile: true }>;
  try {
    result = await built({
      // Not the file itself as entry: its exports would be export statements, which a script can't have.
      stdin: {
        contents: `import * as all from "${ENTRY}";\n${HOST}.exports(all);`,
        resolveDir: folder,
        sourcefile: HOST,
      },
      absWorkingDir: folder,
      outfile: path.join(folder, `${HOST}.js`),
      bundle: true,
      write: false,
      metafile: true,
      format: "esm",
      platform: "node",
      target: "node20",
      charset: "utf8",
      keepNames: true,
      sourcemap: "external",
      sourcesContent: true,
      logLevel: "silent",
      logLimit: MAX_ERRORS,
      define:
        place === undefined
          ? ownPlace(pathToFileURL(file).href, file, folder)
          : ownPlace(encodeURI(`file://${place}`), place, path.posix.dirname(place)),
      plugins: [
        provided(library),
        noteInputs(read),
        entry(file, text),
        ...(imports === undefined ? [] : [versionPlugin(imports)]),
      ],
    });
  } catch (error) {
    if (!isBuildFailure(error)) throw error;
    for (const one of error.errors) for (const wanted of missingFiles(one, folder)) read.add(wanted);
    throw new SyntaxErrors(
      error.errors.map((one) => syntaxError(one, file)),
      importedOf(read, file),
    );
  }
  const output = (ending: string): string =>
    result.outputFiles.find((one) => one.path.endsWith(ending))?.text ?? "";
  // The code is evaluated below a line of its own.
  const map = output(".js.map").replace('"mappings": "', '"mappings": ";');
  const commonJs = Object.entries(result.metafile.inputs).some(
    ([name, { format }]) => format !== "esm" && path.resolve(folder, name) === file,
  );
  return { file, code: output(".js"), imported: importedOf(read, file), commonJs, map };
}

/** In an order that doesn't depend on which was read first. */
const importedOf = (read: ReadonlySet<string>, file: string): string[] =>
  [...read].filter((one) => one !== file).sort();

/** Notes the files that a build reads; a build that fails has no list of them. */
function noteInputs(read: Set<string>): esbuild.Plugin {
  return {
    name: "inputs",
    setup(build) {
      build.onLoad({ filter: /.*/, namespace: "file" }, (args) => {
        read.add(path.resolve(args.path));
        return undefined;
      });
    },
  };
}

/** Where the bundler looked for a file that an import names, if that is an error's cause. */
function missingFiles({ text, location }: esbuild.Message, folder: string): string[] {
  const name = /^Could not resolve "(\.{1,2}\/[^"]*)"/.exec(text)?.[1];
  return name === undefined || location === null
    ? []
    : candidates(path.resolve(folder, path.dirname(location.file), name));
}

/** esbuild's error after its process has ended, such as for lack of memory. Then another process builds. */
const STOPPED = /^The service (?:was stopped|is no longer running)/;

async function built<O extends esbuild.BuildOptions>(options: O): Promise<esbuild.BuildResult<O>> {
  try {
    return await esbuild.build<O>(options as never);
  } catch (error) {
    if (!(error instanceof Error && STOPPED.test(error.message))) throw error;
    await esbuild.stop();
    return esbuild.build<O>(options as never);
  }
}

/** Replacements for `import.meta` properties with which code asks for its place. */
const ownPlace = (url: string, file: string, folder: string): Record<string, string> => ({
  "import.meta.url": JSON.stringify(url),
  "import.meta.filename": codeString(file),
  "import.meta.dirname": JSON.stringify(folder),
});

/** Modules that this process provides: the library, and Node's own. They leave no import statement in the bundle. */
function provided(library: Readonly<Record<string, unknown>>): esbuild.Plugin {
  return {
    name: "provided modules",
    setup(build) {
      build.onResolve({ filter: /^layerwise$/ }, () => ({ path: "layerwise", namespace: "provided" }));
      build.onResolve({ filter: /.*/ }, ({ path: name }) =>
        isBuiltin(name) ? { path: name, namespace: "builtin" } : undefined,
      );
      // Each export by name, so that one that doesn't exist is an error at the user's import.
      build.onLoad({ filter: /.*/, namespace: "provided" }, () => ({
        contents: Object.keys(library)
          .map((name) =>
            name === "default"
              ? `export default ${HOST}.library.default;`
              : `export const ${name} = ${HOST}.library.${name};`,
          )
          .join("\n"),
      }));
      build.onLoad({ filter: /.*/, namespace: "builtin" }, ({ path: name }) => ({
        contents: `module.exports = ${HOST}.require(${codeString(name)});`,
      }));
    },
  };
}

/** The user's file, with its unsaved text in place of what is on the disk. */
function entry(file: string, text: string | undefined): esbuild.Plugin {
  return {
    name: "entry",
    setup(build) {
      build.onResolve({ filter: /^__layerwise:file$/ }, () => ({ path: file }));
      if (text === undefined) return;
      build.onLoad({ filter: /.*/, namespace: "file" }, (args) =>
        path.resolve(args.path) === file
          ? { contents: text, loader: "ts", resolveDir: path.dirname(file) }
          : undefined,
      );
    },
  };
}

let evaluated = 0;

/** Runs a bundle's top-level code, in which `await` is allowed. */
export async function evaluateUserModule(
  { file, code, commonJs, map }: Bundle,
  library: LoadOptions["library"],
): Promise<UserModule> {
  const debugged = isDebugged();
  const name = `user-module-${++evaluated}`;
  // A debugger finds sources by their places beside the script's.
  const script = debugged ? path.join(path.dirname(file), `${name}.js`) : name;
  userFolder.path = path.dirname(file);
  enterFolderOf(file);
  registerScript(script, new SourceMap(map, path.dirname(file)));
  const dispose = (): void => forgetScript(script);
  try {
    const text = `"use strict"; (async (${HOST}, require, __filename, __dirname) => {\n${code}\n})`;
    const body = new vm.Script(debugged ? text + inlineMap(map) : text, {
      filename: script,
    }).runInThisContext() as (host: object, ...rest: unknown[]) => Promise<void>;
    const require = createRequire(file);
    let exports: Readonly<Record<string, unknown>> = {};
    const host = {
      library,
      require,
      exports(all: Readonly<Record<string, unknown>>): void {
        // Nothing was assigned to it.
        exports = commonJs && isEmpty(all["default"]) ? {} : all;
      },
    };
    await body(host, require, file, path.dirname(file));
    return { file, exports, dispose };
  } catch (error) {
    // Stacks are formatted when they are read, which needs the map.
    if (error instanceof Error) userFrames(error);
    if (error instanceof TensorError) for (const site of error.sites) userFrames(site);
    dispose();
    throw error;
  }
}

/** The source map as a debugger finds it: at the end of its script. */
const inlineMap = (map: string): string =>
  `\n//# sourceMappingURL=data:application/json;base64,${Buffer.from(map).toString("base64")}`;

const isEmpty = (value: unknown): boolean =>
  typeof value === "object" && value !== null && Object.keys(value).length === 0;

function isBuildFailure(error: unknown): error is esbuild.BuildFailure {
  return error instanceof Error && Array.isArray((error as Partial<esbuild.BuildFailure>).errors);
}

function syntaxError(message: esbuild.Message, file: string): UserError {
  const { location } = message;
  const missing = /^Could not resolve "([^"./][^"]*)"/.exec(message.text)?.[1];
  const notExported = /^No matching export in "provided:layerwise" for import "(.*)"$/.exec(
    message.text,
  )?.[1];
  const text = notExported === undefined ? message.text : `"layerwise" has no export named "${notExported}"`;
  const hint =
    missing === undefined ? message.notes[0]?.text : `Install it in the workspace: npm install ${missing}`;
  // Only the import of the user's own file is not in a file of the user's.
  if (location?.file === HOST) return { code: "no-file", message: `${file} was moved or deleted.` };
  if (location === null) return { code: "syntax", message: text, position: { file, line: 1, column: 1 } };
  // A file begins with these bytes where an editor or a shell has written UTF-16.
  if (/^Unexpected "\\x(?:ff|fe)"$/.test(message.text) && location.line === 1 && location.column === 0)
    return {
      code: "syntax",
      message: "The file's text is UTF-16, not UTF-8",
      position: { file: path.resolve(path.dirname(file), location.file), line: 1, column: 1 },
      hint: 'In VS Code: "UTF-16" in the status bar, "Save with Encoding", UTF-8',
    };
  // esbuild counts bytes.
  const column = (bytes: number): number =>
    Buffer.from(location.lineText).subarray(0, bytes).toString().length + 1;
  return {
    // Such errors may end without a change of this text.
    code: /^(?:Could not resolve|No matching export) /.test(message.text) ? "import" : "syntax",
    message: text,
    position: {
      file: path.resolve(path.dirname(file), location.file),
      line: location.line,
      column: column(location.column),
      endColumn: column(location.column + Math.max(location.length, 1)),
    },
    ...(hint === undefined ? {} : { hint }),
  };
}
