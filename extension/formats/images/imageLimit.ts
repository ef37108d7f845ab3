import { MAX_PICTURE_PIXELS } from "../../protocol/pictures.ts";

/** An image of a kind that is not read. */
export class UnsupportedImage extends Error {}

/** An image that is too large. */
export class ImageLimit extends Error {
  static of(width: number, height: number): ImageLimit {
    return new ImageLimit(
      `the image has ${count(width)} × ${count(height)} pixels; the limit is ${count(MAX_PICTURE_PIXELS)} in all`,
    );
  }
}

const count = (value: number): string => value.toLocaleString("en-US");
