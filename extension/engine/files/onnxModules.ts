/** The modules around the nodes of an ONNX graph, from names that exporters write. */
import type { ModelGraph, ModelNode } from "../../formats/onnx/graphProto.ts";

/** Levels of modules; deeper ones stay in the last. */
const MAX_LEVELS = 24;

export interface Module {
  readonly name: string;
  readonly className: string;
}

/** Modules, outermost first. */
export type ModulePath = readonly Module[];

const ROOT: ModulePath = [];

/**
 * Returns the modules around each node. A node without them in the file gets the innermost module that has all nodes
 * that it reads from and that read it: outside, it would be both behind and before that module.
 */
export function modulesOf({ nodes, inputs, outputs }: ModelGraph): ModulePath[] {
  const own = nodes.map(writtenModules);
  const makers = new Map<string, number>();
  nodes.forEach((node, i) => node.outputs.forEach((name) => makers.set(name, i)));
  /** The innermost module around all readers of a node; undefined for a node without readers. */
  const readers: (ModulePath | undefined)[] = nodes.map(() => undefined);
  for (const { name } of outputs) readers[makers.get(name) ?? -1] = ROOT;
  for (let i = nodes.length - 1; i >= 0; i--) {
    const place = own[i]!.length > 0 ? own[i] : readers[i];
    if (place === undefined) continue;
    for (const name of nodes[i]!.inputs) {
      const maker = makers.get(name);
      if (maker !== undefined) readers[maker] = common(readers[maker], place);
    }
  }
  const given = new Set(inputs.map(({ name }) => name));
  const places = [...own];
  for (const [i, node] of nodes.entries()) {
    const place = readers[i];
    if (own[i]!.length > 0 || place === undefined || place.length === 0) continue;
    places[i] = node.inputs.reduce((found, name) => {
      if (given.has(name)) return ROOT;
      const maker = makers.get(name);
      return maker === undefined || maker >= i ? found : common(found, places[maker]!);
    }, place);
  }
  return places;
}

function common(a: ModulePath | undefined, b: ModulePath): ModulePath {
  if (a === undefined || a === b) return b;
  let same = 0;
  while (same < a.length && a[same]!.name === b[same]?.name) same++;
  return same === a.length ? a : a.slice(0, same);
}

function writtenModules({ name, scopes, classes }: ModelNode): ModulePath {
  // PyTorch's newer exporter writes scopes; the older one and TensorFlow's put modules into the name.
  const known = scopes?.[0] === "" ? scopes.slice(1, -1) : undefined;
  const paths = known ?? name.split("/").filter(Boolean).slice(0, -1);
  return paths.slice(0, MAX_LEVELS).map((path, i) => {
    const before = paths[i - 1];
    const own = before !== undefined && path.startsWith(`${before}.`) ? path.slice(before.length + 1) : path;
    const className = known === undefined ? "" : (classes?.[i + 1]?.split(".").at(-1) ?? "");
    return { name: own, className };
  });
}
