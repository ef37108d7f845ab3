/** Draws small pictures of numbers: one colour above 0, another below, as strong as they are large. */
import type { LayerPicture, PictureInput } from "../../../extension/protocol/layers/pictures.ts";
import { themeValue } from "../theme.ts";

type Channels = readonly [red: number, green: number, blue: number];

export interface PictureColours {
  ground: Channels;
  above: Channels;
  below: Channels;
  /** Of numbers that aren't finite. */
  lost: Channels;
  /** Of classes. */
  classes: readonly string[];
  line: string;
}

const CLASSES = ["blue", "orange", "green", "red", "purple", "yellow"] as const;

export function readPictureColours(): PictureColours {
  const chart = (name: string): string => themeValue(`--vscode-charts-${name}`, "--vscode-foreground");
  const below = channelsOf(themeValue("--orange"));
  const orange = `rgb(${below.join(", ")})`;
  return {
    ground: channelsOf(themeValue("--vscode-editor-background") || "white"),
    above: channelsOf(chart("blue")),
    below,
    lost: channelsOf(chart("red")),
    classes: CLASSES.map((name) => (name === "orange" ? orange : chart(name))),
    line: themeValue("--vscode-foreground"),
  };
}

/** The channels of any CSS colour. */
export function channelsOf(colour: string): Channels {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 1;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (context === null) return [0, 120, 212];
  context.fillStyle = colour;
  context.fillRect(0, 0, 1, 1);
  const [red = 0, green = 0, blue = 0] = context.getImageData(0, 0, 1, 1).data;
  return [red, green, blue];
}

/** The least and the greatest finite number of one of a layer's pictures. */
export function rangeOfPart(
  { height, width }: Pick<LayerPicture, "height" | "width">,
  values: Float32Array,
  index: number,
): { low: number; high: number } {
  let [low, high] = [Infinity, -Infinity];
  for (const x of values.subarray(index * height * width, (index + 1) * height * width))
    if (Number.isFinite(x)) [low, high] = [Math.min(low, x), Math.max(high, x)];
  return { low, high };
}

/** One of a layer's pictures, a pixel for each number; all have the layer's scale. */
export function imageOf(
  { height, width, low, high }: LayerPicture,
  values: Float32Array,
  index: number,
  { ground, above, below, lost }: PictureColours,
): ImageData {
  const image = new ImageData(width, height);
  const most = Math.max(Math.abs(low), Math.abs(high));
  for (let i = 0; i < width * height; i++) {
    const x = values[index * width * height + i]!;
    const share = most > 0 ? Math.abs(x) / most : 0;
    const [colour, strength] = Number.isFinite(x) ? [x >= 0 ? above : below, share] : [lost, 1];
    for (let c = 0; c < 3; c++) image.data[4 * i + c] = ground[c]! + (colour[c]! - ground[c]!) * strength;
    image.data[4 * i + 3] = 255;
  }
  return image;
}

/** Draws one of a layer's pictures as large as the canvas. */
export function paintPicture(
  canvas: HTMLCanvasElement,
  picture: LayerPicture,
  values: Float32Array,
  index: number,
  colours: PictureColours,
): void {
  canvas.width = picture.width;
  canvas.height = picture.height;
  canvas.getContext("2d")?.putImageData(imageOf(picture, values, index, colours), 0, 0);
}

/** The class that each cell of a plane is given, by the outputs of the model. */
export function decisionsOf({ drawn, height, width }: LayerPicture, values: Float32Array): Uint8Array {
  const cells = height * width;
  return Uint8Array.from({ length: cells }, (_, cell) => {
    let best = 0;
    for (let unit = 1; unit < drawn; unit++)
      if (values[unit * cells + cell]! > values[best * cells + cell]!) best = unit;
    return best;
  });
}

/** Whether pictures are those of the model's output over a plane, which says one of few classes, all of which are drawn. */
export const isDecision = (
  path: string,
  { kind, units, drawn }: LayerPicture,
  input: PictureInput,
): boolean =>
  path === "" && kind === "plane" && input.kind === "plane" && input.classes && units > 1 && units === drawn;

/** Opacity of a class's region, under the points of the data. */
const REGION = 0.45;

/** Draws the regions of the classes, and the training data on them. */
export function paintDecision(
  canvas: HTMLCanvasElement,
  decisions: Uint8Array,
  { height, width }: Pick<LayerPicture, "height" | "width">,
  input: Extract<PictureInput, { kind: "plane" }>,
  { colours, side, points }: { colours: PictureColours; side: number; points: boolean },
): void {
  canvas.width = canvas.height = Math.round(side * devicePixelRatio);
  const context = canvas.getContext("2d");
  if (context === null) return;
  const { ground, classes } = colours;
  const scale = canvas.width;
  const regions = new ImageData(width, height);
  const channels = classes.map(channelsOf);
  decisions.forEach((one, cell) => {
    const colour = channels[one % channels.length]!;
    for (let c = 0; c < 3; c++) regions.data[4 * cell + c] = ground[c]! + (colour[c]! - ground[c]!) * REGION;
    regions.data[4 * cell + 3] = 255;
  });
  const small = document.createElement("canvas");
  [small.width, small.height] = [width, height];
  small.getContext("2d")?.putImageData(regions, 0, 0);
  context.imageSmoothingEnabled = false;
  context.drawImage(small, 0, 0, scale, scale);
  if (!points) return;
  const place = (value: number, [low, high]: readonly [number, number]): number =>
    (scale * (value - low)) / (high - low || 1);
  for (const [x, y, target] of input.points) {
    context.beginPath();
    context.arc(place(x, input.x), scale - place(y, input.y), 2.5 * devicePixelRatio, 0, 2 * Math.PI);
    context.fillStyle = classes[Math.abs(Math.round(target)) % classes.length]!;
    context.strokeStyle = `rgb(${ground.join(" ")})`;
    context.lineWidth = devicePixelRatio;
    context.fill();
    context.stroke();
  }
}
