import { TensorError } from "../../tensor/core/errors.ts";
import { valuesOf } from "../../tensor/planning/barrier.ts";
import { fromHost, Tensor } from "../../tensor/core/tensor.ts";
import { dataFiles } from "./access.ts";
import { checkIndex, Dataset } from "./dataset.ts";
import { coderMade, type TextCoder } from "./tokenizers.ts";

/**
 * Reads a text file.
 * @param file relative to the `.nn.ts` file or to the working directory, or absolute; a `.gz` is unpacked
 */
export function text(file: string): string {
  return dataFiles("text").text(file);
}

/** Words, numbers and signs of a text, in small letters: `"It's 5!"` is it, ', s, 5, !. */
export function words(source: string): string[] {
  return source.toLowerCase().match(/[\p{L}\p{M}]+|\p{N}+|[^\s\p{L}\p{M}\p{N}]/gu) ?? [];
}

export interface VocabularyOptions {
  /** Rarer tokens are left out; 1 by default. */
  minFreq?: number;
  /** Most tokens, special ones included; the most frequent ones stay. */
  maxTokens?: number;
  /** Tokens that are there in any case, such as `["<unk>", "<pad>"]`. */
  specials?: readonly string[];
  /** Whether special tokens come first (default) or last. */
  specialFirst?: boolean;
  /** "frequency": the most frequent first, equally frequent ones by their characters (default); or "alphabet". */
  order?: "frequency" | "alphabet";
}

/**
 * Numbers for tokens, such as words or characters, as torchtext's `build_vocab_from_iterator` gives them:
 *
 * ```ts
 * const vocabulary = new data.Vocabulary(data.words(story), { specials: ["<unk>"] });
 * vocabulary.setDefaultIndex(0);
 * vocabulary.encode(data.words("an unknown word")); // tensor([4, 0, 17])
 * ```
 */
export class Vocabulary {
  /** Tokens by number. */
  readonly tokens: readonly string[];
  readonly #numbers: ReadonlyMap<string, number>;
  #unknown: number | undefined;

  constructor(tokens: Iterable<string>, options: VocabularyOptions = {}) {
    const { minFreq = 1, maxTokens = Infinity, specials = [], specialFirst = true } = options;
    const counts = new Map<string, number>();
    for (const token of tokens) counts.set(token, (counts.get(token) ?? 0) + 1);
    for (const special of specials) counts.delete(special);
    const byCharacters = (a: string, b: string): number => (a < b ? -1 : 1);
    const byFrequency = ([a, n]: [string, number], [b, m]: [string, number]): number =>
      m - n || byCharacters(a, b);
    const kept = [...counts]
      .filter(([, n]) => n >= minFreq)
      .sort(byFrequency)
      .slice(0, Math.max(maxTokens - specials.length, 0))
      .map(([token]) => token);
    if (options.order === "alphabet") kept.sort(byCharacters);
    this.tokens = specialFirst ? [...specials, ...kept] : [...kept, ...specials];
    this.#numbers = new Map(this.tokens.map((token, i) => [token, i]));
    coderMade(this);
  }

  /** @internal */
  coder(): TextCoder {
    const single = this.tokens.filter((token) => Array.from(token).length === 1).length;
    const unit = single > 0.9 * this.length ? "characters" : "words";
    return {
      unit,
      size: this.length,
      encode: (source) =>
        (unit === "words" ? words(source) : Array.from(source)).flatMap(
          (token) => this.#numbers.get(token) ?? this.#unknown ?? [],
        ),
      token: (id) => this.tokens[id] ?? `#${id}`,
    };
  }

  get length(): number {
    return this.tokens.length;
  }

  has(token: string): boolean {
    return this.#numbers.has(token);
  }

  /** The number that tokens have which aren't there; `null` for none. */
  setDefaultIndex(index: number | null): this {
    this.#unknown = index ?? undefined;
    return this;
  }

  /** @throws TensorError when the token isn't there and there is no default */
  indexOf(token: string): number {
    const number = this.#numbers.get(token) ?? this.#unknown;
    if (number !== undefined) return number;
    throw new TensorError("value", `Token ${token} not found and default index is not set`);
  }

  /** Numbers of tokens (a string: of its characters), int64 [L]. */
  encode(tokens: Iterable<string>): Tensor {
    const numbers = Int32Array.from(tokens, (token) => this.indexOf(token));
    return fromHost(numbers, [numbers.length], "int64");
  }

  /** Tokens of numbers. */
  decode(numbers: Tensor | Iterable<number>): string[] {
    const values = numbers instanceof Tensor ? valuesOf(numbers.value) : numbers;
    return Array.from(values, (number) => {
      const token = this.tokens[number];
      if (token !== undefined) return token;
      throw new TensorError("index", `index ${number} is out of range for ${this.length} tokens`);
    });
  }
}

/** The characters of a text, numbered in the order of the alphabet: `sorted(set(text))` of the tutorials. */
export function characters(source: string | Iterable<string>, specials: readonly string[] = []): Vocabulary {
  const all = typeof source === "string" ? source : [...source].join("");
  return new Vocabulary(all, { specials, order: "alphabet" });
}

export interface NextCharacterOptions {
  /** Characters of a sample; for lines by default as many as the longest has, and its end. */
  sequenceLength?: number;
  /** Characters between the beginnings of two samples of a text; `sequenceLength` by default. */
  stride?: number;
  /** Numbers of the characters; by default those of the text, in the order of the alphabet. */
  vocabulary?: Vocabulary;
  /** Target of places after the end of a line: what a loss ignores; −100 by default. */
  ignoreIndex?: number;
}

/** Begins and ends a line. */
const END = "\n";

/**
 * Characters and what follows each of them: samples `[x, y]`, both int64 [L], y one character further.
 *
 * Of one text: windows of `sequenceLength`. Of lines, such as names: one sample each, which begins and ends with a line
 * break; what is left of its length is a line break in x and `ignoreIndex` in y.
 *
 * ```ts
 * const set = new data.NextCharacterDataset(data.firstNames().female);
 * const embedding = new nn.Embedding(set.vocabulary.length, 16);
 * ```
 * @throws TensorError for a text that is shorter than a sample, or a line that is longer
 */
export class NextCharacterDataset extends Dataset<[x: Tensor, y: Tensor]> {
  readonly vocabulary: Vocabulary;
  readonly sequenceLength: number;
  readonly length: number;
  readonly #ignore: number;
  readonly #stride: number;
  /** The whole text, or each line with its ends. */
  readonly #sources: readonly Int32Array[];
  readonly #isText: boolean;

  constructor(source: string | readonly string[], options: NextCharacterOptions = {}) {
    super();
    const isText = typeof source === "string";
    const lines = isText ? [source] : source.map((line) => `${END}${line}${END}`);
    this.#isText = isText;
    this.vocabulary = options.vocabulary ?? characters(lines);
    this.#sources = lines.map((line) => Int32Array.from(line, (one) => this.vocabulary.indexOf(one)));
    this.#ignore = options.ignoreIndex ?? -100;
    const longest = this.#sources.reduce((most, { length }) => Math.max(most, length - 1), 0);
    this.sequenceLength = options.sequenceLength ?? (isText ? 64 : longest);
    const { sequenceLength } = this;
    this.#stride = options.stride ?? sequenceLength;
    for (const [name, value] of [
      ["sequenceLength", sequenceLength],
      ["stride", this.#stride],
    ] as const)
      if (!Number.isInteger(value) || value < 1)
        throw new TensorError(
          "value",
          `NextCharacterDataset(): expected ${name} to be a whole number of at least 1, got ${value}`,
        );
    if (isText ? longest < sequenceLength : longest > sequenceLength)
      throw new TensorError(
        "value",
        isText
          ? `NextCharacterDataset(): expected a text of at least ${sequenceLength + 1} characters, got ${longest + 1}`
          : `NextCharacterDataset(): expected lines of at most ${sequenceLength - 1} characters, got ${longest - 1}`,
      );
    this.length = isText ? Math.floor((longest - sequenceLength) / this.#stride) + 1 : lines.length;
  }

  get(index: number): [Tensor, Tensor] {
    const at = checkIndex(index, this.length);
    const source = this.#sources[this.#isText ? 0 : at]!;
    const from = this.#isText ? at * this.#stride : 0;
    const part = (offset: number, rest: number): Tensor =>
      fromHost(
        Int32Array.from({ length: this.sequenceLength }, (_, i) =>
          from + i + 1 < source.length ? source[from + i + offset]! : rest,
        ),
        [this.sequenceLength],
        "int64",
      );
    return [part(0, this.#isText ? 0 : this.vocabulary.indexOf(END)), part(1, this.#ignore)];
  }
}
