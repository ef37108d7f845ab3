/** Coalesces calls: `draw` runs once in the next frame, however often the returned function is called. */
export function everyFrame(draw: () => void): () => void {
  let scheduled = false;
  return () => {
    if (scheduled) return;
    scheduled = true;
    requestAnimationFrame(() => {
      scheduled = false;
      draw();
    });
  };
}
