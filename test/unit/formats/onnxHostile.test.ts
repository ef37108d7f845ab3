// Damaged and hostile ONNX files: each is refused with a message, or shown without what can't be read of it.
import fs from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { openOnnx } from "../../../extension/formats/onnx/onnxFile.ts";
import { statisticsOf } from "../../../extension/formats/statistics.ts";
import { inRoot } from "../../../scripts/project.mjs";
import { useFolder } from "../../folders.ts";
import { external, head, int, join, message, model, node, tensor, text } from "./onnxCrafted.ts";

const folder = useFolder();
const posix = it.skipIf(process.platform === "win32");
const refusal = (content: Uint8Array): string => {
  try {
    openOnnx("m.onnx", content).close();
  } catch (error) {
    expect((error as Error).name).toBe("OnnxError");
    return (error as Error).message;
  }
  throw new Error("The file was not refused.");
};
/** Why the values of the only tensor can't be read. */
const unreadable = (proto: Uint8Array, file = "m.onnx"): string => {
  const content = model(message(5, proto));
  if (file !== "m.onnx") fs.writeFileSync(file, content);
  const { tensors } = file === "m.onnx" ? openOnnx(file, content) : openOnnx(file);
  try {
    statisticsOf(tensors[0]!);
  } catch (error) {
    return (error as Error).message;
  }
  throw new Error("The tensor was read.");
};

describe("an ONNX file that is none", () => {
  it.each([
    ["is empty", new Uint8Array(), "the file is empty"],
    [
      "is a pointer of Git LFS",
      Buffer.from("version https://git-lfs.github.com/spec/v1\noid"),
      "git lfs pull",
    ],
    ["is a web page", Buffer.from("<!DOCTYPE html><html>"), "it is a web page"],
    ["is text", Buffer.from("hello, this is text"), "no ONNX model"],
    ["has no graph", int(1, 8), "it has no graph"],
    ["has no version", message(7, node("Neg", ["x"], ["y"])), "no version of the format"],
    ["has another type for its graph", join(int(1, 8), int(7, 1)), "has the wrong type of value"],
    ["has groups", join(int(1, 8), Uint8Array.of(((50 << 3) & 127) | 3 | 128, 3)), "has groups"],
    ["ends in a number", Uint8Array.of(8, 255), "no valid message at byte 0"],
    ["has a tag beyond 32 bits", Uint8Array.of(255, 255, 255, 255, 255, 1), "illegal tag"],
  ])("%s", (_name, content, wanted) => {
    expect(refusal(content)).toMatch(new RegExp(wanted));
  });

  it("is cut off at any byte", () => {
    const whole = fs.readFileSync(inRoot("test/fixtures/onnx/everything.onnx"));
    let refused = 0;
    for (let length = 0; length < whole.length; length++) {
      try {
        openOnnx("m.onnx", whole.subarray(0, length)).close();
      } catch (error) {
        expect(error).toMatchObject({ name: "OnnxError" });
        refused++;
      }
    }
    // It can be read where only what follows the graph is cut off between two fields.
    expect(refused).toBeGreaterThan(whole.length - 100);
  });

  it("has a length beyond the file, or beyond its message", () => {
    expect(refusal(join(int(1, 8), head(7, 2 ** 31 - 1)))).toMatch(
      /bytes, which end after the file; the file is cut off/,
    );
    expect(refusal(join(int(1, 8), message(7, head(5, 1000)), text(2, "x".repeat(2000))))).toMatch(
      /ends after the message that contains it/,
    );
  });

  it("nests subgraphs without an end", () => {
    let graph = node("Neg", ["x"], ["y"]);
    for (let i = 0; i < 500; i++)
      graph = node("If", ["c"], ["y"], message(5, text(1, "then_branch"), message(6, graph)));
    expect(refusal(model(graph))).toMatch(/nested deeper than 64 levels/);
  });
});

describe("a tensor of an ONNX file", () => {
  it.each([
    [
      "has fewer bytes than its shape",
      tensor("w", 1, [4], message(9, new Uint8Array(12))),
      "takes 16 bytes, but there are 12",
    ],
    [
      "has a negative size",
      tensor("w", 1, [-1], message(9, new Uint8Array(4))),
      "its shape \\[-1\\] is none",
    ],
    ["has more elements than can be counted", tensor("w", 1, [2 ** 40, 2 ** 40]), "its shape .* is none"],
    [
      "has too many dimensions",
      tensor(
        "w",
        1,
        Array.from({ length: 65 }, () => 1),
      ),
      "more than 64 dimensions",
    ],
    ["has no elements", tensor("w", 1, [4]), "its shape takes 16 bytes, but there are 0"],
    [
      "has too few numbers",
      tensor("w", 7, [4], message(7, Uint8Array.of(1, 2, 3))),
      "it has 4 elements, but 3 bytes of them",
    ],
    [
      "has too many numbers",
      tensor("w", 7, [2], message(7, Uint8Array.of(1, 2, 3))),
      "more than its 2 elements",
    ],
    ["has broken numbers", tensor("w", 7, [2], message(7, Uint8Array.of(1, 255))), "no valid numbers"],
    [
      "has a number for each element",
      tensor("w", 7, [2], int(7, 1), int(7, 2)),
      "its elements are not packed",
    ],
    [
      "claims more elements than are decoded",
      tensor("w", 7, [2 ** 30], message(7, Uint8Array.of(1))),
      "which are read up to",
    ],
    ["names no file", tensor("w", 1, [1], external({})), "names no file"],
    [
      "has an offset that is none",
      tensor("w", 1, [1], external({ location: "a", offset: "-1" })),
      "no number of bytes",
    ],
    [
      "has another length than its shape",
      tensor("w", 1, [1], external({ location: "a", length: "8" })),
      'but "8" are given',
    ],
  ])("%s", (_name, proto, wanted) => {
    expect(unreadable(proto)).toMatch(new RegExp(`tensor "w": .*${wanted}`));
  });

  it("of an unknown type is no tensor that can be read", () => {
    expect(openOnnx("m.onnx", model(message(5, tensor("w", 99, [4])))).tensors).toEqual([]);
  });

  const file = path.join(folder, "model.onnx");
  const located = (location: string, more = {}): string =>
    unreadable(tensor("w", 1, [1], external({ location, ...more })), file);

  it("names a file outside of the model's folder", () => {
    for (const location of ["../secret", "/etc/passwd", "a/../../secret", "..", "a//b"])
      expect(located(location)).toMatch(/is not a path inside of it/);
  });

  it("names a file that is missing, or is shorter", () => {
    expect(located("missing.bin")).toMatch(/ENOENT/);
    fs.writeFileSync(path.join(folder, "short.bin"), "abc");
    expect(located("short.bin")).toMatch(/its elements end at byte 4 of "short.bin", which has 3 bytes/);
    expect(located("short.bin", { offset: "9007199254740990" })).toMatch(/which has 3 bytes/);
  });

  posix("names a link, a folder or a device", () => {
    fs.symlinkSync("/etc/hostname", path.join(folder, "link"));
    fs.mkdirSync(path.join(folder, "sub"));
    expect(located("link")).toMatch(/a symbolic link stands there/);
    expect(located("sub")).toMatch(/expected a regular file, found a folder/);
  });

  posix("may be behind a link where the model is too, in one folder: Hugging Face's cache", () => {
    const blobs = path.join(folder, "blobs");
    const snapshot = path.join(folder, "snapshot");
    fs.mkdirSync(blobs);
    fs.mkdirSync(snapshot);
    fs.writeFileSync(
      path.join(blobs, "1"),
      model(message(5, tensor("w", 1, [1], external({ location: "m.data" })))),
    );
    fs.writeFileSync(path.join(blobs, "2"), new Uint8Array(new Float32Array([3]).buffer));
    fs.symlinkSync("../blobs/1", path.join(snapshot, "m.onnx"));
    fs.symlinkSync("../blobs/2", path.join(snapshot, "m.data"));
    const { tensors } = openOnnx(path.join(snapshot, "m.onnx"));
    expect(statisticsOf(tensors[0]!)).toMatchObject({ mean: 3 });
    fs.rmSync(path.join(snapshot, "m.data"));
    fs.symlinkSync("/etc/hostname", path.join(snapshot, "m.data"));
    expect(() => statisticsOf(openOnnx(path.join(snapshot, "m.onnx")).tensors[0]!)).toThrow(/symbolic link/);
  });
});
