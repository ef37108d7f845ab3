/** Exports the whole diagram as SVG or PNG, in the colours of the theme. */
import { plainText } from "../../extension/protocol/text/plain.ts";
import type { Drawn } from "./diagramState.ts";

const MARGIN = 16;
/** Scale of a PNG against the screen, and the largest side of a canvas that browsers can draw. */
const SCALE = 2;
const LARGEST = 16_000;
const COPIED = [
  "fill",
  "fill-opacity",
  "stroke",
  "stroke-width",
  "stroke-dasharray",
  "font-family",
  "font-size",
  "font-weight",
];

/** Makes an SVG with inline styles. */
export function svgOf(picture: Element, { layout }: Drawn): string {
  const copy = picture.cloneNode(true) as SVGSVGElement;
  const [from, to] = [picture, copy].map((one) => [...one.querySelectorAll("*")]);
  from?.forEach((element, i) => {
    const style = getComputedStyle(element);
    const target = to?.[i];
    for (const name of COPIED) target?.setAttribute(name, style.getPropertyValue(name));
    target?.removeAttribute("class");
  });
  copy.removeAttribute("class");
  const ground = document.createElementNS("http://www.w3.org/2000/svg", "rect");
  const place = {
    x: -MARGIN,
    y: -MARGIN,
    width: layout.width + 2 * MARGIN,
    height: layout.height + 2 * MARGIN,
    fill: getComputedStyle(document.body).backgroundColor,
  };
  for (const [name, value] of Object.entries(place)) ground.setAttribute(name, String(value));
  copy.prepend(ground);
  return framed(copy, layout);
}

/** Fits an SVG of the canvas to its layout, and writes it. */
export function framed(picture: SVGSVGElement, layout: Drawn["layout"]): string {
  picture.querySelector("g")?.removeAttribute("transform");
  const [width, height] = [layout.width + 2 * MARGIN, layout.height + 2 * MARGIN];
  picture.setAttribute("viewBox", `${-MARGIN} ${-MARGIN} ${width} ${height}`);
  picture.setAttribute("width", String(width));
  picture.setAttribute("height", String(height));
  for (const name of ["aria-hidden", "focusable"]) picture.removeAttribute(name);
  // XML forbids control characters, even escaped ones.
  return plainText(new XMLSerializer().serializeToString(picture).replaceAll(/<!--.*?-->/gs, ""));
}

/** Renders an SVG as a base64 PNG. */
export async function pngOf(source: string): Promise<string> {
  const image = new Image();
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(source)}`;
  await image.decode();
  const scale = Math.min(SCALE, LARGEST / Math.max(image.width, image.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.round(image.width * scale);
  canvas.height = Math.round(image.height * scale);
  canvas.getContext("2d")?.drawImage(image, 0, 0, canvas.width, canvas.height);
  return canvas.toDataURL("image/png").replace(/^[^,]*,/, "");
}
