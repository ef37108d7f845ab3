import { DATA_TYPE } from "../../dataTypes.ts";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import type { DType, HostArray } from "../../../tensor/core/dtype.ts";
import { internal } from "../../../tensor/core/errors.ts";
import type { TfAttribute } from "../../../tensor/lowering/lowering.ts";
import type { Shape } from "../../../tensor/core/shape.ts";

/** A NodeDef: inputs are "name", "name:1" or "^name" (a control dependency). */
export interface GraphNode {
  readonly name: string;
  readonly op: string;
  readonly inputs: readonly string[];
  readonly attributes: Readonly<Record<string, GraphAttribute>>;
}

/** Attribute of a node: those of the op table's ops, and constants. */
export type GraphAttribute =
  | TfAttribute
  | { readonly kind: "tensor"; readonly data: HostArray; readonly shape: Shape; readonly dtype: DType };

/** A GraphDef, as `tensorflow/core/framework/graph.proto` and its neighbours number the fields. */
export function encodeGraphDef(nodes: readonly GraphNode[]): Uint8Array {
  const w = new BinaryWriter();
  for (const node of nodes) field(w, 1, (n) => encodeNode(n, node));
  // Producer version: below it TensorFlow would rewrite old ops' attributes.
  field(w, 4, (v) => v.tag(1, WireType.Varint).int32(1395));
  return w.finish();
}

export function field(w: BinaryWriter, number: number, write: (w: BinaryWriter) => void): void {
  w.tag(number, WireType.LengthDelimited).fork();
  write(w);
  w.join();
}

function encodeNode(w: BinaryWriter, node: GraphNode): void {
  w.tag(1, WireType.LengthDelimited).string(node.name);
  w.tag(2, WireType.LengthDelimited).string(node.op);
  for (const input of node.inputs) w.tag(3, WireType.LengthDelimited).string(input);
  encodeAttributes(w, node.attributes);
}

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
