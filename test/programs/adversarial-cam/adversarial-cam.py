"""A DenseNet with squeeze and excitation, trained on PGD attacks (Madry et al., 2018); then FGSM, Grad-CAM and integrated gradients by hooks."""
from collections import OrderedDict
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(31)
losses, checks = [], {}


class _DenseLayer(nn.Module):
    def __init__(self, num_input_features, growth_rate, bn_size, drop_rate):
        super().__init__()
        self.add_module("norm1", nn.BatchNorm2d(num_input_features))
        self.add_module("relu1", nn.ReLU(inplace=True))
        self.add_module("conv1", nn.Conv2d(num_input_features, bn_size * growth_rate, kernel_size=1, stride=1, bias=False))
        self.norm2 = nn.BatchNorm2d(bn_size * growth_rate)
        self.relu2 = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(bn_size * growth_rate, growth_rate, kernel_size=3, stride=1, padding=1, bias=False)
        self.drop_rate = float(drop_rate)

    def forward(self, input):
        prev_features = [input] if isinstance(input, torch.Tensor) else input
        bottleneck = self.conv1(self.relu1(self.norm1(torch.cat(prev_features, 1))))
        new_features = self.conv2(self.relu2(self.norm2(bottleneck)))
        if self.drop_rate > 0:
            new_features = F.dropout(new_features, p=self.drop_rate, training=self.training)
        return new_features


class _DenseBlock(nn.ModuleDict):
    def __init__(self, num_layers, num_input_features, bn_size, growth_rate, drop_rate):
        super().__init__()
        for i in range(num_layers):
            layer = _DenseLayer(num_input_features + i * growth_rate, growth_rate, bn_size, drop_rate)
            self.add_module("denselayer%d" % (i + 1), layer)

    def forward(self, init_features):
        features = [init_features]
        for name, layer in self.items():
            features.append(layer(features))
        return torch.cat(features, 1)


class _Transition(nn.Sequential):
    def __init__(self, num_input_features, num_output_features):
        super().__init__()
        self.norm = nn.BatchNorm2d(num_input_features)
        self.relu = nn.ReLU(inplace=True)
        self.conv = nn.Conv2d(num_input_features, num_output_features, kernel_size=1, bias=False)
        self.pool = nn.AvgPool2d(kernel_size=2, stride=2)


class SELayer(nn.Module):
    def __init__(self, channel, reduction=4):
        super().__init__()
        self.avg_pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Sequential(nn.Linear(channel, channel // reduction, bias=False), nn.ReLU(inplace=True),
                                nn.Linear(channel // reduction, channel, bias=False), nn.Sigmoid())

    def forward(self, x):
        b, c, _, _ = x.size()
        y = self.avg_pool(x).view(b, c)
        y = self.fc(y).view(b, c, 1, 1)
        return x * y.expand_as(x)


class DenseNet(nn.Module):
    def __init__(self, growth_rate=4, block_config=(2, 2), num_init_features=8, bn_size=2, drop_rate=0.1, num_classes=3):
        super().__init__()
        self.features = nn.Sequential(OrderedDict([
            ("conv0", nn.Conv2d(3, num_init_features, kernel_size=3, stride=1, padding=1, bias=False)),
            ("norm0", nn.BatchNorm2d(num_init_features)),
            ("relu0", nn.ReLU(inplace=True)),
        ]))
        num_features = num_init_features
        for i, num_layers in enumerate(block_config):
            self.features.add_module("denseblock%d" % (i + 1), _DenseBlock(num_layers, num_features, bn_size, growth_rate, drop_rate))
            num_features = num_features + num_layers * growth_rate
            if i != len(block_config) - 1:
                self.features.add_module("transition%d" % (i + 1), _Transition(num_features, num_features // 2))
                num_features = num_features // 2
        self.features.add_module("se", SELayer(num_features))
        self.features.add_module("norm5", nn.BatchNorm2d(num_features))
        self.classifier = nn.Linear(num_features, num_classes)
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight)
            elif isinstance(m, nn.BatchNorm2d):
                nn.init.constant_(m.weight, 1)
                nn.init.constant_(m.bias, 0)
            elif isinstance(m, nn.Linear) and m.bias is not None:
                nn.init.constant_(m.bias, 0)

    def forward(self, x):
        features = self.features(x)
        out = F.relu(features, inplace=True)
        out = F.adaptive_avg_pool2d(out, (1, 1))
        out = torch.flatten(out, 1)
        return self.classifier(out)


n = 36
y = torch.arange(n) % 3
x = torch.rand(n, 3, 8, 8) * 0.5
for i in range(n):
    x[i, y[i], 2:5, 3:6] += 0.5
model = DenseNet()
print(model)
opt = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=1e-4)


def fgsm_attack(image, epsilon, data_grad):
    sign_data_grad = data_grad.sign()
    perturbed_image = image + epsilon * sign_data_grad
    return torch.clamp(perturbed_image, 0, 1)


def pgd(model, X, y, epsilon=0.1, alpha=0.03, num_iter=3):
    delta = torch.zeros_like(X).uniform_(-epsilon, epsilon)
    delta.requires_grad = True
    for t in range(num_iter):
        loss = nn.CrossEntropyLoss()(model(X + delta), y)
        loss.backward()
        delta.data = (delta + alpha * delta.grad.detach().sign()).clamp(-epsilon, epsilon)
        delta.data = torch.min(torch.max(delta.data, -X), 1 - X)
        delta.grad.zero_()
    return delta.detach()


for epoch in range(2):
    for idx in torch.randperm(n).split(12):
        delta = pgd(model, x[idx], y[idx], 0.05)
        opt.zero_grad()
        loss = F.cross_entropy(model(x[idx] + delta), y[idx])
        loss.backward()
        opt.step()
        losses.append(loss.item())
        losses.append(delta.abs().mean().item())

model.eval()
for p in model.parameters():
    p.requires_grad_(False)
data = x[:6].clone().requires_grad_(True)
out = model(data)
loss = F.nll_loss(F.log_softmax(out, 1), y[:6])
model.zero_grad()
loss.backward()
adv = fgsm_attack(data, 0.1, data.grad.data)
losses.append(F.cross_entropy(model(adv), y[:6]).item())
checks["saliency"] = data.grad.abs().amax(dim=1).flatten(1).sum(1).tolist()
for p in model.parameters():
    p.requires_grad = True


class GradCAM:
    def __init__(self, model, target_layer):
        self.model, self.gradients, self.activations = model, None, None
        self.handles = [target_layer.register_forward_hook(self.save_activation),
                        target_layer.register_full_backward_hook(self.save_gradient)]

    def save_activation(self, module, input, output):
        self.activations = output

    def save_gradient(self, module, grad_input, grad_output):
        self.gradients = grad_output[0]

    def __call__(self, x, class_idx=None):
        logits = self.model(x)
        if class_idx is None:
            class_idx = logits.argmax(dim=1)
        score = logits[torch.arange(len(x)), class_idx].sum()
        self.model.zero_grad()
        score.backward(retain_graph=True)
        weights = self.gradients.mean(dim=(2, 3), keepdim=True)
        cam = F.relu((weights * self.activations).sum(1, keepdim=True))
        cam = F.interpolate(cam, x.shape[2:], mode="bilinear", align_corners=False)
        lo, hi = cam.flatten(1).min(1)[0], cam.flatten(1).max(1).values
        return (cam - lo.view(-1, 1, 1, 1)) / (hi - lo + 1e-7).view(-1, 1, 1, 1), logits

    def remove(self):
        for h in self.handles:
            h.remove()


cam = GradCAM(model, model.features.se)
maps, logits = cam(x[:4])
print(maps.shape, maps.requires_grad, cam.gradients.shape)
checks["cam"] = maps.mean((1, 2, 3)).tolist()
cam.remove()
feats = {}
hook = model.features[0].register_forward_pre_hook(lambda m, inp: (inp[0] * 2.0,))
for name, module in model.named_children():
    module.register_forward_hook(lambda m, i, o, name=name: feats.__setitem__(name, o.detach().mean().item()))
ig = torch.zeros_like(x[:2])
for a in torch.linspace(0, 1, 5):
    xi = (a * x[:2]).requires_grad_()
    model(xi).gather(1, y[:2, None]).sum().backward()
    ig += xi.grad / 5
checks["ig"] = (ig * x[:2]).sum((1, 2, 3)).tolist()
hook.remove()
print(sorted(feats))
checks["feats"] = [feats["features"], feats["classifier"]]
