/**
 * Reads ONNX models of any origin: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto3. Weights stay in the file until
 * their values are read.
 */
import type { ByteSource } from "../byteSource.ts";
import { GraphReader, type ModelGraph } from "./graphProto.ts";
import { MessageFile, type Message } from "./message.ts";
import { count, type Fail } from "./onnxError.ts";
import { readPair } from "./tensorProto.ts";

const LONGEST_SHOWN = 1000;
const MAX_LISTED = 1000;

/** An ONNX model without its weights' values. */
export interface OnnxModel {
  readonly irVersion: number;
  /** The program that wrote it, and its version. */
  readonly producer: string;
  readonly producerVersion: string;
  readonly domain: string;
  readonly modelVersion: number;
  readonly description: string;
  /** Versions of the sets of ops, by their domains; "" is ONNX's own. */
  readonly opsets: ReadonlyMap<string, number>;
  readonly metadata: ReadonlyMap<string, string>;
  readonly graph: ModelGraph;
  /** Ops that the file defines itself, and how many nodes each has. */
  readonly functions: readonly { readonly name: string; readonly domain: string; readonly nodes: number }[];
}

/** @throws OnnxError for a damaged or hostile file; the file system's error */
export function readModel(source: ByteSource, fail: Fail): OnnxModel {
  refuseOthers(source, fail);
  const message = new MessageFile(source, fail).root();
  const graphs = new GraphReader(fail);
  let [irVersion, modelVersion] = [0, 0];
  let [producer, producerVersion, domain, description] = ["", "", "", ""];
  const opsets = new Map<string, number>();
  const metadata = new Map<string, string>();
  const functions: { name: string; domain: string; nodes: number }[] = [];
  let graph: ModelGraph | undefined;
  while (message.next()) {
    switch (message.field) {
      case 1:
        irVersion = message.integer();
        break;
      case 2:
        producer = message.shortText(LONGEST_SHOWN);
        break;
      case 3:
        producerVersion = message.shortText(LONGEST_SHOWN);
        break;
      case 4:
        domain = message.shortText(LONGEST_SHOWN);
        break;
      case 5:
        modelVersion = message.integer();
        break;
      case 6:
        description = message.shortText(LONGEST_SHOWN);
        break;
      case 7:
        graph = graphs.graph(message.message());
        break;
      case 8: {
        const [name, version] = readOpset(message.message());
        if (opsets.size < MAX_LISTED) opsets.set(name, version);
        break;
      }
      case 14: {
        const [key, value] = readPair(message.message(), LONGEST_SHOWN);
        if (metadata.size < MAX_LISTED) metadata.set(key, value);
        break;
      }
      case 25:
        functions.push(readFunction(message.message(), graphs));
        break;
    }
  }
  if (graph === undefined) return fail("no ONNX model: it has no graph");
  if (irVersion < 1) fail("no ONNX model: it has no version of the format");
  return {
    irVersion,
    producer,
    producerVersion,
    domain,
    modelVersion,
    description,
    opsets,
    metadata,
    graph,
    functions,
  };
}

/** Says what else a file is that often has the name of a model. */
function refuseOthers(source: ByteSource, fail: Fail): void {
  const start = new TextDecoder("latin1").decode(source.read(0, 64));
  if (start === "") fail("the file is empty");
  if (start.startsWith("version https://git-lfs"))
    fail('it is a Git LFS pointer in place of the model; "git lfs pull" downloads the model');
  if (/^\s*<(?:!doctype|html)/i.test(start)) fail("it is a web page, no ONNX model");
  if (source.fileBytes > Number.MAX_SAFE_INTEGER) fail(`it has ${count(source.fileBytes)} bytes`);
}

function readOpset(message: Message): [domain: string, version: number] {
  let [domain, version] = ["", 0];
  while (message.next()) {
    if (message.field === 1) domain = message.shortText(LONGEST_SHOWN);
    else if (message.field === 2) version = message.integer();
  }
  return [domain === "ai.onnx" ? "" : domain, version];
}

/** A FunctionProto; its nodes are read for the limits' sake, and counted. */
function readFunction(
  message: Message,
  graphs: GraphReader,
): { name: string; domain: string; nodes: number } {
  let [name, domain, nodes] = ["", "", 0];
  while (message.next()) {
    if (message.field === 1) name = message.shortText(LONGEST_SHOWN);
    else if (message.field === 7) {
      graphs.node(message.message());
      nodes++;
    } else if (message.field === 10) domain = message.shortText(LONGEST_SHOWN);
  }
  return { name, domain, nodes };
}
