// Models of the cases: from their specifications to modules of the library.
import { nn, torch, type Tensor } from "../../extension/nn/index.ts";
import type { Module } from "../../extension/nn/module/module.ts";
import { Unsupported, type Json } from "./format.ts";
import { argument, construct, keywords } from "./names.ts";

export interface ModelSpec {
  type: string;
  args?: Json[];
  kwargs?: Record<string, Json>;
  /** Containers. */
  layers?: ModelSpec[];
  named?: [name: string, model: ModelSpec][];
  /** Stacks of transformer layers. */
  layer?: ModelSpec;
  num_layers?: number;
  norm?: ModelSpec;
  /** Structured models. */
  name?: string;
  params?: Record<string, Json>;
  children?: [name: string, model: ModelSpec][];
  source?: string;
  config?: Record<string, Json>;
}

/** @throws Unsupported for a class that the library doesn't export */
export function build(spec: ModelSpec): Module {
  const { type, layers, named, layer, children } = spec;
  const kwargs = keywords(spec.kwargs);
  const make = (args: readonly unknown[], named: Record<string, unknown>): Module =>
    construct("nn", type, args, named) as Module;
  if (type === "custom") return custom(spec.name!, children ?? []);
  if (layer !== undefined) {
    const norm = spec.norm === undefined ? {} : { norm: build(spec.norm) };
    return make([build(layer), spec.num_layers], { ...norm, ...kwargs });
  }
  if (named !== undefined) {
    return make([new Map(named.map(([name, model]) => [name, build(model)]))], {});
  }
  if (layers !== undefined) {
    const built = layers.map(build);
    return make(type === "Sequential" ? built : [built], {});
  }
  // As a config.json has it.
  if (spec.config !== undefined) return make([keywords(spec.config)], kwargs);
  return make((spec.args ?? []).map(argument), kwargs);
}

type Call = (...input: readonly unknown[]) => Tensor;
type Children = Readonly<Record<string, Call>>;
type Forward = (m: Children, ...input: Tensor[]) => Tensor;

/** Calls the children one after the other. */
const chain =
  (...names: string[]): Forward =>
  (m, x) =>
    names.reduce((y, name) => m[name]!(y), x);

/** The last place of a recurrent layer's output sequence. */
const recurrent =
  (name: string): Forward =>
  (m, x) => {
    const [out] = m[name]!(x) as unknown as [Tensor];
    return m["fc"]!(out.select(1, -1));
  };

/** `forward` of the structured models, by their names: what their `source` says in Python. */
const FORWARDS: Readonly<Record<string, Forward>> = {
  SimpleNN: (m, x) => m["fc2"]!(torch.relu(m["fc1"]!(x))),
  CNN: (m, x) => {
    const y = m["pool"]!(m["relu"]!(m["conv"]!(x)));
    return m["fc"]!(y.view(y.size(0), -1));
  },
  RNN: recurrent("rnn"),
  LSTM: recurrent("lstm"),
  GRU: recurrent("gru"),
  Autoencoder: (m, x) => torch.sigmoid(m["decoder"]!(torch.relu(m["encoder"]!(x)))),
  DeepAutoencoder: chain("encoder", "decoder"),
  Generator: (m, z) => torch.tanh(m["fc"]!(z)),
  Discriminator: (m, x) => torch.sigmoid(m["fc"]!(x)),
  DeepGenerator: chain("model"),
  DeepDiscriminator: chain("model"),
  TransformerClassifier: (m, x) => m["fc"]!(m["encoder"]!(m["embedding"]!(x)).mean(1)),
  BertClassifier: (m, ids, attentionMask) => {
    const out = m["bert"]!(ids, { attentionMask }) as unknown as { poolerOutput: Tensor };
    return m["fc"]!(out.poolerOutput);
  },
  ResidualBlock: (m, x) => {
    const y = m["bn2"]!(m["conv2"]!(m["act"]!(m["bn1"]!(m["conv1"]!(x)))));
    return m["act"]!(y.add(m["shortcut"]!(x)));
  },
  Shared: (m, x) => {
    const { scale, offset } = m as unknown as { scale: Tensor; offset: Tensor };
    return m["frozen"]!(
      m["again"]!(torch.tanh(m["first"]!(x)))
        .mul(scale)
        .add(offset),
    );
  },
};

/** A class of that name whose children are registered in order. */
function custom(name: string, children: readonly [string, ModelSpec][]): Module {
  const forward = FORWARDS[name];
  if (forward === undefined) throw new Unsupported(`the structured model ${name}`);
  const type = {
    [name]: class extends nn.Module {
      forward(...input: Tensor[]): Tensor {
        return forward(this as unknown as Children, ...input);
      }
    },
  }[name]!;
  const model = new type();
  if (name === "Shared") shareParts(model, children);
  else for (const [child, spec] of children) model.registerModule(child, build(spec));
  return model;
}

/** One layer under two names, a parameter and buffers of its own, a frozen weight: more than children can say. */
function shareParts(model: Module, children: readonly [string, ModelSpec][]): void {
  const specs = new Map(children);
  const first = build(specs.get("first")!) as InstanceType<typeof nn.Linear>;
  const frozen = build(specs.get("frozen")!) as InstanceType<typeof nn.Linear>;
  model.registerModule("first", first);
  model.registerModule("again", first);
  model.registerParameter("scale", new nn.Parameter(torch.ones(first.inFeatures)));
  model.registerBuffer("offset", torch.zeros(first.inFeatures));
  model.registerBuffer("scratch", torch.zeros(2), { persistent: false });
  model.registerModule("frozen", frozen);
  frozen.weight.requiresGrad_(false);
}
