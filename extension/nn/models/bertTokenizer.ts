import { Tokenizer } from "@huggingface/tokenizers";
import { coderMade, type TextCoder } from "../data/tokenizers.ts";
import { TensorError } from "../../tensor/core/errors.ts";
import { fromHost, Tensor } from "../../tensor/core/tensor.ts";
import { snakeCase } from "../module/repr.ts";
import { described } from "./configFields.ts";
import { inFolder, jsonIn, modelFolder, naming, textIn, type Json } from "./folder.ts";

export interface TokenizerOptions {
  /** Whether texts become lower case (and lose accents): for uncased vocabularies, true by default. */
  doLowerCase?: boolean;
  /** Whether accents are dropped; null: as doLowerCase says. */
  stripAccents?: boolean | null;
  /** Whether every Chinese character is a word; true by default. */
  tokenizeChineseChars?: boolean;
  unkToken?: string;
  sepToken?: string;
  padToken?: string;
  clsToken?: string;
  maskToken?: string;
  /** The longest sequence that the model takes. */
  modelMaxLength?: number;
}

/** Characters of a tokenizer with its vocabulary. */
const MAX_TOKENIZER = 2 ** 26;

const DEFAULTS: Required<TokenizerOptions> = {
  doLowerCase: true,
  stripAccents: null,
  tokenizeChineseChars: true,
  unkToken: "[UNK]",
  sepToken: "[SEP]",
  padToken: "[PAD]",
  clsToken: "[CLS]",
  maskToken: "[MASK]",
  modelMaxLength: Infinity,
};

export interface EncodeOptions {
  /** A second text for each, which becomes the second segment. */
  textPair?: string | readonly string[] | null;
  /** True or "longest": to the longest of the texts; "max_length": to `maxLength`. */
  padding?: boolean | "longest" | "max_length" | "do_not_pad";
  /** Whether to truncate to `maxLength`, and which text of a pair: by default the longer one, token by token. */
  truncation?: boolean | "longest_first" | "only_first" | "only_second" | "do_not_truncate";
  /** Special tokens included; the model's by default. */
  maxLength?: number | null;
  /** Whether to begin with [CLS] and end with [SEP]; true by default. */
  addSpecialTokens?: boolean;
}

/** Inputs of BERT: int64 tensors of shape [texts, tokens]. */
export interface Encoded {
  inputIds: Tensor;
  tokenTypeIds: Tensor;
  attentionMask: Tensor;
}

/** The numbers of one text or pair. */
interface Row {
  ids: number[];
  types: number[];
}

const ENCODE_DEFAULTS: Required<EncodeOptions> = {
  textPair: null,
  padding: false,
  truncation: false,
  maxLength: null,
  addSpecialTokens: true,
};

/** Chinese characters beyond the first plane, which the library takes for letters. */
const RARE_CHINESE =
  /[\u{20000}-\u{2a6df}\u{2a700}-\u{2b73f}\u{2b740}-\u{2b81f}\u{2b920}-\u{2ceaf}\u{2f800}-\u{2fa1f}]/gu;

/** Limit of a padded batch: a tokenizer's longest sequence may be any number. */
const MAX_ELEMENTS = 2 ** 28;

/** Methods of a tokenizer, which is itself callable. */
class WordPiece {
  declare readonly options: Required<TokenizerOptions>;
  declare readonly padTokenId: number;
  declare readonly unkTokenId: number;
  declare readonly clsTokenId: number;
  declare readonly sepTokenId: number;
  declare readonly maskTokenId: number;
  /** Number of tokens. */
  declare readonly vocabSize: number;
  declare private readonly tokenizer: Tokenizer;

  constructor(vocab: readonly string[], options: TokenizerOptions = {}) {
    // Called like a function, as modules are.
    const self = ((texts: string | readonly string[], given?: EncodeOptions) =>
      self.encodeAll(texts, given)) as unknown as this;
    Object.setPrototypeOf(self, new.target.prototype);
    const o = { ...DEFAULTS, ...options };
    const numbers = new Map(vocab.map((token, i): [string, number] => [token, i]));
    const special = [o.padToken, o.unkToken, o.clsToken, o.sepToken, o.maskToken];
    // Special tokens that the vocabulary lacks come after it.
    for (const token of special) if (!numbers.has(token)) numbers.set(token, numbers.size);
    const [pad, unk, cls, sep, mask] = special.map((token) => numbers.get(token)!);
    const ids = { padTokenId: pad, unkTokenId: unk, clsTokenId: cls, sepTokenId: sep, maskTokenId: mask };
    const tokenizer = new Tokenizer(description(numbers, special, o), {});
    coderMade(self);
    return Object.assign(self, { options: o, vocabSize: numbers.size, tokenizer }, ids);
  }

  /** @internal */
  coder(): TextCoder {
    const token = (id: number): string => this.convertIdsToTokens([id])[0]!;
    return { unit: "pieces", size: this.vocabSize, encode: (text) => this.encode(text), token };
  }

  /** The tokens of a text, without special ones: `["un", "##aff", "##able"]`. */
  tokenize(text: string): string[] {
    return this.convertIdsToTokens(this.numbers(text));
  }

  /** The numbers of a text or of a pair of texts. */
  encode(
    text: string,
    options: Omit<EncodeOptions, "padding" | "textPair"> & { textPair?: string | null } = {},
  ): number[] {
    return this.rows(text, { ...ENCODE_DEFAULTS, ...options })[0]!.ids;
  }

  /** The text of numbers. */
  decode(ids: Tensor | readonly number[], options: { skipSpecialTokens?: boolean } = {}): string {
    const list = ids instanceof Tensor ? [...ids.toTypedArray()] : [...ids];
    const { padTokenId, unkTokenId, clsTokenId, sepTokenId, maskTokenId } = this;
    const special = [padTokenId, unkTokenId, clsTokenId, sepTokenId, maskTokenId];
    const kept = options.skipSpecialTokens === true ? list.filter((id) => !special.includes(id)) : list;
    return this.convertIdsToTokens(kept)
      .map((token, i) => (i === 0 ? token : attached(token)))
      .join("");
  }

  convertTokensToIds(tokens: readonly string[]): number[] {
    return tokens.map((token) => this.tokenizer.token_to_id(token) ?? this.unkTokenId);
  }

  convertIdsToTokens(ids: readonly number[]): string[] {
    return ids.map((id) => this.tokenizer.id_to_token(id) ?? this.options.unkToken);
  }

  /** @internal Result of a call. */
  encodeAll(texts: string | readonly string[], options: EncodeOptions = {}): Encoded {
    const o = { ...ENCODE_DEFAULTS, ...options };
    const rows = this.rows(texts, o);
    const padded = o.padding !== false && o.padding !== "do_not_pad";
    const longest = Math.max(0, ...rows.map(({ ids }) => ids.length));
    const goal = !padded ? 0 : o.padding === "max_length" ? (this.longest(o) ?? longest) : longest;
    const length = Math.max(longest, goal);
    if (rows.some(({ ids }) => Math.max(ids.length, goal) !== length)) {
      throw new TensorError(
        "value",
        "Unable to create tensor, you should probably activate truncation and/or padding with 'padding=True' 'truncation=True' to have batched tensors with the same length.",
      );
    }
    if (rows.length * length > MAX_ELEMENTS)
      throw new TensorError(
        "value",
        `padding ${rows.length} texts to ${length} tokens takes more than ${MAX_ELEMENTS} numbers, the limit`,
      );
    const filled = (get: (row: Row) => readonly number[], rest: number): Tensor => {
      const data = new Int32Array(rows.length * length).fill(rest);
      rows.forEach((row, i) => data.set(get(row), i * length));
      return fromHost(data, [rows.length, length], "int64");
    };
    return {
      inputIds: filled((row) => row.ids, this.padTokenId),
      tokenTypeIds: filled((row) => row.types, 0),
      attentionMask: filled((row) => row.ids.map(() => 1), 0),
    };
  }

  private rows(texts: string | readonly string[], o: Required<EncodeOptions>): Row[] {
    const first = typeof texts === "string" ? [texts] : texts;
    const second = typeof o.textPair === "string" ? [o.textPair] : o.textPair;
    if (second !== null && second.length !== first.length) {
      throw new TensorError(
        "value",
        `batch length of \`text\`: ${first.length} does not match batch length of \`text_pair\`: ${second.length}.`,
      );
    }
    return first.map((text, i) => this.row(text, second?.[i] ?? null, o));
  }

  private row(text: string, pair: string | null, o: Required<EncodeOptions>): Row {
    const { addSpecialTokens: special } = o;
    let a = this.numbers(text);
    let b = pair === null ? null : this.numbers(pair);
    const longest = o.truncation === false || o.truncation === "do_not_truncate" ? null : this.longest(o);
    if (longest !== null) {
      const room = Math.max(0, longest - (special ? (b === null ? 2 : 3) : 0));
      const [n, m] = kept(a.length, b?.length ?? 0, room, o.truncation);
      a = a.slice(0, n);
      b = b?.slice(0, m) ?? null;
    }
    const head = special ? [this.clsTokenId, ...a, this.sepTokenId] : a;
    const tail = b === null ? [] : special ? [...b, this.sepTokenId] : b;
    return { ids: [...head, ...tail], types: [...head.map(() => 0), ...tail.map(() => 1)] };
  }

  private longest({ maxLength }: Required<EncodeOptions>): number | null {
    const length = maxLength ?? this.options.modelMaxLength;
    return Number.isFinite(length) ? length : null;
  }

  /** The numbers of a text, without special tokens. */
  private numbers(text: string): number[] {
    const spaced = this.options.tokenizeChineseChars ? text.replaceAll(RARE_CHINESE, " $& ") : text;
    return this.tokenizer.encode(spaced, { add_special_tokens: false }).ids;
  }
}

/** A token as it follows others: pieces, punctuation and short forms without a space before them. */
function attached(token: string): string {
  if (token.startsWith("##")) return token.slice(2);
  return /^([.?!,]|n't|'(m|s|ve|re))/.test(token) ? token : ` ${token}`;
}

/** How many tokens of two texts stay when there is room for so many. */
function kept(
  first: number,
  second: number,
  room: number,
  strategy: EncodeOptions["truncation"],
): [number, number] {
  const excess = first + second - room;
  if (excess <= 0) return [first, second];
  if (strategy === "only_first") return [shortened(first, excess), second];
  if (strategy === "only_second") return [first, shortened(second, excess)];
  const short = Math.min(first, second);
  // The longer one loses tokens until both are of one length.
  const long = Math.max(short, room - short);
  const [less, more] = short + long > room ? [Math.floor(room / 2), Math.ceil(room / 2)] : [short, long];
  return first > second ? [more, less] : [less, more];
}

function shortened(length: number, by: number): number {
  if (length > by) return length - by;
  throw new TensorError(
    "value",
    "Truncation error: Sequence to truncate too short to respect the provided max_length",
  );
}

/** BERT's tokenizer in the words of a tokenizer.json. */
function description(
  vocab: ReadonlyMap<string, number>,
  special: readonly string[],
  o: Required<TokenizerOptions>,
): object {
  const verbatim = { special: true, normalized: false, single_word: false, lstrip: false, rstrip: false };
  return {
    added_tokens: special.map((content) => ({ id: vocab.get(content), content, ...verbatim })),
    normalizer: {
      type: "BertNormalizer",
      clean_text: true,
      handle_chinese_chars: o.tokenizeChineseChars,
      strip_accents: o.stripAccents,
      lowercase: o.doLowerCase,
    },
    pre_tokenizer: { type: "BertPreTokenizer" },
    post_processor: null,
    model: {
      type: "WordPiece",
      unk_token: o.unkToken,
      continuing_subword_prefix: "##",
      max_input_chars_per_word: 100,
      vocab: Object.fromEntries(vocab),
    },
    decoder: null,
  };
}

/** A tokenizer is called like a function. */
export interface BertTokenizer extends WordPiece {
  (texts: string | readonly string[], options?: EncodeOptions): Encoded;
}

interface BertTokenizerType {
  /** @param vocab the tokens, in the order of their numbers */
  new (vocab: readonly string[], options?: TokenizerOptions): BertTokenizer;
  /**
   * The tokenizer of a local folder of Hugging Face: vocab.txt, and tokenizer_config.json if there is one.
   * @param options options that differ from the folder's
   * @throws TensorError for a folder without vocab.txt
   */
  fromPretrained(folder: string, options?: TokenizerOptions): BertTokenizer;
}

/**
 * BERT's WordPiece tokenizer: words and punctuation are split, then each word into the longest pieces of the vocabulary.
 * A call returns the inputs of {@link BertModel}, as tensors.
 *
 * https://huggingface.co/docs/transformers/model_doc/bert#transformers.BertTokenizer
 *
 * ```ts
 * const tokenizer = new nn.BertTokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "cat", "##s"]);
 * tokenizer(["A cat.", "Cats"], { padding: true }).inputIds.tolist(); // [[2, 5, 6, 1, 3], [2, 6, 7, 3, 0]]
 * ```
 */
export const BertTokenizer: BertTokenizerType = Object.assign(WordPiece as unknown as BertTokenizerType, {
  fromPretrained(name: string, options: TokenizerOptions = {}): BertTokenizer {
    const folder = modelFolder(name);
    const text = textIn(folder, "vocab.txt");
    const whole = text === undefined ? jsonIn(folder, "tokenizer.json", MAX_TOKENIZER) : undefined;
    const vocab =
      text === undefined
        ? whole && naming(inFolder(folder, "tokenizer.json"), () => vocabularyOf(whole))
        : lines(text);
    if (vocab === undefined)
      throw new TensorError("value", `${folder} does not appear to have a file named vocab.txt.`);
    const config = jsonIn(folder, "tokenizer_config.json") ?? {};
    const given = naming(inFolder(folder, "tokenizer_config.json"), () => optionsOf(config));
    return new BertTokenizer(vocab, { ...normalizerOf(whole), ...given, ...options });
  },
});

function lines(text: string): string[] {
  const all = text.split(/\r?\n/);
  if (all[all.length - 1] === "") all.pop();
  return all;
}

/** Lengths from here on mean no limit. */
const LARGE = 1e20;

const record = (value: unknown): Json | undefined =>
  typeof value === "object" && value !== null ? (value as Json) : undefined;

/** The tokens of a tokenizer.json of WordPiece, in the order of their numbers. */
function vocabularyOf(whole: Json): string[] | undefined {
  const vocab = record(record(whole["model"])?.["vocab"]);
  if (vocab === undefined) return undefined;
  if (!Object.values(vocab).every(Number.isSafeInteger))
    throw new TensorError("value", "model.vocab: expected a whole number for each token");
  return Object.entries(vocab as Readonly<Record<string, number>>)
    .sort(([, a], [, b]) => a - b)
    .map(([token]) => token);
}

function normalizerOf(whole: Json | undefined): TokenizerOptions {
  const {
    lowercase,
    strip_accents: strip,
    handle_chinese_chars: chinese,
  } = record(whole?.["normalizer"]) ?? {};
  return {
    ...(typeof lowercase === "boolean" && { doLowerCase: lowercase }),
    ...(typeof strip === "boolean" && { stripAccents: strip }),
    ...(typeof chinese === "boolean" && { tokenizeChineseChars: chinese }),
  };
}

/** The options that a tokenizer_config.json gives; a token may be an object with its text. */
function optionsOf(config: Json): TokenizerOptions {
  const found: Record<string, unknown> = {};
  for (const [name, standard] of Object.entries(DEFAULTS)) {
    const value = config[snakeCase(name)];
    const given = record(value)?.["content"] ?? value;
    if (given === undefined || given === null) continue;
    const expected = standard === null ? "boolean" : typeof standard;
    if (typeof given !== expected)
      throw new TensorError("value", `${snakeCase(name)}: expected a ${expected}, got ${described(given)}`);
    // Hugging Face's writers say 1e30 for no limit.
    found[name] = typeof given === "number" && given > LARGE ? Infinity : given;
  }
  return found;
}
