import { runLane } from "../../lane.ts";
import { closeBrowser, keepScreenshot } from "./page.ts";
import "./architecture.ts";
import "./charts.ts";
import "./comparison.ts";
import "./data.ts";
import "./dataFile.ts";
import "./diagram.ts";
import "./evaluation.ts";
import "./history.ts";
import "./intervene.ts";
import "./layers.ts";
import "./looks.ts";
import "./profile.ts";
import "./runs/restricted.ts";
import "./runs/pictures.ts";
import "./runs/runs.ts";
import "./runs/table.ts";
import "./sweep.ts";
import "./tensor.ts";
import "./tensors.ts";
import "./onnx.ts";
import "./training.ts";

await runLane({
  alone: /in time|60 frames|fluid|a frame at a time/,
  onFailure: (name) => keepScreenshot(`failed-${name.replaceAll(/\W+/g, "-")}`),
  close: closeBrowser,
});
