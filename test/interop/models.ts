// Models of Hugging Face: folders, the hub's cache, and exports to ONNX.
import path from "node:path";
import process from "node:process";
import { downloadModel } from "../../extension/engine/files/hub.ts";
import { hubOf } from "../../extension/engine/files/hubCache.ts";
import { encodeOnnx } from "../../extension/formats/onnx/onnxWriter.ts";
import { nn, torch, type Tensor } from "../../extension/nn/index.ts";
import type { Module } from "../../extension/nn/module/module.ts";
import { onnxGraph } from "../../extension/nn/onnx/graph.ts";
import { tensorsIn } from "../../extension/nn/onnx/recording.ts";
import type { StateDict } from "../../extension/nn/module/stateDict.ts";
import { writeAtomic } from "../../extension/files/writeAtomic.ts";
import { HubServer, NAME } from "../hubServer.ts";
import { ACTIVATIONS, FUNCTIONS, LANGUAGE, LAYERS, NETWORKS } from "../unit/nn/exportCases.ts";
import {
  check,
  difference,
  digestsOfFile,
  fixtures,
  inFolder,
  json,
  python,
  type Digests,
} from "./checks.ts";

const TINY = path.join(fixtures, "golden", "files", "data", "bert_tiny");
const CONFIG = {
  vocabSize: 50,
  hiddenSize: 24,
  numHiddenLayers: 2,
  numAttentionHeads: 3,
  intermediateSize: 40,
  maxPositionEmbeddings: 32,
  hiddenAct: "gelu",
};
const TOLERANCE = 1e-5;

/** Digests of a model's weights, taken from a file that they are written to. */
function digestsOf(state: StateDict, out: string, name: string): Digests {
  const file = path.join(out, `${name}.safetensors`);
  torch.save(state, file);
  return digestsOfFile(file);
}

/** Python's result, the largest difference of its outputs from ours. */
interface Read {
  digests: Digests;
  apart: number;
}

const problemOf = (ours: Digests, { digests, apart }: Read): string | undefined =>
  difference(ours, digests) ?? (apart <= TOLERANCE ? undefined : `its outputs are ${apart} apart`);

/** Folders that we write are read by transformers, and its own by us: every bit of the weights, and the outputs. */
export async function folders(): Promise<void> {
  const out = inFolder("folders");
  torch.manualSeed(11);
  const ids = torch.randint(1, CONFIG.vocabSize, [2, 9]);
  const mask = torch.tensor([Array<number>(9).fill(1), [...Array<number>(6).fill(1), 0, 0, 0]]);
  const base = new nn.BertModel(CONFIG).eval();
  const classifier = new nn.BertForSequenceClassification({ ...CONFIG, numLabels: 3 }).eval();
  const { vocabSize, maxPositionEmbeddings } = CONFIG;
  const distil = new nn.DistilBertModel({
    vocabSize,
    maxPositionEmbeddings,
    dim: 24,
    hiddenDim: 40,
    nLayers: 2,
    nHeads: 3,
  }).eval();
  const call = { attentionMask: mask };
  const outputs = torch.noGrad(() => ({
    BertModel: base(ids, call).lastHiddenState,
    BertForSequenceClassification: classifier(ids, call).logits,
    DistilBertModel: distil(ids, call).lastHiddenState,
  }));
  base.savePretrained(path.join(out, "BertModel"));
  classifier.savePretrained(path.join(out, "BertForSequenceClassification"), { maxShardSize: "10KB" });
  distil.savePretrained(path.join(out, "DistilBertModel"));
  torch.save({ ids, mask, ...outputs }, path.join(out, "calls.safetensors"));
  await python("transformers", out);
  const read = json(out, "read.json") as Record<keyof typeof outputs, Read>;
  const states = { BertModel: base, BertForSequenceClassification: classifier, DistilBertModel: distil };
  for (const [name, model] of Object.entries(states) as [keyof typeof outputs, Module][])
    check(`transformers reads our ${name}`, problemOf(digestsOf(model.stateDict(), out, name), read[name]));

  const theirs = json(out, "theirs.json") as Record<string, Digests>;
  for (const [name, wanted] of Object.entries(theirs)) {
    const model = nn.BertModel.fromPretrained(path.join(out, name));
    const apart = torch.noGrad(() => {
      const given = torch.load(path.join(out, `${name}-calls.pth`));
      return model(given.get("ids")).lastHiddenState.sub(given.get("output")).abs().max().item();
    });
    check(
      `we read transformers' ${name}`,
      problemOf(digestsOf(model.stateDict(), out, name), { digests: wanted, apart }),
    );
  }
}

/** The hub's cache: what Python's library fetched is read by ours without asking the network, and the other way round. */
export async function hubCaches(): Promise<void> {
  const server = new HubServer(TINY);
  await server.listen();
  const [ours, theirs] = [inFolder("our-hub"), inFolder("their-hub")];
  const wanted = digestsOfFile(path.join(TINY, "model.safetensors"));
  try {
    await downloadModel(hubOf({ HF_ENDPOINT: server.endpoint, HF_HOME: ours }), NAME);
    await python("fetch", theirs, { HF_ENDPOINT: server.endpoint, HF_HOME: theirs });
  } finally {
    server.close();
  }
  // The hub is down from here on.
  const nowhere = { HF_ENDPOINT: server.nowhere, HF_HUB_OFFLINE: "1" };
  await python("offline", ours, { ...nowhere, HF_HOME: ours });
  const { name: found, digests } = json(ours, "offline.json") as { name: string; digests: Digests };
  check("huggingface_hub reads our cache", found === NAME ? undefined : `it has ${found}`);
  check("transformers loads from our cache", difference(wanted, digests));
  Object.assign(process.env, nowhere, { HF_HOME: theirs });
  const model = nn.BertModel.fromPretrained(NAME);
  check(
    "we load from the cache of huggingface_hub",
    difference(digestsOf(model.stateDict(), theirs, "read"), wanted),
  );
}

/** Exported models in Python's ONNX Runtime, for the recorded batch and another. */
export async function onnx(): Promise<void> {
  const out = inFolder("onnx");
  const cases = [...NETWORKS, LANGUAGE, ...LAYERS, ...ACTIVATIONS, FUNCTIONS];
  torch.manualSeed(0);
  cases.forEach(([, make, inputs], at) => {
    const model = make();
    const names = inputs(2).map((_, i) => `x${i}`);
    const dynamicAxes = Object.fromEntries(names.map((name) => [name, { 0: "batch" }]));
    const graph = onnxGraph(model, inputs(2), { inputNames: names, dynamicAxes });
    writeAtomic(path.join(out, `${at}.onnx`), [encodeOnnx(graph)]);
    model.eval();
    for (const batch of [2, 5]) {
      const args = inputs(batch);
      const results = torch.noGrad(() => (model as unknown as (...args: Tensor[]) => unknown)(...args));
      const tensors = [
        ...args.map((x, i) => [names[i]!, x] as const),
        ...tensorsIn(results).map(({ tensor }, i) => [`y${i}`, tensor] as const),
      ];
      torch.save(new Map(tensors), path.join(out, `${at}-${batch}.safetensors`));
    }
  });
  await python("onnx", out);
  const problems = json(out, "problems.json") as Record<string, string | null>;
  cases.forEach(([name], at) => check(`ONNX Runtime runs our ${name}`, problems[at] ?? undefined));
}
