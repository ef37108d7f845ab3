// tfjs by itself on the bench's workloads: its own ops, autodiff and Adam, on tfjs-node's kernels or on wasm. One JSON
// command a line in, one JSON answer a line out. `node tfjsWorker.js tensorflow|wasm`
import { createRequire } from "node:module";
import path from "node:path";
import { createInterface } from "node:readline";
import util from "node:util";
import * as tf from "@tensorflow/tfjs-core";
import { loadNative } from "../../extension/native/load.ts";

const require = createRequire(import.meta.url);

async function setUp(backend: string): Promise<void> {
  tf.enableProdMode();
  if (backend === "wasm") {
    // With it come the gradients.
    require("@tensorflow/tfjs");
    const wasm = await import("@tensorflow/tfjs-backend-wasm");
    wasm.setWasmPaths(path.join(path.dirname(require.resolve("@tensorflow/tfjs-backend-wasm")), path.sep));
    await tf.setBackend("wasm");
    return;
  }
  // Removed in Node 23, and called by tfjs-node.
  Object.assign(util, {
    isNullOrUndefined: (x: unknown) => x === null || x === undefined,
    isArray: Array.isArray,
  });
  require("@tensorflow/tfjs-node/dist/register_all_kernels");
  const { NodeJSKernelBackend } = require("@tensorflow/tfjs-node/dist/nodejs_kernel_backend") as {
    NodeJSKernelBackend: new (binding: unknown, name: string) => tf.KernelBackend;
  };
  tf.registerBackend("tensorflow", () => new NodeJSKernelBackend(loadNative(), "@tensorflow/tfjs-node"));
  await tf.setBackend("tensorflow");
}

type Layer = (x: tf.Tensor) => tf.Tensor;
/** Makes one step; answers the loss. */
type Step = () => tf.Scalar;

const weight = (shape: number[], bound: number): tf.Variable =>
  tf.variable(tf.randomUniform(shape, -bound, bound));

function dense(inputs: number, outputs: number): Layer {
  const bound = 1 / Math.sqrt(inputs);
  const [w, b] = [weight([inputs, outputs], bound), weight([outputs], bound)];
  return (x) => tf.add(tf.matMul(x as tf.Tensor2D, w as tf.Tensor2D), b);
}

const chain =
  (...layers: Layer[]): Layer =>
  (x) =>
    layers.reduce((value, layer) => layer(value), x);

const classes = (samples: number, count: number): tf.Tensor2D =>
  tf.oneHot(tf.randomUniformInt([samples], 0, count), count) as tf.Tensor2D;

function supervised(
  model: Layer,
  x: tf.Tensor,
  y: tf.Tensor,
  loss = (output: tf.Tensor): tf.Tensor => tf.losses.softmaxCrossEntropy(y, output),
): Step {
  const adam = tf.train.adam(1e-3);
  return () => adam.minimize(() => loss(model(x)) as tf.Scalar, true)!;
}

function rnn(): Layer {
  const bound = 1 / Math.sqrt(5);
  const [wi, wh, b] = [weight([10, 5], bound), weight([5, 5], bound), weight([5], bound)];
  const head = dense(5, 2);
  return (x) => {
    let h: tf.Tensor = tf.zeros([32, 5]);
    for (const xt of tf.unstack(x, 1))
      h = tf.tanh(
        tf.add(
          tf.add(tf.matMul(xt as tf.Tensor2D, wi as tf.Tensor2D), b),
          tf.matMul(h as tf.Tensor2D, wh as tf.Tensor2D),
        ),
      );
    return head(h);
  };
}

function lstm(inputs: number, hidden: number): Layer {
  const bound = 1 / Math.sqrt(hidden);
  const [w, b] = [weight([inputs + hidden, 4 * hidden], bound), weight([4 * hidden], bound)];
  const head = dense(hidden, 2);
  return (x) => {
    let [h, c]: [tf.Tensor, tf.Tensor] = [tf.zeros([32, hidden]), tf.zeros([32, hidden])];
    for (const xt of tf.unstack(x, 1)) {
      const gates = tf.add(tf.matMul(tf.concat([xt, h], 1) as tf.Tensor2D, w as tf.Tensor2D), b);
      const [i, f, g, o] = tf.split(gates, 4, 1) as [tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor];
      c = tf.add(tf.mul(tf.sigmoid(f), c), tf.mul(tf.sigmoid(i), tf.tanh(g)));
      h = tf.mul(tf.sigmoid(o), tf.tanh(c));
    }
    return head(h);
  };
}

function norm(size: number): Layer {
  const [gain, bias] = [tf.variable(tf.ones([size])), tf.variable(tf.zeros([size]))];
  return (x) => {
    const { mean, variance } = tf.moments(x, -1, true);
    return tf.add(tf.mul(tf.mul(tf.sub(x, mean), tf.rsqrt(tf.add(variance, 1e-5))), gain), bias);
  };
}

function transformer(): Layer {
  const [batch, steps, size, heads] = [16, 64, 128, 4];
  const [words, positions] = [weight([1000, size], 1), weight([steps, size], 1)];
  const blocks = [0, 1].map((): Layer => {
    const [qkv, out, up, down] = [
      dense(size, 3 * size),
      dense(size, size),
      dense(size, 512),
      dense(512, size),
    ];
    const [first, second] = [norm(size), norm(size)];
    const split = (x: tf.Tensor): tf.Tensor =>
      tf.transpose(tf.reshape(x, [batch, steps, heads, size / heads]), [0, 2, 1, 3]);
    return (x) => {
      const [q, k, v] = tf.split(qkv(x), 3, 1).map(split) as [tf.Tensor, tf.Tensor, tf.Tensor];
      const scores = tf.mul(tf.matMul(q, k, false, true), 1 / Math.sqrt(size / heads));
      const mixed = tf.transpose(tf.matMul(tf.softmax(scores), v), [0, 2, 1, 3]);
      const attended = first(tf.add(x, out(tf.reshape(mixed, [batch * steps, size]))));
      return second(tf.add(attended, down(tf.relu(up(attended)))));
    };
  });
  const head = dense(size, 4);
  return (x) => {
    const embedded = tf.reshape(tf.add(tf.gather(words, x as tf.Tensor1D), positions), [batch * steps, size]);
    return head(tf.mean(tf.reshape(chain(...blocks)(embedded), [batch, steps, size]), 1));
  };
}

function convolutional(): Layer {
  const [kernel, bias, head] = [weight([3, 3, 1, 16], 1 / 3), weight([16], 1 / 3), dense(16 * 14 * 14, 10)];
  return (x) => {
    const y = tf.add(tf.conv2d(x as tf.Tensor4D, kernel as tf.Tensor4D, 1, "same"), bias);
    return head(tf.reshape(tf.maxPool(tf.relu(y) as tf.Tensor4D, 2, 2, "valid"), [64, -1]));
  };
}

function gan(): Step {
  const [g1, d1, d2] = [dense(100, 784), dense(784, 128), dense(128, 1)];
  const variables = Object.values(tf.engine().registeredVariables);
  const [generator, discriminator] = [variables.slice(-6, -4), variables.slice(-4)];
  const generate = chain(g1, tf.tanh);
  const judge = chain(d1, (x) => tf.leakyRelu(x, 0.2), d2);
  const real = tf.randomUniform([64, 784]);
  const [ones, zeros] = [tf.ones([64, 1]), tf.zeros([64, 1])];
  const bce = (labels: tf.Tensor, scores: tf.Tensor): tf.Tensor =>
    tf.losses.sigmoidCrossEntropy(labels, scores);
  const [adamG, adamD] = [tf.train.adam(2e-4), tf.train.adam(2e-4)];
  return () =>
    tf.tidy(() => {
      const z = tf.randomNormal([64, 100]);
      const lossD = adamD.minimize(
        () => tf.add<tf.Scalar>(bce(ones, judge(real)), bce(zeros, judge(generate(z)))),
        true,
        discriminator,
      )!;
      const lossG = adamG.minimize(() => bce(ones, judge(generate(z))) as tf.Scalar, true, generator)!;
      return tf.add(lossD, lossG);
    });
}

const WORKLOADS: Record<string, () => Step> = {
  simple: () =>
    supervised(chain(dense(10, 5), tf.relu, dense(5, 2)), tf.randomNormal([100, 10]), classes(100, 2)),
  mlp: () =>
    supervised(
      chain(dense(784, 256), tf.relu, dense(256, 128), tf.relu, dense(128, 10)),
      tf.randomNormal([64, 784]),
      classes(64, 10),
    ),
  cnn: () => supervised(convolutional(), tf.randomNormal([64, 28, 28, 1]), classes(64, 10)),
  rnn: () => supervised(rnn(), tf.randomNormal([32, 20, 10]), classes(32, 2)),
  "lstm-5": () => supervised(lstm(10, 5), tf.randomNormal([32, 20, 10]), classes(32, 2)),
  "lstm-128": () => supervised(lstm(32, 128), tf.randomNormal([32, 50, 32]), classes(32, 2)),
  transformer: () => supervised(transformer(), tf.randomUniformInt([16, 64], 0, 1000), classes(16, 4)),
  autoencoder: () => {
    const target = tf.randomUniform([64, 784]);
    return supervised(
      chain(dense(784, 128), tf.relu, dense(128, 784), tf.sigmoid),
      tf.randomUniform([64, 784]),
      target,
      (output) => tf.losses.meanSquaredError(target, output),
    );
  },
  gan,
};

let step: Step | undefined;

/** One step, whose loss is read. */
function make(): number {
  const loss = step!();
  const [value] = loss.dataSync();
  loss.dispose();
  return value!;
}

interface Command {
  do: "start" | "window";
  name: string;
  seconds: number;
}

function answer({ do: what, name, seconds }: Command): object {
  if (what === "start") {
    tf.disposeVariables();
    step = WORKLOADS[name]!();
    return { loss: make() };
  }
  const start = performance.now();
  let count = 0;
  do {
    make();
    count++;
  } while (performance.now() - start < 1000 * seconds);
  return { stepsPerSecond: (1000 * count) / (performance.now() - start) };
}

await setUp(process.argv[2]!);
for await (const line of createInterface(process.stdin)) {
  let result: object;
  try {
    result = answer(JSON.parse(line) as Command);
  } catch (error) {
    result = { error: error instanceof Error ? error.message : String(error) };
  }
  process.stdout.write(`${JSON.stringify(result)}\n`);
}
process.exit();
