// ONNX models that take more to read or to draw than they should. Each is read in a process of its own.
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import { join as pathOf } from "node:path";
import { describe, expect, it } from "vitest";
import {
  external,
  head,
  int,
  join,
  message,
  model,
  node,
  tensor,
  text,
} from "../../unit/formats/onnxCrafted.ts";
import { useReaders } from "./readers.ts";

const { folder, write, refusal, accepted } = useReaders({ milliseconds: 4000, megabytes: 700 });
const posix = it.skipIf(process.platform === "win32");
const repeated = (part: Uint8Array, times: number): Uint8Array =>
  Buffer.concat(Array.from({ length: times }, () => part));
const named = (name: string, op: string, inputs: readonly string[], outputs: readonly string[]): Uint8Array =>
  node(op, inputs, outputs, text(3, name));

describe("an ONNX model", { timeout: 120_000 }, () => {
  it("has a million nodes", async () => {
    const file = write("m.onnx", model(repeated(node("Neg", ["x"], ["y"]), 1_000_000)));
    expect(await refusal("onnx", file)).toMatch(
      /m\.onnx .*: the model has more than 250,000 nodes, the limit/,
    );
  });

  it("has as many nodes as the limit allows, in modules that are nested or have one node", async () => {
    const flat = Array.from({ length: 240_000 }, (_, i) => node("Neg", [`${i}`], [`${i + 1}`]));
    await accepted("onnx", write("flat.onnx", model(Buffer.concat(flat))));
    const deep = Array.from({ length: 100_000 }, (_, i) =>
      named(`${String(i).split("").join("/")}/${i}/x`, "Neg", [`${i}`], [`${i + 1}`]),
    );
    await accepted("onnx", write("deep.onnx", model(Buffer.concat(deep))));
  });

  it("has a node with a million inputs, or nodes that all read all", async () => {
    const many = message(1, repeated(text(1, "x"), 1_000_000), text(4, "Sum"));
    await accepted("onnx", write("many.onnx", model(many, message(11, text(1, "x")))));
    const names = Array.from({ length: 1500 }, (_, i) => `v${i}`);
    const all = names.map((name) => node("Sum", names, [name]));
    await accepted("onnx", write("all.onnx", model(Buffer.concat(all))));
  });

  it("has millions of empty fields", async () => {
    const file = write("m.onnx", model(message(1, repeated(Uint8Array.of(10, 0), 20_000_000))));
    expect(await refusal("onnx", file)).toMatch(/more than 8,000,000 values beside its weights/);
  });

  it("has names of hundreds of megabytes, or a name before all tensors of a subgraph", async () => {
    const long = text(3, "x".repeat(2 ** 26));
    expect(await refusal("onnx", write("m.onnx", model(message(1, long), message(1, long))))).toMatch(
      /names in it have more than 100,000,000 characters/,
    );
    const inside = repeated(message(5, tensor("w", 1, [])), 100_000);
    const branch = message(5, text(1, "then_branch"), message(6, inside));
    await accepted(
      "onnx",
      write("n.onnx", model(node("If", ["c"], ["y"], branch, text(3, "y".repeat(2 ** 20))))),
    );
  });

  it("has a million tensors of one name", async () => {
    const one = message(5, tensor("w", 2, [0]));
    await accepted("onnx", write("m.onnx", model(repeated(one, 300_000))));
    expect(await refusal("onnx", write("n.onnx", model(repeated(one, 600_000))))).toMatch(
      /more than 500,000 tensors and values/,
    );
  });

  it("nests graphs in attributes, or types in types, without an end", async () => {
    let graph = node("Neg", ["x"], ["y"]);
    for (let i = 0; i < 2000; i++) graph = node("If", ["c"], ["y"], message(5, message(6, graph)));
    expect(await refusal("onnx", write("m.onnx", model(graph)))).toMatch(/nested deeper than 64 levels/);
    let type = message(1, int(1, 1));
    for (let i = 0; i < 2000; i++) type = message(4, message(1, type));
    const input = message(11, text(1, "x"), message(2, type));
    expect(await refusal("onnx", write("n.onnx", model(input)))).toMatch(/nested deeper than 64 levels/);
  });

  it("claims tensors of terabytes, in and beside a file without blocks on the disk", async () => {
    const bytes = 2 ** 31 - 2 ** 20;
    const about = join(tensor("w", 7, [2 ** 30]), head(7, bytes));
    const start = join(int(1, 8), head(7, about.length + bytes + 6), head(5, about.length + bytes), about);
    const file = write("m.onnx", start);
    fs.truncateSync(file, start.length + bytes);
    expect(await refusal("tensors", file)).toMatch(
      /tensor "w": it has 1,073,741,824 elements, which are read up to/,
    );
    fs.writeFileSync(pathOf(folder, "w.data"), "");
    fs.truncateSync(pathOf(folder, "w.data"), 2 ** 40);
    const beside = tensor("w", 21, [2 ** 41], external({ location: "w.data" }));
    await accepted("onnx", write("n.onnx", model(message(5, beside))));
  });

  it("shares one range of the file among tensors that claim to be larger", async () => {
    const one = message(5, tensor("w", 11, [2 ** 27], message(9, new Uint8Array(8))));
    const file = write("m.onnx", model(repeated(one, 1000)));
    await accepted("onnx", file);
    expect(await refusal("tensors", file)).toMatch(/takes 1,073,741,824 bytes, but there are 8/);
  });

  posix("is a pipe or a device, or names one as the file of its weights", async () => {
    const path = pathOf(folder, "m.onnx");
    execFileSync("mkfifo", [path]);
    expect(await refusal("onnx", path)).toMatch(/found a named pipe/);
    fs.rmSync(path);
    fs.symlinkSync("/dev/zero", path);
    expect(await refusal("onnx", path)).toMatch(/found a device/);
    execFileSync("mkfifo", [pathOf(folder, "pipe")]);
    const file = write("n.onnx", model(message(5, tensor("w", 1, [1], external({ location: "pipe" })))));
    expect(await refusal("tensors", file)).toMatch(/found a named pipe/);
  });
});
