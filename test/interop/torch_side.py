"""Python's side of the interoperability checks: python torch_side.py COMMAND FOLDER FIXTURES.

digest: reads every file of the folder in all ways there are, writes digests.json: what each tensor is, and its SHA-256.
write:  writes the files that Layerwise reads, with their digests.
train:  for every case of plan.json continues a training from Layerwise's checkpoint, and makes one for Layerwise.
events: reads the event files of the folder with TensorBoard's reader, writes read.json: the scalars by tag.
golden: compares what golden.json lists with the golden cases, as check_self.py --written does; writes problems.json.
transformers: reads the folders of models, writes read.json: what each tensor is, and how far its outputs are from
        Layerwise's; writes folders of its own with what they are to be in theirs.json.
fetch:  fetches a model of the hub into the cache. offline: reads it from there, writes offline.json.
onnx:   runs the graphs with ONNX Runtime, writes problems.json.
"""
import glob, hashlib, json, os, sys
import safetensors.torch
import torch


def leaves(value, path=""):
    if torch.is_tensor(value):
        yield path, value
    elif isinstance(value, dict):
        for k, v in value.items():
            yield from leaves(v, f"{path}/{k}")
    elif isinstance(value, (list, tuple)):
        for i, v in enumerate(value):
            yield from leaves(v, f"{path}/{i}")


def facts(value):
    out = {}
    for path, t in leaves(value):
        t = t.detach().contiguous().clone()
        out[path] = [str(t.dtype)[6:], list(t.shape), hashlib.sha256(bytes(t.untyped_storage())).hexdigest()]
    return out


def digest(folder):
    out = {}
    for name in sorted(os.listdir(folder)):
        path = os.path.join(folder, name)
        if name.endswith(".safetensors"):
            out[name] = facts(safetensors.torch.load_file(path))
        elif name.endswith(".pth"):
            out[name] = facts(torch.load(path))
            if facts(torch.load(path, mmap=True)) != out[name]:
                out[name] = "mmap=True gives other values"
    json.dump(out, open(os.path.join(folder, "digests.json"), "w"))


def write(folder):
    torch.manual_seed(1)
    model = torch.nn.Sequential(torch.nn.Linear(5, 4), torch.nn.BatchNorm1d(4), torch.nn.LSTM(4, 3, num_layers=2))
    names = ["bool", "uint8", "int8", "int16", "int32", "int64", "uint16", "uint32", "uint64", "float16", "bfloat16", "float32",
             "float64", "float8_e4m3fn", "float8_e5m2"]
    types = {n: torch.randn(3, 5).abs().to(getattr(torch, n)) for n in names}
    base = torch.randn(4, 6)
    values = {"state": model.state_dict(), "types": types, "views": [base, base.T, base[1:, ::2], base[0].expand(3, 6), base[2, 3]],
              "nested": {"a": [(base, 1), {"b": torch.arange(3)}], 3: "three"}}
    out = {}
    for name, value in values.items():
        for new in (True, False):
            file = f"{name}{'' if new else '_legacy'}.pth"
            torch.save(value, os.path.join(folder, file), _use_new_zipfile_serialization=new)
            out[file] = facts(value)
    for name in ("state", "types"):
        safetensors.torch.save_file(values[name], os.path.join(folder, f"{name}.safetensors"))
        out[f"{name}.safetensors"] = facts(values[name])
    json.dump(out, open(os.path.join(folder, "digests.json"), "w"))


def build(case):
    model = torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.Tanh(), torch.nn.Linear(8, 3))
    optimizer = getattr(torch.optim, case["optimizer"])(model.parameters(), **case["options"])
    scheduler = getattr(torch.optim.lr_scheduler, case["scheduler"])(optimizer, **case["schedulerOptions"])
    return model, optimizer, scheduler


def steps(parts, data, count):
    model, optimizer, scheduler = parts
    losses = []
    for _ in range(count):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(data["x"]), data["y"])
        loss.backward()
        optimizer.step()
        scheduler.step()
        losses.append(loss.item())
    return losses


def train(folder):
    plan = json.load(open(os.path.join(folder, "plan.json")))
    data = torch.load(os.path.join(folder, "data.pth"))
    out = {}
    for case in plan["cases"]:
        name = case["name"]
        parts = build(case)
        saved = torch.load(os.path.join(folder, f"{name}.pth"))
        for part, key in zip(parts, ("model", "optimizer", "scheduler")):
            part.load_state_dict(saved[key])
        continued = steps(parts, data, plan["steps"])
        torch.manual_seed(7)
        parts = build(case)
        steps(parts, data, plan["steps"])
        torch.save({k: p.state_dict() for k, p in zip(("model", "optimizer", "scheduler"), parts)},
                   os.path.join(folder, f"{name}.torch.pth"))
        out[name] = {"continued": continued, "own": steps(parts, data, plan["steps"])}
    json.dump(out, open(os.path.join(folder, "losses.json"), "w"))


def events(folder):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    reader = EventAccumulator(folder)
    reader.Reload()
    scalars = {tag: [[e.step, e.value] for e in reader.Scalars(tag)] for tag in reader.Tags()["scalars"]}
    json.dump({"scalars": scalars}, open(os.path.join(folder, "read.json"), "w"))


def golden(folder, fixtures):
    sys.path.insert(0, os.path.join(fixtures, "golden"))
    import check_self
    out = {}
    for one in json.load(open(os.path.join(folder, "golden.json"))):
        file = os.path.join(folder, one["file"])
        case = json.load(open(os.path.join(fixtures, "golden", "files", one["case"]), encoding="utf8"))
        value = {i["id"]: i for i in case["expect"]["items"]}[one["id"]]["value"]
        kind = "safetensors" if file.endswith(".safetensors") else "pth"
        check_self.errors.clear()
        try:
            got, _ = check_self.load_any(file, kind)
            if kind == "safetensors":
                got = {k: got[k] for k, _ in value["$dict"]}
            check_self.cmp_value(one["file"], got, value)
        except Exception as e:
            check_self.errors.append(f"{type(e).__name__}: {e}")
        out[one["file"]] = list(check_self.errors)
    json.dump(out, open(os.path.join(folder, "problems.json"), "w"))


def far(a, b):
    return float((a - b).abs().max()) if a.shape == b.shape else float("inf")


def read_folders(folder):
    import transformers
    calls = safetensors.torch.load_file(os.path.join(folder, "calls.safetensors"))
    read = {}
    for name, output in (("BertModel", "last_hidden_state"), ("BertForSequenceClassification", "logits"),
                         ("DistilBertModel", "last_hidden_state")):
        model, info = getattr(transformers, name).from_pretrained(os.path.join(folder, name), output_loading_info=True)
        assert not any(info.values()), info
        with torch.no_grad():
            got = model.eval()(calls["ids"], attention_mask=calls["mask"])[output]
        read[name] = {"digests": facts(model.state_dict()), "apart": far(got, calls[name])}
    json.dump(read, open(os.path.join(folder, "read.json"), "w"))

    torch.manual_seed(5)
    config = transformers.BertConfig(vocab_size=30, hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
                                     intermediate_size=20, max_position_embeddings=16)
    model = transformers.BertModel(config).eval()
    theirs = {}
    for name, options in (("whole", {}), ("shards", {"max_shard_size": "5KB"})):
        model.save_pretrained(os.path.join(folder, name), **options)
        ids = torch.randint(0, 30, (2, 7))
        with torch.no_grad():
            torch.save({"ids": ids, "output": model(ids).last_hidden_state}, os.path.join(folder, f"{name}-calls.pth"))
        theirs[name] = facts(model.state_dict())
    assert len(glob.glob(os.path.join(folder, "shards", "*.safetensors"))) > 1
    json.dump(theirs, open(os.path.join(folder, "theirs.json"), "w"))


HUB_MODEL = "someone/tiny"


def fetch(folder):
    import huggingface_hub
    huggingface_hub.snapshot_download(HUB_MODEL)


def offline(folder):
    import huggingface_hub, transformers
    repos = [r.repo_id for r in huggingface_hub.scan_cache_dir().repos]
    huggingface_hub.snapshot_download(HUB_MODEL)
    model = transformers.BertModel.from_pretrained(HUB_MODEL)
    json.dump({"name": ", ".join(repos), "digests": facts(model.state_dict())},
              open(os.path.join(folder, "offline.json"), "w"))


def onnx(folder):
    import numpy, onnxruntime, safetensors.numpy
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    problems = {}
    for file in sorted(glob.glob(os.path.join(folder, "*.onnx"))):
        name = os.path.basename(file)[:-5]
        problem = None
        try:
            session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
            for batch in (2, 5):
                tensors = safetensors.numpy.load_file(os.path.join(folder, f"{name}-{batch}.safetensors"))
                given = {i.name: tensors[i.name] for i in session.get_inputs()}
                wanted = [tensors[k] for k in sorted((k for k in tensors if k[0] == "y"), key=lambda k: int(k[1:]))]
                got = session.run(None, given)
                if [list(x.shape) for x in got] != [list(x.shape) for x in wanted]:
                    problem = f"shapes {[x.shape for x in got]} instead of {[x.shape for x in wanted]}"
                    break
                pairs = [(a.astype("float64"), b.astype("float64")) for a, b in zip(got, wanted) if a.size > 0]
                apart = [numpy.abs(a - b) / (1 + numpy.abs(b)) for a, b in pairs]
                if not all((x < 2e-5).all() for x in apart):
                    problem = f"{max(float(x.max()) for x in apart)} apart for a batch of {batch}"
        except Exception as e:
            problem = f"{type(e).__name__}: {e}"
        problems[name] = problem
    json.dump(problems, open(os.path.join(folder, "problems.json"), "w"))


if __name__ == "__main__":
    command, folder, fixtures = sys.argv[1:4]
    if command == "golden":
        golden(folder, fixtures)
    else:
        {"digest": digest, "write": write, "train": train, "events": events, "transformers": read_folders, "fetch": fetch,
         "offline": offline, "onnx": onnx}[command](folder)
