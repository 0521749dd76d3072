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

  // A like: from the event to the frame that shows it. Where the form leads to another page, to that page's first paint.
  const CLICKED = "bench-clicked";
  const now = () => performance.timeOrigin + performance.now();
  const clicked = () => Number(sessionStorage.getItem(CLICKED));
  const shown = (at) => {
    const ms = at - clicked();
    sessionStorage.removeItem(CLICKED);
    window.benchLiked(ms);
  };
  if (clicked()) each("paint", (entry) => entry.name === "first-contentful-paint" && clicked() && shown(performance.timeOrigin + entry.startTime));
  const painted = (then) =>
    requestAnimationFrame(() => {
      const { port1, port2 } = new MessageChannel();
      port1.onmessage = then;
      port2.postMessage(0);
    });
  addEventListener(
    "click",
    (event) => {
      const button = event.target instanceof Element && event.target.closest("button.like");
      if (!button) return;
      sessionStorage.setItem(CLICKED, String(performance.timeOrigin + event.timeStamp));
      const look = new MutationObserver(() => {
        look.disconnect();
        painted(() => clicked() && shown(now()));
      });
      const post = button.closest("[data-post]") ?? button;
      look.observe(post, { subtree: true, childList: true, attributeFilter: ["aria-pressed"] });
    },
    true,
  );
})();
