// @ts-check
/**
 * Rules of the source tree that tsc and oxlint don't know: sizes of folders and files, import circles, words. Part of
 * `npm run check`. Import directions are in .oxlintrc.json.
 *
 * {@link EXCEPTIONS} lists what breaks a rule today. The list only shrinks: an entry that is no longer needed fails.
 */
import fs from "node:fs";
import path from "node:path";
import { parse, walk } from "./l10n.mjs";
import { inRoot, isMain, main } from "./project.mjs";

/** @import { Node } from "./l10n.mjs" */
/** Breaches of one rule: what is wrong, by the path of a file or folder. @typedef {Map<string, string>} Breaches */
/** A text and its place in the file. @typedef {[text: string, start: number]} Text */

const FOLDER_FILES = 25;
const FILE_LINES = 400;

/** Everyday phrases for which the field has a term, or a verb with a subject: "resume", "is read", "again", "unknown". */
const PHRASES =
  /\b(?:goes on|go(?:ing|ne)? on with|going on|nobody|what is told|what it comes to|looked at|lookers?|is (?:asked|looked) for|comes again|made up for|there really were|(?<!\b(?:soon|far|long) )as it is(?! (?:now|\w+ed)\b)|anew|besides|whoever)\b/gi;

const IMPORT = /\b(?:from|import)\s*\(?\s*"(\.[^"]+)"/g;
const COMMENT_LINE = /^\s*(?:\/\/|\/?\*).*$/gm;

const NOT_SOURCE = /^test\/(?:fixtures|results)\/|\/(?:node_modules|dist)\/|\.tsbuildinfo$/;

/** Paths of files and folders, by rule and reason. @type {Record<string, Record<string, readonly string[]>>} */
const EXCEPTIONS = {
  "private members": {
    "the function that tensor.data gives has a tensor's properties": [
      "extension/tensor/core/tensor.ts",
      "extension/tensor/functions/shape/views.ts",
    ],
    "a metric's state is its properties": ["extension/engine/training/metrics.ts"],
  },
  "import circles": {
    "types that both sides use are not yet below both": [
      "extension/nn/module/hooks.ts",
      "extension/nn/module/module.ts",
      "extension/nn/module/moduleCall.ts",
      "extension/nn/module/moduleMembers.ts",
    ],
  },
};

/**
 * Source files beneath folders, by their paths in the repository.
 * @param {RegExp} named @param {string[]} folders @returns {string[]}
 */
const filesOf = (named, ...folders) =>
  folders.flatMap((folder) =>
    fs
      .readdirSync(inRoot(folder), { recursive: true, encoding: "utf8" })
      .map((name) => path.posix.join(folder, name.replaceAll("\\", "/")))
      .filter((name) => named.test(name) && !NOT_SOURCE.test(name))
      .sort(),
  );

/** @param {string} file */
const textOf = (file) => fs.readFileSync(inRoot(file), "utf8");

/** @param {string} text @param {number} index */
const lineOf = (text, index) => text.slice(0, index).split("\n").length;

/** @returns {Breaches} */
function largeFolders() {
  /** @type {Map<string, number>} */
  const counts = new Map();
  for (const file of filesOf(/\.\w+$/, "extension", "webview", "test", "scripts")) {
    const folder = path.posix.dirname(file);
    counts.set(folder, (counts.get(folder) ?? 0) + 1);
  }
  return new Map(
    [...counts]
      .filter(([, count]) => count > FOLDER_FILES)
      .map(([folder, count]) => [folder, `${count} files beside each other, at most ${FOLDER_FILES}`]),
  );
}

/** @returns {Breaches} */
function longFiles() {
  return new Map(
    filesOf(/\.(?:ts|css)$/, "extension", "webview", "test")
      .map((file) => /** @type {const} */ ([file, textOf(file).split("\n").length - 1]))
      .filter(([, lines]) => lines > FILE_LINES)
      .map(([file, lines]) => [file, `${lines} lines, at most ${FILE_LINES}`]),
  );
}

/** Files that import each other, through others or types alone too. @returns {Breaches} */
function importCircles() {
  const files = filesOf(/\.ts$/, "extension", "webview", "test");
  const imports = new Map(
    files.map((file) => [
      file,
      [...textOf(file).replaceAll(COMMENT_LINE, "").matchAll(IMPORT)].map(([, target = ""]) =>
        path.posix.join(path.posix.dirname(file), target),
      ),
    ]),
  );
  /** The shortest way back to a file, by its imports. @param {string} start @returns {string[] | undefined} */
  const circle = (start) => {
    const ways = [[start]];
    const seen = new Set([start]);
    for (const way of ways)
      for (const target of imports.get(way.at(-1) ?? "") ?? []) {
        if (target === start) return [...way, start];
        if (seen.has(target)) continue;
        seen.add(target);
        ways.push([...way, target]);
      }
    return undefined;
  };
  /** @type {Breaches} */
  const found = new Map();
  for (const file of files) {
    const way = circle(file);
    if (way !== undefined) found.set(file, way.join(" → "));
  }
  return found;
}

/** Strings beneath a syntax node, with their places. @param {Node} node @returns {Text[]} */
function stringsIn(node) {
  /** @type {Text[]} */
  const texts = [];
  walk(node, ({ type, value, start }) => {
    if (type === "Literal" && typeof value === "string" && !value.startsWith(".")) texts.push([value, start]);
    if (type === "TemplateElement") texts.push([value.cooked, start]);
  });
  return texts;
}

/** Names of the tests in a file. @param {Node} tree @param {string} code @returns {Text[]} */
function namesOfTests(tree, code) {
  /** @type {Text[]} */
  const texts = [];
  walk(tree, (node) => {
    if (node.type === "CallExpression" && /^(?:test|it|describe)\b/.test(code.slice(node.start, node.end)))
      texts.push(...node.arguments.slice(0, 1).flatMap(stringsIn));
  });
  return texts;
}

/** Comments that have lines of their own. @param {string} code @returns {Text[]} */
const commentsIn = (code) => [...code.matchAll(COMMENT_LINE)].map(({ 0: text, index }) => [text, index]);

/** Phrases in pages, comments, what the product says, and names of tests. @returns {Breaches} */
function words() {
  /** @type {Breaches} */
  const found = new Map();
  /** @param {string} file @param {(code: string) => Text[]} textsOf */
  const look = (file, textsOf) => {
    const code = textOf(file);
    // Parsing is slow, and few files have a phrase, even in a comment.
    if (code.search(PHRASES) < 0) return;
    const phrases = textsOf(code).flatMap(([text, start]) =>
      [...text.matchAll(PHRASES)].map(
        ({ 0: phrase, index }) => `line ${lineOf(code, start + index)}: "${phrase.toLowerCase()}"`,
      ),
    );
    if (phrases.length > 0) found.set(file, phrases.join(", "));
  };
  const pages = [".", "docs", "media/walkthrough"].flatMap((folder) =>
    fs.readdirSync(inRoot(folder)).map((name) => path.posix.join(folder, name)),
  );
  for (const file of pages.filter((name) => /\.md$|^package\.nls\.json$|^media\/.*\.json$/.test(name)))
    look(file, (code) => [[code, 0]]);
  for (const file of filesOf(/\.ts$/, "extension", "webview"))
    look(file, (code) => [...stringsIn(parse(code)), ...commentsIn(code)]);
  for (const file of filesOf(/\.ts$/, "test"))
    look(file, (code) => [...namesOfTests(parse(code), code), ...commentsIn(code)]);
  return found;
}

/**
 * Private members are `#names`. Not in extension/nn, where modules, schedules and tokenizers are copied property by property.
 * @returns {Breaches}
 */
function privateMembers() {
  /** @type {Breaches} */
  const found = new Map();
  for (const file of filesOf(/\.ts$/, "extension", "webview")) {
    if (file.startsWith("extension/nn/")) continue;
    const member = /^\s+private (?!constructor)(?:static |readonly |get |set |async |\*)*(\w+)/m.exec(
      textOf(file),
    );
    if (member !== null) found.set(file, `private ${member[1]}: write #${member[1]}`);
  }
  return found;
}

/** Node's recursive mkdir never returns in some places: `files/folders.ts` makes folders. @returns {Breaches} */
function recursiveMkdir() {
  return new Map(
    filesOf(/\.ts$/, "extension")
      .filter((file) => /\bmkdir(?:Sync)?\([^;]*\brecursive\b/.test(textOf(file)))
      .map((file) => [
        file,
        "a recursive mkdir: call makeFolder or makeFolderSync of extension/files/folders.ts",
      ]),
  );
}

/** @type {Record<string, () => Breaches>} */
const RULES = {
  "folder size": largeFolders,
  "file length": longFiles,
  "import circles": importCircles,
  "private members": privateMembers,
  "recursive mkdir": recursiveMkdir,
  words,
};

/**
 * Breaches of the rules that are no exceptions, and exceptions that are no longer needed, a line each.
 * @param {typeof RULES} rules @param {typeof EXCEPTIONS} exceptions @returns {string[]}
 */
export function breaches(rules = RULES, exceptions = EXCEPTIONS) {
  return Object.entries(rules).flatMap(([rule, find]) => {
    const found = find();
    const excepted = Object.values(exceptions[rule] ?? {}).flat();
    return [
      ...[...found]
        .filter(([name]) => !excepted.includes(name))
        .map(([name, what]) => `${rule}: ${name}: ${what}`),
      ...excepted
        .filter((name) => !found.has(name))
        .map(
          (name) =>
            `${rule}: ${name} follows the rule now: remove it from the exceptions in scripts/rules.mjs`,
        ),
    ];
  });
}

if (isMain(import.meta.url))
  await main(async () => {
    const found = breaches();
    process.stdout.write(
      found.map((line) => `${line}\n`).join("") +
        `${Object.keys(RULES).length} rules, ${found.length} breaches\n`,
    );
    return found.length === 0 ? 0 : 1;
  });
