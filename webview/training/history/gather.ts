/** Asks the host for the parts of a run's report that the panel doesn't show. */
import type { TrainingHostMethods } from "../../../extension/protocol/views.ts";
import { stillDiagram } from "../../diagram/still.ts";
import { measuredWidths } from "../../diagram/textWidths.ts";
import { strings } from "../../shared/strings.ts";
import type { ReportParts } from "./report.ts";
import { chosenPictures, PICTURES_LIMIT, type DrawnPicture } from "./reportSamples.ts";

type Host = Pick<TrainingHostMethods, "diagram" | "samples" | "pictures" | "picture">;

/** Parts that can't be read are left out of the report. */
export async function gather(
  host: Host,
): Promise<Pick<ReportParts, "diagram" | "samples" | "pictures" | "drawn">> {
  const look = { ...measuredWidths(), opened: [], closed: [], unfolded: [] };
  const [diagram, samples, all] = await Promise.all([
    host.diagram(look).catch(() => null),
    host.samples().catch(() => null),
    host.pictures().catch(() => []),
  ]);
  const label = diagram ? strings.architecture.diagramLabel(diagram.model.name) : "";
  return {
    diagram: diagram ? stillDiagram(diagram, label) : undefined,
    samples: samples ?? undefined,
    ...(await read(host, all ?? [])),
  };
}

/** One after another: their files may be large. */
async function read(
  host: Host,
  all: Awaited<ReturnType<Host["pictures"]>>,
): Promise<Pick<ReportParts, "pictures" | "drawn">> {
  const pictures: DrawnPicture[] = [];
  let left = PICTURES_LIMIT;
  for (const picture of chosenPictures(all)) {
    const png = (await host.picture(picture.file).catch(() => "")) ?? "";
    if (png === "" || png.length > left) continue;
    left -= png.length;
    pictures.push({ picture, png });
  }
  return { pictures, drawn: all.length };
}
