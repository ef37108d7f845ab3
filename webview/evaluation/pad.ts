/** A drawing area for mouse, pen, finger and arrow keys. */
import { strings } from "../shared/strings.ts";
import { themeValue } from "../shared/theme.ts";
import { rasterize, type Ink, type Target } from "./rasterize.ts";

/** Pixels along either side. */
const SIDE = 200;
/** Pixels that an arrow key moves the pen by. */
const KEY_STEP = 8;

interface Point {
  x: number;
  y: number;
}

export class Pad {
  readonly canvas = document.createElement("canvas");
  /** The ink alone, without the theme's colours. */
  readonly #ink = document.createElement("canvas");
  readonly #onDraw: () => void;
  #target: Target = { width: 8, height: 8 };
  #last: Point | undefined;
  /** Position of the keyboard's pen, and whether it is down; undefined until it is used. */
  #pen: (Point & { down: boolean }) | undefined;
  #isEmpty = true;

  constructor(onDraw: () => void) {
    this.#onDraw = onDraw;
    for (const canvas of [this.canvas, this.#ink]) [canvas.width, canvas.height] = [SIDE, SIDE];
    const { canvas } = this;
    canvas.className = "pad";
    canvas.tabIndex = 0;
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", strings.evaluation.ask.drawLabel);
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      this.#line(this.#at(event));
    });
    canvas.addEventListener("pointermove", (event) => {
      if (this.#last === undefined) return;
      // All positions of the pen since the last event, if the browser reports them.
      const events = "getCoalescedEvents" in event ? event.getCoalescedEvents() : [];
      for (const one of [...events, event]) this.#line(this.#at(one));
    });
    for (const end of ["pointerup", "pointercancel"] as const)
      canvas.addEventListener(end, () => (this.#last = undefined));
    canvas.addEventListener("keydown", (event) => this.#key(event));
    canvas.addEventListener("blur", () => {
      this.#pen = undefined;
      this.paint();
    });
  }

  get empty(): boolean {
    return this.#isEmpty;
  }

  setTarget(target: Target): void {
    this.#target = target;
  }

  /** The drawing as the model's input image. */
  pixels(): number[] {
    const data = this.#context(this.#ink).getImageData(0, 0, SIDE, SIDE).data;
    const ink: Ink = {
      width: SIDE,
      height: SIDE,
      values: Float32Array.from({ length: SIDE * SIDE }, (_, i) => (data[4 * i + 3] ?? 0) / 255),
    };
    return rasterize(ink, this.#target);
  }

  /** Shows an image of the target's size as if it were drawn: 0 is background, 1 is ink. */
  fill(pixels: readonly number[]): void {
    const { width, height } = this.#target;
    const small = document.createElement("canvas");
    [small.width, small.height] = [width, height];
    const image = new ImageData(width, height);
    pixels.forEach((share, i) => (image.data[4 * i + 3] = Math.round(255 * share)));
    this.#context(small).putImageData(image, 0, 0);
    this.clear();
    this.#context(this.#ink).drawImage(small, 0, 0, SIDE, SIDE);
    this.#isEmpty = false;
    this.paint();
  }

  clear(): void {
    this.#context(this.#ink).clearRect(0, 0, SIDE, SIDE);
    this.#isEmpty = true;
    this.#last = undefined;
    this.paint();
  }

  /** Paints the ink in the theme's colours. */
  paint(): void {
    const context = this.#context(this.canvas);
    context.clearRect(0, 0, SIDE, SIDE);
    context.drawImage(this.#ink, 0, 0);
    context.globalCompositeOperation = "source-in";
    context.fillStyle = themeValue("--vscode-editor-foreground", "--vscode-foreground");
    context.fillRect(0, 0, SIDE, SIDE);
    context.globalCompositeOperation = "source-over";
    if (this.#pen === undefined) return;
    context.strokeStyle = themeValue("--vscode-focusBorder", "--vscode-foreground");
    context.lineWidth = this.#pen.down ? 4 : 1.5;
    context.beginPath();
    context.arc(this.#pen.x, this.#pen.y, 7, 0, 2 * Math.PI);
    context.stroke();
  }

  #at(event: MouseEvent): Point {
    const { left, top, width, height } = this.canvas.getBoundingClientRect();
    return { x: ((event.clientX - left) / width) * SIDE, y: ((event.clientY - top) / height) * SIDE };
  }

  /** Draws a line from the pen's last position, or a dot. */
  #line(to: Point): void {
    const from = this.#last ?? to;
    const context = this.#context(this.#ink);
    context.lineCap = context.lineJoin = "round";
    // The thickness of strokes in images of digits: a tenth of their side.
    context.lineWidth = SIDE / 10;
    context.beginPath();
    context.moveTo(from.x, from.y);
    // A line of length 0 would draw nothing.
    context.lineTo(to.x + (from === to ? 0.01 : 0), to.y);
    context.stroke();
    this.#last = to;
    this.#isEmpty = false;
    this.paint();
    this.#onDraw();
  }

  #key(event: KeyboardEvent): void {
    const steps: Record<string, [number, number]> = {
      ArrowLeft: [-KEY_STEP, 0],
      ArrowRight: [KEY_STEP, 0],
      ArrowUp: [0, -KEY_STEP],
      ArrowDown: [0, KEY_STEP],
    };
    const step = steps[event.key];
    const pen = (this.#pen ??= { x: SIDE / 2, y: SIDE / 4, down: false });
    if (step !== undefined) {
      pen.x = Math.max(0, Math.min(SIDE, pen.x + step[0]));
      pen.y = Math.max(0, Math.min(SIDE, pen.y + step[1]));
    } else if (event.key === " ") pen.down = !pen.down;
    else if (event.key === "Delete" || event.key === "Backspace") this.clear();
    else return;
    event.preventDefault();
    if (pen.down) this.#line({ x: pen.x, y: pen.y });
    else this.#last = undefined;
    this.paint();
  }

  #context(canvas: HTMLCanvasElement): CanvasRenderingContext2D {
    const context = canvas.getContext("2d", { willReadFrequently: true });
    if (context === null) throw new Error("This browser has no canvas.");
    return context;
  }
}
