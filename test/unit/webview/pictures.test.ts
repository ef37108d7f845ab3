import { describe, expect, it, vi } from "vitest";
import type { Picture } from "../../../extension/protocol/views.ts";
import { PicturesSection } from "../../../webview/training/pictures.ts";
import type { TrainingState } from "../../../webview/training/state.ts";
import type { PictureSeries } from "../../../webview/shared/pictures.ts";

// The widgets that it draws with need a page.
vi.mock("../../../webview/shared/pictures.ts", () => ({ pictureSeries: (series: PictureSeries) => series }));

interface Shown {
  id?: string;
  live: boolean;
  step: number;
  endedAt?: string;
}

/** A section whose host has the pictures of a folder, with what was asked of it. */
function shown() {
  const folder = new Map<string, string>();
  const read: string[] = [];
  const section = new PicturesSection(
    {
      pictures: () =>
        Promise.resolve(
          [...folder.keys()].map((file, i): Picture => ({ file, name: file, at: i, unit: "step" })),
        ),
      picture: (file) => {
        read.push(file);
        return Promise.resolve(folder.get(file)!);
      },
    },
    () => undefined,
  );
  const refresh = ({ id = "run", live, step, endedAt }: Shown): Promise<void> =>
    section.refresh({ run: { id, step, endedAt }, live } as TrainingState);
  /** The picture that is drawn, if any. */
  const drawn = (): string | undefined => {
    const { pictures, index, fetched } = section.view() as unknown as PictureSeries;
    return fetched.get(pictures[index]?.file ?? "");
  };
  return { folder, read, refresh, drawn };
}

const END = { live: false, step: 11, endedAt: "2026-01-01T00:00:00Z" };

describe("the pictures of a training", () => {
  it("stay while an ended run is followed, with nothing new at first, and then ends again", async () => {
    const { folder, refresh, drawn } = shown();
    folder.set("a", "first");
    await refresh(END);
    expect(drawn()).toBe("first");
    const following = refresh({ live: true, step: 11 });
    expect(drawn()).toBe("first");
    await following;
    expect(drawn()).toBe("first");
    folder.set("b", "second");
    await refresh({ live: true, step: 11 });
    expect(drawn()).toBe("first");
    await refresh({ live: true, step: 15 });
    expect(drawn()).toBe("second");
    folder.set("c", "third");
    await refresh({ ...END, step: 15 });
    expect(drawn()).toBe("third");
  });

  it("of an ended run are read once, those of one whose end has moved again", async () => {
    const { folder, read, refresh, drawn } = shown();
    folder.set("a", "first");
    for (let i = 0; i < 3; i++) await refresh(END);
    expect(read).toEqual(["a"]);
    folder.set("b", "second");
    await refresh({ ...END, endedAt: "2026-01-01T00:01:00Z" });
    expect(drawn()).toBe("second");
  });

  it("are drawn again at the same step of another run, and never those of the run before", async () => {
    const { folder, refresh, drawn } = shown();
    folder.set("a", "first");
    await refresh({ live: true, step: 4 });
    folder.set("a", "other");
    const reading = refresh({ id: "other", live: true, step: 4 });
    expect(drawn()).toBeUndefined();
    await reading;
    expect(drawn()).toBe("other");
  });

  it("that are drawn again within an epoch are shown as they were until they are read", async () => {
    const { folder, refresh, drawn } = shown();
    folder.set("a", "first");
    await refresh({ live: true, step: 4 });
    folder.set("a", "again");
    const reading = refresh({ live: true, step: 5 });
    expect(drawn()).toBe("first");
    await reading;
    expect(drawn()).toBe("again");
  });
});
