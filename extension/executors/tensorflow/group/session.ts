import type { NativeBinding } from "../../../native/binding.ts";
import { encodeGraphDef, type GraphNode } from "../graph/graphDef.ts";
import { sessionConfig } from "../graph/sessionConfig.ts";

/**
 * Opens a session for a graph.
 * @param threads inside an op; 0 for as many as the process has
 * @param group of a graph that has exchanges with other processes: its session runs through the server
 */
export function openSession(
  binding: NativeBinding,
  { nodes }: { readonly nodes: readonly GraphNode[] },
  threads: number,
  group: { readonly rank: number; readonly target: string } | undefined,
): number {
  const definition = encodeGraphDef(nodes);
  if (group === undefined) return binding.openGraph(definition, sessionConfig(threads));
  return binding.openGraph(definition, sessionConfig(threads, group.rank), group.target);
}
