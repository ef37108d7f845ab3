/** A thread that reads and decodes data ahead of the training. It runs no user code. */
import { parentPort, workerData, type MessagePort } from "node:worker_threads";
import { answerTo } from "../reading/answers.ts";
import { ANSWERS, READS, type ReadingRequest, type ThreadData } from "../reading/messages.ts";

const { signal, port } = workerData as ThreadData & { port: MessagePort };
const alive = (): void => void Atomics.add(signal, READS, 1);

/** One request after the other: each may take as much memory as it is allowed. */
let last: Promise<void> = Promise.resolve();

port.on("message", (request: ReadingRequest) => {
  last = serve(last, request);
});

async function serve(before: Promise<void>, request: ReadingRequest): Promise<void> {
  await before;
  const { answer, transfer } = await answerTo(request, alive);
  port.postMessage(answer, transfer);
  Atomics.add(signal, ANSWERS, 1);
  Atomics.notify(signal, ANSWERS);
}
parentPort?.unref();
