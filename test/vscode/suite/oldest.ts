import "./answers.ts";
import "./activation.ts";
import "./smoke.ts";

export { run } from "./run.ts";
