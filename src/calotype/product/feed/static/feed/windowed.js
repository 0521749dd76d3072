/*
 * A list of which only what is near the window is in the page: ten thousand posts cost as much as thirty. Padding of the list
 * stands for the others, so nothing moves. Of those a little further away the element is kept, with all that was done
 * to it; of the rest only place and height, and they are asked for again.
 */

// @ts-check

/** In heights of the window: what is nearer is in the page, what is further away is not. */
const NEAR = 3;
const FAR = 8;

/** So many posts come in at once, at either end, but for those that are seen: the frame of twenty takes a phone a fifth of a second. */
const STEP = 2;

/** So many posts before and after those in the page are kept. */
const KEPT = 40;

const UNSEEN_PX = 700;

const GAP = "feed-gap";
const GONE = "feed-gone";

/** @typedef {{place: string, size: number, node: HTMLElement | null}} Post `size` with the space below it, in pixels */

/**
 * The posts that touch a stretch of the list, as [first, behind the last]; at least one.
 * @param {readonly {size: number}[]} posts
 * @param {number} from in pixels from the top of the list
 * @param {number} to
 * @returns {[number, number]}
 */
export function between(posts, from, to) {
  let first = 0;
  let y = 0;
  for (; first < posts.length - 1; first++) {
    const size = posts[first]?.size ?? 0;
    if (y + size > from) break;
    y += size;
  }
  let last = first;
  while (last < posts.length && (y < to || last === first)) y += posts[last++]?.size ?? 0;
  return [first, last];
}

/** @param {Element} article @returns {Post} */
export function postOf(article) {
  const node = /** @type {HTMLElement} */ (article);
  return { place: node.dataset["place"] ?? "", size: UNSEEN_PX, node };
}

/** What it holds: the elements of `list` are those of `posts[first]` up to `posts[last - 1]`, and padding has the size of the others. */
export class Windowed {
  /** @type {Post[]} */
  posts = [];
  first = 0;
  last = 0;

  /** The first post that was seen, and where: for when the window gets another width. @type {{post: Post, top: number} | null} */
  held = null;

  /** @param {HTMLElement} list with articles */
  constructor(list) {
    this.list = list;
    this.posts = [...list.children].map(postOf);
    this.last = this.posts.length;
    this.width = list.clientWidth;
    this.measure();
  }

  /** What lies before and behind the window: [above, below], in pixels from its edges. @returns {[number, number]} */
  get beyond() {
    const { top, bottom } = this.list.getBoundingClientRect();
    return [-top, bottom - innerHeight];
  }

  /** The first post in the page whose element is to be asked for again; -1 when there is none. */
  get missing() {
    const index = this.posts.slice(this.first, this.last).findIndex((post) => post.node?.className === GAP);
    return index < 0 ? -1 : this.first + index;
  }

  /** The first post that is seen; -1 when there is none. */
  get seen() {
    const seen = (/** @type {Post} */ post) => (post.node?.getBoundingClientRect().bottom ?? 0) > 0;
    const index = this.posts.slice(this.first, this.last).findIndex(seen);
    return index < 0 ? -1 : this.first + index;
  }

  /** @param {Post[]} posts older ones */
  append(posts) {
    this.posts.push(...posts);
    this.pad(); // What is measured next is measured against it.
    this.fit();
  }

  /** @param {Post[]} posts newer ones */
  prepend(posts) {
    this.steady(() => {
      this.posts.unshift(...posts);
      this.first += posts.length;
      this.last += posts.length;
    });
    this.fit();
  }

  /**
   * Other posts, seen from one of them on.
   * @param {Post[]} posts
   * @param {number} [index]
   * @param {number} [top] where in the window this post begins
   */
  replace(posts, index = 0, top) {
    this.list.replaceChildren();
    this.posts = posts;
    this.first = this.last = index;
    this.pad();
    if (top !== undefined) {
      const start = this.list.getBoundingClientRect().top + scrollY + sum(posts, 0, index);
      scrollTo({ top: start - top, behavior: "instant" });
    }
    this.fit();
  }

  /**
   * Bring in what has come near, take out what has gone far.
   * @returns {boolean} whether more is to come in, in the next frame
   */
  fit() {
    const { top } = this.list.getBoundingClientRect();
    if (this.list.clientWidth !== this.width) this.turned();
    this.measure();
    const around = (/** @type {number} */ windows) =>
      between(this.posts, -top - windows * innerHeight, -top + (windows + 1) * innerHeight);
    const [[seen, seenEnd], [near, nearEnd], [far, farEnd]] = [around(0), around(NEAR), around(FAR)];
    const apart = this.last <= seen || this.first >= seenEnd;
    const [from, until] = apart ? [seen, seenEnd] : [Math.min(this.first, seen), Math.max(this.last, seenEnd)];
    const first = Math.max(from - STEP, Math.min(near, Math.max(far, from)));
    const last = Math.min(until + STEP, Math.max(nearEnd, Math.min(farEnd, until)));
    if (first !== this.first || last !== this.last) this.steady(() => this.show(first, last));
    const post = this.posts[this.seen];
    this.held = post?.node ? { post, top: post.node.getBoundingClientRect().top } : null;
    return first > near || last < nearEnd;
  }

  /**
   * Elements for posts that had none any longer, from `index` on. Those of which there is none among them are gone.
   * @param {number} index
   * @param {Element[]} articles
   */
  fill(index, articles) {
    const found = new Map(articles.map((article) => [postOf(article).place, /** @type {HTMLElement} */ (article)]));
    let until = index;
    while (this.posts.slice(until + 1, until + KEPT).some((post) => found.has(post.place))) until++;
    this.steady(() => {
      for (const post of this.posts.slice(index, until + 1)) {
        if (post.node && post.node.className !== GAP) continue;
        const article = found.get(post.place) ?? gap(0, GONE);
        post.node?.replaceWith(article);
        post.node = article;
      }
    });
    this.fit();
  }

  /** @param {number} first @param {number} last */
  show(first, last) {
    this.posts.forEach((post, index) => {
      if (index >= first && index < last) return;
      post.node?.remove();
      const far = index < first - KEPT || index >= last + KEPT;
      if (post.node && far && !isTypedIn(post.node)) post.node = null;
    });
    let next = null;
    for (let index = last - 1; index >= first; index--) {
      const post = /** @type {Post} */ (this.posts[index]);
      post.node ??= gap(post.size, GAP);
      post.node.setAttribute("aria-posinset", String(index + 1));
      post.node.setAttribute("aria-setsize", "-1");
      if (post.node.parentNode !== this.list) this.list.insertBefore(post.node, next);
      next = post.node;
    }
    this.first = first;
    this.last = last;
  }

  /** Change the list so that what is seen stays where it is: a post, or what lies behind the last. @param {() => void} change */
  steady(change) {
    const seen = this.posts[this.seen];
    const end = this.beyond[1] <= 0;
    const edge = () => (end ? this.beyond[1] : (seen?.node?.getBoundingClientRect().top ?? 0));
    const was = edge();
    change();
    this.pad();
    if (!end && !seen?.node?.isConnected) return;
    const moved = edge() - was;
    if (Math.abs(moved) < 0.5) return;
    // The heights above were remembered wrongly: what is still hidden there takes the difference.
    const over = this.posts[this.first - 1];
    if (over) {
      over.size -= moved;
      this.pad();
    } else scrollBy({ top: moved, behavior: "instant" });
  }

  /** The window has another width: so have all posts, and their heights follow, nearly. */
  turned() {
    const ratio = this.list.clientWidth / (this.width || 1);
    this.width = this.list.clientWidth;
    this.posts.forEach((post, index) => {
      if (index < this.first || index >= this.last) post.size *= ratio;
    });
    this.pad();
    const top = this.held?.post.node?.getBoundingClientRect().top;
    if (top !== undefined) scrollBy({ top: top - (this.held?.top ?? 0), behavior: "instant" });
  }

  measure() {
    const nodes = this.posts.slice(this.first, this.last);
    const tops = nodes.map((post) => post.node?.getBoundingClientRect().top ?? 0);
    tops.push(this.list.getBoundingClientRect().bottom - sum(this.posts, this.last));
    nodes.forEach((post, index) => (post.size = (tops[index + 1] ?? 0) - (tops[index] ?? 0)));
  }

  pad() {
    this.list.style.paddingBlockStart = `${Math.max(0, sum(this.posts, 0, this.first))}px`;
    this.list.style.paddingBlockEnd = `${Math.max(0, sum(this.posts, this.last))}px`;
  }
}

/** @param {Post[]} posts @param {number} from @param {number} [to] */
function sum(posts, from, to = posts.length) {
  let pixels = 0;
  for (let index = from; index < to; index++) pixels += posts[index]?.size ?? 0;
  return pixels;
}

/** Stands for a post that is on its way, or gone. @param {number} size @param {string} kind */
function gap(size, kind) {
  const made = document.createElement("article");
  made.className = kind;
  if (kind === GAP) made.setAttribute("aria-busy", "true");
  made.style.blockSize = `${size}px`;
  return made;
}

/** Whether there is something in it that nobody has sent yet. @param {HTMLElement} node */
function isTypedIn(node) {
  return [...node.querySelectorAll("input")].some((field) => field.name === "text" && field.value !== "");
}
