// BERT's tokenizer against Hugging Face's: see test/fixtures/huggingface/make.py.
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { nn } from "../../../extension/nn/index.ts";
import { camelCase } from "../../parity/names.ts";

interface Fixture {
  vocab: string[];
  tokenizers: {
    name: string;
    options: Record<string, unknown>;
    calls: {
      texts: string[];
      pair?: string[];
      call: Record<string, unknown>;
      input_ids?: number[][];
      token_type_ids?: number[][];
      attention_mask?: number[][];
      error?: string;
    }[];
    decoded: { ids: number[]; all: string; plain: string }[];
    tokens: { text: string; tokens: string[] }[];
  }[];
}

const file = new URL("../../fixtures/huggingface/tokenizer.json", import.meta.url);
const { vocab, tokenizers } = JSON.parse(readFileSync(file, "utf8")) as Fixture;
const camel = (options: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(options).map(([name, value]) => [camelCase(name), value]));

test.each(tokenizers)("$name: numbers, segments and masks", ({ options, calls }) => {
  const tokenizer = new nn.BertTokenizer(vocab, camel(options));
  for (const { texts, pair, call, error, ...expected } of calls) {
    const given = { ...camel(call), ...(pair && { textPair: pair }) };
    if (error !== undefined) {
      expect(() => tokenizer(texts, given), JSON.stringify({ texts, pair, call })).toThrow(error);
      continue;
    }
    const { inputIds, tokenTypeIds, attentionMask } = tokenizer(texts, given);
    const got = [inputIds, tokenTypeIds, attentionMask].map((t) => t.tolist());
    const { input_ids, token_type_ids, attention_mask } = expected;
    expect(got, JSON.stringify({ texts, pair, call })).toEqual([input_ids, token_type_ids, attention_mask]);
  }
});

test.each(tokenizers)("$name: tokens and texts", ({ options, tokens, decoded }) => {
  const tokenizer = new nn.BertTokenizer(vocab, camel(options));
  for (const { text, tokens: expected } of tokens) {
    expect(tokenizer.tokenize(text)).toEqual(expected);
    expect(tokenizer.encode(text, { addSpecialTokens: false })).toEqual(
      tokenizer.convertTokensToIds(expected),
    );
  }
  for (const { ids, all, plain } of decoded) {
    expect(tokenizer.decode(ids)).toBe(all);
    expect(tokenizer.decode(ids, { skipSpecialTokens: true })).toBe(plain);
  }
});
