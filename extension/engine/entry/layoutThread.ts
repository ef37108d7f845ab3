/** The layout engine, in a thread of the preview's process: a panel's first diagram is laid out while its page is made. */
import { parentPort } from "node:worker_threads";
import ELK from "elkjs/lib/elk.bundled.js";
import { graphOf, positionsOf, sketchOf, WARM_UP } from "../../diagram/layout.ts";
import type { LayoutRequest } from "../../protocol/preview.ts";
import type { LayoutAnswer } from "../preview/layoutClient.ts";

const elk = new ELK();
// The first layout takes longest.
const warm = elk.layout(WARM_UP);

async function layOut({ flow, rows, look }: LayoutRequest): Promise<LayoutAnswer> {
  await warm;
  try {
    const byPath = new Map(rows.map((row) => [row.path, row]));
    return { places: positionsOf(await elk.layout(graphOf(sketchOf(flow, byPath, look), look))) };
  } catch (error) {
    return { error: error instanceof Error ? error.message : String(error) };
  }
}

parentPort?.on("message", ({ id, request }: { id: number; request: LayoutRequest }) => {
  void layOut(request).then((answer) => parentPort?.postMessage({ id, answer }, []));
});
