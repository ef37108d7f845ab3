import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import {
  encodePth,
  memoryStorage,
  openPth,
  PthError,
  PthTensor,
  readPth,
  wholeTensor,
} from "../../../extension/formats/pth/pth.ts";
import { toFloat32 } from "../../../extension/formats/tensorData.ts";
import { craft, floats, refusal, storage, tensor, text } from "./crafted.ts";

/** Lists, each with the one before it twice: 2^40 values from a few hundred bytes. */
const doubled = Array.from({ length: 40 }, (_, i) => {
  const [last, next] = [String.fromCharCode(i), String.fromCharCode(i + 1)];
  return `](h${last}h${last}eq${next}`;
}).join("");

describe("what a pickle must not do", () => {
  test.each<[name: string, defect: PthError["defect"], pickle: string, message: string | RegExp]>([
    ["name a function", "global", "cos\nsystem\n.", 'the file asks for "os.system", which is not allowed'],
    [
      "hold a whole model",
      "global",
      "c__main__\nNet\n.",
      "save its weights instead: torch.save(model.state_dict(), file)",
    ],
    [
      "make an object with arguments",
      "global",
      "cargparse\nNamespace\nN\x85\x81.",
      "objects of argparse.Namespace must not",
    ],
    ["call a factory", "global", "c__builtin__\nlist\n)R.", "builtins.list must not be called"],
    ["name NumPy's numbers", "global", "cnumpy.core.multiarray\nscalar\n.", "save float(x) instead"],
    [
      "name the class of a whole model",
      "global",
      "ctorch.nn.modules.container\nSequential\n.",
      "save its weights instead: torch.save(model.state_dict(), file)",
    ],
    ["call what is only named", "global", "ctorch\nTensor\n)R.", "torch.Tensor must not be called"],
    ["call a text", "global", `${text("x")})R.`, '"x" must not be called'],
    [
      "make an object",
      "global",
      "ccollections\nOrderedDict\n)\x81.",
      "objects of collections.OrderedDict must not",
    ],
    ["set attributes of a dict", "global", "}}b.", "a dict must not be given attributes"],
    ["leave a class behind", "global", "ctorch\nTensor\n.", "torch.Tensor is no data"],
    ["leave a storage behind", "global", `${storage()}.`, "a PthStorage is no data"],
    ["contain itself", "pickle", "]q\0h\0a.", "a list contains itself"],
    ["contain itself from afar", "pickle", "]q\0}K\x01h\0sa.", "contains itself"],
    ["nest without end", "limit", `${"]".repeat(2000)}${"a".repeat(1999)}.`, "deeper than 128 levels"],
    [
      "repeat itself without end",
      "limit",
      `(]q\0${doubled}t.`,
      /more than [\d,]+ values, the limit for a pickle/,
    ],
    ["end with values left over", "pickle", "K\x01K\x02.", "values left over"],
    ["be followed by bytes", "pickle", "N.N", "followed by other bytes"],
    ["take from an empty stack", "pickle", "(a.", "too few values on the stack"],
    ["reach below a mark", "pickle", "K\x01(\x85.", "too few values"],
    ["append to a tuple", "pickle", ")Na.", "a tuple is appended to"],
    ["use a list as a key", "pickle", "}]Ns.", "a list is the key of a dict"],
    ["give a key without a value", "pickle", "}(Nu.", "a key without a value"],
    ["call with no tuple", "pickle", "ccollections\nOrderedDict\n]R.", "with a list, expected a tuple"],
    [
      "encode something else",
      "pickle",
      `c_codecs\nencode\n${text("x")}${text("utf8")}\x86R.`,
      'encode is called with ("x", "utf8")',
    ],
    ["refer to another thing", "pickle", `${text("x")}Q.`, 'the persistent id "x" is no storage'],
    [
      "have a storage without data",
      "pickle",
      `(${text("storage")}ctorch\nFloatStorage\n${text("0")}${text("meta")}K\x04tQ.`,
      'on the device "meta"',
    ],
    [
      "have a storage of more elements than a double counts",
      "pickle",
      `${storage("FloatStorage", "\x8a\x09\0\0\0\0\0\0\0\x80\0")}.`,
      'storage "0" has no valid number of elements',
    ],
    ["use an unknown type", "global", `${storage("QInt8Storage")}.`, "torch.QInt8Storage"],
    [
      "ask for other bytes",
      "archive",
      tensor("K\x01\x85", "K\x01\x85", "K\0", "", storage("DoubleStorage")) + ".",
      "has 16 bytes, its tensors ask for 32",
    ],
    [
      "ask for a missing storage",
      "archive",
      tensor("K\x01\x85", "K\x01\x85", "K\0", "", storage("FloatStorage", "K\x04", "1")) + ".",
      'the record of storage "1" is missing',
    ],
    [
      "reach past a storage",
      "tensor",
      tensor("K\x05\x85", "K\x01\x85") + ".",
      'a tensor of shape [5] in storage "0" goes beyond its 16 bytes',
    ],
    ["reach past by strides", "tensor", tensor("K\x02\x85", "K\x04\x85") + ".", "goes beyond"],
    [
      "expand beyond the memory",
      "limit",
      tensor("J\0\0\0\x20\x85", "K\0\x85") + ".",
      "would take more memory",
    ],
    [
      "expand beyond all numbers",
      "tensor",
      tensor("(" + "J\xff\xff\xff\x7f".repeat(9) + "t", "(" + "K\0".repeat(9) + "t") + ".",
      "goes beyond",
    ],
    [
      "have too many dimensions",
      "tensor",
      tensor("(" + "K\x01".repeat(65) + "t", "(" + "K\x01".repeat(65) + "t") + ".",
      "a tensor has 65 dimensions; the limit is 64",
    ],
    [
      "have hooks",
      "pickle",
      `ctorch._utils\n_rebuild_tensor_v2\n(${storage()}K\0K\x01\x85K\x01\x85\x89}K\x01K\x01stR.`,
      "_rebuild_tensor_v2 is called with",
    ],
    [
      "be negated",
      "tensor",
      `ctorch._utils\n_rebuild_tensor_v2\n(${storage()}K\0K\x01\x85K\x01\x85\x89N}${text("neg")}\x88stR.`,
      "conjugate or negative view",
    ],
    [
      "rebuild with another function",
      "pickle",
      `ctorch._tensor\n_rebuild_from_type_v2\n(ccollections\nOrderedDict\nctorch\nTensor\n)NtR.`,
      "_rebuild_from_type_v2 is called with",
    ],
  ])("%s", (_, defect, pickle, message) => {
    const error = refusal(craft(pickle, floats));
    expect(error.message).toMatch(message);
    expect(error.defect).toBe(defect);
    expect(error.message).toMatch(/^pth data \([\d,]+ bytes\): /);
  });

  test("fill the memory from a small file", () => {
    const many = Buffer.alloc(8_000_000, "}");
    expect(
      refusal(craft(Buffer.concat([Buffer.from("("), many, Buffer.from("t.")]), {}, { deflate: true }))
        .defect,
    ).toBe("limit");
    const expanding = craft(
      tensor("K\x01\x85", "K\x01\x85", "K\0", "", storage("FloatStorage", "J\0\0\0\x02")) + ".",
      { 0: Buffer.alloc(2 ** 27) },
      { deflate: true },
    );
    expect(refusal(expanding).message).toContain('record "a/data/0" would take more memory');
    expect(readPth(expanding, { maxBytes: 2 ** 29 })).toBeInstanceOf(PthTensor);
  });
});

describe("archives", () => {
  const good = Buffer.from(
    encodePth(
      new Map([
        ["w", wholeTensor(memoryStorage("F32", new Uint8Array(Float32Array.of(1, 2).buffer)), "F32", [2])],
      ]),
    ),
  );

  test("compressed ones are read", () => {
    const file = craft(tensor("K\x02K\x02\x86", "K\x01K\x02\x86") + ".", floats, { deflate: true });
    expect([...toFloat32((readPth(file) as PthTensor).entry("w"))]).toEqual([1, 3, 2, 4]);
    expect([...toFloat32((openPth(file).value as PthTensor).entry("w"))]).toEqual([1, 3, 2, 4]);
  });

  test("every byte of the directory matters", () => {
    const directory = good.readUInt32LE(good.length - 6);
    for (let at = directory; at < good.length; at++) {
      const broken = Buffer.from(good);
      broken[at] = broken[at]! ^ 0x41;
      try {
        expect([at, [...(readPth(broken) as ReadonlyMap<string, PthTensor>).keys()]]).toEqual([at, ["w"]]);
      } catch (error) {
        expect(error).toBeInstanceOf(PthError);
      }
    }
  });

  test.each([
    ["cut", () => good.subarray(0, -1), "the end of the archive is missing"],
    [
      "preceded by bytes",
      () => Buffer.concat([Buffer.from("PK\x03\x04"), good]),
      "does not end where its end record begins",
    ],
    ["followed by bytes", () => Buffer.concat([good, Buffer.from("x")]), "the end of the archive is missing"],
    [
      "of the wrong content",
      () => Buffer.from(good.toString("latin1").replace("\0\0\x80?", "\0\0\x80@"), "latin1"),
      "checksum differs",
    ],
    ["of a TorchScript program", () => craft("N.", {}, { extra: "constants.pkl" }), "TorchScript program"],
    ["with a name outside", () => craft("N.", {}, { extra: "../x" }), 'record "a/../x" is no name inside'],
    [
      "with a drive's name",
      () => craft("N.", {}, { extra: "x", root: "c:" }),
      'record "c:/x" is no name inside',
    ],
  ])("%s", (_, make, message) => {
    expect(() => readPth(make())).toThrow(message);
  });

  test("contents begin at multiples of 64 bytes, as PyTorch writes them", () => {
    const theirs = readFileSync(new URL("../../fixtures/formats/everything.pth", import.meta.url));
    for (const file of [good, theirs]) {
      for (let at = file.indexOf("PK\x03\x04"); at >= 0; at = file.indexOf("PK\x03\x04", at + 1))
        expect((at + 30 + file.readUInt16LE(at + 26) + file.readUInt16LE(at + 28)) % 64).toBe(0);
    }
  });
});
