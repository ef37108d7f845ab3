// @ts-check
/** Gives a program of test/programs realistic sizes, by changing constants at the top level of its two texts. */
import { ScriptError } from "../project.mjs";

/**
 * A text to generate: lines of words, of which few are frequent and most are rare.
 * @typedef {object} TextSize
 * @property {number} lines
 * @property {[number, number]} words The fewest and the most words in a line.
 * @property {number} vocabulary Number of different words.
 * @property {number} [columns] Columns of such words in each line, divided by tabs. The default is 1.
 */

/** @typedef {{ [constant: string]: number | string | TextSize }} Sizes Constants by their names in TypeScript. */

/** A number that both languages read alike. */
const NUMBER = /^-?\d[\d_]*(\.\d+)?(e-?\d+)?$/;

const LANGUAGES = {
  TypeScript: {
    /** Names, values and the rest of a line. */
    numbers: /^((?:export )?(?:const|let) \[?)([\w, ]+)(\]? = \[?)([^;[\]]+)(\]?;.*)$/gm,
    text: (/** @type {string} */ name) =>
      new RegExp(`^((?:const|let) ${name} = )(?:\`[^\`]*\`|"[^"]*")`, "m"),
    losses: /^(export const losses: number\[\] = )\[\];/m,
    recorded: "$1(globalThis as unknown as { recordedLosses: number[] }).recordedLosses;",
  },
  Python: {
    numbers: /^()([a-zA-Z_][\w, ]*)( = )([^#\n]*[^#\s])(.*)$/gm,
    text: (/** @type {string} */ name) => new RegExp(`^(${name} = )(?:"""[^]*?"""|"[^"]*")`, "m"),
    losses: /^(losses = )\[\]$|^(losses), (\w+) = \[\], (.+)$/m,
    recorded: "",
  },
};

/** A constant's name in Python, as the programs are ported: batchSize is batch_size. */
const pythonName = (/** @type {string} */ name) =>
  name === name.toUpperCase() ? name : name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

/**
 * Returns the program's text with the sizes, and with its losses in the list that the benchmark provides.
 * @param {string} text
 * @param {keyof typeof LANGUAGES} language
 * @param {Sizes} sizes
 * @param {string} file For error messages.
 * @throws {ScriptError} when a constant is missing
 */
export function resize(text, language, sizes, file) {
  for (const [constant, size] of Object.entries(sizes)) {
    const name = language === "Python" ? pythonName(constant) : constant;
    const resized = typeof size === "number" ? withNumber : withText;
    const changed = resized(text, language, name, /** @type {any} */ (size));
    if (changed === undefined)
      throw new ScriptError(
        `${file} has no ${typeof size === "number" ? "number" : "text"} ${name} at its top level, which test/bench/programs.json sets.`,
      );
    text = changed;
  }
  return withRecordedLosses(text, language, file);
}

/** @param {string} text @param {keyof typeof LANGUAGES} language @param {string} name @param {number} size */
function withNumber(text, language, name, size) {
  let found = false;
  const changed = text.replace(LANGUAGES[language].numbers, (line, start, names, equals, values, end) => {
    const all = values.split(",");
    const at = names.split(", ").indexOf(name);
    const value = all[at]?.trim() ?? "";
    if (found || all.length !== names.split(", ").length || !NUMBER.test(value)) return line;
    found = true;
    all[at] = all[at].replace(value, String(size));
    return `${start}${names}${equals}${all.join(",")}${end}`;
  });
  return found ? changed : undefined;
}

/** @param {string} text @param {keyof typeof LANGUAGES} language @param {string} name @param {string | TextSize} size */
function withText(text, language, name, size) {
  const pattern = LANGUAGES[language].text(name);
  if (!pattern.test(text)) return undefined;
  // JSON's strings are strings in both languages.
  return text.replace(
    pattern,
    (_, start) => `${start}${JSON.stringify(typeof size === "string" ? size : generate(size))}`,
  );
}

/** @param {string} text @param {keyof typeof LANGUAGES} language @param {string} file */
function withRecordedLosses(text, language, file) {
  const { losses } = LANGUAGES[language];
  if (!losses.test(text)) throw new ScriptError(`${file} doesn't start its losses as an empty list.`);
  return language === "TypeScript"
    ? text.replace(losses, LANGUAGES.TypeScript.recorded)
    : text.replace(losses, (_, alone, first, other, value) =>
        alone !== undefined ? `${alone}recorded_losses` : `${first}, ${other} = recorded_losses, ${value}`,
      );
}

/**
 * Generates a text, the same for the same size.
 * @param {TextSize} size
 */
export function generate({ lines, words: [fewest, most], vocabulary, columns = 1 }) {
  let state = 1;
  /** A number from 0 to 1, of a linear congruential generator. */
  const random = () => (state = (state * 48271) % 2147483647) / 2147483647;
  const sentence = () =>
    Array.from({ length: fewest + Math.floor(random() * (most - fewest + 1)) }, () =>
      // Zipf's law: the word of rank r is as frequent as 1 / r.
      spell(Math.floor((vocabulary + 1) ** random()) - 1),
    ).join(" ");
  return Array.from({ length: lines }, () => Array.from({ length: columns }, sentence).join("\t")).join("\n");
}

/** A word of consonants and vowels for each number. */
function spell(/** @type {number} */ number) {
  const syllables = "aeiou"
    .split("")
    .flatMap((vowel) => "bdfgklmnprstvz".split("").map((consonant) => consonant + vowel));
  let word = "";
  for (let rest = number + 1; rest > 0; rest = Math.floor(rest / syllables.length))
    word += syllables[rest % syllables.length] ?? "";
  return word;
}
