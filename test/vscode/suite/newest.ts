// In this order: the first must be there when the extension is activated, the next wants a workspace without models.
import "./answers.ts";
import "./activation.ts";
import "./editing.ts";
import "./typing.ts";
import "./debugging.ts";
import "./training.ts";
import "./panels.ts";
import "./sidebar.ts";

export { run } from "./run.ts";
