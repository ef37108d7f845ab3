"""WaveGlow (Prenger et al., 2019): affine couplings of groups of samples, mixed by invertible 1x1 convolutions."""

import torch
import torch.nn.functional as F
from torch.nn.utils import weight_norm, remove_weight_norm

torch.manual_seed(9)
losses = []
MEL, FLOWS, GROUP, EARLY_EVERY, EARLY_SIZE, LAYERS, CHANNELS = 6, 4, 8, 2, 2, 2, 12
SEGMENT, HOP, BATCH, ITERATIONS, SIGMA = 64, 8, 4, 20, 0.8


def fused_add_tanh_sigmoid_multiply(input_a, input_b, n_channels):
    n_channels_int = n_channels[0]
    in_act = input_a + input_b
    t_act = torch.tanh(in_act[:, :n_channels_int, :])
    s_act = torch.sigmoid(in_act[:, n_channels_int:, :])
    return t_act * s_act


class Invertible1x1Conv(torch.nn.Module):
    def __init__(self, c):
        super().__init__()
        self.conv = torch.nn.Conv1d(c, c, kernel_size=1, stride=1, padding=0, bias=False)
        W = torch.linalg.qr(torch.FloatTensor(c, c).normal_())[0]
        if torch.det(W) < 0:
            W[:, 0] = -1 * W[:, 0]
        W = W.view(c, c, 1)
        self.conv.weight.data = W

    def forward(self, z, reverse=False):
        batch_size, group_size, n_of_groups = z.size()
        W = self.conv.weight.squeeze()
        if reverse:
            if not hasattr(self, "W_inverse"):
                W_inverse = W.float().inverse()
                self.W_inverse = W_inverse[..., None].detach()
            return F.conv1d(z, self.W_inverse, bias=None, stride=1, padding=0)
        log_det_W = batch_size * n_of_groups * torch.logdet(W)
        return self.conv(z), log_det_W


class WN(torch.nn.Module):
    def __init__(self, n_in_channels, n_mel_channels, n_layers, n_channels, kernel_size):
        super().__init__()
        self.n_layers, self.n_channels = n_layers, n_channels
        self.in_layers = torch.nn.ModuleList()
        self.res_skip_layers = torch.nn.ModuleList()
        self.start = weight_norm(torch.nn.Conv1d(n_in_channels, n_channels, 1), name="weight")
        end = torch.nn.Conv1d(n_channels, 2 * n_in_channels, 1)
        end.weight.data.normal_(std=0.01)
        end.bias.data.zero_()
        self.end = end
        self.cond_layer = weight_norm(torch.nn.Conv1d(n_mel_channels, 2 * n_channels * n_layers, 1), name="weight")
        for i in range(n_layers):
            dilation = 2**i
            padding = int((kernel_size * dilation - dilation) / 2)
            in_layer = torch.nn.Conv1d(n_channels, 2 * n_channels, kernel_size, dilation=dilation, padding=padding)
            self.in_layers.append(weight_norm(in_layer, name="weight"))
            res_skip_channels = 2 * n_channels if i < n_layers - 1 else n_channels
            self.res_skip_layers.append(weight_norm(torch.nn.Conv1d(n_channels, res_skip_channels, 1), name="weight"))

    def forward(self, forward_input):
        audio, spect = forward_input
        audio = self.start(audio)
        output = torch.zeros_like(audio)
        n_channels_tensor = torch.LongTensor([self.n_channels])
        spect = self.cond_layer(spect)
        for i in range(self.n_layers):
            spect_offset = i * 2 * self.n_channels
            acts = fused_add_tanh_sigmoid_multiply(
                self.in_layers[i](audio), spect[:, spect_offset : spect_offset + 2 * self.n_channels, :], n_channels_tensor
            )
            res_skip_acts = self.res_skip_layers[i](acts)
            if i < self.n_layers - 1:
                audio = audio + res_skip_acts[:, : self.n_channels, :]
                output = output + res_skip_acts[:, self.n_channels :, :]
            else:
                output = output + res_skip_acts
        return self.end(output)


class WaveGlow(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.upsample = torch.nn.ConvTranspose1d(MEL, MEL, 2 * HOP, stride=HOP)
        self.WN = torch.nn.ModuleList()
        self.convinv = torch.nn.ModuleList()
        n_half = GROUP // 2
        n_remaining_channels = GROUP
        for k in range(FLOWS):
            if k % EARLY_EVERY == 0 and k > 0:
                n_half = n_half - EARLY_SIZE // 2
                n_remaining_channels = n_remaining_channels - EARLY_SIZE
            self.convinv.append(Invertible1x1Conv(n_remaining_channels))
            self.WN.append(WN(n_half, MEL * GROUP, LAYERS, CHANNELS, 3))
        self.n_remaining_channels = n_remaining_channels

    def groups(self, spect, length):
        spect = self.upsample(spect)[:, :, :length]
        spect = spect.unfold(2, GROUP, GROUP).permute(0, 2, 1, 3)
        return spect.contiguous().view(spect.size(0), spect.size(1), -1).permute(0, 2, 1)

    def forward(self, spect, audio):
        spect = self.groups(spect, audio.size(1))
        audio = audio.unfold(1, GROUP, GROUP).permute(0, 2, 1)
        output_audio, log_s_list, log_det_W_list = [], [], []
        for k in range(FLOWS):
            if k % EARLY_EVERY == 0 and k > 0:
                output_audio.append(audio[:, :EARLY_SIZE, :])
                audio = audio[:, EARLY_SIZE:, :]
            audio, log_det_W = self.convinv[k](audio)
            log_det_W_list.append(log_det_W)
            n_half = int(audio.size(1) / 2)
            audio_0, audio_1 = audio[:, :n_half, :], audio[:, n_half:, :]
            output = self.WN[k]((audio_0, spect))
            log_s = output[:, n_half:, :]
            b = output[:, :n_half, :]
            audio_1 = torch.exp(log_s) * audio_1 + b
            log_s_list.append(log_s)
            audio = torch.cat([audio_0, audio_1], 1)
        output_audio.append(audio)
        return torch.cat(output_audio, 1), log_s_list, log_det_W_list

    def infer(self, spect, z):
        spect = self.groups(spect, z.size(1) * z.size(2))
        audio = z[:, -self.n_remaining_channels :]
        early = z[:, : -self.n_remaining_channels]
        for k in reversed(range(FLOWS)):
            n_half = audio.size(1) // 2
            audio_0, audio_1 = audio[:, :n_half, :], audio[:, n_half:, :]
            output = self.WN[k]((audio_0, spect))
            s, b = output[:, n_half:, :], output[:, :n_half, :]
            audio_1 = (audio_1 - b) / torch.exp(s)
            audio = self.convinv[k](torch.cat([audio_0, audio_1], 1), reverse=True)
            if k % EARLY_EVERY == 0 and k > 0:
                audio = torch.cat((early[:, -EARLY_SIZE:], audio), 1)
                early = early[:, :-EARLY_SIZE]
        return audio.permute(0, 2, 1).contiguous().view(audio.size(0), -1).data

    @staticmethod
    def remove_weightnorm(model):
        for wn in model.WN:
            wn.start = remove_weight_norm(wn.start)
            wn.in_layers = remove(wn.in_layers)
            wn.cond_layer = remove_weight_norm(wn.cond_layer)
            wn.res_skip_layers = remove(wn.res_skip_layers)
        return model


def remove(conv_list):
    return torch.nn.ModuleList([remove_weight_norm(old_conv) for old_conv in conv_list])


class WaveGlowLoss(torch.nn.Module):
    def __init__(self, sigma=1.0):
        super().__init__()
        self.sigma = sigma

    def forward(self, model_output):
        z, log_s_list, log_det_W_list = model_output
        for i, log_s in enumerate(log_s_list):
            if i == 0:
                log_s_total = torch.sum(log_s)
                log_det_W_total = log_det_W_list[i]
            else:
                log_s_total = log_s_total + torch.sum(log_s)
                log_det_W_total += log_det_W_list[i]
        loss = torch.sum(z * z) / (2 * self.sigma * self.sigma) - log_s_total - log_det_W_total
        return loss / (z.size(0) * z.size(1) * z.size(2))


def batch():
    t = torch.arange(SEGMENT) / SEGMENT
    pitch = torch.rand(BATCH, 1) * 4 + 2
    audio = 0.5 * torch.sin(2 * torch.pi * pitch * t) + 0.05 * torch.randn(BATCH, SEGMENT)
    window = torch.hann_window(2 * HOP, periodic=True)
    frames = F.pad(audio, (HOP, HOP), mode="constant").unfold(1, 2 * HOP, HOP) * window
    basis = torch.cos(torch.outer(torch.arange(2 * HOP), torch.arange(MEL)) * torch.pi / (2 * HOP))
    return torch.log(torch.clamp((frames @ basis).abs(), min=1e-3)).transpose(1, 2), audio


model = WaveGlow()
print(model.WN[0])
criterion = WaveGlowLoss(SIGMA)
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
for iteration in range(ITERATIONS):
    model.zero_grad()
    mel, audio = batch()
    loss = criterion(model(mel, audio))
    losses.append(loss.item())
    loss.backward()
    optimizer.step()
print(sorted(k for k in model.state_dict() if k.startswith("WN.0.start")))
model = model.remove_weightnorm(model)
model.eval()
print(sorted(k for k in model.state_dict() if k.startswith("WN.0.start")))
with torch.no_grad():
    mel, audio = batch()
    z, _, _ = model(mel, audio)
    again = model.infer(mel, z)
print("inverted:", torch.allclose(again, audio, atol=1e-3))
checks = {"z": z.flatten()[:20].tolist()}
