// Folders of Hugging Face with a BERT: outputs at given inputs, and the tokens of texts.
import { join } from "node:path";
import { FILES } from "../../../extension/engine/host/userFiles.ts";
import { setTensorFiles } from "../../../extension/nn/files.ts";
import { nn, type Tensor } from "../../../extension/nn/index.ts";
import { noGrad } from "../../../extension/tensor/recording/scope.ts";
import { compare, decode, EXACT, firstOf, prefixed, type JsonTensor, type Tolerance } from "../format.ts";
import { camelCase } from "../names.ts";

export interface FolderSpec {
  id: string;
  file: string;
  inputs: Record<string, JsonTensor>;
  /** The texts whose tokens the inputs are, padded to the longest. */
  texts?: string[];
}

export interface FolderExpectation {
  last_hidden_state: JsonTensor;
  pooler_output: JsonTensor;
  hidden_states?: JsonTensor[];
}

const TOLERANCE: Tolerance = { abs: 1e-5, rel: 1e-5 };

export function runFolder(spec: FolderSpec, expected: FolderExpectation, folder: string): string | null {
  const before = setTensorFiles(FILES);
  try {
    const path = join(folder, spec.file);
    return firstOf([...tokens(spec, path), ...outputs(spec, expected, path)]);
  } finally {
    setTensorFiles(before);
  }
}

function outputs({ inputs }: FolderSpec, expected: FolderExpectation, path: string): (string | null)[] {
  const model = nn.BertModel.fromPretrained(path);
  const given = Object.entries(inputs).map(([name, t]) => [camelCase(name), decode(t)]);
  const output = noGrad(() => model({ ...Object.fromEntries(given), outputHiddenStates: true }));
  return [
    prefixed("last_hidden_state", compare(output.lastHiddenState, expected.last_hidden_state, TOLERANCE)),
    prefixed("pooler_output", compare(output.poolerOutput, expected.pooler_output, TOLERANCE)),
    ...(expected.hidden_states ?? []).map((wanted, i) => {
      const got = output.hiddenStates?.[i];
      return prefixed(`hidden_states ${i}`, got === undefined ? "missing" : compare(got, wanted, TOLERANCE));
    }),
  ];
}

function tokens({ inputs, texts }: FolderSpec, path: string): (string | null)[] {
  if (texts === undefined) return [];
  const tokenizer = nn.BertTokenizer.fromPretrained(path);
  const encoded: Record<string, Tensor> = {
    ...tokenizer(texts, { padding: true }),
  };
  return Object.entries(inputs).map(([name, wanted]) =>
    prefixed(`tokens, ${name}`, compare(encoded[camelCase(name)]!, wanted, EXACT)),
  );
}
