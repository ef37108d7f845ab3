// @ts-check
// ONNX Runtime in a process of its own: it may crash on a bad model, which is to be one failed test.
import process from "node:process";
import { InferenceSession, Tensor } from "onnxruntime-node";

/** @typedef {{ type: "float32" | "int64" | "bool", data: any, dims: readonly number[] }} Plain */

/** @param {{ model: Uint8Array, batches: Record<string, Plain>[] }} request */
async function run({ model, batches }) {
  const session = await InferenceSession.create(model, { logSeverityLevel: 3, intraOpNumThreads: 1 });
  const results = [];
  for (const inputs of batches) {
    const feeds = Object.entries(inputs).map(([name, { type, data, dims }]) => [
      name,
      new Tensor(/** @type {"float32"} */ (type), data, dims),
    ]);
    const outputs = await session.run(Object.fromEntries(feeds));
    results.push(
      session.outputNames.map((name) => ({ dims: outputs[name]?.dims, data: outputs[name]?.data })),
    );
  }
  await session.release();
  return results;
}

process.on("message", (/** @type {Parameters<typeof run>[0]} */ request) => {
  run(request).then(
    (results) => process.send?.({ results }),
    (/** @type {unknown} */ error) => process.send?.({ error: String(error) }),
  );
});
process.on("disconnect", () => process.exit());
