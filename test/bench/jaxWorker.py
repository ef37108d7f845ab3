"""JAX's side of the bench: the nine workloads as plain functions, jitted whole with optax's Adam. One JSON command a line
in, one JSON answer a line out; the argument is the number of steps in one call."""

import json
import os
import sys
import time

os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax
import jax.numpy as jnp
import optax
from jax import lax, nn, random
from jax.flatten_util import ravel_pytree

STEPS = int(sys.argv[1])
keys = iter(random.split(random.PRNGKey(0), 10_000))


def uniform(shape, bound):
    return random.uniform(next(keys), shape, minval=-bound, maxval=bound)


def dense(inputs, outputs):
    bound = inputs**-0.5
    return {"w": uniform((inputs, outputs), bound), "b": uniform((outputs,), bound)}


def affine(p, x):
    return x @ p["w"] + p["b"]


def cross_entropy(scores, y):
    return -jnp.mean(jnp.take_along_axis(nn.log_softmax(scores), y[:, None], 1))


def normal(*shape):
    return random.normal(next(keys), shape)


def integers(shape, most):
    return random.randint(next(keys), shape, 0, most)


def mlp(sizes, samples, outputs):
    params = [dense(i, o) for i, o in zip(sizes, sizes[1:])]

    def forward(params, x):
        for p in params[:-1]:
            x = nn.relu(affine(p, x))
        return affine(params[-1], x)

    return params, forward, normal(samples, sizes[0]), integers((samples,), outputs), cross_entropy


def simple():
    return mlp([10, 5, 2], 100, 2)


def cnn():
    params = {"k": uniform((3, 3, 1, 16), 1 / 3), "kb": uniform((16,), 1 / 3), "fc": dense(16 * 14 * 14, 10)}

    # A product with the patches for each of a pool's four places, samples innermost: XLA's own convolution and pooling
    # take seven times as long on the CPU.
    def forward(params, x):
        padded = jnp.pad(x[..., 0].transpose(1, 2, 0), ((1, 1), (1, 1), (0, 0)))

        def convolved(i, j):
            shifted = [padded[i + r : i + r + 27 : 2, j + c : j + c + 27 : 2] for r in range(3) for c in range(3)]
            return jnp.einsum("ko,khwn->ohwn", params["k"].reshape(9, 16), jnp.stack(shifted))

        upper = jnp.maximum(convolved(0, 0), convolved(0, 1))
        lower = jnp.maximum(convolved(1, 0), convolved(1, 1))
        y = nn.relu(jnp.maximum(upper, lower) + params["kb"][:, None, None, None])
        return affine(params["fc"], y.reshape(-1, 64).T)

    return params, forward, normal(64, 28, 28, 1), integers((64,), 10), cross_entropy


def recurrent(cell, gates, inputs, hidden, steps):
    def make():
        bound = hidden**-0.5
        params = {
            "x": {"w": uniform((inputs, gates * hidden), bound), "b": uniform((gates * hidden,), bound)},
            "h": {"w": uniform((hidden, gates * hidden), bound), "b": uniform((gates * hidden,), bound)},
            "fc": dense(hidden, 2),
        }

        def forward(params, x):
            # The inputs' part of all steps at once.
            given = jnp.swapaxes(affine(params["x"], x), 0, 1)
            zero = jnp.zeros((32, hidden))
            state, _ = lax.scan(lambda s, g: (cell(s, g + affine(params["h"], s[0])), None), (zero, zero), given)
            return affine(params["fc"], state[0])

        return params, forward, normal(32, steps, inputs), integers((32,), 2), cross_entropy

    return make


def rnn_cell(_, gates):
    h = jnp.tanh(gates)
    return h, h


def lstm_cell(state, gates):
    i, f, g, o = jnp.split(gates, 4, 1)
    c = nn.sigmoid(f) * state[1] + nn.sigmoid(i) * jnp.tanh(g)
    return nn.sigmoid(o) * jnp.tanh(c), c


def transformer():
    size, heads, steps = 128, 4, 64

    def block():
        norms = {n: {"g": jnp.ones(size), "b": jnp.zeros(size)} for n in ("n1", "n2")}
        return {"qkv": dense(size, 3 * size), "out": dense(size, size), "up": dense(size, 512), "down": dense(512, size), **norms}

    params = {"words": normal(1000, size), "positions": normal(steps, size), "blocks": [block(), block()], "fc": dense(size, 4)}

    def norm(p, x):
        mean = x.mean(-1, keepdims=True)
        return (x - mean) * lax.rsqrt(((x - mean) ** 2).mean(-1, keepdims=True) + 1e-5) * p["g"] + p["b"]

    def forward(params, x):
        h = params["words"][x] + params["positions"]
        for p in params["blocks"]:
            q, k, v = (t.reshape(16, steps, heads, size // heads) for t in jnp.split(affine(p["qkv"], h), 3, -1))
            scores = nn.softmax(jnp.einsum("bqhd,bkhd->bhqk", q, k) * (size // heads) ** -0.5)
            mixed = jnp.einsum("bhqk,bkhd->bqhd", scores, v).reshape(16, steps, size)
            h = norm(p["n1"], h + affine(p["out"], mixed))
            h = norm(p["n2"], h + affine(p["down"], nn.relu(affine(p["up"], h))))
        return affine(params["fc"], h.mean(1))

    return params, forward, integers((16, steps), 1000), integers((16,), 4), cross_entropy


def autoencoder():
    params = [dense(784, 128), dense(128, 784)]

    def forward(params, x):
        return nn.sigmoid(affine(params[1], nn.relu(affine(params[0], x))))

    x, y = random.uniform(next(keys), (64, 784)), random.uniform(next(keys), (64, 784))
    return params, forward, x, y, lambda out, y: jnp.mean((out - y) ** 2)


def supervised(make):
    params, forward, x, y, criterion = make()
    flat, as_tree = ravel_pytree(params)
    # In small steps the time goes by the number of arrays that are passed; in large ones the copies would cost more.
    small = STEPS == 1 and flat.size < 10_000
    if small:
        params = flat
    adam = optax.adam(1e-3)

    # The data is in the state, so that nothing about it is worked out while compiling.
    def step(state, _):
        params, moments, x, y = state
        loss, grads = jax.value_and_grad(lambda p: criterion(forward(as_tree(p) if small else p, x), y))(params)
        updates, moments = adam.update(grads, moments)
        return (optax.apply_updates(params, updates), moments, x, y), loss

    return step, (params, adam.init(params), x, y)


def gan():
    g, d = dense(100, 784), [dense(784, 128), dense(128, 1)]
    adam = optax.adam(2e-4)
    real = random.uniform(next(keys), (64, 784))

    def generate(g, z):
        return jnp.tanh(affine(g, z))

    def judge(d, x):
        return affine(d[1], nn.leaky_relu(affine(d[0], x), 0.2))

    def update(grads, params, moments):
        updates, moments = adam.update(grads, moments)
        return optax.apply_updates(params, updates), moments

    def step(state, _):
        g, d, mg, md, key = state
        key, own = random.split(key)
        z = random.normal(own, (64, 100))
        fake = generate(g, z)
        loss_d, grads = jax.value_and_grad(
            lambda d: nn.softplus(-judge(d, real)).mean() + nn.softplus(judge(d, fake)).mean()
        )(d)
        d, md = update(grads, d, md)
        loss_g, grads = jax.value_and_grad(lambda g: nn.softplus(-judge(d, generate(g, z))).mean())(g)
        g, mg = update(grads, g, mg)
        return (g, d, mg, md, key), loss_d + loss_g

    return step, (g, d, adam.init(g), adam.init(d), random.PRNGKey(1))


WORKLOADS = {
    "simple": lambda: supervised(simple),
    "mlp": lambda: supervised(lambda: mlp([784, 256, 128, 10], 64, 10)),
    "cnn": lambda: supervised(cnn),
    "rnn": lambda: supervised(recurrent(rnn_cell, 1, 10, 5, 20)),
    "lstm-5": lambda: supervised(recurrent(lstm_cell, 4, 10, 5, 20)),
    "lstm-128": lambda: supervised(recurrent(lstm_cell, 4, 32, 128, 50)),
    "transformer": lambda: supervised(transformer),
    "autoencoder": lambda: supervised(autoencoder),
    "gan": gan,
}


def main():
    call = state = None
    for line in sys.stdin:
        command = json.loads(line)
        if command["do"] == "start":
            step, state = WORKLOADS[command["name"]]()
            call = jax.jit(lambda s: lax.scan(step, s, None, length=STEPS), donate_argnums=0)
            state, losses = call(state)
            answer = {"loss": float(losses[-1])}
        else:
            count, start = 0, time.perf_counter()
            while time.perf_counter() - start < command["seconds"]:
                state, losses = call(state)
                losses.tolist()
                count += STEPS
            answer = {"stepsPerSecond": count / (time.perf_counter() - start)}
        print(json.dumps(answer), flush=True)


main()
