// The first must be there when the extension is activated.
import "./answers.ts";
import "./latency.ts";
import "./trainingTimes.ts";

export { run } from "./run.ts";
