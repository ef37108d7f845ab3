"""Knowledge distillation (Hinton et al., 2015): a small network learns from a large one's soft targets."""

import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(42)
losses = []
checks = {}
FEATURES, DEEP, LIGHT = 20, 64, 16
N, N_TRAIN, BATCH, EPOCHS = 160, 128, 32, 4


class DeepNN(nn.Module):
    def __init__(self, num_classes=4):
        super().__init__()
        self.features = nn.Sequential(
            nn.Linear(FEATURES, DEEP), nn.ReLU(), nn.Dropout(0.1), nn.Linear(DEEP, DEEP), nn.ReLU()
        )
        self.classifier = nn.Linear(DEEP, num_classes)

    def forward(self, x):
        hidden = self.features(x)
        return self.classifier(hidden), hidden


class LightNN(nn.Module):
    def __init__(self, num_classes=4):
        super().__init__()
        self.features = nn.Sequential(nn.Linear(FEATURES, LIGHT), nn.ReLU())
        self.classifier = nn.Linear(LIGHT, num_classes)
        self.regressor = nn.Linear(LIGHT, DEEP)

    def forward(self, x):
        hidden = self.features(x)
        return self.classifier(hidden), self.regressor(hidden)


centres = torch.randn(4, FEATURES) * 1.5
y_all = torch.randint(0, 4, (N,))
x_all = centres[y_all] + torch.randn(N, FEATURES) * 1.5
train_loader = DataLoader(TensorDataset(x_all[:N_TRAIN], y_all[:N_TRAIN]), batch_size=BATCH, shuffle=True)
test_loader = DataLoader(TensorDataset(x_all[N_TRAIN:], y_all[N_TRAIN:]), batch_size=BATCH)


def train(model, epochs):
    criterion = nn.CrossEntropyLoss()
    optimizer = optim.Adam(model.parameters(), lr=0.001)
    model.train()
    for epoch in range(epochs):
        for inputs, labels in train_loader:
            optimizer.zero_grad()
            outputs, _ = model(inputs)
            loss = criterion(outputs, labels)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())


def train_knowledge_distillation(teacher, student, epochs, T, soft_weight, ce_weight):
    ce_loss = nn.CrossEntropyLoss()
    mse_loss = nn.MSELoss()
    cosine_loss = nn.CosineEmbeddingLoss()
    optimizer = optim.Adam(student.parameters(), lr=0.005)
    teacher.eval()
    student.train()
    for epoch in range(epochs):
        running_loss = 0.0
        for inputs, labels in train_loader:
            optimizer.zero_grad()
            with torch.no_grad():
                teacher_logits, teacher_hidden = teacher(inputs)
            student_logits, student_hidden = student(inputs)
            soft_targets = nn.functional.softmax(teacher_logits / T, dim=-1)
            soft_prob = nn.functional.log_softmax(student_logits / T, dim=-1)
            soft_loss = torch.sum(soft_targets * (soft_targets.log() - soft_prob)) / soft_prob.size()[0] * (T**2)
            hidden_loss = mse_loss(student_hidden, teacher_hidden)
            hidden_loss = hidden_loss + cosine_loss(student_hidden, teacher_hidden, target=torch.ones(inputs.size(0)))
            label_loss = ce_loss(student_logits, labels)
            loss = soft_weight * soft_loss + ce_weight * label_loss + 0.1 * hidden_loss
            loss.backward()
            optimizer.step()
            running_loss += loss.item()
            losses.append(loss.item())
        print(f"Epoch {epoch + 1}/{epochs}, Loss: {running_loss / len(train_loader):.3f}")


def test(model):
    model.eval()
    correct = total = 0
    with torch.no_grad():
        for inputs, labels in test_loader:
            outputs, _ = model(inputs)
            _, predicted = torch.max(outputs.data, 1)
            total += labels.size(0)
            correct += (predicted == labels).sum().item()
    return 100 * correct / total


teacher = DeepNN()
train(teacher, epochs=EPOCHS)
student = LightNN()
train_knowledge_distillation(teacher, student, epochs=EPOCHS, T=2, soft_weight=0.25, ce_weight=0.75)
print(f"Teacher accuracy: {test(teacher):.2f}%")
print(f"Student accuracy: {test(student):.2f}%")
total_params = "{:,}".format(sum(p.numel() for p in student.parameters()))
print(f"Student parameters: {total_params}")
