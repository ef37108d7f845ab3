// Models of Hugging Face's folders: what is read, what is initialised, what is written.
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, expectTypeOf, test } from "vitest";
import { nn, torch, type Tensor } from "../../../extension/nn/index.ts";
import { setWarningSink, type WarningSink } from "../../../extension/nn/warnings.ts";
import { useEngine } from "../../engines.ts";
import { useFolder } from "../../folders.ts";
import { useTensorFiles } from "../../tensorFiles.ts";

const base = fileURLToPath(new URL("../../fixtures/golden/files/data/bert_tiny", import.meta.url));
const classifier = fileURLToPath(new URL("../../fixtures/huggingface/files/data/bin", import.meta.url));
const folder = useFolder();
let warnings: string[];
let sink: WarningSink;

useEngine("cpu");
useTensorFiles();
beforeEach(() => {
  warnings = [];
  sink = setWarningSink((message) => warnings.push(message));
});
afterEach(() => {
  setWarningSink(sink);
});

const write = (name: string, text: string): void => fs.writeFileSync(path.join(folder, name), text);
const copyOf = (source: string): void => fs.cpSync(source, folder, { recursive: true });
const values = (state: ReadonlyMap<string, Tensor>): Record<string, number[]> =>
  Object.fromEntries([...state].map(([name, t]) => [name, [...t.toTypedArray()]]));

test("loading draws no random numbers and answers a model in evaluation mode", () => {
  torch.manualSeed(3);
  const expected = torch.rand(2).tolist();
  torch.manualSeed(3);
  const model = nn.BertModel.fromPretrained(base);
  expect(torch.rand(2).tolist()).toEqual(expected);
  expect(model.training).toBe(false);
  expect(model.config.intermediateSize).toBe(24);
  expect(warnings).toEqual([]);
});

test("missing weights are initialised, extra ones ignored, and both are reported", () => {
  torch.manualSeed(4);
  const model = nn.BertForSequenceClassification.fromPretrained(base, { numLabels: 3 });
  torch.manualSeed(4);
  const weight = torch.empty(3, 16);
  nn.init.normal_(weight, 0, 0.02);
  expect(model.classifier.weight.tolist()).toEqual(weight.tolist());
  expect(model.classifier.bias!.tolist()).toEqual([0, 0, 0]);
  expect(warnings).toEqual([
    `Some weights of BertForSequenceClassification were not initialized from the model checkpoint at ${base} and are newly initialized: ['classifier.weight', 'classifier.bias']\nYou should probably TRAIN this model on a down-stream task to be able to use it for predictions and inference.`,
  ]);
  warnings.length = 0;
  nn.BertModel.fromPretrained(classifier, { addPoolingLayer: false });
  expect(warnings).toEqual([
    `Some weights of the model checkpoint at ${classifier} were not used when initializing BertModel: ['bert.pooler.dense.weight', 'bert.pooler.dense.bias', 'classifier.weight', 'classifier.bias']`,
  ]);
});

test("a classifier's own folder is complete, its classes known", () => {
  const model = nn.BertForSequenceClassification.fromPretrained(classifier);
  expect(model.config.numLabels).toBe(3);
  expect(warnings).toEqual([]);
});

test("what is saved loads again", () => {
  const model = nn.BertForSequenceClassification.fromPretrained(classifier);
  model.savePretrained(path.join(folder, "a", "b"));
  const again = nn.BertForSequenceClassification.fromPretrained(path.join(folder, "a", "b"));
  expect(values(again.stateDict())).toEqual(values(model.stateDict()));
  expect(again.config).toEqual(model.config);
  const config = JSON.parse(fs.readFileSync(path.join(folder, "a", "b", "config.json"), "utf8")) as object;
  expect(config).toMatchObject({
    architectures: ["BertForSequenceClassification"],
    model_type: "bert",
    hidden_size: 8,
    id2label: { 0: "LABEL_0", 1: "LABEL_1", 2: "LABEL_2" },
    label2id: { LABEL_0: 0, LABEL_1: 1, LABEL_2: 2 },
  });
});

test("weights are spread over files of a size, which replace what was there", () => {
  const model = nn.BertForSequenceClassification.fromPretrained(classifier);
  const out = path.join(folder, "out");
  const names = (): string[] => fs.readdirSync(out).sort();
  model.savePretrained(out);
  expect(names()).toEqual(["config.json", "model.safetensors"]);
  model.savePretrained(out, { maxShardSize: "2KB" });
  const shards = names().filter((name) => /^model-0000\d-of-0000\d\.safetensors$/.test(name));
  expect(names()).toEqual(["config.json", ...shards, "model.safetensors.index.json"]);
  expect(shards.length).toBeGreaterThan(2);
  for (const name of shards) expect(fs.statSync(path.join(out, name)).size).toBeLessThan(4000);
  const again = nn.BertForSequenceClassification.fromPretrained(out);
  expect(values(again.stateDict())).toEqual(values(model.stateDict()));
  model.savePretrained(out, { maxShardSize: 4000 });
  expect(names().length).toBeLessThan(shards.length + 2);
  model.savePretrained(out);
  expect(names()).toEqual(["config.json", "model.safetensors"]);
  expect(() => model.savePretrained(out, { maxShardSize: "much" })).toThrow(
    'maxShardSize: expected a number of bytes, or one like "5GB", got much',
  );
});

test("a model of another type is a warning", () => {
  copyOf(base);
  const config = fs.readFileSync(path.join(base, "config.json"), "utf8");
  write("config.json", config.replace('"model_type": "bert"', '"model_type": "roberta"'));
  nn.BertModel.fromPretrained(folder);
  expect(warnings.join()).toMatch("a model of type roberta to instantiate a model of type bert");
});

test("folders that are no models are refused, and only files of the folder are read", () => {
  const load = (): unknown => nn.BertModel.fromPretrained(folder);
  expect(load).toThrow(`${folder} does not appear to have a file named config.json.`);
  write("config.json", "{");
  expect(load).toThrow("config.json is not a valid JSON file");
  write("config.json", "[]");
  expect(load).toThrow("config.json: expected a JSON object");
  write("config.json", fs.readFileSync(path.join(base, "config.json"), "utf8"));
  expect(load).toThrow(
    `Error no file named model.safetensors, or pytorch_model.bin, found in directory ${folder}.`,
  );
  for (const shard of ["../model.safetensors", "/etc/passwd", "", ".hidden", 7]) {
    write("model.safetensors.index.json", JSON.stringify({ weight_map: { a: shard } }));
    expect(load).toThrow('model.safetensors.index.json: expected the name of a file beside it for "a"');
  }
  write("model.safetensors.index.json", "{}");
  expect(load).toThrow('expected files by tensor in "weight_map"');
  fs.copyFileSync(path.join(base, "model.safetensors"), path.join(folder, "model.safetensors"));
  expect(() => nn.BertModel.fromPretrained(folder, { intermediateSize: 30 })).toThrow(
    "size mismatch for encoder.layer.0.intermediate.dense.weight",
  );
});

test("tokenizers: vocab.txt, its configuration, or a tokenizer.json", () => {
  const load = (): nn.BertTokenizer => nn.BertTokenizer.fromPretrained(folder);
  expect(load).toThrow(`${folder} does not appear to have a file named vocab.txt.`);
  const vocab = { "[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "[MASK]": 4, A: 5, a: 6 };
  const normalizer = { type: "BertNormalizer", lowercase: false };
  write("tokenizer.json", JSON.stringify({ model: { type: "WordPiece", vocab }, normalizer }));
  expect(load().encode("A a")).toEqual([2, 5, 6, 3]);
  write("vocab.txt", "[PAD]\r\n[UNK]\r\n[CLS]\r\n[SEP]\r\n[MASK]\r\nx\r\na\r\n");
  expect(load().encode("A x")).toEqual([2, 6, 5, 3]);
  expect(load().vocabSize).toBe(7);
  const config = { do_lower_case: false, model_max_length: 4, unk_token: { content: "x" }, mask_token: null };
  write("tokenizer_config.json", JSON.stringify(config));
  expect(load().encode("A a a a", { truncation: true })).toEqual([2, 5, 6, 3]);
});

test("a tokenizer is called like a function, and its result is a model's input", () => {
  const tokenizer = nn.BertTokenizer.fromPretrained(base);
  const model = nn.BertModel.fromPretrained(base);
  const input = tokenizer(["The cat sat", "a dog"], { padding: true });
  expect(model(input).lastHiddenState.shape).toEqual([2, 5, 16]);
  expectTypeOf(model(input).poolerOutput).toEqualTypeOf<Tensor>();
  const bare = nn.BertModel.fromPretrained<false>(base, { addPoolingLayer: false });
  expectTypeOf(bare(input).poolerOutput).toEqualTypeOf<null>();
  expect(bare(input).poolerOutput).toBeNull();
  expect(() => tokenizer(["a", "a dog"])).toThrow("Unable to create tensor");
  expect(() => model({})).toThrow("You must specify exactly one of input_ids or inputs_embeds");
});

test("a configuration says what it has no meaning for", () => {
  expect(() => new nn.BertConfig({ hiddenSize: 10, numAttentionHeads: 3 })).toThrow(
    "The hidden size (10) is not a multiple of the number of attention heads (3)",
  );
  expect(() => new nn.BertModel({ hiddenAct: "softmax", numHiddenLayers: 1 })).toThrow(
    "function softmax not found in ACT2FN mapping",
  );
  expect(() => new nn.BertConfig({ is_decoder: true, add_cross_attention: true })).toThrow("cross attention");
});
