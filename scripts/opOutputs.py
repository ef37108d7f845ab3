"""Writes extension/executors/tensorflow/graph/opOutputs.ts: how TensorFlow's ops name their outputs.

    python3 scripts/opOutputs.py FOLDER

FOLDER has libtensorflow_cc and libtensorflow_framework: `layerwise engine status` says where. The op definitions are
the library's own (TF_GetAllOpList), read without importing TensorFlow.
"""

import ctypes
import os
import re
import sys
import textwrap


class Buffer(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("length", ctypes.c_size_t), ("deallocator", ctypes.c_void_p)]


# Nothing that the op table could ever become: other devices, input pipelines, queues, tables, strings, older versions.
OTHERS = re.compile(
    r"^_|Mkl|Quant|Dataset|TPU|Tpu|Iterator|Table|Queue|(?<!List)Stack(Pop|Push|Close)?V?2?$|Barrier|Reader|Summary|Decode|Encode|"
    r"Parse|Audio|Jpeg|Png|Image|Xla(?!DynamicUpdate)|Nccl|Collective(?!Gather|Reduce)|Tridiag|CSR|Sparse(?!Soft|Segment)|Ragged|Boosted|Record|File|Lookup|Unicode|"
    r"String|Regex|Debug|Experimental|Stage|Map(Stage|Peek|Clear|Size|Unstage|Incomplete)|Host|Infeed|Outfeed|Remote|"
    r"Send|Recv|Ref|Accumulator|FakeQ|Random(?!Uniform|StandardNormal|Shuffle)|Stateless(?!While|If)|Cudnn|Bucket|"
    r"Sdca|Candidate|Fact|Tf|Rpc|Ps|Embedding|TensorArray(V|R|S|W|G|C|U|P|Spl)|Array|DT|Restore|Save|Print|Assert|"
    r"Sampler|Generator|Rng|BlockLSTM$|Kmeans|KMC|KMeans|Wals|NearestN|Scatter(N|d).*Non|Partitioned|Load|Enqueue|"
    r"Dequeue|Anonymous|Delete|Destroy|Config|Compile|Checkpoint|Merge(V2|Summ)|Glob|Match|Topk|Hash|Mutable|Ortho|"
    r"Periodic|Initialize|Shard|Timestamp|Var(iable)?$|VariableV2|Count|Lmdb|Device|Worker|"
    r"Batch(Matrix|FFT|IFFT|Svd|Self|Chol)"
)

HEADER = '''// Written by scripts/opOutputs.py: how TensorFlow's ops name their outputs, as function bodies have to spell them.

/** Output names, in order, and the ops that have them. One with a star is a list. */
const NAMES: Readonly<Record<string, string>> = {
'''
FOOTER = '''};

const OUTPUTS = new Map<string, readonly string[]>();
for (const [names, ops] of Object.entries(NAMES))
  for (const op of ops.split(/\\s+/)) OUTPUTS.set(op, names.split(" "));

/**
 * How output `index` of an op is called in a function body: "output:0", "mean:0".
 * @returns undefined for an op that is not in the table
 */
export function outputName(op: string, index: number): string | undefined {
  const names = OUTPUTS.get(op);
  if (names?.[0]?.endsWith("*")) return `${names[0].slice(0, -1)}:${index}`;
  const name = names?.[index];
  return name === undefined ? undefined : `${name}:0`;
}
'''


def varint(data, i):
    result = shift = 0
    while True:
        byte = data[i]
        i += 1
        result |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return result, i


def fields(data):
    """The fields of a protocol buffer message: (number, value)."""
    i = 0
    while i < len(data):
        tag, i = varint(data, i)
        if tag & 7 == 0:
            value, i = varint(data, i)
        else:
            size = {1: 8, 5: 4}.get(tag & 7)
            if size is None:
                size, i = varint(data, i)
            value, i = data[i : i + size], i + size
        yield tag >> 3, value


def outputs(definition):
    """OpDef: 1 name, 3 output_arg { 1 name, 5 number_attr, 6 type_list_attr }."""
    name, names = "", []
    for number, value in fields(definition):
        if number == 1:
            name = value.decode()
        elif number == 3:
            argument = dict(fields(value))
            names.append(argument[1].decode() + ("*" if 5 in argument or 6 in argument else ""))
    return name, " ".join(names)


def main(folder):
    for name in ("libtensorflow_framework.so.2", "libtensorflow_cc.so.2"):
        library = ctypes.CDLL(os.path.join(folder, name), ctypes.RTLD_GLOBAL)
    library.TF_GetAllOpList.restype = ctypes.POINTER(Buffer)
    buffer = library.TF_GetAllOpList().contents
    by_outputs = {}
    for _, definition in fields(ctypes.string_at(buffer.data, buffer.length)):
        op, names = outputs(definition)
        if names and not OTHERS.search(op):
            by_outputs.setdefault(names, []).append(op)
    target = os.path.join(os.path.dirname(__file__), "../extension/executors/tensorflow/graph/opOutputs.ts")
    with open(target, "w") as file:
        file.write(HEADER)
        for names in sorted(by_outputs):
            lines = textwrap.wrap(" ".join(sorted(by_outputs[names])), 100)
            key = f'"{names}"' if re.search(r"\W", names) else names
            text = "`" + "\n    ".join(lines) + "`" if len(lines) > 1 else f'"{lines[0]}"'
            file.write(f"  {key}: {text},\n")
        file.write(FOOTER)


main(sys.argv[1])
