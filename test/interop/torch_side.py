"""PyTorch's side of the interoperability checks: python torch_side.py COMMAND FOLDER.

digest: reads every file of the folder in all ways there are, writes digests.json: what each tensor is, and its SHA-256.
write:  writes the files that Layerwise reads, with their digests.
train:  for every case of plan.json continues a training from Layerwise's checkpoint, and makes one for Layerwise.
events: reads the event files of the folder with TensorBoard's reader, writes read.json: the scalars by tag.
"""
import hashlib, json, os, sys
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


if __name__ == "__main__":
    {"digest": digest, "write": write, "train": train, "events": events}[sys.argv[1]](sys.argv[2])
