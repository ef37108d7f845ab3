/** Graphs of an ONNX file: nodes, values and tensors by name. */
import { dataType } from "./dataTypes.ts";
import type { Message } from "./message.ts";
import { count, type Fail } from "./onnxError.ts";
import { type ModelTensor, readPair, readTensor } from "./tensorProto.ts";

/** Nodes of all graphs: five times those of the largest language models. */
const MAX_NODES = 250_000;
/** Tensors, inputs, outputs and types of values together. */
const MAX_VALUES = 500_000;
const MAX_RANK = 64;
/** Numbers of an attribute that are shown, and characters. */
const MOST_SHOWN = 64;
const LONGEST_SHOWN = 500;

/** A value's type: an element type with a shape, or a container of others. */
export interface ModelType {
  /** "float32", "sequence of int64". */
  readonly dtype: string;
  /** Sizes of dimensions, or their names; undefined if the rank is unknown. */
  readonly shape?: readonly (number | string)[];
}

/** An input, an output, or a value between nodes. */
export interface ModelValue {
  readonly name: string;
  readonly type: ModelType;
}

export interface ModelAttribute {
  readonly name: string;
  /** Its value as a text, the first part of it if it is long. */
  readonly text: string;
  readonly tensors: readonly ModelTensor[];
  readonly graphs: readonly ModelGraph[];
}

export interface ModelNode {
  readonly name: string;
  readonly op: string;
  /** "" for ONNX's own ops. */
  readonly domain: string;
  /** Names of values; "" for an input that is left out. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: readonly ModelAttribute[];
  readonly description: string;
  /** Names of modules around it, outermost first, and their classes, as PyTorch writes them. */
  readonly scopes?: readonly string[];
  readonly classes?: readonly string[];
}

export interface ModelGraph {
  readonly name: string;
  readonly description: string;
  readonly inputs: readonly ModelValue[];
  readonly outputs: readonly ModelValue[];
  readonly nodes: readonly ModelNode[];
  readonly initializers: readonly ModelTensor[];
  /** Types of values between nodes, as far as the file says them. */
  readonly types: ReadonlyMap<string, ModelType>;
}

/** Reads graphs, and counts what is in all of them. */
export class GraphReader {
  readonly #fail: Fail;
  #nodes = 0;
  #values = 0;

  constructor(fail: Fail) {
    this.#fail = fail;
  }

  graph(message: Message): ModelGraph {
    let [name, description] = ["", ""];
    const inputs: ModelValue[] = [];
    const outputs: ModelValue[] = [];
    const nodes: ModelNode[] = [];
    const initializers: ModelTensor[] = [];
    const types = new Map<string, ModelType>();
    while (message.next()) {
      switch (message.field) {
        case 1:
          nodes.push(this.node(message.message()));
          break;
        case 2:
          name = message.shortText(LONGEST_SHOWN);
          break;
        case 5:
          initializers.push(this.#tensor(message.message()));
          break;
        case 10:
          description = message.shortText(LONGEST_SHOWN);
          break;
        case 11:
          inputs.push(this.#value(message.message()));
          break;
        case 12:
          outputs.push(this.#value(message.message()));
          break;
        case 13: {
          const value = this.#value(message.message());
          types.set(value.name, value.type);
          break;
        }
        case 15:
          initializers.push(...this.#sparse(message.message()));
          break;
      }
    }
    for (const { name, type } of [...inputs, ...outputs]) types.set(name, type);
    // Old files list their initializers among the inputs, which then are only defaults.
    const constants = new Set(initializers.map((tensor) => tensor.name));
    const asked = inputs.filter((input) => !constants.has(input.name));
    return { name, description, inputs: asked, outputs, nodes, initializers, types };
  }

  node(message: Message): ModelNode {
    if (++this.#nodes > MAX_NODES) this.#fail(`the model has more than ${count(MAX_NODES)} nodes, the limit`);
    let [name, op, domain, description] = ["", "", "", ""];
    const inputs: string[] = [];
    const outputs: string[] = [];
    const attributes: ModelAttribute[] = [];
    let scopes: string[] | undefined;
    let classes: string[] | undefined;
    while (message.next()) {
      switch (message.field) {
        case 1:
          inputs.push(message.text());
          break;
        case 2:
          outputs.push(message.text());
          break;
        case 3:
          name = message.text();
          break;
        case 4:
          op = message.text();
          break;
        case 5:
          attributes.push(this.#attribute(message.message()));
          break;
        case 6:
          description = message.shortText(LONGEST_SHOWN);
          break;
        case 7:
          domain = message.text();
          break;
        case 9: {
          const [key, value] = readPair(message.message());
          if (key === "pkg.torch.onnx.name_scopes") scopes = listed(value);
          else if (key === "pkg.torch.onnx.class_hierarchy") classes = listed(value);
          break;
        }
      }
    }
    if (domain === "ai.onnx") domain = "";
    const known = { name, op, domain, inputs, outputs, attributes, description };
    return scopes === undefined ? known : { ...known, scopes, ...(classes === undefined ? {} : { classes }) };
  }

  #attribute(message: Message): ModelAttribute {
    let [name, text] = ["", ""];
    const numbers: number[] = [];
    const texts: string[] = [];
    const tensors: ModelTensor[] = [];
    const graphs: ModelGraph[] = [];
    let more = false;
    let list = false;
    while (message.next()) {
      switch (message.field) {
        case 1:
          name = message.text();
          break;
        case 2:
          text = String(shortFloat(message.float()));
          break;
        case 3:
          text = String(message.exactInteger());
          break;
        case 4:
          text = message.shortText(LONGEST_SHOWN);
          break;
        case 5:
        case 10:
          tensors.push(this.#tensor(message.message()));
          break;
        case 22:
        case 23:
          tensors.push(...this.#sparse(message.message()));
          break;
        case 6:
        case 11:
          graphs.push(this.graph(message.message()));
          break;
        case 7:
          list = true;
          more = !message.floats(numbers, MOST_SHOWN) || more;
          break;
        case 8:
          list = true;
          more = !message.integers(numbers, MOST_SHOWN) || more;
          break;
        case 9:
          list = true;
          if (texts.length === MOST_SHOWN) more = true;
          else texts.push(message.shortText(LONGEST_SHOWN));
          break;
        case 14:
        case 15:
          text = typeText(readType(message.message()));
          break;
        case 21:
          text = `attribute ${message.text()} of the function`;
          break;
      }
    }
    if (list) {
      const items = [...numbers.map((one) => String(shortFloat(one))), ...texts];
      text = `[${items.join(", ")}${more ? ", …" : ""}]`.slice(0, 2 * LONGEST_SHOWN);
    }
    return { name, text, tensors, graphs };
  }

  #tensor(message: Message): ModelTensor {
    this.#countValue();
    return readTensor(message);
  }

  /** The values and indices of a SparseTensorProto. */
  #sparse(message: Message): ModelTensor[] {
    const found: ModelTensor[] = [];
    while (message.next())
      if (message.field === 1 || message.field === 2) found.push(this.#tensor(message.message()));
    const [values, indices] = found;
    return values === undefined || indices === undefined
      ? found
      : [values, { ...indices, name: indices.name || `${values.name}.indices` }];
  }

  #value(message: Message): ModelValue {
    this.#countValue();
    let name = "";
    let type: ModelType = { dtype: "" };
    while (message.next()) {
      if (message.field === 1) name = message.text();
      else if (message.field === 2) type = readType(message.message());
    }
    return { name, type };
  }

  #countValue(): void {
    if (++this.#values > MAX_VALUES)
      this.#fail(`the model has more than ${count(MAX_VALUES)} tensors and values, the limit`);
  }
}

/** A float32 as few digits as tell it from others. */
function shortFloat(value: number): number {
  if (Number.isInteger(value)) return value;
  for (let digits = 6; digits < 9; digits++) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === value) return short;
  }
  return value;
}

/** The texts of a Python list as `repr` writes it: "['', 'encoder', 'encoder.layers.0']". */
const listed = (text: string): string[] =>
  [...text.matchAll(/'([^']*)'|"([^"]*)"/g)].map(([, single, double]) => single ?? double ?? "");

/** A type as a text: "float32[N, 3, 32, 32]". */
export const typeText = ({ dtype, shape }: ModelType): string =>
  shape === undefined ? dtype : `${dtype}[${shape.join(", ")}]`;

/** TypeProto's containers, by their fields. */
const CONTAINERS: Readonly<Record<number, string>> = { 4: "sequence", 5: "map", 9: "optional" };

function readType(message: Message): ModelType {
  let type: ModelType = { dtype: "" };
  while (message.next()) {
    const container = CONTAINERS[message.field];
    if (message.field === 1 || message.field === 8) type = readTensorType(message.message());
    else if (container !== undefined) {
      const inner = message.message();
      let of = "";
      while (inner.next()) {
        if (container === "map" && inner.field === 1) of = `${dataType(inner.integer()).name} to `;
        else if (inner.field === (container === "map" ? 2 : 1)) of += typeText(readType(inner.message()));
      }
      type = { dtype: `${container} of ${of}`.slice(0, LONGEST_SHOWN) };
    }
  }
  return type;
}

function readTensorType(message: Message): ModelType {
  let dtype = "";
  let shape: (number | string)[] | undefined;
  while (message.next()) {
    if (message.field === 1) dtype = dataType(message.integer()).name;
    else if (message.field === 2) shape = readShape(message.message());
  }
  return shape === undefined ? { dtype } : { dtype, shape };
}

/** A TensorShapeProto. A dimension without a size or a name is "?". */
function readShape(message: Message): (number | string)[] {
  const shape: (number | string)[] = [];
  while (message.next()) {
    if (message.field !== 1 || shape.length > MAX_RANK) continue;
    let size: number | string = "?";
    const dimension = message.message();
    while (dimension.next()) {
      if (dimension.field === 1) size = dimension.integer();
      else if (dimension.field === 2) size = dimension.shortText(100) || "?";
    }
    shape.push(shape.length === MAX_RANK ? "…" : size);
  }
  return shape;
}
