import * as v from "valibot";

/** A name of one file or folder. A record may come from a stranger, so its names are never paths elsewhere. */
export const NAME = String.raw`(?!\.)[^/\\:*?"<>|\x00-\x1f\x7f]{1,255}`;

/** The id of a run or a sweep: its folder's name. */
export const FolderName = v.pipe(
  v.string(),
  v.regex(new RegExp(`^${NAME}$`), "expected the name of a folder"),
);
