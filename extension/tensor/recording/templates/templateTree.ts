// Graphs that were named before.
import type { Plan, Request } from "../../planning/executor.ts";
import { MAX_ALIKE, MAX_ALIKE_NODES, MAX_REMEMBERED_NODES, MAX_TRACED_SIZES } from "../../tuning.ts";
import type { Node } from "../graph.ts";
import { Numbering } from "./numbering.ts";
import type { Template } from "./template.ts";

interface Branch {
  readonly template: Template;
  /** By the position of a node: templates that equal this one up to there, and differ there. */
  readonly below: Map<number, Branch>;
}

/**
 * Finds the template of a graph by where it differs from others. A graph that differs from a template at some node can equal only those
 * below it at this node, and is compared with them from there on: sequences that grow by a token differ in the same slice.
 */
class TemplateTree {
  #root: Branch | undefined;
  #templates: Template[] = [];

  /** Nodes of all templates. */
  get nodes(): number {
    return this.#templates.reduce((sum, { length }) => sum + length, 0);
  }

  /** The template and the plan of a graph; undefined where none of the templates is equal. */
  find(nodes: readonly Node[], request: Request): { template: Template; plan: Plan } | undefined {
    const { found } = this.#walk(nodes, request);
    return found;
  }

  /** Adds the template of a graph, unless there is one. */
  add(template: Template, nodes: readonly Node[], request: Request): void {
    const { length } = this.#templates;
    if (length >= MAX_ALIKE && length * nodes.length > MAX_ALIKE_NODES) this.clear();
    const { last, at, found } = this.#walk(nodes, request);
    if (found !== undefined) return;
    const branch: Branch = { template, below: new Map() };
    if (last === undefined) this.#root = branch;
    else last.below.set(at, branch);
    this.#templates.push(template);
  }

  /** Forgets all templates. */
  clear(): void {
    // Cuts the chain of steps: once its first one is old, a minor collection would keep all that follow.
    for (const template of this.#templates) template.next = undefined;
    this.#root = undefined;
    this.#templates = [];
  }

  /** The last template that a graph is compared with, and where they differ. */
  #walk(nodes: readonly Node[], request: Request): Walk {
    const numbering = new Numbering(nodes);
    const { length } = nodes;
    let at = 0;
    let last: Branch | undefined;
    for (let one = this.#root; one !== undefined; one = one.below.get(at)) {
      const { template } = one;
      // What those above leave open, this one may need.
      const from = last?.template.isWhole === false ? 0 : at;
      at = template.firstDifference(numbering, nodes, from);
      last = one;
      const plan = at === length ? template.plan(numbering, request, false) : undefined;
      if (plan !== undefined) return { last, at, found: { template, plan } };
    }
    return { last, at, found: undefined };
  }
}

interface Walk {
  readonly last: Branch | undefined;
  readonly at: number;
  readonly found: { template: Template; plan: Plan } | undefined;
}

/** Templates of graphs that were seen several times. */
export class RememberedGraphs {
  /** By number of nodes; that of the graph that was added last comes last. */
  readonly #trees = new Map<number, TemplateTree>();

  add(template: Template, recorded: readonly Node[], request: Request): void {
    const trees = this.#trees;
    const tree = trees.get(template.length) ?? new TemplateTree();
    trees.delete(template.length);
    trees.set(template.length, tree);
    tree.add(template, recorded, request);
    let nodes = 0;
    for (const one of trees.values()) nodes += one.nodes;
    for (const [size, oldest] of trees) {
      if (oldest === tree || (trees.size <= MAX_TRACED_SIZES && nodes <= MAX_REMEMBERED_NODES)) return;
      nodes -= oldest.nodes;
      oldest.clear();
      trees.delete(size);
    }
  }

  /** Returns the plan of recorded nodes, if they equal a graph that is remembered. */
  find(recorded: readonly Node[], request: Request): { template: Template; plan: Plan } | undefined {
    return this.#trees.get(recorded.length)?.find(recorded, request);
  }
}
