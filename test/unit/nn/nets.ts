import { nn, torch, type Tensor } from "../../../extension/nn/index.ts";
import { Node } from "../../../extension/tensor/recording/graph.ts";

export class Net extends nn.Module {
  fc1 = new nn.Linear(4, 3);
  act = new nn.ReLU();
  scale = new nn.Parameter(torch.ones(3));
  fc2 = new nn.Linear(3, 2);

  forward(x: Tensor): Tensor {
    return this.fc2(this.act(this.fc1(x)).mul(this.scale));
  }
}

/** Names of the modules that recorded the nodes of a graph. */
export function modulesOf(t: Tensor): string[] {
  const seen = new Set<Node>();
  const visit = (producer: unknown): void => {
    if (!(producer instanceof Node) || seen.has(producer)) return;
    seen.add(producer);
    for (const input of producer.inputs) visit(input.producer);
  };
  visit(t.value.producer);
  return [...new Set([...seen].map((node) => node.module))].sort();
}
