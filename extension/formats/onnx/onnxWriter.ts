// ONNX files: protobuf messages as https://github.com/onnx/onnx/blob/main/onnx/onnx.proto3 numbers their fields.
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import type { DType, HostArray } from "../../tensor/core/dtype.ts";
import {
  ONNX_OPSET,
  type OnnxAttribute,
  type OnnxGraph,
  type OnnxNode,
  type OnnxTensor,
  type OnnxValue,
} from "../../tensor/lowering/onnx.ts";
import { BYTES } from "../../tensor/core/dtype.ts";
import { encodeElements } from "../tensorData.ts";
import { writeAtomic } from "../../files/writeAtomic.ts";

/** The version of the file format that goes with the opset. */
const IR_VERSION = 8;
/** Protobuf's own limit. Weights beyond it would have to be files of their own. */
const LARGEST = 2 ** 31 - 1;

const DATA_TYPE: Record<DType, number> = { float32: 1, int64: 7, bool: 9, complex64: 14 };
const DOUBLE = 11;
const STORED = { float32: "F32", int64: "I64", bool: "BOOL", complex64: "F32" } as const;

/** @throws an error for weights of 2 GB and more; the file system's error */
export function writeOnnx(file: string, graph: OnnxGraph): void {
  const bytes = graph.initializers.reduce((sum, { data, dtype }) => sum + data.length * BYTES[dtype], 0);
  if (bytes > LARGEST)
    throw new RangeError(
      `${file}: the weights have ${bytes} bytes, and an ONNX file holds ${LARGEST} at most`,
    );
  writeAtomic(file, [encodeOnnx(graph)]);
}

/** A ModelProto. */
export function encodeOnnx(graph: OnnxGraph): Uint8Array {
  const w = new BinaryWriter();
  w.tag(1, WireType.Varint).int64(IR_VERSION);
  text(w, 2, "Layerwise");
  nested(w, 7, (g) => encodeGraph(g, graph));
  nested(w, 8, (opset) => {
    text(opset, 1, "");
    opset.tag(2, WireType.Varint).int64(ONNX_OPSET);
  });
  return w.finish();
}

function encodeGraph(
  w: BinaryWriter,
  { name, nodes, initializers, inputs, outputs, values }: OnnxGraph,
): void {
  for (const node of nodes) nested(w, 1, (n) => encodeNode(n, node));
  text(w, 2, name);
  for (const tensor of initializers) nested(w, 5, (t) => encodeTensor(t, tensor));
  for (const input of inputs) nested(w, 11, (v) => encodeValue(v, input));
  for (const output of outputs) nested(w, 12, (v) => encodeValue(v, output));
  for (const value of values) nested(w, 13, (v) => encodeValue(v, value));
}

function encodeNode(w: BinaryWriter, { name, op, inputs, outputs, attributes }: OnnxNode): void {
  for (const input of inputs) text(w, 1, input);
  for (const output of outputs) text(w, 2, output);
  text(w, 3, name);
  text(w, 4, op);
  for (const [key, value] of Object.entries(attributes)) {
    nested(w, 5, (a) => {
      text(a, 1, key);
      encodeAttribute(a, value);
    });
  }
}

/** AttributeProto's numbers of its types. */
const FLOAT = 1;
const INT = 2;
const STRING = 3;
const FLOATS = 6;
const INTS = 7;
const STRINGS = 8;

function encodeAttribute(w: BinaryWriter, { kind, value }: OnnxAttribute): void {
  const type = (number: number): void => void w.tag(20, WireType.Varint).int32(number);
  switch (kind) {
    case "float":
      w.tag(2, WireType.Bit32).float(value);
      return type(FLOAT);
    case "int":
      w.tag(3, WireType.Varint).int64(value);
      return type(INT);
    case "bool":
      w.tag(3, WireType.Varint).int64(Number(value));
      return type(INT);
    case "type":
      w.tag(3, WireType.Varint).int64(
        value === "double" ? DOUBLE : DATA_TYPE[value === "long" ? "int64" : value],
      );
      return type(INT);
    case "string":
      text(w, 4, value);
      return type(STRING);
    case "floats":
      nested(w, 7, (list) => value.forEach((x) => list.float(x)));
      return type(FLOATS);
    case "ints":
    case "shape":
      nested(w, 8, (list) => value.forEach((x) => list.int64(x)));
      return type(INTS);
    case "strings":
      for (const one of value) text(w, 9, one);
      return type(STRINGS);
  }
}

function encodeTensor(w: BinaryWriter, { name, dtype, shape, data }: OnnxTensor): void {
  nested(w, 1, (list) => shape.forEach((size) => list.int64(size)));
  w.tag(2, WireType.Varint).int32(DATA_TYPE[dtype]);
  text(w, 8, name);
  w.tag(9, WireType.LengthDelimited).bytes(rawData(data, dtype));
}

const rawData = (data: HostArray, dtype: DType): Uint8Array => encodeElements(data, STORED[dtype]);

function encodeValue(w: BinaryWriter, { name, dtype, shape }: OnnxValue): void {
  text(w, 1, name);
  nested(w, 2, (type) =>
    nested(type, 1, (tensor) => {
      tensor.tag(1, WireType.Varint).int32(DATA_TYPE[dtype]);
      nested(tensor, 2, (sizes) => {
        for (const size of shape)
          nested(sizes, 1, (dim) =>
            typeof size === "number" ? dim.tag(1, WireType.Varint).int64(size) : text(dim, 2, size),
          );
      });
    }),
  );
}

function text(w: BinaryWriter, field: number, value: string): void {
  w.tag(field, WireType.LengthDelimited).string(value);
}

function nested(w: BinaryWriter, field: number, write: (w: BinaryWriter) => void): void {
  w.tag(field, WireType.LengthDelimited).fork();
  write(w);
  w.join();
}
