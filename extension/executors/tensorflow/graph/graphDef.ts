import { DATA_TYPE } from "../../dataTypes.ts";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import type { DType, HostArray } from "../../../tensor/core/dtype.ts";
import { internal } from "../../../tensor/core/errors.ts";
import type { TfAttribute } from "../../../tensor/lowering/lowering.ts";
import type { Shape } from "../../../tensor/core/shape.ts";

export const RESOURCE = 20;
export const VARIANT = 21;

/** A NodeDef: inputs are "name", "name:1" or "^name" (a control dependency). */
export interface GraphNode {
  readonly name: string;
  readonly op: string;
  readonly inputs: readonly string[];
  readonly attributes: Readonly<Record<string, GraphAttribute>>;
}

/** Attribute of a node: those of the op table's ops, and constants, functions and TensorFlow's own types. */
export type GraphAttribute =
  | TfAttribute
  | { readonly kind: "tensor"; readonly data: HostArray; readonly shape: Shape; readonly dtype: DType }
  | { readonly kind: "function"; readonly value: string }
  | { readonly kind: "dataType"; readonly value: number }
  | { readonly kind: "dataTypes"; readonly value: readonly number[] }
  /** Undefined stands for any shape. */
  | { readonly kind: "shapes"; readonly value: readonly (Shape | undefined)[] };

/** A FunctionDef. Types are TensorFlow's DataType numbers. */
export interface GraphFunction {
  readonly name: string;
  readonly inputs: readonly { readonly name: string; readonly type: number }[];
  readonly outputs: readonly { readonly name: string; readonly type: number; readonly input: string }[];
  readonly nodes: readonly GraphNode[];
  readonly attributes?: Readonly<Record<string, GraphAttribute>>;
}

/** A GraphDef, as `tensorflow/core/framework/graph.proto` and its neighbours number the fields. */
export function encodeGraphDef(
  nodes: readonly GraphNode[],
  functions: readonly GraphFunction[] = [],
): Uint8Array {
  const w = new BinaryWriter();
  for (const node of nodes) field(w, 1, (n) => encodeNode(n, node));
  if (functions.length > 0) {
    field(w, 2, (library) => {
      for (const f of functions) field(library, 1, (def) => encodeFunction(def, f));
    });
  }
  // Producer version: below it TensorFlow would rewrite old ops' attributes.
  field(w, 4, (v) => v.tag(1, WireType.Varint).int32(1395));
  return w.finish();
}

export function field(w: BinaryWriter, number: number, write: (w: BinaryWriter) => void): void {
  w.tag(number, WireType.LengthDelimited).fork();
  write(w);
  w.join();
}

function encodeFunction(
  w: BinaryWriter,
  { name, inputs, outputs, nodes, attributes = {} }: GraphFunction,
): void {
  field(w, 1, (signature) => {
    signature.tag(1, WireType.LengthDelimited).string(name);
    const encode = (number: number, argument: { name: string; type: number }): void =>
      field(signature, number, (a) => {
        a.tag(1, WireType.LengthDelimited).string(argument.name);
        a.tag(3, WireType.Varint).int32(argument.type);
      });
    for (const input of inputs) encode(2, input);
    for (const output of outputs) encode(3, output);
  });
  for (const node of nodes) field(w, 3, (n) => encodeNode(n, node));
  encodeAttributes(w, attributes);
  for (const output of outputs) {
    field(w, 4, (entry) => {
      entry.tag(1, WireType.LengthDelimited).string(output.name);
      entry.tag(2, WireType.LengthDelimited).string(output.input);
    });
  }
}

function encodeNode(w: BinaryWriter, node: GraphNode): void {
  w.tag(1, WireType.LengthDelimited).string(node.name);
  w.tag(2, WireType.LengthDelimited).string(node.op);
  for (const input of node.inputs) w.tag(3, WireType.LengthDelimited).string(input);
  encodeAttributes(w, node.attributes);
}

/** Writes attributes: nodes and functions have them under the same field number. */
function encodeAttributes(w: BinaryWriter, attributes: Readonly<Record<string, GraphAttribute>>): void {
  for (const [name, value] of Object.entries(attributes)) {
    field(w, 5, (entry) => {
      entry.tag(1, WireType.LengthDelimited).string(name);
      field(entry, 2, (v) => encodeAttribute(v, value));
    });
  }
}

function encodeAttribute(w: BinaryWriter, a: GraphAttribute): void {
  switch (a.kind) {
    case "string":
      w.tag(2, WireType.LengthDelimited).string(a.value);
      break;
    case "int":
      w.tag(3, WireType.Varint).int64(a.value);
      break;
    case "float":
      w.tag(4, WireType.Bit32).float(a.value);
      break;
    case "bool":
      w.tag(5, WireType.Varint).bool(a.value);
      break;
    case "type":
      w.tag(6, WireType.Varint).int32(DATA_TYPE[a.value]);
      break;
    case "shape":
      field(w, 7, (s) => encodeShape(s, a.value));
      break;
    case "tensor":
      field(w, 8, (t) => encodeTensor(t, a.data, a.shape, a.dtype));
      break;
    case "function":
      field(w, 10, (f) => f.tag(1, WireType.LengthDelimited).string(a.value));
      break;
    case "dataType":
      w.tag(6, WireType.Varint).int32(a.value);
      break;
    case "dataTypes":
      field(w, 1, (list) => {
        field(list, 6, (packed) => a.value.forEach((type) => packed.int32(type)));
      });
      break;
    case "shapes":
      field(w, 1, (list) => {
        for (const shape of a.value)
          field(list, 7, (s) =>
            shape === undefined ? s.tag(3, WireType.Varint).bool(true) : encodeShape(s, shape),
          );
      });
      break;
    case "ints":
      field(w, 1, (list) => {
        field(list, 3, (packed) => a.value.forEach((i) => packed.int64(i)));
      });
      break;
    case "floats":
      field(w, 1, (list) => {
        field(list, 4, (packed) => a.value.forEach((x) => packed.float(x)));
      });
      break;
  }
}

function encodeShape(w: BinaryWriter, shape: Shape): void {
  for (const size of shape) field(w, 2, (dim) => dim.tag(1, WireType.Varint).int64(size));
}

function encodeTensor(w: BinaryWriter, data: HostArray, shape: Shape, dtype: DType): void {
  if (data instanceof Float64Array) internal("a constant of 64-bit numbers");
  w.tag(1, WireType.Varint).int32(DATA_TYPE[dtype]);
  field(w, 2, (s) => encodeShape(s, shape));
  if (data.byteLength > 0) {
    w.tag(4, WireType.LengthDelimited).bytes(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  }
}
