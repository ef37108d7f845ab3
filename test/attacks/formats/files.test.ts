// Files of all formats but torch.save's that take more to read than they should. Each is read in a process of its own.
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import { basename, join } from "node:path";
import { describe, expect, it } from "vitest";
import { inRoot } from "../../../scripts/project.mjs";
import { tarOf } from "../../tarFiles.ts";
import { useReaders, type Reader } from "./readers.ts";

const { folder, write, refusal, accepted, read } = useReaders({ milliseconds: 4000, megabytes: 700 });
const posix = it.skipIf(process.platform === "win32");
const BERT = inRoot("test/fixtures/golden/files/data/bert_tiny");

/** A safetensors file with this header. */
function safetensors(header: string, data = 0): Buffer {
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(Buffer.byteLength(header)));
  return Buffer.concat([length, Buffer.from(header), Buffer.alloc(data)]);
}

const F32 = (begin: number, end: number): string =>
  `{"dtype":"F32","shape":[${(end - begin) / 4}],"data_offsets":[${begin},${end}]}`;

describe("a safetensors file", { timeout: 60_000 }, () => {
  it("has a tensor of twenty million dimensions", async () => {
    const header = `{"x":{"dtype":"U8","shape":[${"1,".repeat(19_999_999)}1],"data_offsets":[0,1]}}`;
    expect(await refusal("tensors", write("model.safetensors", safetensors(header, 1)))).toMatch(
      /model\.safetensors .*: tensor "x" has 20,000,000 dimensions; the limit is 64$/,
    );
  });

  it("has a million names", async () => {
    const names = Array.from({ length: 1_000_000 }, (_, i) => `"${i}":${F32(0, 0)}`);
    expect(await refusal("tensors", write("model.safetensors", safetensors(`{${names.join()}}`)))).toMatch(
      /the header has 1,000,000 tensors; the limit is 500,00\d/,
    );
  });

  it("has millions of texts about itself, or fields of a tensor", async () => {
    const many = Array.from({ length: 2_000_000 }, (_, i) => `"${i}":""`).join();
    const texts = write("a.safetensors", safetensors(`{"__metadata__":{${many}}}`));
    expect(await refusal("tensors", texts)).toMatch(/__metadata__ has 2,000,000 texts; the limit is 65,536/);
    const fields = write("b.safetensors", safetensors(`{"x":{"dtype":"U8",${many}}}`));
    expect(await refusal("tensors", fields)).toMatch(
      /tensor "x": its description has 2,000,001 values; the limit is 64/,
    );
  });

  it("has a header of a hundred megabytes of brackets", async () => {
    const file = write("model.safetensors", safetensors(`{"x":${"[".repeat(90_000_000)}`));
    expect(await refusal("tensors", file)).toMatch(/nested deeper than 16 levels/);
  });

  it("has a tensor twice", async () => {
    const file = write("model.safetensors", safetensors(`{"x":${F32(0, 4)},"x":${F32(0, 4)}}`, 4));
    expect(await refusal("load", file)).toMatch(/the key "x" twice/);
  });

  it("describes a terabyte, in a file without blocks on the disk", async () => {
    const size = 2 ** 40;
    const file = write(
      "model.safetensors",
      safetensors(`{"x":{"dtype":"U8","shape":[${size}],"data_offsets":[0,${size}]}}`),
    );
    fs.truncateSync(file, fs.statSync(file).size + size);
    expect(await refusal("load", file)).toMatch(/1,099,511,627,776 bytes of it do not fit into the memory/);
  });

  it("has as many tensors as the largest real ones", async () => {
    const names = Array.from(
      { length: 150_000 },
      (_, i) => `"model.layers.${i % 61}.mlp.experts.${i}.down_proj.weight":${F32(4 * i, 4 * i + 4)}`,
    );
    const file = write("model.safetensors", safetensors(`{${names.join()}}`, 600_000));
    expect(await read("load", file, { milliseconds: 12_000, megabytes: 1500 })).toMatchObject({
      kind: "read",
    });
  });
});

describe("an index of shards", () => {
  const index = (map: Readonly<Record<string, unknown>>): string =>
    write("model.safetensors.index.json", JSON.stringify({ weight_map: map }));

  it.each([
    "../model.safetensors",
    "/etc/passwd",
    "a/b.safetensors",
    "..",
    "a\\b",
    "c:x",
    "x.index.json",
    "\0",
  ])("names the shard %j", async (shard) => {
    for (const one of ["tensors", "load", "weights"] as const)
      expect(await refusal(one, index({ a: shard }))).toMatch(
        /expected the name of a file beside it for "a"/,
      );
  });

  it("names a hundred thousand shards", async () => {
    const map = Object.fromEntries(Array.from({ length: 100_000 }, (_, i) => [`t${i}`, `s${i}.safetensors`]));
    expect(await refusal("tensors", index(map))).toMatch(/names 100,000 files; the limit is 10,000/);
  });

  posix("names one file by a hundred links", async () => {
    write("s.safetensors", safetensors(`{"x":${F32(0, 4)}}`, 4));
    const names = Array.from({ length: 100 }, (_, i) => `l${i}.safetensors`);
    for (const name of names) fs.symlinkSync("s.safetensors", join(folder, name));
    const map = Object.fromEntries(names.map((name, i) => [`t${i}`, name]));
    expect(await refusal("tensors", index(map))).toMatch(
      /l0\.safetensors and .*l1\.safetensors are the same file/,
    );
  });

  it("is nested a million deep, or of two megabytes of one number", async () => {
    const file = write("m.safetensors.index.json", "[".repeat(1_000_000));
    expect(await refusal("tensors", file)).toMatch(/no index of shards: nested deeper than 8 levels/);
    fs.writeFileSync(file, "9".repeat(2_000_000));
    expect(await refusal("tensors", file)).toMatch(/expected files by tensor in "weight_map"/);
  });
});

describe("a pipe or a device", () => {
  const READERS: Readonly<Record<string, readonly Reader[]>> = {
    "model.safetensors": ["tensors", "load", "weights"],
    "model.pth": ["tensors", "load", "weights", "pth"],
    "model.safetensors.index.json": ["tensors", "load", "weights"],
    "table.csv": ["csv", "text"],
    "table.csv.gz": ["csv", "text"],
    "image.png": ["png"],
    "image.jpg": ["png"],
    "labels.idx": ["idx"],
    "config.json": ["bert", "distilbert"],
    "vocab.txt": ["tokenizer"],
    "tokenizer_config.json": ["tokenizer"],
  };

  function beside(name: string): string {
    if (/config|vocab/.test(name))
      for (const one of fs.readdirSync(BERT))
        if (one !== name) fs.copyFileSync(join(BERT, one), join(folder, one));
    return join(folder, name);
  }

  posix.each(Object.keys(READERS))("is %s", async (name) => {
    const path = beside(name);
    execFileSync("mkfifo", [path]);
    for (const one of READERS[name]!) expect(await refusal(one, path)).toMatch(/found a named pipe/);
    fs.rmSync(path);
    fs.symlinkSync("/dev/zero", path);
    for (const one of READERS[name]!) expect(await refusal(one, path)).toMatch(/found a device/);
  });

  posix("is a shard, weights beside a configuration, or an image among others", async () => {
    const index = write("m.safetensors.index.json", '{"weight_map": {"a": "s.safetensors"}}');
    execFileSync("mkfifo", [join(folder, "s.safetensors")]);
    for (const one of ["tensors", "load", "weights"] as const)
      expect(await refusal(one, index)).toMatch(
        /s\.safetensors: expected a regular file, found a named pipe/,
      );
    fs.copyFileSync(join(BERT, "config.json"), join(folder, "config.json"));
    for (const name of ["model.safetensors", "pytorch_model.bin", "model.safetensors.index.json"]) {
      execFileSync("mkfifo", [join(folder, name)]);
      expect(await refusal("bert", join(folder, "config.json"))).toMatch(/found a named pipe/);
      fs.rmSync(join(folder, name));
    }
    fs.mkdirSync(join(folder, "cat"));
    execFileSync("mkfifo", [join(folder, "cat", "1.png")]);
    expect(await refusal("images", join(folder, "x"))).toMatch(/1\.png: expected a regular file/);
  });

  posix("is where the hub's cache keeps a branch's commit", async () => {
    const refs = join(folder, "models--someone--tiny", "refs");
    fs.mkdirSync(refs, { recursive: true });
    execFileSync("mkfifo", [join(refs, "main")]);
    await accepted("cache", join(refs, "main"));
  });
});

describe("a folder of Hugging Face", () => {
  function folderOf(change: Readonly<Record<string, unknown>>): string {
    for (const name of fs.readdirSync(BERT)) fs.copyFileSync(join(BERT, name), join(folder, name));
    const config: unknown = JSON.parse(fs.readFileSync(join(BERT, "config.json"), "utf8"));
    return write("config.json", JSON.stringify({ ...(config as object), ...change }));
  }

  const NUMBERS = [
    "num_hidden_layers", "num_attention_heads", "hidden_size", "intermediate_size", "vocab_size",
    "max_position_embeddings", "type_vocab_size", "hidden_dropout_prob", "attention_probs_dropout_prob",
    "layer_norm_eps", "initializer_range", "pad_token_id", "classifier_dropout",
  ]; // prettier-ignore

  it.each(NUMBERS)("has a strange %s", async (field) => {
    for (const value of [
      1e300,
      -1e9,
      "12",
      [12],
      { a: 1 },
      true,
      Array.from({ length: 1000 }, () => 1),
      "x".repeat(100_000),
    ]) {
      const message = await refusal("bert", folderOf({ [field]: value }));
      expect(message).toMatch(new RegExp(`config\\.json: ${field}: expected .*, got `));
      expect(message.length).toBeLessThan(400);
    }
  });

  it.each(["num_hidden_layers", "hidden_size", "vocab_size", "intermediate_size", "max_position_embeddings"])(
    "has a %s of a hundred million, or half of one",
    async (field) => {
      for (const value of [1e8, 0.5, -1])
        expect(await refusal("bert", folderOf({ [field]: value }))).toMatch(
          new RegExp(`config\\.json: ${field}: expected a whole number from \\d+ to [\\d,]+, got ${value}`),
        );
    },
  );

  it.each([
    "n_layers",
    "n_heads",
    "dim",
    "hidden_dim",
    "dropout",
    "attention_dropout",
    "seq_classif_dropout",
  ])("has a strange %s", async (field) => {
    for (const value of [1e8, -1, "1"])
      expect(await refusal("distilbert", folderOf({ [field]: value }))).toMatch(
        new RegExp(`config\\.json: ${field}: expected`),
      );
  });

  it("has the largest sizes that are allowed, and no weights of them", async () => {
    const path = folderOf({
      num_hidden_layers: 1024,
      hidden_size: 131_072,
      num_attention_heads: 1,
      vocab_size: 10_000_000,
    });
    fs.writeFileSync(join(folder, "model.safetensors"), safetensors(`{"x":${F32(0, 4)}}`, 4));
    const outcome = await read("bert", path, { milliseconds: 12_000, megabytes: 700 });
    expect(outcome).toMatchObject({ kind: "refused" });
    expect(outcome.message).toMatch(
      /config\.json describes [\d,]+ weights that the folder lacks; the limit is/,
    );
  });

  it("is nested a million deep, has a key twice, or is no object", async () => {
    const path = folderOf({});
    fs.writeFileSync(path, `{"a":${"[".repeat(1_000_000)}${"]".repeat(1_000_000)},"num_hidden_layers":1e8}`);
    expect(await refusal("bert", path)).toMatch(/config\.json: num_hidden_layers/);
    fs.writeFileSync(path, '{"num_hidden_layers":2,"num_hidden_layers":1e8}');
    expect(await refusal("bert", path)).toMatch(/config\.json: num_hidden_layers/);
    for (const text of ["[]", "7", "null", '"x"', "{", "", "\0".repeat(1000)]) {
      fs.writeFileSync(path, text);
      expect(await refusal("bert", path)).toContain(basename(path));
    }
  });

  it("has a tokenizer whose fields are of other types", async () => {
    for (const [field, value] of Object.entries({
      unk_token: 5,
      do_lower_case: "yes",
      model_max_length: "long",
      pad_token: { content: [] },
    })) {
      const path = folderOf({});
      write("tokenizer_config.json", JSON.stringify({ [field]: value }));
      expect(await refusal("tokenizer", path)).toMatch(
        new RegExp(`tokenizer_config\\.json: ${field}: expected a`),
      );
    }
  });

  it("has weights that are no tensors", async () => {
    const path = folderOf({});
    fs.rmSync(join(folder, "model.safetensors"));
    fs.copyFileSync(join(BERT, "..", "list.pth"), join(folder, "pytorch_model.bin"));
    expect(await refusal("bert", path)).toMatch(/pytorch_model\.bin: expected tensors by name/);
  });
});

describe("a folder of MLflow", { timeout: 120_000 }, () => {
  const HEAD = "run_id: r\nexperiment_id: 0\nstatus: 3\nstart_time: 1700000000000\n";
  const short = Array.from({ length: 9000 }, (_, i) => i.toString(36));
  const METAS: Readonly<Record<string, string>> = {
    "many keys": `x: {${short.join()}}`,
    "many lines": short.map((key) => `${key}:`).join("\n"),
    "many tags": `x: ${"!a ".repeat(9000)}`,
    "many aliases": `x: ${"*a ".repeat(9000)}`,
    "open quotes": `x: "${"a\n".repeat(9000)}`,
    "open lists": `x: ${"[".repeat(20_000)}`,
    "closed lists": `x: ${"[".repeat(8000)}${"]".repeat(8000)}`,
    "keys in keys": "a: ".repeat(9000),
    "lists in lists": `x:\n${" - ".repeat(9000)}`,
    "empty texts": '"" : '.repeat(4000),
    directives: "%a\n".repeat(9000),
    documents: "---\n".repeat(9000),
  };

  // What fits is read in a moment: the import of a folder has hundreds of them.
  it.each(Object.keys(METAS))("has a meta.yaml of %s", async (name) => {
    const most = 16 * 1024;
    const file = write("meta.yaml", (HEAD + METAS[name]!).slice(0, most));
    await read("runs", file);
    const { kind, milliseconds } = await read("runs", file, { milliseconds: 300, megabytes: 300 });
    expect(["read", "refused"], `${kind}, ${milliseconds} ms`).toContain(kind);
    fs.rmSync(file);
  });
});

describe("a tar file of samples", { timeout: 60_000 }, () => {
  const tar = async (files: Readonly<Record<string, string | Uint8Array>>): Promise<string> =>
    write("x.tar", await tarOf(files));

  it("has JSON of millions of objects", async () => {
    const json = Buffer.from(`[${"{},".repeat(22e6)}{}]`);
    expect(await refusal("tar", await tar({ "a.json": json, "a.cls": "1" }))).toMatch(
      /a\.json: a text of 66,000,004 bytes; the limit is 8,388,608/,
    );
    await accepted("tar", await tar({ "a.json": `[${"{},".repeat(2e6)}{}]` }));
  });

  it("has a file in the place of a sample's name", async () => {
    expect(await refusal("tar", await tar({ "a.cls": "1", "a.__key__": "b" }))).toMatch(
      /the sample "a" has a file "__key__", which is the name of its own key/,
    );
  });
});
