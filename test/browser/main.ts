/** The scenarios in VS Code. */
import { runLane } from "../lane.ts";
import { keepLogs } from "./library/logs.ts";
import { said } from "./library/said.ts";
import { closeTier, closeWorkbench, openWorkbenches } from "./library/tier.ts";
// Those that take longest stand first, so that no process is left alone with one in the end.
import "./scenarios/outliving.ts";
import "./scenarios/survival.ts";
import "./scenarios/train.ts";
import "./scenarios/sweep.ts";
import "./scenarios/ray.ts";
import "./scenarios/elsewhere.ts";
import "./scenarios/remote.ts";
import "./scenarios/evaluation.ts";
import "./scenarios/data.ts";
import "./scenarios/foreign.ts";
import "./scenarios/onnx.ts";
import "./scenarios/tensor.ts";
import "./scenarios/architecture.ts";
import "./scenarios/history.ts";
import "./scenarios/telling.ts";
import "./scenarios/layers.ts";
import "./scenarios/layerPictures.ts";
import "./scenarios/sidebar.ts";
import "./scenarios/editing.ts";
import "./scenarios/walkthrough.ts";
import "./scenarios/activation.ts";

await runLane({
  alone: /^latency/,
  async onFailure(name) {
    const left: string[] = [];
    const word = `failed ${name}`.replaceAll(/\W+/g, "-");
    for (const workbench of openWorkbenches()) {
      left.push(...(await said(workbench.page)).map((text) => `shown: ${text}`));
      left.push(`screenshot: ${await workbench.keepScreenshot(word)}`, `logs: ${keepLogs(workbench, word)}`);
      await closeWorkbench(workbench);
    }
    return left.join("\n");
  },
  close: closeTier,
});
