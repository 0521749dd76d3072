// Runs in every page of `bench pages` before its own scripts: gathers what the browser says of loading, and when a like is seen.

(() => {
  const seen = { lcp: 0, fcp: 0, shift: 0, tasks: [] };
  const each = (type, note) =>
    new PerformanceObserver((list) => list.getEntries().forEach(note)).observe({ type, buffered: true });
  each("largest-contentful-paint", (entry) => (seen.lcp = entry.startTime));
  each("paint", (entry) => {
    if (entry.name === "first-contentful-paint") seen.fcp = entry.startTime;
  });
  each("layout-shift", (entry) => {
    if (!entry.hadRecentInput) seen.shift += entry.value;
  });
  each("longtask", (entry) => seen.tasks.push({ at: entry.startTime, ms: entry.duration }));
  window.observed = seen;

  // A like: from the end of the touch to the frame that shows it. The browser says when that was presented (Event Timing, in
  // steps of 8 ms), for the event in whose listeners the heart turned. Where the form leads to another page: that page's first paint.
  const CLICKED = "bench-clicked";
  let clicked = Number(sessionStorage.getItem(CLICKED));
  sessionStorage.removeItem(CLICKED);
  addEventListener("pagehide", () => clicked && sessionStorage.setItem(CLICKED, String(clicked)));
  const shown = (at) => {
    if (clicked) window.benchLiked(at - clicked);
    clicked = 0;
  };
  if (clicked) each("paint", (entry) => entry.name === "first-contentful-paint" && shown(performance.timeOrigin + entry.startTime));
  let turned = 0;
  new PerformanceObserver((list) => {
    for (const { duration, startTime, processingStart, processingEnd } of list.getEntries()) {
      if (processingStart <= turned && turned <= processingEnd) shown(performance.timeOrigin + startTime + duration);
    }
  }).observe({ type: "event", durationThreshold: 16 });
  addEventListener(
    "pointerup",
    (event) => {
      const button = event.target instanceof Element && event.target.closest("button.like");
      if (!button) return;
      clicked = performance.timeOrigin + event.timeStamp;
      const look = new MutationObserver(() => {
        look.disconnect();
        turned = performance.now();
      });
      look.observe(button, { attributeFilter: ["aria-pressed"] });
    },
    true,
  );
})();
