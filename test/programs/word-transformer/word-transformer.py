"""A word-level Transformer language model: encoder layers with a causal mask and positions of sines and cosines."""

import math

import torch
from torch import Tensor, nn
from torch.nn import TransformerEncoder, TransformerEncoderLayer

torch.manual_seed(1)
losses = []
batch_size, bptt, epochs = 4, 7, 12
emsize, nhead, d_hid, nlayers = 32, 2, 48, 2

TEXT = """
= A Day =

the sun rises over the hill and the farmer wakes .
the farmer feeds the cow and the cow gives milk .
the children walk to school over the hill .
at noon the sun is high and the farmer rests .
the children come home and drink the milk .
the sun sets and the cow sleeps .
the farmer sleeps and the children sleep .
"""


def tokenizer(line):
    return line.lower().split()


vocab = {"<unk>": 0}
for line in TEXT.splitlines():
    for token in tokenizer(line):
        vocab.setdefault(token, len(vocab))


def data_process(lines):
    """Converts raw text into a flat tensor."""
    data = [torch.tensor([vocab.get(token, 0) for token in tokenizer(line)], dtype=torch.long) for line in lines]
    return torch.cat(tuple(filter(lambda t: t.numel() > 0, data)))


def batchify(data: Tensor, bsz: int) -> Tensor:
    seq_len = data.size(0) // bsz
    data = data[: seq_len * bsz]
    data = data.view(bsz, seq_len).t().contiguous()
    return data


train_data = batchify(data_process(TEXT.splitlines()), batch_size)
val_data = batchify(data_process(["the farmer drinks the milk .", "the cow walks over the hill ."]), 2)


def get_batch(source: Tensor, i: int):
    seq_len = min(bptt, len(source) - 1 - i)
    data = source[i : i + seq_len]
    target = source[i + 1 : i + 1 + seq_len].reshape(-1)
    return data, target


class PositionalEncoding(nn.Module):
    def __init__(self, d_model: int, dropout: float = 0.1, max_len: int = 5000):
        super().__init__()
        self.dropout = nn.Dropout(p=dropout)
        position = torch.arange(max_len).unsqueeze(1)
        div_term = torch.exp(torch.arange(0, d_model, 2) * (-math.log(10000.0) / d_model))
        pe = torch.zeros(max_len, 1, d_model)
        pe[:, 0, 0::2] = torch.sin(position * div_term)
        pe[:, 0, 1::2] = torch.cos(position * div_term)
        self.register_buffer("pe", pe)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.pe[: x.size(0)]
        return self.dropout(x)


class TransformerModel(nn.Module):
    def __init__(self, ntoken: int, d_model: int, nhead: int, d_hid: int, nlayers: int, dropout: float = 0.5):
        super().__init__()
        self.model_type = "Transformer"
        self.pos_encoder = PositionalEncoding(d_model, dropout, max_len=40)
        encoder_layers = TransformerEncoderLayer(d_model, nhead, d_hid, dropout)
        self.transformer_encoder = TransformerEncoder(encoder_layers, nlayers)
        self.embedding = nn.Embedding(ntoken, d_model)
        self.d_model = d_model
        self.linear = nn.Linear(d_model, ntoken)
        self.init_weights()

    def init_weights(self) -> None:
        initrange = 0.1
        self.embedding.weight.data.uniform_(-initrange, initrange)
        self.linear.bias.data.zero_()
        self.linear.weight.data.uniform_(-initrange, initrange)

    def forward(self, src: Tensor, src_mask: Tensor = None) -> Tensor:
        src = self.embedding(src) * math.sqrt(self.d_model)
        src = self.pos_encoder(src)
        if src_mask is None:
            src_mask = nn.Transformer.generate_square_subsequent_mask(len(src))
        output = self.transformer_encoder(src, src_mask)
        return self.linear(output)


ntokens = len(vocab)
model = TransformerModel(ntokens, d_model=emsize, nhead=nhead, d_hid=d_hid, nlayers=nlayers, dropout=0.2)

criterion = nn.CrossEntropyLoss()
lr = 0.5
optimizer = torch.optim.SGD(model.parameters(), lr=lr)
scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1.0, gamma=0.95)


def train(model: nn.Module) -> float:
    model.train()
    total_loss = 0.0
    num_batches = 0
    for i in range(0, train_data.size(0) - 1, bptt):
        data, targets = get_batch(train_data, i)
        output = model(data)
        output_flat = output.view(-1, ntokens)
        loss = criterion(output_flat, targets)

        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        optimizer.step()

        total_loss += loss.item()
        losses.append(loss.item())
        num_batches += 1
    return total_loss / num_batches


def evaluate(model: nn.Module, eval_data: Tensor) -> float:
    model.eval()
    total_loss = 0.0
    with torch.no_grad():
        for i in range(0, eval_data.size(0) - 1, bptt):
            data, targets = get_batch(eval_data, i)
            seq_len = data.size(0)
            output = model(data)
            output_flat = output.view(-1, ntokens)
            total_loss += seq_len * criterion(output_flat, targets).item()
    return total_loss / (len(eval_data) - 1)


best_val_loss = float("inf")
best_state = None
for epoch in range(1, epochs + 1):
    train(model)
    val_loss = evaluate(model, val_data)
    losses.append(val_loss)
    print("-" * 60)
    print(f"| end of epoch {epoch:3d} | valid loss {val_loss:5.2f} | valid ppl {math.exp(val_loss):8.1f}")
    if val_loss < best_val_loss:
        best_val_loss = val_loss
        best_state = {name: value.clone() for name, value in model.state_dict().items()}
    scheduler.step()

model.load_state_dict(best_state)
checks = {"best": [evaluate(model, val_data)], "lr": scheduler.get_last_lr()}
